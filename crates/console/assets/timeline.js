// @ts-check
// The steps of an execution on a time line: one bar per attempt, waiting dotted, an axis of its own for each run.

import { Pages, Status, duration, html, now, number, plural, tick, useEffect, useLayoutEffect, useRef, useState } from 'console/lib';

/** Runs that are drawn beside each other: of more the last. */
export const RUNS_BESIDE = 4;

/** States of a page. */
const PAGE = 50;

/** Steps of an axis that people count in, in milliseconds. */
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 2 * 3600e3, 4 * 3600e3, 6 * 3600e3, 12 * 3600e3, 86400e3, 2 * 86400e3, 7 * 86400e3, 14 * 86400e3, 28 * 86400e3, 91 * 86400e3];

/** A mark of an axis, in the unit of its step. */
function mark(ms, step) {
  if (ms === 0) return '0';
  if (step < 1e3) return ms < 1e3 ? `${ms} ms` : `${(ms / 1e3).toFixed(step < 100 ? 2 : 1).replace(/\.0+$/, '')} s`;
  if (step < 60e3) return ms < 120e3 ? `${ms / 1e3} s` : duration(ms);
  if (step < 3600e3) return ms < 7200e3 ? `${Math.round(ms / 60e3)} min` : duration(ms);
  if (step < 86400e3) return ms < 2 * 86400e3 ? `${Math.round(ms / 3600e3)} h` : duration(ms);
  return `${Math.round(ms / 86400e3)} d`;
}

function axis(length, width) {
  const room = Math.max(2, Math.floor(width / 64));
  const step = STEPS.find((step) => length / step <= room) ?? STEPS[STEPS.length - 1];
  const marks = [];
  for (let at = 0; at <= length && marks.length < 40; at += step) marks.push({ at, text: mark(at, step) });
  return marks;
}

/** The last of the states that stand beside each other first; what is within a state stays below it. */
function newestFirst(/** @type {any[]} */ states) {
  const trees = /** @type {any[][]} */ ([]);
  for (const state of states) {
    const tree = trees[trees.length - 1];
    if (tree && state.depth > tree[0].depth) tree.push(state);
    else trees.push([state]);
  }
  return trees.reverse().flatMap(([outer, ...inner]) => [outer, ...newestFirst(inner)]);
}

