// @ts-check
// Numbers about tickets: how many per minute, is that unusual, and are we within target?

import {
  Choice, Failure, Icon, Time, address, day, duration, go, here, html, minute, now, number, plural, route, useAnswer,
  useEffect, useKeys, useReady, useServerTime,
} from 'console/lib';
import { useChanges } from 'console/live';
import { Bars, Chart, Legend, NARROWEST, Priorities, Priority, bySeverity, colour, known, useShown, useWidth, walk } from './charts.js';
import { age, ticketLink } from './tickets.js';

const HOUR = 3_600_000;
/** With fewer closed tickets a percentile says little. */
const ENOUGH = 20;
/** As many priorities can be asked for at once. */
const MOST_PRIORITIES = 20;

/** A moment of the address, if it is one that a clock can show. */
function moment(/** @type {string | null} */ text) {
  const at = Date.parse(text ?? '');
  return at >= Date.UTC(1970, 0) && at < Date.UTC(9999, 0) ? at : null;
}

const iso = (/** @type {number} */ at) => `${new Date(at).toISOString().slice(0, 16)}Z`;

export default function Metrics() {
  const { query } = route.value;
  const hour = Math.floor((moment(query.get('hour')) ?? now()) / HOUR) * HOUR;
  const by = query.get('by') === 'closed' ? 'closed' : 'created';
  const chart = query.get('chart') === 'hist' ? 'hist' : 'bars';
  const priority = query.get('priority') ?? '';
  const all = priority === 'all';
  const only = priority && !all ? { priority } : {};
  // Unless another is asked for, minutes are counted of what cannot wait.
  const counted = all ? { priority: known.value.slice(0, MOST_PRIORITIES).join(',') } : only;
  const durations = useAnswer(`../metrics/durations?${new URLSearchParams(only)}`);
  const minutes = useAnswer(`../metrics/tickets-per-minute?${new URLSearchParams({ hour: new Date(hour).toISOString(), by, ...counted })}`);
  const aging = useAnswer(`../metrics/aging?${new URLSearchParams({ limit: '200', ...only })}`);
  const closed = useAnswer(`../tickets?${new URLSearchParams({ closed_from: new Date(Math.floor(now() / HOUR) * HOUR - 30 * 24 * HOUR).toISOString(), limit: '200', ...only })}`);
  const answers = [durations, minutes, aging, closed];
  // Priorities are counted by their names, and these the tickets of the hour tell.
  const span = { [`${by}_from`]: new Date(hour).toISOString(), [`${by}_to`]: new Date(hour + HOUR).toISOString() };
  const ofHour = useAnswer(all ? `../tickets?${new URLSearchParams({ ...span, limit: '200' })}` : null);
  for (const answer of [ofHour, aging, closed]) useShown(answer.data?.items);
  useChanges(() => answers.forEach((answer) => answer.reload()));
  useEffect(() => { document.title = 'Metrics · Ticketflow'; }, []);
  useReady(answers.every((answer) => (answer.data && answer.fresh) || answer.error));
  useServerTime(aging.data?.as_of);
  const set = (change) => go(here(change), { replace: true });
  const move = (by) => set({ hour: iso(hour + by * HOUR) });
  useKeys([['[', 'Hour before', () => move(-1)], [']', 'Next hour', () => hour + HOUR <= now() && move(1)]]);
  return html`<main id="main" tabindex="-1">
    <div class="filters"><h1>Metrics</h1><div class="fields"><label><span class="unseen">Priority</span><${Priorities} value=${only.priority ?? ''} onChange=${(priority) => set({ priority })}/></label></div></div>
    <${Figures} durations=${durations} aging=${aging}/>
    <${PerMinute} answer=${minutes} hour=${hour} by=${by} chart=${chart} priority=${priority} set=${set} move=${move}/>
    <${Lead} durations=${durations} closed=${closed}/>
    <${Aging} answer=${aging}/>
  </main>`;
}

