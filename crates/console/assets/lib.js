// @ts-check
// What all views share: the address, requests, times and numbers in words, icons, and the states of a card.

import { h, Component, Fragment, render } from 'preact';
import { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { batch, computed, signal } from '@preact/signals';
import htm from 'htm';

export const html = htm.bind(h);
export { Component, Fragment, render, signal, computed, batch };
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState };

// ---------------------------------------------------------------- the address

/** Where the console stands: `/console/`, or what a stage puts before it. */
export const base = new URL('./', document.baseURI);

/** A text without percent signs; one whose signs are no codes, as it is. */
export function decoded(/** @type {string} */ text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** The address below the console: its path in segments, and its query. */
export const route = signal(read());

function read() {
  const path = location.pathname.startsWith(base.pathname) ? location.pathname.slice(base.pathname.length) : '';
  const segments = path.split('/').filter(Boolean).map(decoded);
  return { path, segments, query: new URLSearchParams(location.search) };
}

/** How far down the page was that somebody goes back to, and on which link, until it is there. */
let left = /** @type {{down: number, link: string | null} | null} */ (null);

addEventListener('popstate', (event) => {
  left = event.state;
  route.value = read();
});

/**
 * An address below the console; empty parameters are left out.
 * @param {string[]} segments @param {Record<string, any>} [query]
 */
export function address(segments, query = {}) {
  const path = segments.map(encodeURIComponent).join('/');
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const search = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]));
  // Commas and colons are as good in a query as their codes, and can be read.
  const text = search.toString().replace(/%2C/g, ',').replace(/%3A/g, ':');
  return base.pathname + path + (text ? '?' + text : '');
}

/** Names with commas between them, and their own ones written as codes. */
export const joined = (/** @type {string[]} */ names) => names.map((name) => name.replace(/[%,]/g, encodeURIComponent)).join(',');

/** The names that were [`joined`]. */
export const parted = (/** @type {string} */ text) => text.split(',').filter(Boolean).map(decoded);

/** Opens an address; what only filters replaces the one it came from. */
export function go(/** @type {string} */ to, { replace = false } = {}) {
  if (to === location.pathname + location.search) return;
  const link = document.activeElement?.closest('main a')?.getAttribute('href') ?? null;
  if (!replace) history.replaceState({ down: scrollY, link }, '');
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  route.value = read();
  if (!replace) scrollTo(0, 0);
}

/** The address as it is, with some parameters changed. */
export function here(/** @type {Record<string, any>} */ change) {
  const { segments, query } = route.value;
  return address(segments, { ...Object.fromEntries(query), ...change });
}

