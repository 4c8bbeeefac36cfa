// @ts-check
// The list of tickets: which are open too long?

import {
  Copy, Empty, Failure, Icon, Skeleton, Status, Time, address, ago, ask, base, duration, go, here, html, now, number, route, stepRows,
  tick, useAnswer, useEffect, useKeys, useReady, useRef, useState, useServerTime,
} from 'console/lib';
import { useChanges } from 'console/live';
import { Priority, Priorities, useShown } from './charts.js';

const STATES = [['open', 'Open'], ['closed', 'Closed'], ['unknown', 'Unknown'], ['deleted', 'Deleted'], ['all', 'All']];
/** Nobody types more to find a ticket. */
const MOST_CHARACTERS = 200;
/** The work on a ticket, as the engine's statuses show it. */
export const WORKFLOW = { ACTIVE: 'running', SUCCEEDED: 'succeeded', FAILED: 'failed', REJECTED: 'caught' };

export const ticketLink = (ticket) => address(['tickets', ticket.key ?? ticket.id]);

/** Where its last execution is found: which state machine's it is, a list would have to ask for each of its rows. */
const lastLink = (ticket) => address(['tickets', ticket.key ?? ticket.id, ticket.last_execution]);

/** How old an open ticket is, or what a closed one took. */
export function age(ticket) {
  if (ticket.state !== 'open') return ticket.duration_ms;
  return ticket.created_at ? now() - Date.parse(ticket.created_at) : null;
}

export default function Tickets() {
  const { query } = route.value;
  const text = query.get('q') ?? '';
  // Who looks for one ticket looks for it wherever it stands.
  const state = query.get('state') ?? (text ? 'all' : 'open');
  const priority = query.get('priority') ?? '';
  const sort = query.get('sort') ?? '-age';
  const wanted = new URLSearchParams({ ...(state === 'all' ? {} : { state }), ...(priority ? { priority } : {}), ...(text ? { q: text } : {}), order: sort === 'age' ? 'newest' : 'oldest', limit: '50' }).toString();
  const list = useAnswer(`../tickets?${wanted}`);
  const aging = useAnswer(`../metrics/aging?${new URLSearchParams({ limit: '1', ...(priority ? { priority } : {}) })}`);
  const none = { wanted, rows: [], pages: 0, next: undefined, loading: false, error: null };
  const [more, setMore] = useState(/** @type {any} */ (none));
  const again = useRef(/** @type {{runs: boolean, from: string | null | undefined}} */ ({ runs: false, from: undefined }));
  const body = useRef(/** @type {HTMLElement | null} */ (null));
  useChanges(() => { list.reload(); aging.reload(); });
  useEffect(() => { document.title = 'Tickets · Ticketflow'; }, []);
  useEffect(() => { setMore(none); }, [wanted]);
  useReady(Boolean((list.data && list.fresh && (aging.data || aging.error)) || list.error));
  useServerTime(aging.data?.as_of);
  tick.value;
  useKeys([
    ['/', 'Find a ticket', () => document.getElementById('filter')?.focus()],
    ['j', 'Next row', () => stepRows(body.current, 1)],
    ['k', 'Row before', () => stepRows(body.current, -1)],
  ]);
  const set = (change) => go(here(change), { replace: true });
  const older = async () => {
    setMore((more) => ({ ...more, loading: true, error: null }));
    try {
      const page = await ask(`../tickets?${wanted}&cursor=${encodeURIComponent(next)}`);
      // Of another filter by now, it is not wanted any more.
      setMore((more) => (more.wanted === wanted ? { ...more, rows: [...more.rows, ...page.items], pages: more.pages + 1, next: page.next, loading: false } : more));
    } catch (error) {
      setMore((more) => (more.wanted === wanted ? { ...more, loading: false, error } : more));
    }
  };
  // The pages after the first, as they are now: from where that one ends, as many as somebody asked for.
  const refresh = async (/** @type {string | null} */ from) => {
    again.current.from = from;
    if (again.current.runs) return;
    again.current.runs = true;
    try {
      while (again.current.from !== undefined) {
        const rows = [];
        let next = again.current.from;
        let pages = 0;
        again.current.from = undefined;
        for (; pages < more.pages && next; pages += 1) {
          const page = await ask(`../tickets?${wanted}&cursor=${encodeURIComponent(next)}`);
          rows.push(...page.items);
          next = page.next;
        }
        // Where one more was loaded meanwhile, the next change brings them all in.
        setMore((now) => (now.wanted !== wanted || now.pages !== more.pages ? now : pages ? { ...now, rows, pages, next } : none));
      }
    } catch {
      // What is shown stays; the list itself says what is wrong.
    } finally {
      again.current = { runs: false, from: undefined };
    }
  };
  useEffect(() => { if (list.fresh && more.pages) refresh(list.data.next ?? null); }, [list.data]);

  const first = list.data?.items ?? [];
  const known = new Set(first.map((ticket) => ticket.id));
  const rows = [...first, ...(more.wanted === wanted ? more.rows : []).filter((ticket) => !known.has(ticket.id))];
  const next = more.wanted !== wanted || more.next === undefined ? list.data?.next : more.next;
  useShown(list.data?.items);
  const p85 = aging.data?.closed.lead.p85_ms ?? null;
  const enough = (aging.data?.closed.lead.count ?? 0) >= 20;
  const [typed, type] = useState(text);
  const waiting = useRef(/** @type {any} */ (null));
  useEffect(() => { if (document.activeElement?.id !== 'filter') type(text); }, [text]);
  // What was typed last is no filter of another view.
  useEffect(() => () => clearTimeout(waiting.current), []);
  const find = (event) => {
    const value = event.currentTarget.value;
    type(value);
    clearTimeout(waiting.current);
    waiting.current = setTimeout(() => set({ q: value.trim().slice(0, MOST_CHARACTERS) }), 250);
  };
  // Enter opens the one ticket that is found; an id is not searched for.
  const enter = (event) => {
    event.preventDefault();
    const id = typed.trim();
    if (id.includes('~')) go(address(['tickets', id]));
    else if (text === id && rows.length === 1) go(ticketLink(rows[0]));
  };
  const chosen = query.get('state') !== null || priority || text;
  return html`<main id="main" tabindex="-1" class="list">
    <h1>Tickets</h1>
    <p class="sentence">${aging.data ? html`<a href=${address(['tickets'])} data-filter>${number(aging.data.open)}</a> open${enough ? html`; ${aging.data.older_than.p85 > 0 && html`<${Icon} status="caught"/> `}<strong>${number(aging.data.older_than.p85)}</strong> of them older than ${duration(p85)}, in which 85\u00a0% were closed.` : '. Too few were closed lately to say which are late.'}` : ' '}</p>
    <div class="filters"><div class="chips">${STATES.map(([name, words]) => html`<button key=${name} type="button" class="toggle" aria-pressed=${String(state === name)} onClick=${() => set({ state: name === 'open' && !text ? '' : name })}>${words}</button>`)}</div>
      <div class="fields">
        <label><span class="unseen">Priority</span><${Priorities} value=${priority} onChange=${(priority) => set({ priority })}/></label>
        <label><span class="unseen">Order</span><select value=${sort} onChange=${(event) => set({ sort: event.currentTarget.value === '-age' ? '' : event.currentTarget.value })}><option value="-age">Oldest first</option><option value="age">Newest first</option></select></label>
        <form class="grow" role="search" onSubmit=${enter}><label><span class="unseen">Key or words of the summary</span><input id="filter" type="search" placeholder="Key or words of the summary" value=${typed} onInput=${find} onKeyDown=${(event) => { if (event.key === 'Escape') event.currentTarget.blur(); }}/></label></form>
      </div></div>
    <section class="card flush" aria-label="List of tickets">
      ${list.error && html`<${Failure} what="The tickets could not be loaded" error=${list.error} retry=${list.reload}/>`}
      ${!list.data && !list.error && html`<div class="pad"><${Skeleton} rows=${8}/></div>`}
      ${list.data && rows.length > 0 && html`<div class="scroll" tabindex="-1"><table><thead><tr><th>Key</th><th>Summary</th><th>Priority</th><th>Status</th><th class="num">${state === 'closed' ? 'Lead time' : 'Age'}</th><th class="num">In status</th><th>Last execution</th></tr></thead>
        <tbody ref=${body}>${rows.map((ticket) => html`<${Row} key=${ticket.id} ticket=${ticket} p85=${enough ? p85 : null}/>`)}</tbody></table></div>`}
      ${list.data && rows.length === 0 && (next
        ? html`<${Empty} title="Nothing among those that were searched."><p>There are more; search on.</p><//>`
        : chosen
          ? html`<${Empty} title="Nothing matches."><p><a href=${address(['tickets'])} data-filter>Clear filters</a></p><//>`
          : html`<${None}/>`)}
      ${more.error && html`<${Failure} what="Further tickets could not be loaded" error=${more.error} retry=${older}/>`}
      ${next && html`<div class="more"><button type="button" disabled=${more.loading} onClick=${older}>${more.loading ? 'Loading…' : text ? 'Search on' : 'Load more'}</button></div>`}
    </section>
  </main>`;
}

function None() {
  const command = `ticketflow create-tickets --count 20 --hours 4 --speed 2000 --to ${new URL('..', base).href.replace(/\/$/, '')}`;
  return html`<${Empty} title="No open tickets.">
    <p>Let JIRA post its deliveries here, look at the <a href=${address(['tickets'], { state: 'closed' })} data-filter>closed ones</a>, or make some up:</p>
    <div class="command"><pre tabindex="0">${command}</pre><${Copy} text=${() => command}/></div>
  <//>`;
}