// ---------------------------------------------------------------- key figures

function Figures({ durations, aging }) {
  const lead = durations.data?.lead;
  const enough = lead && lead.count >= ENOUGH;
  const kept = durations.data?.kept;
  const target = kept?.target_ms ?? null;
  if (durations.error) return html`<section class="card"><${Failure} what="The lead times could not be loaded" error=${durations.error} retry=${durations.reload}/></section>`;
  return html`<section class="card" aria-label="Key figures"><dl class="figures">
    ${['p50', 'p85', 'p95'].map((name) => html`<div key=${name} class="figure"><dt>${name} lead time</dt>
      ${!lead ? html`<dd class="value">…</dd>` : enough ? html`<dd class="value">${duration(lead[`${name}_ms`])}${target !== null && lead[`${name}_ms`] > target && html` <span class="over"><${Icon} status="caught" size=${13}/>over</span>`}</dd>` : html`<dd class="value few">n = ${lead.count}, too few</dd>`}
      <dd>${target !== null ? `target ${duration(target)}` : name === 'p50' ? 'created → closed' : ''}</dd></div>`)}
    ${kept?.rules.length > 0 && html`<div class="figure"><dt>Over target</dt><dd class="value">${kept.over > 0 && html`<${Icon} status="caught"/> `}${number(kept.over)} of ${number(kept.tickets)}</dd><dd>${target === null ? rules(kept.rules) : 'of those that have one'}</dd></div>`}
    <div class="figure"><dt>Closed</dt><dd class="value">${lead ? number(durations.data.tickets) : '…'}</dd><dd>in the last 30 days</dd></div>
    <div class="figure"><dt>Open now</dt><dd class="value">${aging.data ? html`<a href=${address(['tickets'])}>${number(aging.data.open)}</a>` : aging.error ? '–' : '…'}</dd>
      <dd>${aging.data && aging.data.closed.lead.count >= ENOUGH ? html`<span class=${aging.data.older_than.p85 ? 'over' : ''}>${aging.data.older_than.p85 > 0 && html`<${Icon} status="caught" size=${13}/>`}${number(aging.data.older_than.p85)} older than p85</span>` : aging.data ? 'too few closed to compare' : ''}</dd></div>
  </dl></section>`;
}

/** The targets of several rules of the policy, each with whom it is for. */
function rules(/** @type {any[]} */ rules) {
  const one = ({ project, priority, target_ms, time }) => {
    const whose = [project, priority].filter(Boolean).join(' ') || 'All';
    return `${whose} ${duration(target_ms)}${time === 'business' ? ' of working hours' : ''}`;
  };
  return rules.slice(0, 4).map(one).join(' · ') + (rules.length > 4 ? ` and ${rules.length - 4} more` : '');
}

// ---------------------------------------------------------------- tickets per minute

