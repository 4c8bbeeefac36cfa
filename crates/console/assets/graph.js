// @ts-check
// The graph of a state machine: real buttons over an SVG of edges, laid out by the server.

import { Icon, WORDS, duration, html, now, number, plural, tick, ticking, useEffect, useLayoutEffect, useRef, useState } from 'console/lib';

/** Smaller, letters could not be read; then it scrolls. */
const SMALLEST = 0.6;

/** @param {{graph: any, whole: boolean, execution: any, selected: string | null, onSelect: (name: string) => void, onOpen: (name: string, open: boolean) => void}} props */
export function Graph({ graph, whole, execution, selected, onSelect, onOpen }) {
  const frame = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return;
    // Measured before the first paint; an observer alone would leave it blank once.
    const measure = () => {
      const { paddingLeft, paddingRight } = getComputedStyle(element);
      setWidth(element.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const scale = width ? Math.max(SMALLEST, Math.min(1, width / graph.width)) : 1;
  // The main way runs down the middle, as far as there is room beside it.
  const free = Math.max(0, width - graph.width * scale);
  const left = graph.start ? Math.max(0, Math.min(free, width / 2 - graph.start[0] * scale)) : free / 2;
  const states = new Map(execution.states.map((state) => [state.state, state]));
  // A way between states that are folded together is not drawn, one that leads out of them leads out of their node.
  const place = new Map(graph.nodes.flatMap((node) => node.folded.map((name) => [name, node.name])));
  const ways = execution.ways.map(([from, to, caught]) => [place.get(from) ?? from, place.get(to) ?? to, caught]);
  const taken = new Map(ways.map(([from, to, caught]) => [`${from}\n${to}`, caught]));
  const shown = useRef(/** @type {string | null} */ (null));
  useEffect(() => {
    // Once for each state that is chosen, for each width, and as a whole, it is brought into view.
    const view = `${width} ${selected} ${whole}`;
    if (!selected || !width || shown.current === view) return;
    shown.current = view;
    const element = frame.current;
    const node = graph.nodes.find((node) => node.name === selected);
    if (!element || !node) return;
    const [x, y] = [node.x * scale, node.y * scale];
    const [wide, high] = [node.width * scale, Math.min(node.height, 50) * scale];
    if (x < element.scrollLeft || x + wide > element.scrollLeft + element.clientWidth) element.scrollLeft = x + wide / 2 - element.clientWidth / 2;
    if (y < element.scrollTop || y + high > element.scrollTop + element.clientHeight) element.scrollTop = y + high / 2 - element.clientHeight / 2;
  }, [selected, width, graph]);

  // Whatever opens or closes is drawn anew: the focus goes back to what opens and closes it, or to the first state shown.
  const turned = useRef(/** @type {string | null} */ (null));
  const turn = (name, open) => { turned.current = name; onOpen(name, open); };
  useLayoutEffect(() => {
    const name = turned.current;
    turned.current = null;
    if (!name || document.activeElement !== document.body) return;
    const buttons = [...frame.current?.querySelectorAll('button') ?? []];
    (buttons.find((button) => button.dataset.fold === name) ?? buttons.find((button) => button.dataset.state === name))?.focus();
  }, [graph]);

  const order = graph.nodes.filter((node) => !node.folded.length).sort((left, right) => left.y - right.y || left.x - right.x);
  const arrows = (event) => {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!by || !event.target.dataset.state) return;
    event.preventDefault();
    const at = order.findIndex((node) => node.name === event.target.dataset.state);
    const next = order[Math.max(0, Math.min(order.length - 1, at + by))];
    const button = [...frame.current?.querySelectorAll('button[data-state]') ?? []].find((button) => button.dataset.state === next.name);
    button?.focus();
    onSelect(next.name);
  };
  // Of all nodes one is in the order of the Tab key; the arrows lead to the others.
  const entry = graph.nodes.some((node) => node.name === selected) ? selected : order[0]?.name;
  return html`<div class="graph" ref=${frame} onKeyDown=${arrows}>
    <div class="graph-size" style=${{ width: `${graph.width * scale}px`, height: `${graph.height * scale}px`, marginLeft: `${left}px` }}>
      <div class="graph-scale" role="group" aria-label="States" style=${{ width: `${graph.width}px`, height: `${graph.height}px`, transform: `scale(${scale})` }}>
        <${Edges} graph=${graph} taken=${taken} ended=${execution.stopped !== null}/>
        ${graph.nodes.map((node) => node.folded.length ? html`<${Fold} key=${`${node.name} and more`} node=${node} states=${states} onOpen=${turn}/>` : html`<${Node} key=${node.name} node=${node} state=${states.get(node.name)} selected=${selected === node.name} entry=${entry === node.name} onSelect=${onSelect} onOpen=${turn}/>`)}
      </div>
    </div>
  </div>`;
}

function Edges({ graph, taken }) {
  const state = (edge) => {
    const key = `${edge.from}\n${edge.to}`;
    if (!taken.has(key)) return 'untaken';
    const caught = taken.get(key);
    if (edge.kind === 'catch') return caught ? 'caught' : 'untaken';
    return caught && graph.edges.some((other) => other.kind === 'catch' && other.from === edge.from && other.to === edge.to) ? 'untaken' : 'taken';
  };
  const arrow = ([x, y], up) => (up ? `M${x} ${y + 0.5}l-4.5 7h9z` : `M${x} ${y - 0.5}l-4.5 -7h9z`);
  const drawn = graph.edges.map((edge) => ({ edge, state: state(edge) }));
  // What was taken lies above what was not.
  drawn.sort((left, right) => Number(left.state !== 'untaken') - Number(right.state !== 'untaken'));
  return html`<svg class="edges" width=${graph.width} height=${graph.height} aria-hidden="true">
    ${drawn.map(({ edge, state }) => html`<g class="edge ${state} ${edge.kind}"><path d=${edge.path}/><path class="arrow" d=${arrow(edge.tip, edge.up)}/></g>`)}
    ${graph.start && html`<circle class="start" cx=${graph.start[0]} cy=${graph.start[1]} r="7"/><text class="mark" x=${graph.start[0] + 13} y=${graph.start[1] + 4}>start</text>`}
    ${graph.end && html`<circle class="end" cx=${graph.end[0]} cy=${graph.end[1]} r="6"/><text class="mark" x=${graph.end[0] + 13} y=${graph.end[1] + 4}>end</text>`}
    ${drawn.filter(({ edge }) => edge.label).map(({ edge, state }) => html`<text class="edge-label ${state} ${edge.kind}" x=${edge.label_at[0]} y=${edge.label_at[1] + 4} text-anchor="middle"><title>${edge.label}</title>${edge.label_short}</text>`)}
  </svg>`;
}

/** What a node says below its name. */
function sub(node, state) {
  if (!state) return node.type;
  const { items } = state;
  if (items) {
    const failed = items.failed ? `, ${items.failed} failed` : '';
    return `${items.succeeded} of ${items.total} done${failed}`;
  }
  const bad = state.status === 'failed' || state.status === 'timed_out' || state.status === 'aborted';
  if (state.waits_since) return `Waiting for ${state.waits_for_worker ? 'a worker' : 'callback'}`;
  if (state.open && state.until && state.status === 'running') return `${node.type} · waiting`;
  if (state.open) {
    tick.value;
    return `${WORDS[state.status]}${state.bars.length ? ` · ${ticking(now() - state.bars[0].from)}` : ''}`;
  }
  if (bad || state.status === 'caught') return `${WORDS[state.status]}${state.ms ? ` · ${duration(state.ms)}` : ''}`;
  return `${node.type} · ${duration(state.ms)}`;
}

function Node({ node, state, selected, entry, onSelect, onOpen }) {
  const status = state?.status ?? 'not_reached';
  const tries = state && state.tries > state.visits ? `${number(state.tries)} tries` : state?.visits > 1 ? `${number(state.visits)} times` : null;
  const place = { left: `${node.x}px`, top: `${node.y}px`, width: `${node.width}px` };
  const box = node.opened;
  const told = sub(node, state);
  const button = html`<button type="button" class="node s-${status} ${box ? 'boxed' : ''}" data-state=${node.name} aria-pressed=${String(selected)} tabindex=${entry ? 0 : -1}
      style=${box ? { left: '0px', top: '0px', width: `${node.width - 40}px`, height: '34px' } : { ...place, height: `${node.height}px` }}
      title=${node.comment ?? node.name} onClick=${() => onSelect(node.name)}>
    <${Icon} status=${status}/>
    <span class="node-text"><span class="node-name">${node.name}</span><span class="node-sub">${told}</span></span>${!told.startsWith(WORDS[status]) && html`<span class="unseen">, ${WORDS[status]}</span>`}
    ${tries && html`<span class="tries">${tries}</span>`}
  </button>`;
  if (box) {
    return html`<div class="node-box s-${status} ${selected ? 'chosen' : ''}" style=${{ ...place, height: `${node.height}px` }}>${button}
      <button type="button" class="fold" data-fold=${node.name} aria-label=${`Close ${node.name}`} onClick=${() => onOpen(node.name, false)}>−</button></div>`;
  }
  if (box === false) {
    return html`${button}<button type="button" class="fold" data-fold=${node.name} style=${{ left: `${node.x + node.width - 28}px`, top: `${node.y + 13}px` }} aria-label=${`Open ${node.name}`} onClick=${() => onOpen(node.name, true)}>+</button>`;
  }
  return button;
}

/** The statuses that a fold tells of, the one that matters most first. */
const TELLING = ['failed', 'timed_out', 'retrying', 'running', 'caught', 'aborted', 'succeeded'];

/** States that are folded, as one node that opens to show the first of them and what is around it. */
function Fold({ node, states, onOpen }) {
  const reached = node.folded.map((name) => states.get(name)).filter(Boolean);
  const status = TELLING.find((status) => reached.some((state) => state.status === status)) ?? 'not_reached';
  const place = { left: `${node.x}px`, top: `${node.y}px`, width: `${node.width}px`, height: `${node.height}px` };
  const told = reached.length ? `${number(reached.length)} reached` : 'none reached';
  return html`<button type="button" class="node folded s-${status}" style=${place} title=${`${node.folded[0]} and ${plural(node.folded.length - 1, 'more')}`} onClick=${() => onOpen(node.folded[0], true)}>
    <${Icon} status=${status}/><span class="node-text"><span class="node-name">${plural(node.folded.length, 'state')}</span><span class="node-sub">${told} · show</span></span><span class="unseen">, ${WORDS[status]}</span></button>`;
}

/** Which statuses there are on the graph, as icons with words. */
export function Legend({ graph, execution, whole, onFold }) {
  const seen = new Set(execution.states.map((state) => state.status));
  if (execution.states.length < graph.states) seen.add('not_reached');
  const shown = graph.nodes.filter((node) => !node.folded.length).length;
  const kinds = ['succeeded', 'failed', 'timed_out', 'running', 'retrying', 'caught', 'aborted', 'not_reached'];
  return html`<ul class="legend">${kinds.filter((kind) => seen.has(kind)).map((kind) => html`<li key=${kind} class="status s-${kind}"><${Icon} status=${kind}/>${WORDS[kind]}</li>`)}
    ${shown < graph.states && html`<li class="none">${plural(graph.states - shown, 'state')} folded</li>`}
    ${graph.can_be_whole && html`<li><button type="button" class="small" onClick=${() => onFold(whole)}>${whole ? 'Fold again' : 'Show all'}</button></li>`}</ul>`;
}
