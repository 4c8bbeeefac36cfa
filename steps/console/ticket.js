// @ts-check
// One ticket: where did its time go, and what is that known from?

import {
  Failure, Icon, Skeleton, Status, Time, address, dayTime, duration, go, html, now, number, plural, route, tick, useAnswer,
  useEffect, useReady, whereabouts, useServerTime,
} from 'console/lib';
import { useChanges } from 'console/live';
import { Priority, useWidth } from './charts.js';
import { WORKFLOW } from './tickets.js';

const FLAGS = {
  incomplete: 'Deliveries are missing; what they would have told is inferred.',
  created_unknown: 'Nobody said when it was created.',
  clock_skew: 'Something happened before it was created; durations are cut off at zero.',
  resolution_mismatch: 'Its status is done and it has no resolution, or the other way round.',
  conflict: 'Two deliveries contradict each other.',
  status_unknown: 'It was in a status whose category is not known.',
  text_cut: 'Its text is only the beginning of the one in JIRA.',
  missing: 'JIRA does not have it any more, or does not show it, and no delivery said that it was deleted.',
};
const INFERRED = {
  resolution_date: 'inferred from the resolution date',
  category_change_date: 'inferred from when its category changed',
  snapshot: 'first seen in a later delivery',
  upper_bound: 'inferred; it was no later than this',
};

/** Where a stay is known from, in words. */
function origin(stay) {
  const { origin } = stay;
  if (origin === 'created') return 'created with it';
  if (origin.recorded !== undefined) return `change ${origin.recorded}`;
  return INFERRED[origin.inferred] ?? 'inferred';
}

/** What a stay is to whoever waits: waiting, work, closed, or not known. */
function sort(stay) {
  if (stay.done) return 'closed';
  if (stay.category === 'indeterminate') return 'working';
  if (stay.category === 'new') return 'waiting';
  return stay.done === null ? 'unsure' : 'waiting';
}

export default function TicketView({ about }) {
  const [, key, execution] = route.value.segments;
  return execution
    ? html`<${Execution} ticket=${key} name=${execution} engine=${Boolean(about)}/>`
    : html`<${Ticket} name=${key} engine=${Boolean(about)}/>`;
}

/** On the way to one of its executions, whose name alone is known: on to wherever that is looked at. */
function Execution({ ticket, name, engine }) {
  const answer = useAnswer(`../executions/${encodeURIComponent(name)}`);
  useEffect(() => {
    if (!answer.data) return;
    const { href } = whereabouts(answer.data.arn, engine);
    if (engine) go(href, { replace: true });
    else location.replace(href);
  }, [answer.data]);
  useEffect(() => { document.title = `${name} · Ticketflow`; }, [name]);
  useReady(Boolean(answer.error));
  const missing = answer.error?.status === 404;
  return html`<main id="main" tabindex="-1"><div class="head"><div><p class="crumbs"><a href=${address(['tickets'])}>Tickets</a> <span aria-hidden="true">/</span> <a href=${address(['tickets', ticket])}>${ticket}</a></p><h1>${name}</h1></div></div>
    <div class="card">${answer.error
      ? html`<${Failure} what=${missing ? `There is no execution ${name}` : 'The execution could not be loaded'} error=${answer.error} retry=${missing ? null : answer.reload}/>`
      : html`<${Skeleton} rows=${8}/>`}</div></main>`;
}