document.addEventListener('click', (event) => {
  const link = /** @type {Element} */ (event.target).closest?.('a[href]');
  if (!(link instanceof HTMLAnchorElement) || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const to = new URL(link.href);
  if (to.origin !== base.origin || !to.pathname.startsWith(base.pathname) || link.target || link.download) return;
  event.preventDefault();
  go(to.pathname + to.search, { replace: link.dataset.filter !== undefined });
});

/** AWS's own consoles, by the partition of an ARN. */
const AWS_CONSOLES = { aws: 'console.aws.amazon.com', 'aws-cn': 'console.amazonaws.cn', 'aws-us-gov': 'console.amazonaws-us-gov.com' };

/**
 * Where an execution is looked at, by its ARN: here where the engine is, else in AWS's console.
 * @param {string} arn @param {boolean} engine
 */
export function whereabouts(arn, engine) {
  const [, partition, , region, , , machine, name] = arn.split(':');
  if (engine) return { href: address(['executions', machine, name]) };
  const host = AWS_CONSOLES[partition] ?? AWS_CONSOLES.aws;
  const at = `https://${host}/states/home?region=${encodeURIComponent(region)}#/v2/executions/details/${encodeURIComponent(arn)}`;
  return { href: at, target: '_blank', rel: 'noreferrer' };
}

// ---------------------------------------------------------------- requests

/**
 * What a browser keeps for its pages; one that is told to keep nothing throws at the mere mention, and then it is kept
 * for as long as the page stands.
 * @param {() => Storage} storage
 */
export function kept(storage) {
  try { return storage(); } catch { /* It is told to keep nothing. */ }
  /** @type {Map<string, string>} */
  const values = new Map();
  return {
    getItem: (/** @type {string} */ name) => values.get(name) ?? null,
    setItem: (/** @type {string} */ name, /** @type {string} */ value) => { values.set(name, value); },
    removeItem: (/** @type {string} */ name) => { values.delete(name); },
  };
}

const tab = kept(() => sessionStorage);
const TOKEN = 'ticketflow-token';

/** Whether a token is asked for; a sentence says why. */
export const wantsToken = signal(/** @type {string | null} */ (null));

/** What was shown when the question for a token was answered with "no": it is not asked again there. */
let declined = '';

/** Asks for a token, since the one there is, if any, was refused. */
export function refused() {
  if (declined !== location.pathname) wantsToken.value = token.get() ? 'The token is not valid, or no longer.' : 'This needs a token.';
}

export function decline() {
  declined = location.pathname;
  wantsToken.value = null;
}

export const token = {
  get: () => tab.getItem(TOKEN),
  /** Kept for this tab only; without the line ends that come with one that is pasted, and if a header can hold it. */
  set: (/** @type {string} */ value) => {
    const bare = value.replace(/\s/g, '');
    if (/^[!-~]+$/.test(bare)) tab.setItem(TOKEN, bare);
    declined = '';
  },
  drop: () => { tab.removeItem(TOKEN); },
};

// A link may bring a token behind its `#`, which no server sees; it does not stay in the address.
const brought = /^#token=(.+)$/.exec(location.hash);
if (brought) {
  token.set(decoded(brought[1]));
  history.replaceState(null, '', location.pathname + location.search);
}

class RequestError extends Error {
  constructor(/** @type {number} */ status, /** @type {string} */ message, mended = false) {
    super(message);
    this.status = status;
    /** Whether another token mends it. */
    this.mended = mended;
  }
}

export function authorized(/** @type {Record<string, string>} */ headers = {}) {
  const known = token.get();
  return known ? { ...headers, authorization: `Bearer ${known}` } : headers;
}

/** What a token lacks, in words, where that is why something was refused. */
function lacking(/** @type {Response} */ response) {
  const challenge = response.headers.get('www-authenticate') ?? '';
  if (response.status !== 403 || !challenge.includes('insufficient_scope')) return null;
  const wanted = /scope="([^"]+)"/.exec(challenge)?.[1].split(' ').join(' or ');
  return `The token does not allow this${wanted ? `: it lacks ${wanted}` : ''}.`;
}

/**
 * What makes the same request twice do its work once. `crypto.randomUUID` would be shorter and is there only where the
 * page came by HTTPS or from this machine.
 */
export function requestToken() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Asks an address, relative to the console, and reads its JSON. */
export async function ask(/** @type {string} */ path, /** @type {any} */ { body, signal, headers } = {}) {
  let response;
  try {
    response = await fetch(new URL(path, base), {
      method: body === undefined ? 'GET' : 'POST',
      headers: authorized(body === undefined ? headers : { 'content-type': 'application/json', ...headers }),
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: 'omit',
    });
  } catch (error) {
    if (/** @type {any} */ (error).name === 'AbortError') throw error;
    throw new RequestError(0, 'Ticketflow does not answer. Is it running?');
  }
  const text = await response.text();
  let answer;
  try { answer = text ? JSON.parse(text) : {}; } catch { answer = {}; }
  if (response.status === 401) refused();
  if (!response.ok) {
    const said = answer.detail || answer.message || answer.title || `The answer was ${response.status}.`;
    const lacks = lacking(response);
    throw new RequestError(response.status, lacks ?? said, lacks !== null || response.status === 401);
  }
  return answer;
}

/**
 * What an address answers, asked again when it changes or `reload` is called; meanwhile the old answer stays.
 * @param {string | null} path
 */
