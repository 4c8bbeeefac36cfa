// @ts-check
// The list of executions: is anything failing or stuck now, and which?

import {
  Copy, Dialog, Empty, Failure, Icon, Skeleton, Status, Time, WORDS, address, ago, ask, duration, go, here, html, now, number,
  plural, requestToken, route, say, stepRows, tick, ticking, useAnswer, useEffect, useKeys, useLayoutEffect, useMemo, useReady, useRef, useState, useServerTime,
} from 'console/lib';
import { key, useChanges } from 'console/live';

const KINDS = ['failed', 'timed_out', 'retrying', 'running', 'succeeded', 'aborted'];
const RANGES = [['', 'Any time'], ['-1h', 'Last hour'], ['-24h', 'Last 24 hours'], ['-7d', 'Last 7 days']];
/** Any other time than these. */
const BETWEEN = 'between';
const HOUR = 3_600_000;
const UNITS = { m: ['minute', HOUR / 60], h: ['hour', HOUR], d: ['day', 24 * HOUR] };

/** How long before now a moment of the address is that is counted back, as `-30m`; in words too. */
function back(/** @type {string} */ moment) {
  const [, count, unit] = /^-(\d{1,6})([mhd])$/.exec(moment) ?? [];
  return unit ? { ms: Number(count) * UNITS[unit][1], words: `Last ${plural(Number(count), UNITS[unit][0])}` } : null;
}

/** A moment as the address has it, and as a field for local times. */
const utc = (/** @type {number} */ at) => `${new Date(at).toISOString().slice(0, 16)}Z`;
const field = (/** @type {string} */ moment) => {
  const ms = back(moment)?.ms;
  const at = ms === undefined ? Date.parse(moment) : now() - ms;
  return at ? new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16) : '';
};
const REDRIVABLE = new Set(['failed', 'timed_out', 'aborted']);
/** How long a row that changed is marked. */
const MARKED = 2_000;

const id = (row) => `${row.machine}/${row.name}`;
const link = (row) => address(['executions', row.machine, row.name]);

/** What of the address asks the server. */
function asked(query) {
  const wanted = new URLSearchParams();
  for (const name of ['machine', 'status', 'from', 'to', 'q']) if (query.get(name)) wanted.set(name, query.get(name));
  return wanted;
}

