// @ts-check
// One execution: what happened, where did it stop, why, and what would a redrive do?

import {
  Choice, Copy, Dialog, Failure, Icon, Pages, Skeleton, Status, Time, address, ask, authorized, base, dateTime, duration, go, here, html,
  joined, now, number, parted, plural, requestToken, route, say, straight, tick, ticking, useAnswer, useEffect, useKeys, useReady, useRef, useState, useServerTime,
} from 'console/lib';
import { useChanges } from 'console/live';
import { Graph, Legend } from './graph.js';
import { RUNS_BESIDE, Timeline } from './timeline.js';

const CLOSED = new Set(['failed', 'timed_out', 'aborted']);
const VIEWS = [['timeline', 'Timeline'], ['events', 'Events'], ['definition', 'Definition']];
/** Lines of a cause before it is folded. */
const CAUSE_LINES = 5;

export default function Execution() {
  const [, machine, name] = route.value.segments;
  const { query } = route.value;
  const items = query.get('items') ?? '';
  const path = `api/executions/${encodeURIComponent(machine)}/${encodeURIComponent(name ?? '')}`;
  const answer = useAnswer(`${path}?${new URLSearchParams({ items })}`);
  const [folds, setFolds] = useState({ open: /** @type {string[]} */ ([]), shut: /** @type {string[]} */ ([]), from: query.get('state') ?? '', whole: false });
  const graph = useAnswer(`${path}/graph?${new URLSearchParams({ open: joined(folds.open), shut: joined(folds.shut), state: folds.from, whole: String(folds.whole) })}`);
  const [dialog, setDialog] = useState(/** @type {string | null} */ (null));
  useChanges(answer.reload, [machine, name]);
  useEffect(() => { document.title = `${name} · Ticketflow`; }, [name]);
  const execution = answer.data;
  // One that was asked for before it began has a graph now.
  useEffect(() => { if (execution && graph.error) graph.reload(); }, [Boolean(execution)]);
  useServerTime(execution?.now);
  const selected = query.get('state') ?? execution?.opening ?? null;
  const select = (state) => go(here({ state }), { replace: true });
  const redrivable = execution && CLOSED.has(execution.status) && !execution.redrive.refused;
  useKeys([
    ['r', 'Redrive from failure', () => redrivable && setDialog('redrive')],
    ['j', 'Next state', () => step(execution, selected, select, 1)],
    ['k', 'State before', () => step(execution, selected, select, -1)],
  ]);
  useReady(Boolean((execution && graph.data && answer.fresh) || answer.error));
  const done = () => { setDialog(null); answer.reload(); };
  const fold = (name, open) => setFolds(({ open: opened, shut, ...folds }) => {
    const [others, closed] = [opened, shut].map((list) => list.filter((other) => other !== name));
    return open ? { open: [...others, name], shut: closed, ...folds } : { open: others, shut: [...closed, name], ...folds };
  });
  const foldAll = (folded) => setFolds((folds) => ({ ...folds, shut: [], whole: !folded }));
  const item = (state, number) => {
    const others = parted(items).filter((pair) => pair.slice(0, pair.lastIndexOf(':')) !== state);
    go(here({ items: joined([...others, `${state}:${number}`]) }), { replace: true });
  };
  // What is chosen elsewhere and folded here comes out.
  const hidden = graph.data?.nodes.some((node) => node.folded.includes(selected));
  useEffect(() => { if (selected && hidden) fold(selected, true); }, [selected, hidden]);

  const crumbs = html`<p class="crumbs"><a href=${address(['executions'])}>Executions</a> <span aria-hidden="true">/</span> <a href=${address(['executions'], { machine })}>${machine}</a></p>`;
  if (!execution) {
    return html`<main id="main" tabindex="-1"><div class="head"><div>${crumbs}<h1>${name}</h1></div></div>
      <div class="card">${answer.error
        ? html`<${Failure} what=${answer.error.status === 404 ? `There is no execution ${name}` : 'The execution could not be loaded'} error=${answer.error} retry=${answer.error.status === 404 ? null : answer.reload}/>`
        : html`<${Skeleton} rows=${10}/>`}</div></main>`;
  }
  return html`<main id="main" tabindex="-1" class="one">
    <${Head} execution=${execution} crumbs=${crumbs} path=${path} redrivable=${redrivable} onDialog=${setDialog}/>
    ${answer.error && html`<div class="card"><${Failure} what="The execution could not be loaded again" error=${answer.error} retry=${answer.reload}/></div>`}
    ${execution.failure && html`<${Alert} execution=${execution} onSelect=${select}/>`}
    <section class="card graph-card" aria-labelledby="graph-title">
      <div class="card-head"><h2 id="graph-title">Graph</h2></div>
      ${graph.error && html`<${Failure} what="The graph could not be loaded" error=${graph.error} retry=${graph.reload}/>`}
      ${!graph.data && !graph.error && html`<${Skeleton} rows=${6} height=${64}/>`}
      ${graph.data && html`<${Graph} graph=${graph.data} whole=${folds.whole} execution=${execution} selected=${selected} onSelect=${select} onOpen=${fold}/><${Legend} graph=${graph.data} execution=${execution} whole=${folds.whole} onFold=${foldAll}/>`}
    </section>
    <div class="right">
      <${Steps} execution=${execution} path=${path} selected=${selected} onSelect=${select} onItem=${item}/>
      <${Inspector} execution=${execution} graph=${graph.data} path=${path} selected=${selected} items=${items}/>
    </div>
    ${dialog === 'redrive' && html`<${Redrive} execution=${execution} path=${path} onClose=${() => setDialog(null)} onDone=${done}/>`}
    ${dialog === 'stop' && html`<${Stop} execution=${execution} path=${path} onClose=${() => setDialog(null)} onDone=${done}/>`}
  </main>`;
}

