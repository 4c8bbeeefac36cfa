// @ts-check
// Changes as they happen: one stream a tab, closed while the tab is hidden and resumed where it was; polling where
// there is none.

import { authorized, base, refused, signal, useEffect, useRef } from 'console/lib';

/** `live`, `polling`, `reconnecting` or `paused`; and when something was last heard. */
export const live = signal({ mode: 'reconnecting', at: Date.now() });

const POLL = 10_000;
/** A stream says something every 15 seconds; one that has not for this long is dead. */
const DEAF = 40_000;

/** @type {Set<(changed: Set<string> | null) => void>} */
const listeners = new Set();
/** Whether there is an engine that tells of its changes. */
let streams = false;
let mark = '';
/** Whether something may have changed, before the first stream began, that none tells of. */
let missed = false;
let stopped = new AbortController();

/** Tells everyone which executions changed; `null` is anything. */
function tell(/** @type {Set<string> | null} */ changed) {
  for (const listener of listeners) listener(changed);
}

/** An execution among those that changed. */
export const key = (/** @type {string} */ machine, /** @type {string} */ name) => `${machine}\n${name}`;

function heard(mode = live.value.mode) { live.value = { mode, at: Date.now() }; }

/** The engine has no stream for this tab: as many are watching as can be. */
class NoStream extends Error {}
/** It wants a token first; with another all begins anew. */
class NoToken extends Error {}

async function listen(/** @type {AbortSignal} */ signal) {
  const headers = authorized(mark ? { 'last-event-id': mark } : {});
  const response = await fetch(new URL('api/stream', base), { headers, signal, credentials: 'omit', cache: 'no-store' });
  if (response.status === 401) {
    refused();
    throw new NoToken();
  }
  // What stands before the engine answers for it while it is away, but not in JSON.
  if (response.status === 503 && response.headers.get('content-type') === 'application/json') throw new NoStream();
  if (!response.ok || !response.body) throw new Error(String(response.status));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  heard('live');
  let rest = '';
  for (;;) {
    const deaf = setTimeout(() => reader.cancel(), DEAF);
    const { done, value } = await reader.read();
    clearTimeout(deaf);
    if (done) return;
    heard('live');
    rest += value;
    const events = rest.split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) take(event);
  }
}

function take(/** @type {string} */ event) {
  const known = mark !== '';
  let data = '';
  for (const line of event.split('\n')) {
    if (line.startsWith('id: ')) mark = line.slice(4);
    if (line.startsWith('data: ')) data += line.slice(6);
  }
  if (!data) return;
  const { changed, everything } = JSON.parse(data);
  // The first of all says only where the stream begins: what is shown was asked for after it, unless it began late.
  if (everything || (!known && missed)) tell(null);
  else if (known && changed.length) tell(new Set(changed.map(([machine, name]) => key(machine, name))));
}

const pause = (/** @type {number} */ ms, /** @type {AbortSignal} */ signal) => new Promise((done) => {
  const end = () => { clearTimeout(timer); signal.removeEventListener('abort', end); done(undefined); };
  const timer = setTimeout(end, ms);
  signal.addEventListener('abort', end);
});

async function run() {
  stopped.abort();
  stopped = new AbortController();
  const { signal } = stopped;
  let wait = 500;
  while (!signal.aborted) {
    if (streams) {
      let polls = false;
      try {
        await listen(signal);
        wait = 500;
      } catch (error) {
        if (error instanceof NoToken) {
          live.value = { mode: 'paused', at: live.value.at };
          return;
        }
        polls = error instanceof NoStream;
      }
      if (signal.aborted) return;
      missed = true;
      if (polls) {
        heard('polling');
        wait = POLL;
      } else {
        live.value = { mode: 'reconnecting', at: live.value.at };
      }
      await pause(wait, signal);
      wait = Math.min(wait * 2, POLL);
      if (polls && !signal.aborted) tell(null);
    } else {
      heard('polling');
      await pause(POLL, signal);
      if (!signal.aborted) tell(null);
    }
  }
}

function shown() {
  if (document.hidden) {
    missed = true;
    stopped.abort();
    live.value = { mode: 'paused', at: live.value.at };
  } else {
    if (!streams && live.value.mode === 'paused') tell(null);
    run();
  }
}

/** Begins to listen, or begins anew; `engine` says whether there is one that streams. */
export function start(/** @type {boolean} */ engine) {
  streams = engine;
  document.addEventListener('visibilitychange', shown);
  shown();
}

/** Calls `react` when something changed, with what; of an execution only when that did. */
export function useChanges(/** @type {(changed: Set<string> | null) => void} */ react, /** @type {[string, string] | null} */ execution = null) {
  const latest = useRef(react);
  latest.current = react;
  const wanted = execution && key(...execution);
  useEffect(() => {
    const listener = (/** @type {Set<string> | null} */ changed) => {
      if (changed === null || wanted === null || changed.has(wanted)) latest.current(changed);
    };
    listeners.add(listener);
    return () => { listeners.delete(listener); };
  }, [wanted]);
}