function Ticket({ name: key, engine }) {
  const path = `../tickets/${encodeURIComponent(key)}`;
  const answer = useAnswer(path);
  const history = useAnswer(answer.data ? `${path}/history` : null);
  const executions = useAnswer(answer.data ? `${path}/executions?limit=20` : null);
  const ticket = answer.data;
  useServerTime(ticket?.as_of);
  const compared = useAnswer(ticket ? `../metrics/durations?${new URLSearchParams(ticket.priority ? { priority: ticket.priority } : {})}` : null);
  useChanges(() => { answer.reload(); history.reload(); executions.reload(); });
  useEffect(() => { document.title = `${key} · Ticketflow`; }, [key]);
  useReady(Boolean((ticket && (history.data || history.error) && (executions.data || executions.error)) || answer.error));
  const crumbs = html`<p class="crumbs"><a href=${address(['tickets'])}>Tickets</a></p>`;
  if (!ticket) {
    return html`<main id="main" tabindex="-1"><div class="head"><div>${crumbs}<h1>${key}</h1></div></div><div class="card">${answer.error
      ? html`<${Failure} what=${answer.error.status === 404 ? `There is no ticket ${key}` : 'The ticket could not be loaded'} error=${answer.error} retry=${answer.error.status === 404 ? null : answer.reload}/>`
      : html`<${Skeleton} rows=${8}/>`}</div></main>`;
  }
  tick.value;
  const flags = ticket.flags ?? [];
  return html`<main id="main" tabindex="-1">
    <div class="head"><div>${crumbs}
      <div class="title"><h1>${ticket.key ?? ticket.id}</h1></div>
      <p class="sentence">${ticket.summary ?? html`<span class="none">no summary</span>`}</p>
      <dl class="facts">
        <div><dt>State</dt><dd>${ticket.state}${ticket.status ? `, ${ticket.status}` : ''}</dd></div>
        <div><dt>Priority</dt><dd><${Priority} name=${ticket.priority}/></dd></div>
        <div><dt>${ticket.state === 'closed' ? 'Lead time' : 'Age'}</dt><dd><strong>${duration(ticket.state === 'closed' ? ticket.duration_ms : ticket.created_at && now() - Date.parse(ticket.created_at))}</strong></dd></div>
        ${ticket.cycle_time_ms !== null && html`<div><dt>Cycle time</dt><dd>${duration(ticket.cycle_time_ms)}</dd></div>`}
        ${ticket.reopen_count > 0 && html`<div><dt>Reopened</dt><dd>${plural(ticket.reopen_count, 'time')}</dd></div>`}
        ${ticket.workflow_status && html`<div><dt>Executions</dt><dd><${Status} status=${WORKFLOW[ticket.workflow_status]}/></dd></div>`}
      </dl></div></div>
    ${flags.length > 0 && html`<ul class="flags" aria-label="What to know about its numbers">${flags.map((flag) => html`<li key=${flag}><${Icon} status="caught" size=${14}/>${FLAGS[flag] ?? flag}</li>`)}</ul>`}
    <section class="card" aria-labelledby="way-title"><div class="card-head"><h2 id="way-title">Where its time went</h2></div>
      ${history.error && html`<${Failure} what="Its history could not be loaded" error=${history.error} retry=${history.reload}/>`}
      ${history.data ? html`<${Way} ticket=${ticket} stays=${history.data.history} lead=${compared.data?.lead}/>` : !history.error && html`<${Skeleton} rows=${2}/>`}
    </section>
    ${ticket.sla?.length > 0 && html`<${Targets} targets=${ticket.sla}/>`}
    ${history.data && html`<section class="card flush" aria-labelledby="evidence-title"><div class="card-head pad"><h2 id="evidence-title">Transitions</h2>${history.data.gaps > 0 && html`<span class="none">at least ${plural(history.data.gaps, 'change')} no delivery told of</span>`}</div>
      <${Transitions} stays=${history.data.history} tellings=${history.data.tellings} engine=${engine}/></section>`}
    <section class="card flush" aria-labelledby="executions-title"><div class="card-head pad"><h2 id="executions-title">Executions</h2></div>
      ${executions.error && html`<${Failure} what="Its executions could not be loaded" error=${executions.error} retry=${executions.reload}/>`}
      ${executions.data && html`<${Runs} executions=${executions.data.executions} engine=${engine}/>`}
    </section>
    ${ticket.description && html`<section class="card" aria-labelledby="text-title"><div class="card-head"><h2 id="text-title">Description</h2></div><p class="text-body" tabindex="0">${ticket.description}</p></section>`}
  </main>`;
}

const TARGETS = { first_start: 'Started', close: 'Closed' };