export default function Executions({ about }) {
  const { query } = route.value;
  const wanted = asked(query).toString();
  const list = useAnswer(`api/executions?${wanted}`);
  const machine = query.get('machine') ?? '';
  const span = { from: query.get('from') ?? '', to: query.get('to') ?? '' };
  const summary = useAnswer(`api/summary?${new URLSearchParams({ machine, ...span })}`);
  const [older, setOlder] = useState(/** @type {any} */ ({ wanted, rows: [], next: undefined, loading: false, error: null }));
  const [shown, setShown] = useState(/** @type {any[] | null} */ (null));
  const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
  const [marks, setMarks] = useState(/** @type {Map<string, number>} */ (new Map()));
  const [asks, setAsks] = useState(false);
  const pointed = useRef(false);
  const area = useRef(/** @type {HTMLElement | null} */ (null));
  const held = () => pointed.current || Boolean(area.current?.contains(document.activeElement));
  const anchor = useRef(/** @type {string | null} */ (null));
  const previous = useRef(/** @type {any} */ ({ wanted: null, rows: new Map() }));
  const paged = useRef(/** @type {any[]} */ ([]));
  const again = useRef({ runs: false, wanted: false });
  useChanges((changed) => {
    list.reload();
    summary.reload();
    if (older.rows.some((row) => changed === null || changed.has(key(row.machine, row.name)))) refresh();
  });
  useEffect(() => { document.title = 'Executions · Ticketflow'; }, []);
  useServerTime(list.data?.now);

  // What came in is shown at once, but new rows do not push the list from under the pointer.
  const fresh = list.data?.executions;
  useEffect(() => {
    if (!fresh) return;
    const same = previous.current.wanted === wanted;
    const before = previous.current.rows;
    if (same) {
      const changed = fresh.filter((row) => before.has(id(row)) && before.get(id(row)) !== JSON.stringify(row));
      if (changed.length) {
        const until = Date.now() + MARKED;
        setMarks((marks) => new Map([...marks, ...changed.map((row) => [id(row), until])]));
        setTimeout(() => setMarks((marks) => new Map([...marks].filter(([, until]) => until > Date.now()))), MARKED + 50);
      }
    }
    previous.current = { wanted, rows: new Map(fresh.map((row) => [id(row), JSON.stringify(row)])) };
    setShown((shown) => {
      if (!same || !shown || !held()) return fresh;
      const now = new Map(fresh.map((row) => [id(row), row]));
      const known = new Set(shown.map(id));
      // Rows stay where they are; those that no longer belong here go when nobody is looking.
      return fresh.some((row) => !known.has(id(row))) ? shown.map((row) => now.get(id(row)) ?? row) : fresh;
    });
  }, [fresh]);
  useEffect(() => { setOlder({ wanted, rows: [], next: undefined, loading: false, error: null }); setChosen(new Set()); }, [wanted]);
  useEffect(() => {
    // What new rows push off the first page belongs to the older ones, once there are any.
    const last = fresh?.[fresh.length - 1];
    const pushed = last ? paged.current.filter((row) => row.id < last.id) : [];
    paged.current = fresh ?? [];
    if (pushed.length) setOlder((older) => (older.wanted === wanted && older.next !== undefined ? { ...older, rows: [...pushed, ...older.rows] } : older));
  }, [fresh]);

  const first = shown ?? fresh ?? [];
  const known = new Set(first.map(id));
  const waiting = (fresh ?? []).filter((row) => !known.has(id(row))).length;
  const rows = useMemo(() => [...first, ...(older.wanted === wanted ? older.rows : []).filter((row) => !known.has(id(row)))], [first, older, wanted]);
  const next = older.wanted !== wanted || older.next === undefined ? list.data?.next : older.next;
  const ready = Boolean(list.data && list.fresh && (summary.data || summary.error));
  useReady(ready || Boolean(list.error));

  const more = async () => {
    setOlder((older) => ({ ...older, loading: true, error: null }));
    try {
      const page = await ask(`api/executions?${wanted}&before=${next}`);
      // Of another filter by now, it is not wanted any more.
      setOlder((older) => (older.wanted === wanted ? { wanted, rows: [...older.rows, ...page.executions], next: page.next, loading: false, error: null } : older));
    } catch (error) {
      setOlder((older) => (older.wanted === wanted ? { ...older, loading: false, error } : older));
    }
  };

  // The older rows, as they are now; what was loaded or pushed there meanwhile stays around them.
  const refresh = async () => {
    again.current.wanted = true;
    if (again.current.runs) return;
    again.current.runs = true;
    try {
      while (again.current.wanted) {
        again.current.wanted = false;
        const [top, last] = [older.rows[0].id, older.rows[older.rows.length - 1].id];
        const fetched = [];
        let next = top + 1;
        while (next && next > last) {
          const page = await ask(`api/executions?${wanted}&before=${next}`);
          fetched.push(...page.executions);
          next = page.next;
        }
        setOlder((older) => {
          if (older.wanted !== wanted || older.next === undefined) return older;
          const below = older.rows.filter((row) => next && row.id < next);
          return { ...older, rows: [...older.rows.filter((row) => row.id > top), ...fetched, ...below], next: below.length ? older.next : next };
        });
      }
    } catch {
      // What is shown stays; the list itself says what is wrong.
    } finally {
      again.current.runs = false;
    }
  };

  const body = useRef(/** @type {HTMLElement | null} */ (null));
  const redrivable = rows.filter((row) => REDRIVABLE.has(row.status));
  const chosenRows = redrivable.filter((row) => chosen.has(id(row)));
  useKeys([
    ['/', 'Filter', () => document.getElementById('filter')?.focus()],
    ['j', 'Next row', () => stepRows(body.current, 1)],
    ['k', 'Row before', () => stepRows(body.current, -1)],
    ['r', 'Redrive what is chosen', () => chosenRows.length && setAsks(true)],
  ]);
  const choose = (row, event) => {
    const to = id(row);
    const ids = redrivable.map(id);
    const on = event.currentTarget.checked;
    const range = event.shiftKey && anchor.current && ids.includes(anchor.current)
      ? ids.slice(Math.min(ids.indexOf(anchor.current), ids.indexOf(to)), Math.max(ids.indexOf(anchor.current), ids.indexOf(to)) + 1)
      : [to];
    anchor.current = to;
    setChosen((chosen) => {
      const changed = new Set(chosen);
      for (const one of range) on ? changed.add(one) : changed.delete(one);
      return changed;
    });
  };
  const done = () => {
    setAsks(false);
    setChosen(new Set());
    // Older rows that were redriven are not what they were: they are loaded anew when they are asked for.
    setOlder({ wanted, rows: [], next: undefined, loading: false, error: null });
    list.reload();
    summary.reload();
  };
  const point = (points) => () => {
    pointed.current = points;
    release();
  };
  const release = () => { if (!held() && fresh) setShown(fresh); };
  const filtered = ['machine', 'status', 'from', 'to', 'q'].some((name) => query.get(name));
  const many = about.machines.length > 1 && !machine;
  const selects = redrivable.length > 0;
  const all = chosenRows.length === redrivable.length;

  return html`<main id="main" tabindex="-1" class="list">
    <h1>Executions</h1>
    <${Sentence} summary=${summary}/>
    <${Filters} about=${about} summary=${summary.data}/>
    <section class="card flush held" aria-label="List of executions" ref=${area} onMouseEnter=${point(true)} onMouseLeave=${point(false)} onFocusOut=${() => setTimeout(release)}>
      ${list.error && html`<${Failure} what="The executions could not be loaded" error=${list.error} retry=${list.reload}/>`}
      ${chosenRows.length > 0 && html`<div class="selection"><span>${plural(chosenRows.length, 'execution')} chosen</span>
        <button type="button" class="primary" onClick=${() => setAsks(true)}><${Icon} status="retrying"/> Redrive ${number(chosenRows.length)} failed</button>
        <button type="button" onClick=${() => setChosen(new Set())}>Clear</button></div>`}
      ${waiting > 0 && held() && html`<button type="button" class="new" onClick=${() => setShown(fresh)}>${number(waiting)}${waiting === fresh.length && list.data.next ? '+' : ''} new · show</button>`}
      ${!list.data && !list.error && html`<div class="pad"><${Skeleton} rows=${8}/></div>`}
      ${list.data && rows.length > 0 && html`<div class="scroll" tabindex="-1"><table>
        <thead><tr>
          ${selects && html`<th class="check"><input type="checkbox" aria-label="Choose all that can be redriven" checked=${all} indeterminate=${!all && chosenRows.length > 0} onClick=${() => setChosen(new Set(all ? [] : redrivable.map(id)))}/></th>`}
          <th>Status</th><th>Name</th>${many && html`<th>State machine</th>`}<th>Subject</th><th>State</th><th>Started</th><th class="num">Duration</th><th class="num">Tries</th><th class="num">Redrives</th>
        </tr></thead>
        <tbody ref=${body}>${rows.map((row) => html`<${Row} key=${id(row)} row=${row} selects=${selects} chosen=${chosen.has(id(row))} onChoose=${choose} marked=${marks.has(id(row))} many=${many}/>`)}</tbody>
      </table></div>`}
      ${list.data && rows.length === 0 && (filtered
        ? html`<${Empty} title="Nothing matches.">${next && html`<p>The newest executions were searched.</p>`}<p><a href=${address(['executions'])} data-filter>Clear filters</a></p><//>`
        : html`<${None} about=${about}/>`)}
      ${older.error && html`<${Failure} what="Older executions could not be loaded" error=${older.error} retry=${more}/>`}
      ${list.data && next && html`<div class="more"><button type="button" onClick=${more} disabled=${older.loading}>${older.loading ? 'Loading…' : query.get('q') && rows.length % 50 ? 'Search older' : 'Load older'}</button></div>`}
    </section>
    ${asks && html`<${Redrive} chosen=${chosenRows} onClose=${() => setAsks(false)} onDone=${done}/>`}
  </main>`;
}

function Sentence({ summary }) {
  if (summary.error) return html`<p class="sentence">How many failed is not known: ${summary.error.message}</p>`;
  if (!summary.data) return html`<p class="sentence"> </p>`;
  const { lately, many } = summary.data;
  const failed = lately.failed + lately.timed_out;
  const machine = route.value.query.get('machine');
  const count = (value, status, lately) => html`<a href=${address(['executions'], { machine, status, from: lately ? '-1h' : '' })} data-filter>${value > many ? `over ${number(many)}` : number(value)}</a>`;
  return html`<p class="sentence">
    ${failed > 0 && html`<${Icon} status="failed"/> `}
    ${count(failed, 'failed,timed_out', true)} failed in the last hour and ${count(lately.retrying, 'retrying')} retrying now; ${count(lately.running, 'running')} running, ${count(lately.succeeded, 'succeeded', true)} succeeded.
  </p>`;
}

function Filters({ about, summary }) {
  const { query } = route.value;
  const [text, setText] = useState(query.get('q') ?? '');
  const typed = useRef(/** @type {any} */ (null));
  const statuses = new Set((query.get('status') ?? '').split(',').filter(Boolean));
  useEffect(() => { if (document.activeElement?.id !== 'filter') setText(query.get('q') ?? ''); }, [query.get('q')]);
  // What was typed last is no filter of another view.
  useEffect(() => () => clearTimeout(typed.current), []);
  const filter = (change) => go(here(change), { replace: true });
  const type = (event) => {
    const value = event.currentTarget.value;
    setText(value);
    clearTimeout(typed.current);
    typed.current = setTimeout(() => filter({ q: value.trim() }), 250);
  };
  const toggle = (kind) => {
    const changed = new Set(statuses);
    changed.has(kind) ? changed.delete(kind) : changed.add(kind);
    filter({ status: KINDS.filter((kind) => changed.has(kind)).join(',') });
  };
  // One that a link asks for is there even where nobody knows of it.
  const machine = query.get('machine') ?? '';
  const machines = machine && !about.machines.includes(machine) ? [...about.machines, machine] : about.machines;
  const [from, to] = [query.get('from') ?? '', query.get('to') ?? ''];
  const own = back(from);
  const ranges = own && !RANGES.some(([value]) => value === from) ? [...RANGES, [from, own.words]] : RANGES;
  const between = Boolean(to) || !ranges.some(([value]) => value === from);
  const span = (value) => filter(value === BETWEEN ? { from: utc(now() - 24 * HOUR), to: utc(now()) } : { from: value, to: '' });
  const bound = (name) => (event) => { const at = Date.parse(event.currentTarget.value); filter({ [name]: at ? utc(at) : '' }); };
  return html`<div class="filters" role="search">
    <div class="chips">${KINDS.map((kind) => {
      const count = summary?.counts[kind];
      const shown = count === undefined ? '' : count > summary.many ? `${number(summary.many)}+` : number(count);
      return html`<button key=${kind} type="button" class="toggle" aria-pressed=${String(statuses.has(kind))} onClick=${() => toggle(kind)}><${Icon} status=${kind}/>${WORDS[kind]} <span class="count">${shown}</span></button>`;
    })}</div>
    <div class="fields">
      ${machines.length > 1 && html`<label><span class="unseen">State machine</span><select value=${machine} onChange=${(event) => filter({ machine: event.currentTarget.value })}>
        <option value="">All state machines</option>${machines.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
      </select></label>`}
      <label><span class="unseen">Started</span><select value=${between ? BETWEEN : from} onChange=${(event) => span(event.currentTarget.value)}>
        ${[...ranges, [BETWEEN, 'Between…']].map(([value, words]) => html`<option key=${value} value=${value}>${words}</option>`)}
      </select></label>
      ${between && html`<label><span class="unseen">Started at or after</span><input type="datetime-local" value=${field(from)} onChange=${bound('from')}/></label>
        <label><span class="unseen">Started before</span><input type="datetime-local" value=${field(to)} onChange=${bound('to')}/></label>`}
      <label class="grow"><span class="unseen">Name, subject or error</span><input id="filter" type="search" placeholder="Name, subject or error" value=${text} onInput=${type} onKeyDown=${(event) => { if (event.key === 'Escape') event.currentTarget.blur(); }}/></label>
    </div>
  </div>`;
}

function Row({ row, selects, chosen, onChoose, marked, many }) {
  const runs = row.status === 'running' || row.status === 'retrying';
  if (runs) tick.value;
  const took = runs ? ticking(now() - row.started) : duration(row.stopped - row.started);
  const open = (event) => { if (!event.target.closest('a, input, button') && !getSelection()?.toString()) go(link(row)); };
  return html`<tr class=${`row ${marked ? 'marked' : ''}`} onClick=${open}>
    ${selects && html`<td class="check">${REDRIVABLE.has(row.status) && html`<input type="checkbox" aria-label=${`Choose ${row.name}`} checked=${chosen} onClick=${(event) => onChoose(row, event)}/>`}</td>`}
    <td><${Status} status=${row.status} until=${row.retry_at}/></td>
    <td class="what"><a class="name" href=${link(row)} title=${row.name}>${row.name}</a></td>
    ${many && html`<td class="machine">${row.machine}</td>`}
    <td class="about" title=${row.subject?.text}>${row.subject?.link ? html`<a href=${row.subject.link}>${row.subject.text}</a>` : html`<span class=${row.subject ? '' : 'none'}>${row.subject?.text ?? '–'}</span>`}</td>
    <td class="where"><div><span>${row.state ?? '–'}</span>${row.error && html`<code class="error">${row.error}</code>`}</div></td>
    <td><${Time} at=${row.started} show=${ago} live=${true}/></td>
    <td class="num">${took}</td>
    <td class="num">${row.tries}</td>
    <td class="num">${row.redrives ? html`<span title="Redriven">×${row.redrives}</span>` : html`<span class="none">–</span>`}</td>
  </tr>`;
}

function None({ about }) {
  if (!about.machines.length) {
    return html`<${Empty} title="There is no state machine yet."><p>Create one through the Step Functions endpoint, or add one to the template.</p><//>`;
  }
  const command = `aws stepfunctions start-execution --endpoint-url ${about.aws} --region ${about.region} \\\n    --state-machine-arn ${about.example}`;
  return html`<${Empty} title="No executions yet.">
    <p>Post a delivery with the command that <code>ticketflow up</code> printed, or start an execution:</p>
    <div class="command"><pre tabindex="0">${command}</pre><${Copy} text=${() => command}/></div>
  <//>`;
}