function PerMinute({ answer, hour, by, chart, priority, set, move }) {
  const { data } = answer;
  const names = data ? bySeverity(Object.keys(data.totals)) : [];
  const later = hour + HOUR <= now();
  // Whole hours in UTC: where local ones begin at half past, so do these. The field shows the one that is counted.
  const choose = ({ currentTarget: field }) => {
    const at = Date.parse(field.value);
    const chosen = Number.isNaN(at) ? hour : Math.floor(at / HOUR) * HOUR;
    field.value = local(chosen);
    if (chosen !== hour) set({ hour: iso(chosen) });
  };
  const controls = html`<div class="stepper">
    <button type="button" aria-label="Hour before" onClick=${() => move(-1)}>‹</button>
    <label><span class="unseen">Hour</span><input type="datetime-local" min=${`1970-01-01T00:${local(hour).slice(-2)}`} step="3600" value=${local(hour)} onChange=${choose}/></label>
    <button type="button" aria-label="Next hour" disabled=${!later} onClick=${() => move(1)}>›</button>
    <${Choice} label="What is counted" value=${by} options=${[['created', 'Created'], ['closed', 'Closed']]} onChange=${(by) => set({ by: by === 'created' ? '' : by })}/>
    <${Choice} label="Kind of chart" value=${chart} options=${[['bars', 'Bars'], ['hist', 'Histogram']]} onChange=${(chart) => set({ chart: chart === 'bars' ? '' : chart })}/>
  </div>`;
  const title = `Tickets ${by} per minute`;
  if (!data) return html`<${Chart} title=${title} controls=${controls} answer=${answer}/>`;
  const counted = data.minutes.filter((one) => !one.provisional);
  const busiest = data.minutes.reduce((best, one) => (one.count > best.count ? one : best), data.minutes[0]);
  const none = counted.length ? `Every minute ${counted.length < data.minutes.length ? 'so far' : 'of the hour'} is empty.` : 'No minute of the hour is over yet.';
  const sentence = html`<strong>${number(data.total)}</strong> tickets${names.length > 1 ? html`, <strong>${number(data.totals[names[0]])}</strong> of them <span>${names[0]}</span>` : ''}. ${busiest.count > 0 ? html`Busiest minute <strong><${Time} at=${Date.parse(busiest.minute)} show=${minute}/></strong> with <strong>${number(busiest.count)}</strong>.` : none} ${data.others > 0 && `${number(data.others)} of ${priority === 'all' ? 'no priority, or one that is not known here,' : 'other priorities'} are not counted. `}${priority === 'all'
    ? html`<a href=${here({ priority: '' })} data-filter>Count Highest and High only</a>`
    : !priority && data.others > 0 && html`<a href=${here({ priority: 'all' })} data-filter>Count all</a>`}`;
  const legend = html`<${Legend} names=${names}/>`;
  if (chart === 'hist') {
    const most = Math.max(1, ...counted.flatMap((one) => names.map((name) => one.counts[name])));
    const bars = Array.from({ length: most + 1 }, (_, tickets) => {
      const parts = names.map((name) => ({ name, count: counted.filter((one) => one.counts[name] === tickets).length }));
      return { key: String(tickets), parts, label: `${plural(tickets, 'ticket')} in a minute: ${parts.map((part) => `${plural(part.count, 'minute')} of ${part.name}`).join(', ')}` };
    });
    const table = { head: ['Tickets in a minute', ...names.map((name) => `Minutes, ${name}`)], rows: bars.map((bar) => [bar.key, ...bar.parts.map((part) => part.count)]) };
    const thin = Math.ceil(bars.length / 24);
    return html`<${Chart} title=${title} controls=${controls} answer=${answer} sentence=${sentence} table=${table} name=${`tickets-per-minute-histogram-${iso(hour)}`} legend=${legend}>
      <${Bars} bars=${bars} grouped=${true} label="Histogram of tickets per minute" axis=${`x: tickets in one minute · y: number of minutes, of ${counted.length} that are over`} ticks=${(index) => (index % thin ? null : bars[index].key)}/><//>`;
  }
  const bars = data.minutes.map((one) => {
    const at = minute(Date.parse(one.minute));
    const parts = names.map((name) => ({ name, count: one.counts[name] }));
    const counts = parts.map((part) => `${number(part.count)} ${part.name}`).join(', ');
    return { key: one.minute, parts, open: one.provisional, pending: one.provisional && !one.count, label: `${at}: ${plural(one.count, 'ticket')}${one.count ? ` (${counts})` : ''}${one.provisional ? ', not over yet' : ''}` };
  });
  const table = { head: ['Minute', ...names, 'All'], rows: data.minutes.map((one) => [one.minute, ...names.map((name) => one.counts[name]), one.count]) };
  return html`<${Chart} title=${title} controls=${controls} answer=${answer} sentence=${sentence} table=${table} name=${`tickets-per-minute-${iso(hour)}`} legend=${legend}>
    <${Bars} bars=${bars} label="Tickets per minute" axis="minute, local time; outlined: not over yet" ticks=${(index) => (index % 10 ? null : minute(Date.parse(data.minutes[index].minute)))}/><//>`;
}