/** What was promised of it, until when, and whether that holds. */
function Targets({ targets }) {
  return html`<section class="card" aria-labelledby="targets-title"><div class="card-head"><h2 id="targets-title">Targets</h2></div>
    <dl class="figures">${targets.map((target) => {
    const left = target.due_at === null ? null : Date.parse(target.due_at) - now();
    const late = target.breached || (target.met_at === null && left !== null && left < 0);
    const stands = target.met_at ? (late ? 'Met late' : 'Met') : late ? `Over by ${duration(-left)}` : `${duration(left)} left`;
    const hours = target.time === 'business' ? ' of working hours' : '';
    return html`<div key=${target.target} class="figure"><dt>${TARGETS[target.target] ?? target.target} within ${duration(target.target_ms)}${hours}</dt>
      <dd class="value ${late ? 'late' : ''}">${late && html`<${Icon} status="caught"/> `}${stands}</dd>
      <dd>${target.met_at ? html`met <${Time} at=${Date.parse(target.met_at)}/>, ` : ''}${target.due_at ? html`due <${Time} at=${Date.parse(target.due_at)}/>` : ''}</dd></div>`;
  })}</dl></section>`;
}

/** The ticket's life as one bar: waiting hatched, work solid, closed blank. */
function Way({ ticket, stays, lead }) {
  const [frame, width] = useWidth();
  if (!stays.length) return html`<p class="none" ref=${frame}>No delivery has told yet where it was.</p>`;
  const from = Date.parse(ticket.created_at ?? stays[0].at);
  const closed = ticket.state === 'closed' || ticket.state === 'deleted';
  const last = Date.parse(ticket.deleted_at ?? ticket.closed_at ?? stays[stays.length - 1].at);
  const to = closed ? Math.max(last, from + 1) : now();
  const marks = lead && lead.count >= 20 ? [['p50', lead.p50_ms], ['p85', lead.p85_ms]] : [];
  // The bar keeps room for the marks, so that one sees how far they are.
  const end = Math.max(to, ...marks.map(([, ms]) => Math.min(from + Number(ms), from + (to - from) * 1.5)));
  const x = (at) => ((Math.max(from, Math.min(end, at)) - from) / (end - from)) * width;
  const parts = stays.map((stay, index) => {
    const begins = Date.parse(stay.at);
    const ends = index + 1 < stays.length ? Date.parse(stays[index + 1].at) : sort(stay) === 'closed' ? begins : to;
    return { stay, begins, ends, sort: sort(stay) };
  }).filter((part) => part.ends > part.begins);
  const sum = (wanted) => parts.filter((part) => part.sort === wanted).reduce((total, part) => total + part.ends - part.begins, 0);
  const open = parts.filter((part) => part.sort !== 'closed').reduce((total, part) => total + part.ends - part.begins, 0);
  return html`<p class="sentence"><strong>${duration(to - from)}</strong> ${closed ? 'from creation to closing' : 'so far'}: ${sum('waiting') ? `${duration(sum('waiting'))} waiting, ` : ''}${sum('working') ? `${duration(sum('working'))} in work` : 'not worked on'}${ticket.reopen_count > 0 ? `; of which open ${duration(open)}` : ''}.</p>
    <div class="way" ref=${frame} role="img" aria-label=${parts.map((part) => `${part.stay.status?.name ?? 'unknown'} ${duration(part.ends - part.begins)}`).join(', ')}>
      ${width > 0 && parts.map((part, index) => {
        const wide = x(part.ends) - x(part.begins);
        const length = duration(part.ends - part.begins);
        const name = part.stay.status?.name ?? 'unknown';
        const words = `${name} ${length}`;
        return html`<div key=${index} class="part ${part.sort}" title=${words} style=${{ left: `${x(part.begins)}px`, width: `${wide}px` }}>${wide > words.length * 6.4 + 12 ? html`<span><span>${name}</span> ${length}</span>` : wide > length.length * 6.2 + 12 ? length : ''}</div>`;
      })}
    </div>
    ${marks.length > 0 && width > 0 && html`<div class="ticks">${marks.map(([name, ms], index) => {
      const beyond = from + Number(ms) > end;
      const at = beyond ? width : x(from + Number(ms));
      return html`<span key=${name} class=${at > width - 130 ? 'left' : ''} style=${{ left: `${at}px`, paddingTop: `${14 + index * 16}px` }}>${name} ${duration(Number(ms))}${beyond ? ' ›' : ''}</span>`;
    })}</div>`}
    <div class="dates"><span>created <${Time} at=${from}/></span><span class=${x(to) < width - 1 ? 'at' : ''} style=${x(to) < width - 1 ? { left: `${Math.max(x(to), 260)}px` } : {}}>${closed ? html`closed <${Time} at=${to}/>` : 'now'}</span></div>`;
}