export function useAnswer(path) {
  const [state, set] = useState({ path: /** @type {any} */ (null), data: /** @type {any} */ (null), error: /** @type {any} */ (null) });
  const [turn, again] = useState(0);
  const running = useRef(/** @type {AbortController | null} */ (null));
  const waiting = useRef(false);
  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    running.current = abort;
    waiting.current = false;
    ask(path, { signal: abort.signal }).then(
      (data) => { set({ path, data, error: null }); },
      (error) => {
        if (error.name === 'AbortError') return;
        set((old) => ({ path, data: old.path === path && error.status !== 404 ? old.data : null, error }));
      },
    ).finally(() => {
      if (running.current !== abort) return;
      running.current = null;
      // One that was asked for meanwhile is made now, once.
      if (waiting.current) again((turn) => turn + 1);
    });
    return () => { abort.abort(); if (running.current === abort) running.current = null; };
  }, [path, turn]);
  const reload = useCallback(() => {
    if (running.current) waiting.current = true;
    else again((turn) => turn + 1);
  }, []);
  // Another query of the same address keeps what is shown until its answer is there.
  return { data: state.data, error: state.path === path ? state.error : null, fresh: state.path === path, reload };
}

// ---------------------------------------------------------------- the present

/** The present by the server's clock, which may be ahead of this one. */
const skew = signal(0);
export const now = () => Date.now() + skew.value;

/**
 * Sets the present by what the server says, when it says it; a moment's difference is the way from there to here.
 * @param {number | string | undefined} present
 */
export function useServerTime(present) {
  useEffect(() => {
    if (!present) return;
    const ahead = new Date(present).getTime() - Date.now();
    if (Math.abs(skew.peek() - ahead) > 2_000) skew.value = ahead;
  }, [present]);
}

/** Ticks once a second, for what shows how long something takes. */
export const tick = signal(0);
setInterval(() => { if (!document.hidden) tick.value += 1; }, 1000);

// ---------------------------------------------------------------- times and numbers in words

const NUMBER = new Intl.NumberFormat('en', { useGrouping: true });
export const number = (/** @type {number} */ value) => NUMBER.format(value).replace(/,/g, '\u202f');

const DATE_TIME = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY_TIME = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const MINUTE = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const text = (/** @type {Intl.DateTimeFormat} */ format) => (/** @type {number} */ at) => format.format(at).replace(',', '');
export const dateTime = text(DATE_TIME);
export const dayTime = text(DAY_TIME);
export const clock = text(CLOCK);
export const minute = text(MINUTE);
export const day = text(DAY);

/** A length of time with two units at most: `14.1 s`, `3 h 12 min`. */
export function duration(/** @type {number | null | undefined} */ ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  // The spaces do not break, so that a number keeps its unit.
  if (ms < 0) return '0\u00a0ms';
  if (ms < 1000) return `${Math.round(ms)}\u00a0ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}\u00a0s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return two(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return two(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(minutes / 60);
  return two(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function two(/** @type {number} */ large, /** @type {string} */ unit, /** @type {number} */ small, /** @type {string} */ part) {
  return small ? `${large}\u00a0${unit} ${small}\u00a0${part}` : `${large}\u00a0${unit}`;
}

/** A length of time that ticks: whole seconds. */
export function ticking(/** @type {number} */ ms) {
  return ms < 60_000 ? `${Math.max(0, Math.floor(ms / 1000))}\u00a0s` : duration(Math.floor(ms / 1000) * 1000);
}

/** How long ago, in one unit. */
export function ago(/** @type {number} */ at) {
  const ms = now() - at;
  if (ms < 5_000) return 'now';
  if (ms < 60_000) return `${Math.floor(ms / 1000)} s ago`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ago`;
  if (ms < 7 * 86_400_000) return `${Math.floor(ms / 86_400_000)} d ago`;
  const year = new Date(at).getFullYear();
  return year === new Date(now()).getFullYear() ? day(at) : `${day(at)} ${year}`;
}

export const plural = (/** @type {number} */ count, /** @type {string} */ one, many = one + 's') => `${number(count)} ${count === 1 ? one : many}`;

/** A moment; the exact one in UTC is in its title. */
export function Time({ at, show = dateTime, live = false }) {
  if (live) tick.value;
  const exact = new Date(at).toISOString();
  return html`<time datetime=${exact} title=${exact}>${show(at)}</time>`;
}

// ---------------------------------------------------------------- status

