// @ts-check
// Charts of tickets: inline SVG whose bars can be walked with the arrow keys, each with a table and CSV behind it.

import { Failure, Fragment, Skeleton, html, say, signal, useEffect, useLayoutEffect, useRef, useState } from 'console/lib';

if (!document.querySelector('link[href$="views/views.css"]')) {
  const link = document.createElement('link');
  link.rel = 'stylesheet';
  link.href = 'views/views.css';
  document.head.append(link);
}

/** JIRA's own priorities, the most severe first. */
export const SEVERITY = ['Highest', 'High', 'Medium', 'Low', 'Lowest'];

/** Names of priorities, the most severe first. */
export function bySeverity(/** @type {string[]} */ names) {
  const rank = (name) => { const at = SEVERITY.indexOf(name); return at < 0 ? SEVERITY.length : at; };
  return [...names].sort((left, right) => rank(left) - rank(right) || left.localeCompare(right));
}

/** The class that gives a priority its colour. */
export function colour(/** @type {string | null} */ name) {
  const at = SEVERITY.indexOf(name ?? '');
  return `p-${at < 0 ? 3 : at}`;
}

export function Priority({ name }) {
  return name ? html`<span class="priority ${colour(name)}"><i aria-hidden="true"/>${name}</span>` : html`<span class="none">–</span>`;
}

/** The priorities there are: JIRA's own, and a site's as far as its tickets have shown them. */
export const known = signal(SEVERITY);

/** Takes in what priorities some tickets have; a name with a comma in it cannot be asked for. */
export function useShown(/** @type {any[] | undefined} */ tickets) {
  useEffect(() => {
    const names = new Map(known.peek().map((name) => [name.toLowerCase(), name]));
    for (const { priority } of tickets ?? []) {
      if (priority && !priority.includes(',') && !names.has(priority.toLowerCase())) names.set(priority.toLowerCase(), priority);
    }
    if (names.size > known.peek().length) known.value = bySeverity([...names.values()]);
  }, [tickets]);
}

/** A choice of priorities. One that a link asks for is there even where no ticket has it. */
export function Priorities({ value, onChange }) {
  const names = value && !known.value.includes(value) ? [...known.value, value] : known.value;
  return html`<select value=${value} onChange=${(event) => onChange(event.currentTarget.value)}><option value="">All priorities</option>${names.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select>`;
}

/** The width of an element, known before the first paint. */
export function useWidth() {
  const element = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, set] = useState(0);
  useLayoutEffect(() => {
    const measured = element.current;
    if (!measured) return;
    const measure = () => set(measured.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(measured);
    return () => observer.disconnect();
  }, []);
  return /** @type {[any, number]} */ ([element, width]);
}

/** Steps of an axis from zero to at least `most`, whole numbers all. */
export function steps(/** @type {number} */ most) {
  const top = Math.max(1, most);
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000].find((step) => top / step <= 5) ?? 100_000;
  return Array.from({ length: Math.ceil(top / step) + 1 }, (_, index) => index * step);
}

/** Narrower than on any screen, a chart scrolls. */
export const NARROWEST = 260;

const HEIGHT = 180;
const LEFT = 34;
const BOTTOM = 24;
const TOP = 8;

/**
 * Bars beside each other, each a pile of parts.
 * @param {{bars: {key: string, label: string, parts: {name: string, count: number}[], open?: boolean, pending?: boolean}[], ticks: (index: number) => string | null, axis: string, label: string}} props
 */