function Row({ ticket, p85 }) {
  const old = age(ticket);
  const late = ticket.state === 'open' && p85 !== null && old !== null && old > p85;
  const since = ticket.status_since ? now() - Date.parse(ticket.status_since) : null;
  const open = (event) => { if (!event.target.closest('a') && !getSelection()?.toString()) go(ticketLink(ticket)); };
  return html`<tr class="row" onClick=${open}>
    <td class="key"><a class="name" href=${ticketLink(ticket)} title=${ticket.id}>${ticket.key ?? ticket.id}</a></td>
    <td class="summary" title=${ticket.summary ?? ''}>${ticket.summary ?? html`<span class="none">no summary</span>`}</td>
    <td><${Priority} name=${ticket.priority}/></td>
    <td>${ticket.status ?? html`<span class="none">unknown</span>`}</td>
    <td class="num ${late ? 'age-over' : ''}">${late && html`<${Icon} status="caught" size=${13}/> `}${duration(old)}</td>
    <td class="num">${ticket.state === 'open' ? duration(since) : html`<span class="none">–</span>`}</td>
    <td class="last">${ticket.workflow_status && (ticket.last_execution
      ? html`<a class="plain" href=${lastLink(ticket)} title=${ticket.last_execution}><${Status} status=${WORKFLOW[ticket.workflow_status]}/></a>`
      : html`<${Status} status=${WORKFLOW[ticket.workflow_status]}/>`)} ${ticket.updated_at && html`<span class="none"><${Time} at=${Date.parse(ticket.updated_at)} show=${ago}/></span>`}</td>
  </tr>`;
}