/** A moment as a field for local times has it. */
function local(/** @type {number} */ at) {
  const offset = new Date(at).getTimezoneOffset() * 60_000;
  return new Date(at - offset).toISOString().slice(0, 16);
}

// ---------------------------------------------------------------- lead time

function Lead({ durations, closed }) {
  const { data } = durations;
  if (!data) return html`<${Chart} title="Lead time" answer=${durations}/>`;
  const { lead } = data;
  const label = (bucket) => (bucket.to_ms === null ? `≥ ${short(bucket.from_ms)}` : `< ${short(bucket.to_ms)}`);
  const bars = lead.histogram.map((bucket) => ({
    key: String(bucket.from_ms), parts: [{ name: 'tickets', count: bucket.count }],
    label: `${bucket.to_ms === null ? `${duration(bucket.from_ms)} and longer` : `${duration(bucket.from_ms)} to ${duration(bucket.to_ms)}`}: ${plural(bucket.count, 'ticket')}`,
  }));
  // Where a duration lies among the buckets, as a fraction of its own.
  const place = (ms) => {
    const index = lead.histogram.findIndex((bucket) => ms >= bucket.from_ms && (bucket.to_ms === null || ms < bucket.to_ms));
    const bucket = lead.histogram[index];
    const share = bucket.to_ms === null ? 0.5 : (ms - bucket.from_ms) / (bucket.to_ms - bucket.from_ms);
    return index + share;
  };
  const marks = lead.count >= ENOUGH ? ['p50', 'p85', 'p95'].map((name) => ({ at: place(lead[`${name}_ms`]), text: `${name} ${duration(lead[`${name}_ms`])}` })) : [];
  const table = { head: ['From', 'To', 'Tickets', 'From in ms', 'To in ms'], rows: lead.histogram.map((bucket) => [duration(bucket.from_ms), bucket.to_ms === null ? '' : duration(bucket.to_ms), bucket.count, bucket.from_ms, bucket.to_ms ?? '']) };
  const items = (closed.data?.items ?? []).filter((ticket) => ticket.duration_ms !== null && ticket.closed_at);
  const sentence = lead.count ? html`<strong>${number(lead.count)}</strong> tickets closed in the last 30 days took between <strong>${duration(lead.min_ms)}</strong> and <strong>${duration(lead.max_ms)}</strong>.` : 'No ticket was closed in the last 30 days.';
  const dots = { head: ['Ticket', 'Priority', 'Closed', 'Lead time', 'Lead time in ms'], rows: items.map((ticket) => [ticket.key ?? ticket.id, ticket.priority ?? '', ticket.closed_at, duration(ticket.duration_ms), ticket.duration_ms]) };
  const drawn = !items.length ? 'None to draw.' : closed.data?.next ? `Chart, table and CSV are of the ${number(items.length)} that closed last.` : `Each of ${number(items.length)} a dot.`;
  return html`<div class="pair">
    <${Chart} title="Lead time" answer=${durations} sentence=${sentence} table=${table} name="lead-time">
      <${Bars} bars=${bars} plain=${true} marks=${marks} label="Histogram of lead times" axis="x: lead time · y: tickets" ticks=${(index) => label(lead.histogram[index])}/><//>
    <${Chart} title="Lead time of each ticket" answer=${closed} sentence=${closed.data && drawn} table=${closed.data && dots} name="lead-time-of-each"><${Dots} items=${items}/><//>
  </div>`;
}

/** A length of time in one unit, for an axis. */
function short(/** @type {number} */ ms) {
  if (ms < HOUR) return `${Math.round(ms / 60_000)} min`;
  if (ms < 24 * HOUR) return `${Math.round(ms / HOUR)} h`;
  return `${Math.round(ms / (24 * HOUR))} d`;
}