export function Bars({ bars, ticks, axis, label, plain = false, grouped = false, marks = [] }) {
  const [frame, width] = useWidth();
  const [at, setAt] = useState(0);
  const total = (bar) => bar.parts.reduce((sum, part) => sum + part.count, 0);
  const most = Math.max(0, ...bars.map((bar) => (grouped ? Math.max(0, ...bar.parts.map((part) => part.count)) : total(bar))));
  const rows = steps(most);
  const top = rows[rows.length - 1];
  const inner = Math.max(0, Math.max(width, NARROWEST) - LEFT - 8);
  const each = bars.length ? inner / bars.length : inner;
  const y = (count) => TOP + HEIGHT - (count / top) * HEIGHT;
  const gap = Math.min(4, each * 0.2);
  // Where words have no room beside each other every other stands, or fewer.
  const longest = Math.max(0, ...bars.map((_, index) => ticks(index)?.length ?? 0)) * 5.9 + 4;
  const apart = Math.max(1, bars.findIndex((_, index) => index > 0 && ticks(index)));
  const thin = apart * Math.max(1, Math.ceil(longest / (each * apart || 1)));
  // A mark's words stand before it where the chart ends.
  const before = ({ at }) => at * each + 96 > inner;
  const arrows = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -bars.length, End: bars.length }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(bars.length - 1, at + by));
    setAt(next);
    const bar = event.currentTarget.querySelectorAll('.bar')[next];
    bar?.focus();
    say(bars[next].label);
  };
  return html`<div class="chart-scroll" ref=${frame}>${width > 0 && html`<svg class="chart ${plain ? 'plain' : ''}" role="group" aria-label=${label} height=${TOP + HEIGHT + BOTTOM} viewBox=${`0 0 ${inner + LEFT + 8} ${TOP + HEIGHT + BOTTOM}`} preserveAspectRatio="none" onKeyDown=${arrows}>
    ${rows.map((row) => html`<g key=${row}><line class=${row ? 'grid' : 'ground'} x1=${LEFT} x2=${LEFT + inner} y1=${y(row)} y2=${y(row)}/><text x=${LEFT - 8} y=${y(row) + 4} text-anchor="end">${row}</text></g>`)}
    ${bars.map((bar, index) => {
      let below = 0;
      const x = LEFT + index * each;
      return html`<g key=${bar.key} class="bar ${bar.open ? 'open' : ''}" role="img" tabindex=${index === at ? 0 : -1} aria-label=${bar.label} onFocus=${() => setAt(index)}>
        <title>${bar.label}</title><rect class="target" x=${x} y=${TOP} width=${each} height=${HEIGHT}/>
        ${bar.pending && html`<rect class="pending" x=${x + gap / 2} y=${y(0) - 6} width=${Math.max(1, each - gap)} height="6"/>`}
        ${bar.parts.map((part, number) => {
          if (!part.count) return null;
          const wide = grouped ? (each - gap) / bar.parts.length : each - gap;
          const from = grouped ? 0 : below;
          below += part.count;
          const height = Math.max(1, y(from) - y(from + part.count) - (from ? 1 : 0));
          return html`<rect key=${part.name} class="part ${colour(part.name)}" x=${x + gap / 2 + (grouped ? number * wide : 0)} y=${y(from + part.count)} width=${Math.max(1, wide - (grouped ? 1 : 0))} height=${height} rx="1"/>`;
        })}
      </g>`;
    })}
    ${bars.map((bar, index) => { const tick = index % thin ? null : ticks(index); return tick && html`<text key=${bar.key} x=${LEFT + index * each + (grouped || plain ? each / 2 : 0)} y=${TOP + HEIGHT + 17} text-anchor=${grouped || plain ? 'middle' : 'start'}>${tick}</text>`; })}
    ${marks.map(({ at, text }, index) => html`<g key=${text}><line class="line" x1=${LEFT + at * each} x2=${LEFT + at * each} y1=${TOP + index * 14} y2=${TOP + HEIGHT}/><text class="over" x=${LEFT + at * each + (before({ at }) ? -5 : 5)} y=${TOP + 10 + index * 14} text-anchor=${before({ at }) ? 'end' : 'start'}>${text}</text></g>`)}
  </svg>`}</div><p class="chart-foot none">${axis}</p>`;
}

/** Of many marks that lead somewhere one is in the order of the Tab key; the arrows go to the others. */
export function walk(/** @type {KeyboardEvent} */ event) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const marks = [.../** @type {Element} */ (event.currentTarget).querySelectorAll('a')];
  const at = marks.indexOf(/** @type {any} */ (document.activeElement));
  if (!by || at < 0) return;
  event.preventDefault();
  const next = Math.max(0, Math.min(marks.length - 1, at + by));
  marks.forEach((mark, index) => mark.setAttribute('tabindex', index === next ? '0' : '-1'));
  marks[next].focus();
}

/**
 * A chart's card: its title, its controls, and the table and CSV behind it; or what it is waiting for, or failed with.
 * What it showed before stays.
 */
export function Chart({ title, controls = null, sentence = null, table = null, name = '', children = null, legend = null, answer = null }) {
  const [asTable, set] = useState(false);
  const csv = () => {
    const cell = (value) => {
      // A spreadsheet takes a text that begins like this for a formula, and keys and statuses come from elsewhere.
      const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
      return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
    };
    const text = [table.head, ...table.rows].map((row) => row.map(cell).join(',')).join('\r\n');
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text + '\r\n'], { type: 'text/csv' }));
    link.download = `${name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  return html`<section class="card" aria-label=${title}>
    <div class="card-head"><h2>${title}</h2>${controls}</div>
    ${answer?.error && html`<${Failure} what="The numbers could not be loaded" error=${answer.error} retry=${answer.reload}/>`}
    ${!table && !answer?.error && html`<${Skeleton} rows=${6}/>`}
    ${sentence && html`<p class="sentence">${sentence}</p>`}
    ${table && (asTable
      ? html`<div class="scroll" tabindex="0"><table><thead><tr>${table.head.map((cell, at) => html`<th key=${at} class=${at ? 'num' : ''}>${cell}</th>`)}</tr></thead>
          <tbody>${table.rows.map((row, at) => html`<tr key=${at}>${row.map((cell, at) => html`<td key=${at} class=${at ? 'num' : ''}>${cell}</td>`)}</tr>`)}</tbody></table></div>`
      : children)}
    ${table && html`<div class="chart-foot">${!asTable && legend}<span class="space"/>
      <button type="button" class="small" aria-pressed=${String(asTable)} onClick=${() => set(!asTable)}>${asTable ? 'Show as chart' : 'Show as table'}</button>
      <button type="button" class="small" onClick=${csv}>CSV</button></div>`}
  </section>`;
}

/** The priorities of a chart with their colours. */
export function Legend({ names }) {
  return html`<${Fragment}>${names.map((name) => html`<${Priority} key=${name} name=${name}/>`)}<//>`;
}