/** After so long something is told late: JIRA's first retry comes after five minutes, its last after an hour or so. */
const LATE_MS = 15 * 60_000;

/** Who told of a transition, as a link to the execution. */
function Told({ telling, engine }) {
  if (!telling) return html`<span class="none">by nobody</span>`;
  const marked = telling.late_ms >= LATE_MS || telling.is_out_of_order;
  return html`${marked && html`<${Icon} status="caught" size=${13}/> `}<a ...${whereabouts(telling.arn, engine)}>${duration(telling.late_ms)} later</a>${telling.is_out_of_order && ', out of order'}`;
}

function Transitions({ stays, tellings, engine }) {
  const late = tellings.some((telling) => telling?.late_ms >= LATE_MS);
  const disordered = tellings.some((telling) => telling?.is_out_of_order);
  return html`${(late || disordered) && html`<p class="sentence pad">${late && 'Some of it was told late. '}${disordered && 'What is out of order happened before something that was told of earlier. '}The times are JIRA’s own, so no number is wrong by it.</p>`}
    <div class="scroll" tabindex="0"><table class="transitions"><thead><tr><th>Time</th><th>From</th><th>To</th><th class="num">Stayed</th><th>By</th><th>Known from</th><th>Told</th></tr></thead>
    <tbody>${stays.map((stay, index) => {
      const before = stays[index - 1];
      const next = stays[index + 1];
      const inferred = typeof stay.origin === 'object' && stay.origin.inferred !== undefined;
      const length = next ? Date.parse(next.at) - Date.parse(stay.at) : sort(stay) === 'closed' ? null : now() - Date.parse(stay.at);
      return html`<tr key=${index}><td><${Time} at=${Date.parse(stay.at)}/></td><td>${before ? before.status?.name ?? 'unknown' : html`<span class="none">–</span>`}</td><td><strong>${stay.status?.name ?? 'unknown'}</strong></td><td class="num">${duration(length)}</td>
        <td class="author" title=${tellings[index]?.author}>${tellings[index]?.author ?? html`<span class="none">–</span>`}</td><td>${inferred && html`<${Icon} status="caught" size=${13}/> `}${origin(stay)}</td><td><${Told} telling=${tellings[index]} engine=${engine}/></td></tr>`;
    })}</tbody></table></div>`;
}

/** An execution is looked at in the engine's own view where there is one, else in AWS's console. */
function Runs({ executions, engine }) {
  if (!executions.length) return html`<p class="none pad">None is known.</p>`;
  return html`<div class="scroll" tabindex="-1"><table><thead><tr><th>Status</th><th>Name</th><th>Started</th><th class="num">Attempts</th><th>Error</th></tr></thead>
    <tbody>${executions.map((execution) => html`<tr key=${execution.name}><td><${Status} status=${STATUS[execution.status] ?? 'running'}/></td><td class="what"><a ...${whereabouts(execution.arn, engine)}>${execution.name}</a></td>
      <td><${Time} at=${Date.parse(execution.started_at)} show=${dayTime}/></td><td class="num">${number(execution.attempts ?? 1)}</td><td>${execution.error ? html`<code class="error">${execution.error}</code>` : html`<span class="none">–</span>`}</td></tr>`)}</tbody></table></div>`;
}

const STATUS = { RUNNING: 'running', SUCCEEDED: 'succeeded', FAILED: 'failed', TIMED_OUT: 'timed_out', ABORTED: 'aborted', REJECTED: 'caught' };