const DECADES = [60_000, 10 * 60_000, HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR, 28 * 24 * HOUR, 182 * 24 * HOUR];

function Dots({ items }) {
  const [frame, width] = useWidth();
  const [height, left, top] = [180, 52, 8];
  const from = Math.min(...items.map((ticket) => Date.parse(ticket.closed_at)), now() - 24 * HOUR);
  const to = now();
  const ms = items.map((ticket) => Math.max(1000, ticket.duration_ms));
  const low = Math.min(HOUR, ...ms) / 1.3;
  const high = Math.max(24 * HOUR, ...ms) * 1.3;
  const inner = Math.max(0, Math.max(width, NARROWEST) - left - 12);
  const x = (at) => left + ((at - from) / (to - from)) * inner;
  const y = (ms) => top + height - ((Math.log(ms) - Math.log(low)) / (Math.log(high) - Math.log(low))) * height;
  return html`<div class="chart-scroll" ref=${frame}>${width > 0 && html`<svg class="chart" role="group" aria-label="Lead time of each closed ticket by when it was closed" onKeyDown=${walk} height=${top + height + 24} viewBox=${`0 0 ${inner + left + 12} ${top + height + 24}`} preserveAspectRatio="none">
    ${DECADES.filter((ms) => ms >= low && ms <= high).map((ms) => html`<g key=${ms}><line class="grid" x1=${left} x2=${left + inner} y1=${y(ms)} y2=${y(ms)}/><text x=${left - 8} y=${y(ms) + 4} text-anchor="end">${short(ms)}</text></g>`)}
    <line class="ground" x1=${left} x2=${left + inner} y1=${top + height} y2=${top + height}/>
    <text x=${left} y=${top + height + 17}>${day(from)}</text><text x=${left + inner} y=${top + height + 17} text-anchor="end">now</text>
    ${[...items].sort((left, right) => Date.parse(left.closed_at) - Date.parse(right.closed_at)).map((ticket, index) => html`<a key=${ticket.id} href=${ticketLink(ticket)} tabindex=${index ? -1 : 0} aria-label=${`${ticket.key ?? ticket.id}, ${duration(ticket.duration_ms)}`}><title>${ticket.key ?? ticket.id}: ${duration(ticket.duration_ms)}</title><circle cx=${x(Date.parse(ticket.closed_at))} cy=${y(Math.max(1000, ticket.duration_ms))} r="5"/></a>`)}
  </svg>`}</div><p class="chart-foot none">x: closed at · y: lead time, logarithmic</p>`;
}

// ---------------------------------------------------------------- ageing

function Aging({ answer }) {
  const { data } = answer;
  const title = 'Ageing of open tickets';
  if (!data) return html`<${Chart} title=${title} answer=${answer}/>`;
  const items = data.items.filter((ticket) => ticket.created_at);
  const names = bySeverity([...new Set(items.map((ticket) => ticket.priority ?? 'No priority'))]);
  const { lead } = data.closed;
  const enough = lead.count >= ENOUGH;
  const table = { head: ['Ticket', 'Priority', 'Status', 'Created', 'Age', 'Age in ms'], rows: items.map((ticket) => [ticket.key ?? ticket.id, ticket.priority ?? '', ticket.status ?? '', ticket.created_at, duration(age(ticket)), age(ticket)]) };
  const sentence = data.open
    ? html`<strong>${number(data.open)}</strong> open${enough ? html`: <strong>${number(data.older_than.p50)}</strong> older than half of the closed ones ever became, <strong>${number(data.older_than.p95)}</strong> older than 95 %.` : '.'}${data.open > items.length ? ` Chart, table and CSV are of the ${number(items.length)} oldest.` : ''}${data.kept?.over > 0 ? html` <${Icon} status="caught"/> <strong>${number(data.kept.over)}</strong> past their target.` : ''}`
    : 'No ticket is open.';
  return html`<${Chart} title=${title} answer=${answer} sentence=${sentence} table=${table} name="ageing">
    ${items.length > 0 && html`<${Ages} items=${items} names=${names} lead=${enough ? lead : null}/>`}
    ${items.length > 0 && html`<div class="scroll" tabindex="-1"><table><thead><tr><th>The oldest</th><th>Summary</th><th>Priority</th><th>Status</th><th class="num">Age</th><th>Created</th></tr></thead>
      <tbody>${items.slice(0, 10).map((ticket) => html`<tr key=${ticket.id}><td><a href=${ticketLink(ticket)}>${ticket.key ?? ticket.id}</a></td><td class="summary">${ticket.summary ?? ''}</td><td><${Priority} name=${ticket.priority}/></td><td>${ticket.status ?? '–'}</td><td class="num">${duration(age(ticket))}</td><td><${Time} at=${Date.parse(ticket.created_at)}/></td></tr>`)}</tbody></table></div>`}<//>`;
}