function step(execution, selected, select, by) {
  const names = execution?.states.map((state) => state.state) ?? [];
  const at = names.indexOf(selected);
  const next = names[Math.max(0, Math.min(names.length - 1, at + by))];
  if (next) select(next);
}

function Head({ execution, crumbs, path, redrivable, onDialog }) {
  const open = execution.stopped === null;
  if (open) tick.value;
  const took = open ? ticking(now() - execution.started) : duration(execution.stopped - execution.started);
  const closed = CLOSED.has(execution.status);
  return html`<div class="head">
    <div>
      ${crumbs}
      <div class="title"><h1>${execution.name}</h1><${Status} status=${execution.status} until=${execution.retry_at} chip=${true}/></div>
      <dl class="facts">
        <div><dt>Started</dt><dd><${Time} at=${execution.started}/></dd></div>
        <div><dt>Duration</dt><dd>${took}</dd></div>
        <div><dt>Events</dt><dd>${number(execution.events)}</dd></div>
        <div><dt>Redrives</dt><dd>${number(execution.redrives)}</dd></div>
        ${execution.subject && html`<div><dt>Subject</dt><dd>${execution.subject.link ? html`<a class="mono" href=${execution.subject.link}>${execution.subject.text}</a>` : execution.subject.text}</dd></div>`}
        ${execution.startedBy && html`<div><dt>Started as</dt><dd>${execution.startedBy.split(':').slice(-2).join(':')}</dd></div>`}
        ${execution.parent && html`<div><dt>Started by</dt><dd><a href=${address(['executions', execution.parent.machine, execution.parent.name])}>${execution.parent.machine} / ${execution.parent.name}</a></dd></div>`}
      </dl>
    </div>
    <div class="head-actions">
      ${closed && execution.redrive.refused && html`<span class="none">${execution.redrive.refused}</span>`}
      <${Export} path=${path} name=${execution.name}/>
      ${open && html`<button type="button" onClick=${() => onDialog('stop')}><${Icon} status="aborted"/> Stop</button>`}
      ${closed && html`<button type="button" class="primary" disabled=${!redrivable} onClick=${() => onDialog('redrive')}><${Icon} status="retrying"/> Redrive from failure</button>`}
    </div>
  </div>`;
}