/** @param {{execution: any, run: number | null, selected: string | null, onSelect: (name: string) => void, newest: boolean, onItem: (state: string, item: number) => void}} props */
export function Timeline({ execution, run, selected, onSelect, newest, onItem }) {
  const lane = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = lane.current;
    if (!element) return;
    const measure = () => setWidth(element.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const frame = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    // Within its own frame only: the page stays where it is.
    const [box, row] = [frame.current, frame.current?.querySelector('tr.selected')];
    if (!box || !(row instanceof HTMLElement)) return;
    if (row.offsetTop < box.scrollTop + 40) box.scrollTop = row.offsetTop - 80;
    else if (row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = row.offsetTop + row.offsetHeight - box.clientHeight + 40;
  }, [selected]);
  const open = execution.stopped === null;
  if (open) tick.value;
  const end = Math.max(now(), ...execution.runs.map((run) => run.to ?? run.from));
  const first = run ?? Math.max(0, execution.runs.length - RUNS_BESIDE);
  const drawn = execution.runs.slice(first, run === null ? undefined : run + 1);
  const runs = drawn.map((run) => ({ from: run.from, length: Math.max(1, (run.to ?? end) - run.from) }));
  const gap = 16;
  const each = runs.length ? (width - gap * (runs.length - 1)) / runs.length : width;
  const left = (index) => index * (each + gap);
  const x = (run, at) => left(run) + Math.max(0, Math.min(1, (at - runs[run].from) / runs[run].length)) * each;
  const all = newest ? newestFirst(execution.states) : execution.states;
  // The page of the state that is chosen, until somebody turns it.
  const [page, turn] = useState({ of: selected, from: -1 });
  const of = Math.max(0, all.findIndex((state) => state.state === selected));
  const asked = page.of === selected && page.from >= 0 ? page.from : of - (of % PAGE);
  const from = asked < all.length ? asked : 0;
  const states = all.slice(from, from + PAGE);
  return html`<div class="scroll" ref=${frame}><table class="timeline">
    <thead><tr><th>State</th><th>Status</th><th class="num">Tries</th><th class="num">Time</th>
      <th class="lane"><div class="axis" ref=${lane}>${runs.map((run, index) => html`<div key=${index} class="run" style=${{ left: `${left(index)}px`, width: `${each}px` }}>
        ${execution.runs.length > 1 && html`<strong>Run ${first + index + 1}</strong>`}
        ${each > 0 && axis(run.length, each).map(({ at, text }) => html`<span key=${at} class="tick ${at / run.length > 0.9 ? 'last' : ''}" style=${{ left: `${(at / run.length) * each}px` }}>${text}</span>`)}
      </div>`)}</div></th></tr></thead>
    <tbody>${states.map((state) => html`<tr key=${state.state} class="row ${selected === state.state ? 'selected' : ''}" onClick=${() => onSelect(state.state)}>
      <td class="state" style=${{ paddingLeft: `${16 + state.depth * 16}px` }}><button type="button" class="text" aria-pressed=${String(selected === state.state)} title=${state.state}>${state.state}</button>
        ${state.items && html`<${Items} state=${state} onItem=${onItem}/>`}</td>
      <td><${Status} status=${state.waits_since || (state.open && state.until && state.status === 'running') ? 'waiting' : state.status} until=${state.status === 'retrying' ? state.until : null}/></td>
      <td class="num">${number(state.tries)}</td>
      <td class="num">${duration(state.open && state.bars.length ? end - state.bars[0].from : state.ms)}</td>
      <td class="lane"><div class="track">${width > 0 && html`
        ${runs.map((_, index) => html`<i key=${index} class="rail" style=${{ left: `${left(index)}px`, width: `${each}px` }}/>`)}
        ${state.bars.map((told, index) => {
          const bar = { ...told, run: told.run - first };
          if (!runs[bar.run]) return null;
          const [from, to] = [x(bar.run, bar.from), x(bar.run, bar.to ?? end)];
          const wide = bar.status === 'waiting' ? Math.max(0, to - from) : Math.max(4, to - from);
          // One at the very end stays within its run.
          const at = Math.min(from, left(bar.run) + each - wide);
          const length = duration((bar.to ?? end) - bar.from);
          return html`<i key=${index} class="bar s-${bar.status} b-${bar.status}" title=${`${bar.status === 'waiting' ? 'Waiting' : bar.error ?? bar.status} · ${length}`} style=${{ left: `${at}px`, width: `${wide}px` }}/>`;
        })}`}</div>${state.more_bars > 0 && html`<span class="under">${plural(state.more_bars, 'earlier attempt')} not drawn</span>`}</td>
    </tr>`)}</tbody>
  </table></div>
  ${all.length > PAGE && html`<${Pages} from=${from} count=${states.length} page=${PAGE} total=${all.length} what="states" onChange=${(from) => turn({ of: selected, from })}/>`}`;
}

/** Which item of a Map is looked into. */
function Items({ state, onItem }) {
  const { items } = state;
  const failed = items.failed_items.find((item) => item > items.shown) ?? items.failed_items[0];
  const stop = (event) => event.stopPropagation();
  // The field shows what is looked into: beyond the last item that is the last, without a number it is what it was.
  const change = ({ currentTarget: field }) => {
    const typed = Math.floor(field.valueAsNumber);
    const item = Number.isNaN(typed) ? items.shown : Math.max(0, Math.min(items.total - 1, typed));
    field.value = String(item);
    if (item !== items.shown) onItem(state.state, item);
  };
  if (!items.total) return html`<span class="items under">no items</span>`;
  return html`<span class="items" onClick=${stop}>
    <button type="button" class="small" disabled=${items.shown === 0} aria-label="Item before" onClick=${() => onItem(state.state, items.shown - 1)}>‹</button>
    <label>item <input type="number" min="0" max=${items.total - 1} value=${items.shown} onChange=${change}/></label> of ${items.total}
    <button type="button" class="small" disabled=${items.shown >= items.total - 1} aria-label="Next item" onClick=${() => onItem(state.state, items.shown + 1)}>›</button>
    ${items.failed > 0 && failed !== items.shown && html`<button type="button" class="small" onClick=${() => onItem(state.state, failed)}>next failed</button>`}
  </span>`;
}