/** A dot for each open ticket on an axis of ages, a row for each priority; bands where the closed ones' percentiles are. */
function Ages({ items, names, lead }) {
  const [frame, width] = useWidth();
  const oldest = Math.max(HOUR, ...items.map(age), lead ? lead.p95_ms * 1.1 : 0);
  const [left, row] = [width < 500 ? 76 : 110, 34];
  const inner = Math.max(0, Math.max(width, NARROWEST) - left - 16);
  const x = (ms) => left + (Math.max(0, ms) / oldest) * inner;
  const height = Math.max(1, names.length) * row;
  const bands = lead ? [['p50', lead.p50_ms], ['p85', lead.p85_ms], ['p95', lead.p95_ms]] : [];
  // The words of p50 and p85 stand before their lines, unless those are too near to the one before.
  const shows = (index) => index === 2 || x(bands[index][1]) - (index ? x(bands[index - 1][1]) : left - 24) > 26;
  return html`<div class="chart-scroll" ref=${frame}>${width > 0 && html`<svg class="chart" role="group" aria-label="Age of each open ticket by priority" onKeyDown=${walk} height=${height + 44} viewBox=${`0 0 ${inner + left + 16} ${height + 44}`} preserveAspectRatio="none">
      ${bands.map(([name, ms], index) => html`<g key=${name}><rect class="band" fill-opacity=${0.03 + index * 0.03} x=${x(ms)} y="16" width=${Math.max(0, left + inner - x(ms))} height=${height}/><line class="line" x1=${x(ms)} x2=${x(ms)} y1="12" y2=${16 + height}/>${shows(index) && html`<text x=${x(ms) + (index === 2 ? 3 : -3)} y="11" text-anchor=${index === 2 ? 'start' : 'end'}>${name}</text>`}</g>`)}
      ${names.map((name, index) => html`<g key=${name}><line class="grid" x1=${left} x2=${left + inner} y1=${16 + index * row + row / 2} y2=${16 + index * row + row / 2}/><text x="0" y=${20 + index * row + row / 2}>${name}</text></g>`)}
      ${names.flatMap((name) => items.filter((ticket) => (ticket.priority ?? 'No priority') === name).sort((left, right) => age(left) - age(right))).map((ticket, index) => html`<a key=${ticket.id} class=${colour(ticket.priority)} href=${ticketLink(ticket)} tabindex=${index ? -1 : 0} aria-label=${`${ticket.key ?? ticket.id}, ${duration(age(ticket))} old`}><title>${ticket.key ?? ticket.id}: ${duration(age(ticket))}</title><circle cx=${x(age(ticket))} cy=${16 + names.indexOf(ticket.priority ?? 'No priority') * row + row / 2} r="5"/></a>`)}
      ${(inner < 420 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((share) => html`<text key=${share} x=${left + share * inner} y=${height + 34} text-anchor=${share === 1 ? 'end' : share ? 'middle' : 'start'}>${share ? duration(share * oldest) : '0'}</text>`)}
    </svg>`}</div>`;
}
