// @ts-check
// The frame around every view: where one can go, whether what is shown is live, the theme, the keys, the token.

import {
  Component, Dialog, Failure, address, allKeys, announcement, ask, base, clock, computed, decline, decoded, go, html, kept, render, route, signal, tick,
  Skeleton, token, useEffect, useKeys, useLayoutEffect, useReady, useRef, useState, wantsToken,
} from 'console/lib';
import { live, start, useChanges } from 'console/live';

/** The views there are: the engine's, then the template's own. */
const views = signal(/** @type {any[]} */ ([]));
const about = signal(/** @type {any} */ (null));
const problem = signal(/** @type {any} */ (null));
/** How often all was begun anew, with another token. */
const turn = signal(0);

async function discover() {
  problem.value = null;
  const found = [];
  let engine = true;
  try {
    about.value = await ask('api/about');
  } catch (error) {
    // Where there is no engine behind the console, as on AWS, the views are all the template's.
    if (error.status !== 404) {
      problem.value = error;
      document.documentElement.dataset.ready = 'true';
      return;
    }
    engine = false;
  }
  if (engine) {
    found.push({ path: 'executions', title: 'Executions', key: 'e', module: 'assets/executions.js', one: 'assets/execution.js', depth: 3 });
  }
  if (!engine || about.value.pages) {
    try {
      found.push(...(await ask('views/views.json')).views);
    } catch (error) {
      if (!engine) problem.value = error;
    }
  }
  views.value = found;
  start(engine);
}

const current = computed(() => views.value.find((view) => view.path === route.value.segments[0]));

/** Where an address leads that stands for another one. */
const onward = computed(() => {
  if (!views.value.length) return null;
  const [first, machine, name] = route.value.segments;
  // `/console/` itself is the first view, and so are the executions where there is no engine.
  if (!first || (first === 'executions' && !current.value)) return address([views.value[0].path]);
  // A state machine's address, with no execution behind it, is the list of its executions.
  return first === 'executions' && machine && !name ? address([first], { machine }) : null;
});

// ---------------------------------------------------------------- theme

const THEMES = ['system', 'light', 'dark'];
const browser = kept(() => localStorage);
const theme = signal(browser.getItem('theme') ?? 'system');
function dress() {
  document.documentElement.dataset.theme = theme.value;
}
dress();

function Theme() {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length];
  const turn = () => {
    theme.value = next;
    browser.setItem('theme', next);
    dress();
  };
  return html`<button type="button" class="quiet" onClick=${turn} aria-label=${`Theme: ${theme.value}. Change to ${next}`} title=${`Theme: ${theme.value}`}>
    <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6.2" class="line"/><path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" class="half ${theme.value}"/></svg>
  </button>`;
}

// ---------------------------------------------------------------- live

function Live() {
  tick.value;
  const { mode, at } = live.value;
  const old = Date.now() - at > 60_000;
  const words = {
    live: ['Live', `updated ${clock(at)}`],
    polling: ['Updates every 10 s', ''],
    reconnecting: ['Reconnecting', `last data ${clock(at)}`],
    paused: ['Paused', ''],
  }[mode];
  return html`<span class="live ${mode}" title=${`Last heard ${new Date(at).toISOString()}`}><i aria-hidden="true"/>
    <span>${words[0]}</span>${words[1] && html`<span class="wide"> · ${words[1]}</span>`}${old && html`<strong> · data is old</strong>`}</span>`;
}

// ---------------------------------------------------------------- views

/** A view that cannot be drawn leaves the frame around it standing. */
class Guarded extends Component {
  constructor() {
    super();
    this.state = { error: /** @type {any} */ (null) };
  }

  componentDidCatch(error) {
    console.error(error);
    document.documentElement.dataset.ready = 'true';
    this.setState({ error });
  }

  render({ children }, { error }) {
    return error
      ? html`<main id="main" tabindex="-1"><div class="card"><${Failure} what="This view could not be drawn" error=${error} retry=${() => location.reload()}/></div></main>`
      : children;
  }
}

/** The views whose modules are loaded. @type {Map<string, any>} */
const loaded = new Map();
/** How often a module could not be loaded. @type {Map<string, number>} */
const failures = new Map();

/** Loads a module. A browser does not ask again for one that failed, but for the same one behind another `#` it does. */
async function load(/** @type {string} */ module) {
  const failed = failures.get(module) ?? 0;
  try {
    loaded.set(module, (await import(new URL(failed ? `${module}#${failed}` : module, base).href)).default);
  } catch (error) {
    failures.set(module, failed + 1);
    throw error;
  }
}

const UNLOADED = new Error('Ticketflow does not answer. Is it running? If it is, reload the page.');