export const WORDS = {
  succeeded: 'Succeeded', failed: 'Failed', running: 'Running', retrying: 'Retrying', caught: 'Caught error',
  timed_out: 'Timed out', aborted: 'Aborted', not_reached: 'Not reached', waiting: 'Waiting',
};

const SHAPES = {
  succeeded: html`<circle cx="8" cy="8" r="7" class="fill"/><path d="M4.8 8.3l2.2 2.2 4.3-4.7" class="cut"/>`,
  failed: html`<path d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z" class="fill"/><path d="M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8" class="cut"/>`,
  running: html`<path d="M8 2a6 6 0 1 1-6 6" class="line turning"/>`,
  retrying: html`<path d="M13.2 6A5.6 5.6 0 1 0 13.6 9" class="line"/><path d="M13.9 2.2v4h-4" class="line"/>`,
  caught: html`<path d="M8 1.4L15.2 14H.8z" class="fill"/><path d="M8 5.8v4M8 11.6v.6" class="cut"/>`,
  timed_out: html`<circle cx="8" cy="8" r="6.2" class="line"/><path d="M8 4.4V8l2.6 1.8" class="line"/>`,
  aborted: html`<rect x="2" y="2" width="12" height="12" rx="2" class="fill"/><path d="M5.4 8h5.2" class="cut"/>`,
  not_reached: html`<circle cx="8" cy="8" r="6.2" class="line dashed"/>`,
  waiting: html`<circle cx="8" cy="8" r="6.2" class="line"/><path d="M6.2 5.6v4.8M9.8 5.6v4.8" class="line"/>`,
};

export function Icon({ status, size = 16 }) {
  return html`<svg class="icon s-${status}" width=${size} height=${size} viewBox="0 0 16 16" aria-hidden="true">${SHAPES[status]}</svg>`;
}

/** A status as icon and word; what waits for a moment says how long still. */
export function Status({ status, until = null, chip = false }) {
  if (until) tick.value;
  const left = until ? until - now() : 0;
  const word = WORDS[status] ?? status;
  const shown = status === 'retrying' && left > 0 ? `${word} in ${ticking(left + 999)}` : word;
  return html`<span class="status s-${status} ${chip ? 'chip' : ''}"><${Icon} status=${status}/>${shown}</span>`;
}

// ---------------------------------------------------------------- the states of a card

/** Lines of a list that is shown in parts: which part, and where it stands in the whole. */
export function Pages({ from, count, page, total, onChange, what }) {
  const last = Math.min(total, from + count);
  return html`<div class="pages"><span>${number(from + 1)}–${number(last)} of ${number(total)}${what ? ` ${what}` : ''}</span><span class="space"/>
    <button type="button" disabled=${from === 0} onClick=${() => onChange(Math.max(0, from - page))}>Before</button>
    <button type="button" disabled=${last >= total} onClick=${() => onChange(from + page)}>Next</button></div>`;
}

/** Grey blocks in the place of what is coming, after a moment in which most answers come. */
export function Skeleton({ rows = 6, height = 38 }) {
  const [late, set] = useState(false);
  useEffect(() => { const timer = setTimeout(() => set(true), 150); return () => clearTimeout(timer); }, []);
  return html`<div class="skeleton" role="status" aria-busy="true" aria-label="Loading">
    ${Array.from({ length: rows }, (_, row) => html`<div key=${row} class=${late ? 'block' : 'block unseen'} style=${{ height: `${height - 14}px`, width: `${[96, 78, 88, 70][row % 4]}%` }}/>`)}
  </div>`;
}