/** Saves what an address answers; a plain link could not carry the token. */
async function save(path, name) {
  const response = await fetch(new URL(path, base), { headers: authorized(), credentials: 'omit' });
  if (!response.ok) throw new Error(`The answer was ${response.status}.`);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function Export({ path, name }) {
  return html`<${Save} path=${`${path}/export`} name=${`${name}.json`} label="Export JSON"/>`;
}

function Save({ path, name, label, small = false }) {
  const [error, set] = useState(/** @type {any} */ (null));
  return html`<button type="button" class=${small ? 'small' : ''} onClick=${() => save(path, name).then(() => set(null), set)}>${error ? 'Failed, try again' : label}</button>`;
}

function Alert({ execution, onSelect }) {
  const [all, setAll] = useState(false);
  const { failure, redrive } = execution;
  const cause = failure.cause ?? '';
  const lines = cause.split('\n');
  const long = lines.length > CAUSE_LINES || cause.length > 600;
  const shown = long && !all ? lines.slice(0, CAUSE_LINES).join('\n').slice(0, 600) : cause;
  const name = failure.state ? html`<a href=${here({ state: failure.state, items: joined(failure.items ?? []) })} data-filter>${failure.state}</a>` : 'The execution';
  const what = {
    failed: html`${name} failed after ${plural(failure.tries || 1, 'attempt')}`,
    timed_out: html`${name} timed out`,
    aborted: html`The execution was stopped${failure.state ? html` at ${name}` : ''}`,
  }[execution.status];
  return html`<section class="alert s-${execution.status}" aria-label="What went wrong"><${Icon} status=${execution.status}/><div>
    <p><strong>${what}</strong> ${failure.error && html`<code class="error">${failure.error}</code>`}</p>
    ${cause && html`<p class="cause"><span>${shown}${long && !all ? '…' : ''}</span> ${long && html`<button type="button" class="small" onClick=${() => setAll(!all)}>${all ? 'Show less' : 'Show all'}</button>`}</p>`}
    <p class="keeps">${redrive.refused ? `It cannot be redriven: ${redrive.refused}.` : keeps(redrive)}</p>
  </div></section>`;
}

/** What a redrive keeps and runs again, in words. */
function keeps({ kept, items, again }) {
  const states = again.length ? again.slice(0, 3).join(', ') + (again.length > 3 ? ` and ${again.length - 3} more` : '') : 'the state that failed';
  const finished = kept ? [`the ${kept === 1 ? 'finished state' : plural(kept, 'finished state')}`] : [];
  const all = [...finished, ...keptItems(items)].join(' and ');
  return `Redrive ${all && `keeps ${all} and `}runs ${states} again with the same input.`;
}

/** Of each Map that goes on, how many of its items a redrive keeps. */
const keptItems = (items) => items.filter(({ kept }) => kept).map(({ state, total, kept }) => `${number(kept)} of ${plural(total, 'item')} of ${state}`);

// ---------------------------------------------------------------- steps

function Steps({ execution, path, selected, onSelect, onItem }) {
  const { query } = route.value;
  const asks = query.get('view') ?? '';
  const view = VIEWS.some(([name]) => name === asks) ? asks : 'timeline';
  const newest = query.get('newest') === 'true';
  const asked = Number(query.get('run'));
  const run = Number.isInteger(asked) && asked >= 1 && asked <= execution.runs.length ? asked - 1 : null;
  const set = (change) => go(here(change), { replace: true });
  return html`<section class="card steps" aria-labelledby="steps-title">
    <div class="card-head"><h2 id="steps-title">Steps</h2>
      ${view !== 'definition' && html`<label class="inline"><input type="checkbox" checked=${newest} onChange=${(event) => set({ newest: event.currentTarget.checked ? 'true' : '', from: '' })}/> Newest first</label>`}
      <${Choice} label="View of the steps" value=${view} onChange=${(view) => set({ view: view === 'timeline' ? '' : view, from: '' })} options=${VIEWS.map(([name, words]) => [name, name === 'events' ? `${words} ${number(execution.events)}` : words])}/>
    </div>
    ${view === 'timeline' && execution.runs.length > 1 && html`<${Runs} runs=${execution.runs} chosen=${run}/>`}
    ${view === 'timeline' && html`<${Timeline} execution=${execution} run=${run} selected=${selected} onSelect=${onSelect} newest=${newest} onItem=${onItem}/>`}
    ${view === 'events' && html`<${Events} execution=${execution} path=${path} newest=${newest}/>`}
    ${view === 'definition' && html`<${Definition} path=${path}/>`}
  </section>`;
}

/** Runs to choose from: a link to each, and one to all that fit beside each other. */
function Runs({ runs, chosen }) {
  const link = (run, words, title) => html`<a key=${words} href=${here({ run })} data-filter title=${title} aria-current=${(chosen === null ? '' : chosen + 1) === run ? 'true' : undefined}>${words}</a>`;
  return html`<nav class="runs" aria-label="Runs">${link('', runs.length > RUNS_BESIDE ? `Last ${RUNS_BESIDE} runs` : 'All runs')}
    ${runs.map(({ from, to }, index) => link(index + 1, `Run ${index + 1}`, `${dateTime(from)}${to === null ? '' : `, ${duration(to - from)}`}`))}</nav>`;
}

/** A whole number of an address; anything else is the beginning. */
const whole = (/** @type {string | null} */ text) => (/^\d{1,9}$/.test(text ?? '') ? Number(text) : 0);

function Events({ execution, path, newest }) {
  const { query } = route.value;
  const [state, failed, from] = [query.get('of') ?? '', query.get('failed') === 'true', whole(query.get('from'))];
  const wanted = new URLSearchParams({ from: String(from), state, failed: String(failed), reverse: String(newest) });
  const page = useAnswer(`${path}/events?${wanted}`);
  const known = useRef(execution.events);
  useEffect(() => {
    if (known.current !== execution.events) { known.current = execution.events; page.reload(); }
  }, [execution.events]);
  const set = (change) => go(here({ from: '', ...change }), { replace: true });
  const { data } = page;
  // Beyond the end the last page is shown.
  useEffect(() => { if (data && from > 0 && from >= data.total) set({ from: Math.max(0, data.total - (data.total % data.page || data.page)) || '' }); }, [data]);
  return html`<div class="fields start">
      <label><span class="unseen">State</span><select value=${state} onChange=${(event) => set({ of: event.currentTarget.value })}><option value="">All states</option>${execution.states.filter((state) => state.in_history).map(({ state }) => html`<option key=${state} value=${state}>${state}</option>`)}</select></label>
      <label class="inline"><input type="checkbox" checked=${failed} onChange=${(event) => set({ failed: event.currentTarget.checked ? 'true' : '' })}/> Failed only</label>
    </div>
    ${page.error && html`<${Failure} what="The events could not be loaded" error=${page.error} retry=${page.reload}/>`}
    ${!data && !page.error && html`<${Skeleton}/>`}
    ${data && (data.events.length ? html`<div class="scroll"><table class="events"><thead><tr><th class="num">Id</th><th class="num">After</th><th>Type</th><th>State</th></tr></thead>
      <tbody>${data.events.map((event) => html`<tr key=${event.position} class=${event.failed ? 'bad' : ''}><td class="num">${event.id}</td><td class="num"><${Time} at=${event.at} show=${() => `+${duration(event.offset)}`}/></td>
        <td>${event.failed && html`<${Icon} status="failed" size=${13}/> `}${event.type}${event.detail && html`<span class="detail" title=${event.detail}>${event.detail}</span>`}</td>
        <td>${event.state ? html`<a href=${here({ state: event.state, ...event.items.length && { items: joined(event.items) } })} data-filter>${event.state}</a>${event.items.map((item) => html` <span class="none">item ${item.slice(item.lastIndexOf(':') + 1)}</span>`)}` : html`<span class="none">–</span>`}</td></tr>`)}</tbody></table></div>
      <${Pages} from=${data.from} count=${data.page} page=${data.page} total=${data.total} onChange=${(from) => set({ from: from || '' })}/>`
      : html`<p class="none pad">No event matches. <a href=${here({ of: '', failed: '', from: '' })} data-filter>Clear filters</a></p>`)}`;
}

function Definition({ path }) {
  const answer = useAnswer(`${path}/definition`);
  if (answer.error) return html`<${Failure} what="The definition could not be loaded" error=${answer.error} retry=${answer.reload}/>`;
  if (!answer.data) return html`<${Skeleton}/>`;
  return html`<div class="document"><div class="document-head"><span class="none">As it was when the execution started, of <${Time} at=${answer.data.revised}/></span><span class="space"/><${Copy} text=${() => answer.data.definition}/></div>
    <pre tabindex="0" class="tall">${straight(answer.data.definition)}</pre></div>`;
}

// ---------------------------------------------------------------- the selected state

function Inspector({ execution, graph, path, selected, items }) {
  const state = execution.states.find((state) => state.state === selected);
  const answer = useAnswer(state ? `${path}/state?${new URLSearchParams({ name: selected, items })}` : null);
  const version = state && JSON.stringify([state.status, state.tries, state.visits, state.waits_since, state.heartbeat_due, state.until]);
  const known = useRef(version);
  useEffect(() => {
    if (known.current !== version) { known.current = version; answer.reload(); }
  }, [version]);
  if (!selected) return null;
  // What is in a box that is closed is not told.
  const exists = state || !graph || graph.nodes.some((node) => node.name === selected || node.folded.includes(selected) || node.opened === false);
  const data = state && answer.fresh ? answer.data : null;
  return html`<section class="card inspector" aria-labelledby="inspector-title">
    <div class="card-head"><h2 id="inspector-title">${selected}</h2>${state ? html`<span class="none">${state.type}</span><${Status} status=${state.status} until=${state.status === 'retrying' ? state.until : null}/>` : exists && html`<${Status} status="not_reached"/>`}<span class="space"/></div>
    ${!state && html`<p class="none">${exists ? 'The execution has not come to this state.' : `The state machine has no state ${selected}.`}</p>`}
    ${answer.error && state && html`<${Failure} what="The state could not be loaded" error=${answer.error} retry=${answer.reload}/>`}
    ${state && !data && !answer.error && html`<${Skeleton} rows=${4}/>`}
    ${data && html`<${State} data=${data} path=${path} execution=${execution}/>`}
  </section>`;
}

function State({ data, path, execution }) {
  const failed = data.attempts.filter((attempt) => attempt.error || attempt.cause);
  const last = data.attempts[data.attempts.length - 1];
  const runs = last?.status === 'running';
  const queued = runs && last.queued;
  const taken = runs && last.worker && last.submitted;
  const waits = runs && last.token && last.submitted && !taken;
  if (waits || queued || taken || data.until) tick.value;
  const limits = runs && [
    last.heartbeat_due && `a heartbeat is due in ${ticking(last.heartbeat_due - now())}`,
    last.deadline && `it times out in ${ticking(last.deadline - now())}`,
  ].filter(Boolean).map((limit) => `; ${limit}`).join('');
  const children = data.attempts.filter((attempt) => attempt.child);
  return html`
    ${waits && html`<p class="note s-waiting"><${Icon} status="waiting"/><span>Waiting for a callback. Its token was given out ${ticking(now() - last.submitted)} ago${limits}.</span></p>`}
    ${queued && html`<p class="note s-waiting"><${Icon} status="waiting"/><span>Waiting for a worker of its activity, for ${ticking(now() - last.from)}${limits}.</span></p>`}
    ${taken && html`<p class="note s-running"><${Icon} status="running"/><span>A worker has had it for ${ticking(now() - last.submitted)}${limits}.</span></p>`}
    ${data.until && data.status !== 'retrying' && html`<p class="note s-waiting"><${Icon} status="waiting"/><span>Waiting until <${Time} at=${data.until}/>, ${data.until > now() ? `in ${ticking(data.until - now())}` : 'now'}.</span></p>`}
    ${children.length > 0 && html`<p class="note">Started ${children.map((attempt) => html`<a href=${address(['executions', attempt.child.machine, attempt.child.name])}>${attempt.child.machine} / ${attempt.child.name}</a> `)}</p>`}
    ${data.visits > 1 && html`<p class="none">It was entered ${number(data.visits)} times; this is the last.</p>`}
    <div class="documents">
      <${Document} title="Input" document=${data.input} path=${path} missing="none"/>
      <${Document} title="Output" document=${data.output} path=${path} missing=${data.status === 'running' || data.status === 'retrying' ? 'none yet' : 'none – the state did not complete'}/>
    </div>
    ${failed.length > 0 && html`<div><h3>Attempts that failed</h3><ol class="attempts">${failed.map((attempt) => html`<li key=${attempt.number}>
      <span class="none">#${attempt.number} at +${duration((attempt.to ?? attempt.from) - execution.started)}${execution.runs.length > 1 ? `, run ${attempt.run + 1}` : ''}</span>
      ${attempt.error && html`<code class="error">${attempt.error}</code>`} <span class="cause">${attempt.cause ?? ''}</span></li>`)}</ol></div>`}
    ${data.variables.length > 0 && html`<div><h3>Variables</h3><dl class="variables">${data.variables.map(({ name, value }) => html`<div key=${name}><dt><code>$${name}</code></dt><dd><pre tabindex="0">${straight(value.text)}</pre>${!value.whole && html`<${Whole} document=${value} path=${path}/>`}</dd></div>`)}</dl></div>`}
    ${data.call && html`<details><summary>What was called: <code>${data.resource}</code></summary><${Document} title="Parameters" document=${data.call} path=${path}/></details>`}`;
}

function Document({ title, document, path, missing = 'none' }) {
  if (!document) return html`<div class="document"><div class="document-head"><h3>${title}</h3></div><p class="none">${missing}</p></div>`;
  return html`<div class="document"><div class="document-head"><h3>${title}</h3><span class="space"/>${!document.whole && html`<${Whole} document=${document} path=${path}/>`}<${Copy} text=${() => document.text} label=${document.whole ? 'Copy' : 'Copy this part'}/></div>
    <pre tabindex="0">${straight(document.text)}</pre></div>`;
}

function Whole({ document, path }) {
  const { position, field } = document;
  return html`<span class="none">the first part of ${number(document.bytes)} bytes</span><${Save} path=${`${path}/document?${new URLSearchParams({ position, field })}`} name=${`${field}.json`} label="Download" small=${true}/>`;
}

// ---------------------------------------------------------------- what changes it

function Redrive({ execution, path, onClose, onDone }) {
  const [state, set] = useState(/** @type {any} */ ({ busy: false, error: null }));
  const token = useRef(requestToken());
  const { kept, items, again } = execution.redrive;
  const { failure } = execution;
  const all = [...kept ? [plural(kept, 'finished state')] : [], ...keptItems(items)];
  const redrive = async () => {
    set({ busy: true, error: null });
    try {
      await ask(`${path}/redrive`, { body: { token: token.current } });
      say('Redriven');
      // The page follows the new run.
      go(here({ state: '', run: '', from: '' }), { replace: true });
      onDone();
    } catch (error) {
      set({ busy: false, error });
    }
  };
  return html`<${Dialog} title="Redrive from failure" onClose=${onClose}>
    <dl class="plan">
      <div><dt>Kept</dt><dd>${all.join(', ') || 'nothing had finished'}</dd></div>
      <div><dt>Runs again</dt><dd>${again.length ? again.join(', ') : 'the state that failed'}, and what follows</dd></div>
      <div><dt>With</dt><dd>the same input and the definition it started with; retries are counted anew</dd></div>
    </dl>
    ${again.length > 0 && html`<${With} path=${path} state=${again[0]} items=${again[0] === failure.state ? joined(failure.items ?? []) : ''}/>`}
    ${state.error && html`<${Failure} what="It was not redriven" error=${state.error}/>`}
    <div class="actions"><button type="button" onClick=${onClose}>Cancel</button><button type="button" class="primary" autofocus disabled=${state.busy} onClick=${redrive}><${Icon} status="retrying"/> ${state.busy ? 'Redriving…' : 'Redrive'}</button></div>
  <//>`;
}

/** The input that a state is begun with again. */
function With({ path, state, items }) {
  const answer = useAnswer(`${path}/state?${new URLSearchParams({ name: state, items })}`);
  const input = answer.data?.input;
  return html`<details><summary>Input of ${state}</summary>${input
    ? html`<${Document} title="Input" document=${input} path=${path}/>`
    : html`<p class="none">${answer.error ? answer.error.message : answer.data ? 'none' : 'Loading…'}</p>`}</details>`;
}

function Stop({ execution, path, onClose, onDone }) {
  const [state, set] = useState(/** @type {any} */ ({ busy: false, error: null }));
  const [cause, setCause] = useState('');
  const stop = async (event) => {
    event.preventDefault();
    set({ busy: true, error: null });
    try {
      await ask(`${path}/stop`, { body: cause.trim() ? { cause: cause.trim() } : {} });
      say('Stopped');
      onDone();
    } catch (error) {
      set({ busy: false, error });
    }
  };
  return html`<${Dialog} title="Stop the execution" onClose=${onClose}><form onSubmit=${stop}>
    <p>${execution.name} ends as aborted where it is${execution.state ? html`, at <strong>${execution.state}</strong>` : ''}. It can be redriven later.</p>
    <label for="cause">Cause, for those who look later (optional)</label>
    <input id="cause" maxlength="1000" value=${cause} onInput=${(event) => setCause(event.currentTarget.value)}/>
    ${state.error && html`<${Failure} what="It was not stopped" error=${state.error}/>`}
    <div class="actions"><button type="button" onClick=${onClose}>Cancel</button><button class="primary" disabled=${state.busy}>${state.busy ? 'Stopping…' : 'Stop it'}</button></div>
  </form><//>`;
}