function View() {
  const { segments } = route.value;
  const view = current.value;
  const module = view && (segments.length > 1 && view.one ? view.one : view.module);
  const [attempt, set] = useState(/** @type {any} */ ({ module: null, failed: false }));
  const retry = () => {
    set({ module, failed: false });
    // Who has gone on to another view by now is not told.
    const end = (failed) => set((now) => (now.module === module ? { module, failed } : now));
    load(module).then(() => end(false), () => end(true));
  };
  useEffect(() => { if (module && !loaded.has(module)) retry(); }, [module]);
  if (problem.value) {
    const retry = problem.value.status === 401 ? null : discover;
    return html`<main id="main" tabindex="-1"><div class="card"><${Failure} what="The console could not be loaded" error=${problem.value} retry=${retry}/></div></main>`;
  }
  if (!views.value.length || onward.value) return html`<${Coming}/>`;
  if (!view || segments.length > view.depth) return html`<${Nowhere}/>`;
  const Shown = loaded.get(module);
  const key = [turn.value, ...segments.slice(0, 3)].join('/');
  if (Shown) return html`<${Guarded} key=${key}><${Shown} about=${about.value}/><//>`;
  if (attempt.module !== module || !attempt.failed) return html`<${Coming}/>`;
  return html`<main id="main" tabindex="-1"><div class="card"><${Failure} what="This view could not be loaded" error=${UNLOADED} retry=${retry}/></div></main>`;
}

/** What stands where a view will be. */
function Coming() {
  return html`<main id="main" tabindex="-1"><div class="card"><${Skeleton} rows=${8}/></div></main>`;
}

/** Where no view is. */
function Nowhere() {
  const path = decoded(route.value.path);
  useEffect(() => { document.title = 'Not found · Ticketflow'; }, []);
  useReady(true);
  return html`<main id="main" tabindex="-1"><h1>Not found</h1><div class="card"><${Failure} what="There is no such view" error=${new Error(`Nothing is at ${path}.`)}/>
    <p class="pad">There is: ${views.value.map((view, at) => html`${at > 0 && ', '}<a href=${address([view.path])}>${view.title}</a>`)}.</p></div></main>`;
}

function Keys({ onClose }) {
  const seen = new Set();
  const keys = allKeys().filter(([key]) => !seen.has(key) && seen.add(key));
  return html`<${Dialog} title="Keys" onClose=${onClose}>
    <dl class="keys">${keys.map(([key, what]) => html`<div key=${key}><dt>${key.split(' ').map((part) => html`<kbd>${part}</kbd> `)}</dt><dd>${what}</dd></div>`)}
      <div><dt><kbd>Esc</kbd></dt><dd>Close</dd></div>
    </dl>
    <div class="actions"><button type="button" onClick=${onClose}>Close</button></div>
  <//>`;
}

function Token() {
  const [value, set] = useState('');
  const keep = (event) => {
    event.preventDefault();
    if (!value.trim()) return;
    token.set(value);
    // Everything that was refused is asked again.
    wantsToken.value = null;
    turn.value += 1;
    discover();
  };
  return html`<${Dialog} title="A token is needed" onClose=${decline}>
    <form onSubmit=${keep}>
      <p>${wantsToken.value} On this machine <code>ticketflow console</code> opens the console with one; elsewhere paste yours. It is kept for this tab only.</p>
      <label for="token">Token</label>
      <textarea id="token" rows="4" spellcheck=${false} autocomplete="off" value=${value} onInput=${(event) => set(event.currentTarget.value)}/>
      <div class="actions"><button type="button" onClick=${decline}>Cancel</button><button class="primary">Use it</button></div>
    </form>
  <//>`;
}

function App() {
  const [help, setHelp] = useState(false);
  const begun = useRef(false);
  // A state machine that nobody knew of shows itself by its executions. As a stream begins, what is known is new.
  useChanges((changed) => {
    const known = about.value?.machines;
    const isNew = changed ? [...changed].some((one) => !known?.includes(one.split('\n')[0])) : begun.current;
    begun.current = true;
    if (known && isNew) ask('api/about').then((now) => { about.value = now; }, () => { /* What is known stays. */ });
  });
  useKeys([
    ...views.value.map((view) => [`g ${view.key}`, `Go to ${view.title.toLowerCase()}`, () => go(address([view.path]))]),
    ['?', 'This list', () => setHelp(true)],
  ]);
  useLayoutEffect(() => { if (onward.value) go(onward.value, { replace: true }); }, [onward.value]);
  const skip = (event) => {
    event.preventDefault();
    document.getElementById('main')?.focus();
  };
  return html`
    <a class="skip" href=${location.pathname + '#main'} onClick=${skip}>Skip to the content</a>
    <header class="top"><div class="bar">
      <a class="brand" href=${base.pathname}>Ticketflow</a>
      <nav aria-label="Views">${views.value.map((view) => html`<a key=${view.path} href=${address([view.path])} aria-current=${current.value === view ? 'page' : undefined}>${view.title}</a>`)}</nav>
      <span class="space"/>
      <${Live}/>
      <${Theme}/>
      <button type="button" class="quiet wide" onClick=${() => setHelp(true)} aria-label="Keys" title="Keys (?)">?</button>
    </div></header>
    <${View}/>
    <div class="unseen" role="status" aria-live="polite">${announcement.value}</div>
    ${help && html`<${Keys} onClose=${() => setHelp(false)}/>`}
    ${wantsToken.value && html`<${Token}/>`}`;
}

render(html`<${App}/>`, /** @type {Element} */ (document.getElementById('app')));
discover();