export function Failure({ error, what, retry }) {
  return html`<div class="failure" role="alert">
    <${Icon} status="failed"/>
    <div><strong>${what}</strong><p>${error.message}</p></div>
    ${error.mended && html`<button type="button" onClick=${() => { wantsToken.value = error.message; }}>Use another token</button>`}
    ${retry && html`<button type="button" onClick=${retry}>Retry</button>`}
  </div>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;
}

async function write(/** @type {string} */ text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

export function Copy({ text, label = 'Copy' }) {
  const [said, set] = useState('');
  const copy = async () => {
    // There is no clipboard for a page that came over the network without TLS.
    set(await write(text()) ? 'Copied' : 'Select it and copy');
    setTimeout(() => set(''), 2500);
  };
  return html`<button type="button" class="small" onClick=${copy}>${said || label}</button>`;
}

/** A JSON document in the order in which it is: what turns the direction of writing is shown as its code. */
export const straight = (/** @type {string} */ json) => json.replace(/[\u202a-\u202e\u2066-\u2069]/g, (turn) => `\\u${turn.charCodeAt(0).toString(16)}`);

/** One of a few, as buttons in a row. */
export function Choice({ label, value, options, onChange }) {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${options.map(([name, text]) => html`<button key=${name} type="button" aria-pressed=${String(value === name)} onClick=${() => onChange(name)}>${text}</button>`)}
  </div>`;
}

/** A modal dialog; Esc and its backdrop close it, and the focus goes back to where it was. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const gone = useRef(false);
  const id = useId();
  useLayoutEffect(() => {
    const [element, before] = [dialog.current, document.activeElement];
    element?.showModal();
    return () => {
      gone.current = true;
      element?.close();
      // What it was on may go with the dialog.
      setTimeout(() => { if (before instanceof HTMLElement && before.isConnected) before.focus(); });
    };
  }, []);
  // One that is taken away says that it was closed, too, to whom that is no news.
  const close = () => { if (!gone.current) onClose(); };
  return html`<dialog ref=${dialog} aria-labelledby=${id} onClose=${close} onCancel=${close}
      onClick=${(event) => { if (event.target === dialog.current) close(); }}>
    <div class="dialog"><h2 id=${id}>${title}</h2>${children}</div>
  </dialog>`;
}

/** Says something to those who listen to the page. */
export const announcement = signal('');
export function say(/** @type {string} */ what) { announcement.value = what; }

/** Says that what is asked for is shown: to tests, and to who came back to it from further down. */
export function useReady(/** @type {boolean} */ ready) {
  useEffect(() => {
    document.documentElement.dataset.ready = String(ready);
    if (ready && left) {
      const links = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('main a'));
      [...links].find((link) => link.getAttribute('href') === left?.link)?.focus({ preventScroll: true });
      scrollTo(0, left.down);
      left = null;
    }
    return () => { document.documentElement.dataset.ready = 'false'; };
  }, [ready]);
}

// ---------------------------------------------------------------- keys

/** What each key does now: view by view, the last one first. @type {Map<string, {keys: any, active: any}>} */
const handlers = new Map();
let order = 0;

/** Keys of a view, as `[key, what it does, action]`; inside a field they are letters. */
export function useKeys(/** @type {[string, string, (event: KeyboardEvent) => void][]} */ keys) {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    const id = String(order++);
    handlers.set(id, { keys: () => current.current, active: true });
    return () => { handlers.delete(id); };
  }, []);
}

/** Leads the focus from the row that has it, wherever in it, to the name in the one that is so many further. */
export function stepRows(/** @type {HTMLElement | null} */ body, /** @type {number} */ by) {
  const rows = [...body?.querySelectorAll('tr') ?? []];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const to = at < 0 && by < 0 ? rows.length - 1 : Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by));
  /** @type {HTMLElement | null} */ (rows[to]?.querySelector('a.name') ?? null)?.focus();
}

/** All keys there are, for the list of them. */
export const allKeys = () => [...handlers.values()].flatMap((handler) => handler.keys());

/** What letters are typed into: a box that is ticked is none. */
const FIELDS = 'input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]';

let before = '';
document.addEventListener('keydown', (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  // Where `[` is typed with AltGr, some systems say Ctrl and Alt as well.
  const modified = event.metaKey || ((event.ctrlKey || event.altKey) && !event.getModifierState('AltGraph'));
  if (modified || event.defaultPrevented) return;
  if (target.closest(FIELDS) || document.querySelector('dialog[open]')) return;
  const pair = before === 'g' ? `g ${event.key}` : event.key;
  before = event.key === 'g' && before !== 'g' ? 'g' : '';
  for (const [key, , action] of allKeys().reverse()) {
    if (key === pair) {
      event.preventDefault();
      action(event);
      return;
    }
  }
});