/** Executions of one request: well below what the engine takes at once, so that one sees how far it is. */
const PART = 50;

/** Redrives what was chosen when it was opened, part by part. What leaves the list meanwhile is not left out. */
function Redrive({ chosen, onClose, onDone }) {
  const [rows] = useState(chosen);
  const [state, set] = useState(/** @type {any} */ ({ busy: false, tried: 0, redriven: 0, refused: [], error: null }));
  const token = useRef(requestToken());
  const ended = useRef(false);
  useEffect(() => () => { ended.current = true; }, []);
  const redrive = async () => {
    // What was tried already stays so when it goes on after an error.
    let { tried, redriven, refused } = state;
    const tell = (busy, error) => set({ busy, tried, redriven, refused, error });
    tell(true, null);
    try {
      while (tried < rows.length && !ended.current) {
        const executions = rows.slice(tried, tried + PART).map(({ machine, name }) => ({ machine, name }));
        const answer = await ask('api/redrive', { body: { token: token.current, executions } });
        tried += executions.length;
        redriven += answer.redriven;
        refused = [...refused, ...answer.refused];
        tell(true, null);
      }
      say(`${plural(redriven, 'execution')} redriven`);
      if (ended.current) return;
      if (refused.length) tell(false, null);
      else onDone();
    } catch (error) {
      tell(false, error);
    }
  };
  const { busy, tried, redriven, refused, error } = state;
  const over = tried === rows.length && !busy;
  const begun = busy || tried > 0 || error !== null;
  // Some may be redriven already: the list is looked at anew.
  const close = begun ? onDone : onClose;
  // Without an answer nobody knows what became of the part that was sent.
  const failed = error?.status === 0 ? 'How far it came is not known' : tried ? 'The rest was not redriven' : 'Nothing was redriven';
  const last = useRef(/** @type {HTMLButtonElement | null} */ (null));
  useLayoutEffect(() => { last.current?.focus(); }, [over]);
  return html`<${Dialog} title=${`Redrive ${plural(rows.length, 'execution')}`} onClose=${close}>
    ${over
      ? html`<p>${plural(redriven, 'execution')} redriven. These could not be:</p><ul class="names">${refused.map((one) => html`<li key=${`${one.machine}/${one.name}`}><span>${one.name}</span>: <span>${one.message}</span></li>`)}</ul>
        <div class="actions"><button type="button" class="primary" ref=${last} onClick=${onDone}>Close</button></div>`
      : html`<p>Each goes on at the state that failed, with the same input. What had finished is kept.</p>
        <ul class="names">${rows.slice(0, 8).map((row) => html`<li key=${id(row)}><span>${row.name}</span> <span class="under">at ${row.state ?? 'its start'}</span></li>`)}${rows.length > 8 && html`<li>and ${number(rows.length - 8)} more</li>`}</ul>
        ${rows.length > PART && (busy || tried > 0) && html`<progress max=${rows.length} value=${tried} aria-label="Redriven so far"/><p role="status">${number(tried)} of ${number(rows.length)} done${refused.length ? `, ${number(refused.length)} of them refused` : ''}.</p>`}
        ${error && html`<${Failure} what=${failed} error=${error}/>`}
        <div class="actions"><button type="button" onClick=${close}>${!begun ? 'Cancel' : busy ? 'Stop here' : 'Close'}</button><button type="button" class="primary" autofocus aria-disabled=${String(busy)} onClick=${() => busy || redrive()}>${busy ? 'Redriving…' : begun ? 'Go on' : `Redrive ${number(rows.length)}`}</button></div>`}
  <//>`;
}
