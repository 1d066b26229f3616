/* <task-progress>: a task's state and progress, live.
 *
 * Without this file the element shows what the server printed. With it, one WebSocket per page carries
 * every task on the page; where sockets fail, the same JSON is polled. Frames hold a task's whole small
 * state, so losing one costs nothing: of the state fields the highest `rev` is kept, of the progress
 * fields the highest (attempt, seq).
 *
 *   1 pure functions    merge, back-off, words: importable without a browser, tested by `node --test`
 *   2 Hub               one connection for all elements of a page
 *   3 Announcer         one live region for all of them; notices on a shelf
 *   4 TaskProgress      the element
 *
 * Words and icons are also in templatetags/taskcenter.py; tests/unit/js/words.json holds both to the same.
 */

/* ---- 1 pure functions ---------------------------------------------------------------------------- */

export const FINAL = new Set(["completed", "failed", "cancelled"]);
const WAITING = new Set(["blocked", "scheduled", "pending"]);

/** What each state is called, what it means while there is nothing better to say, and its icon's path. */
export const STATES = {
  blocked: ["Blocked", "Waits for its parents", "M5 7V5a3 3 0 0 1 6 0v2M4 7h8v6H4z"],
  scheduled: ["Scheduled", "Waits for its time", "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M8 5v3l2 1.5"],
  pending: ["Pending", "Waits for a free worker", "M3.5 8h.01M8 8h.01M12.5 8h.01"],
  processing: ["Processing", "A worker is on it", "M8 2.5A5.5 5.5 0 1 1 2.5 8"],
  retrying: ["Retrying", "Failed; will be tried again", "M13 8a5 5 0 1 1-1.5-3.5L13 6M13 2.5V6H9.5"],
  stalled: ["Stalled", "The worker lives, but progress does not move", "M5.5 4v8M10.5 4v8"],
  cancelling: ["Cancelling", "Stop was asked; the task ends at its next checkpoint", "M4 4h8v8H4zM8 4v8"],
  completed: ["Completed", "", "M3 8.5 6.5 12 13 4.5"],
  failed: ["Failed", "", "M4 4l8 8M12 4l-8 8"],
  cancelled: ["Cancelled", "Stopped because somebody asked", "M3.5 8h9"],
  lost: ["Lost", "The worker stopped answering; the task will be recovered", "M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.6 8 9 8 10M8 12.8h.01"],
};

export const shownOf = (task) => (task.shown in STATES ? task.shown : task.state);
const wordOf = (state) => STATES[state]?.[0] ?? state;
export const isFinal = (task) => Boolean(task.final ?? FINAL.has(task.state));

const PROGRESS_FIELDS = ["attempt", "seq", "progress", "message", "stage", "stages", "done", "total", "unit", "eta_s", "rate"];
const isNothing = (value) => value === null || value === undefined || value === "";
const number = (value, otherwise = -1) => (isNothing(value) || !Number.isFinite(Number(value)) ? otherwise : Number(value));
const same = (a, b) => a === b || (a && b && typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));

/** Does `a` come after `b` in the order of progress: attempt first, then seq? */
export const isLaterProgress = (a, b) =>
  number(a.attempt) !== number(b.attempt) ? number(a.attempt) > number(b.attempt) : number(a.seq) > number(b.seq);

/**
 * What is known, joined with what just came. Two registers: state fields follow the highest `rev`,
 * progress fields the highest (attempt, seq); equal numbers count as the same news told again, so derived
 * fields (shown, worker_alive, updated_at) may still move. Returns `known` itself when nothing changed.
 */
export function merge(known, frame) {
  if (!known) return frame;
  const next = { ...known };
  const fresh = number(frame.rev) >= number(known.rev);
  const later = isLaterProgress(frame, known);
  // Waiting to be run again: the bar of the attempt before is no longer true, though its place in the order is.
  const emptied = !later && number(frame.rev) > number(known.rev) && WAITING.has(frame.state) && frame.progress === null;
  for (const [key, value] of Object.entries(frame)) {
    const ordered = key === "attempt" || key === "seq";
    // What the page was served without may be filled in by the same news told again.
    const fills = !ordered && !isLaterProgress(known, frame) && (known[key] === undefined || known[key] === null);
    const takes = PROGRESS_FIELDS.includes(key) ? later || (emptied && !ordered) || (fills && !WAITING.has(known.state)) : fresh;
    if (takes && value !== undefined) next[key] = value;
  }
  // A task that has ended stays ended unless a higher rev (an operator's retry) says otherwise.
  if (number(frame.rev) === number(known.rev) && known.final) Object.assign(next, {
    state: known.state, shown: known.shown ?? known.state, final: true,
  });
  return Object.keys(next).some((key) => !same(next[key], known[key])) ? next : known;
}

/** Milliseconds before attempt `tries` (0, 1, …): 0.5 s·2ⁿ, at most 15 s, times 0.5–1. `retrySeconds` wins. */
export function backoff(tries, random = Math.random(), retrySeconds = null) {
  if (!isNothing(retrySeconds)) return Math.max(0, retrySeconds * 1000);
  return Math.min(15000, 500 * 2 ** Math.min(tries, 10)) * (0.5 + random / 2);
}

/** What a close code asks of the client: "reconnect", "poll" or "denied". */
export function afterClose(code) {
  if (code === 4401 || code === 4403) return "denied";
  return code === 4400 || code === 4408 || code === 4429 ? "poll" : "reconnect";
}

/** Headers that open tasks to a stranger who holds their passes; not in the address, which ends up in logs. */
export function passHeaders(tokens) {
  const passes = [...new Set(tokens)].filter(Boolean);
  return passes.length ? { "X-Task-Token": passes.join(",") } : {};
}

export function percentText(progress) {
  if (isNothing(progress) || Number.isNaN(Number(progress))) return "";
  const clipped = Math.min(1, Math.max(0, Number(progress)));
  // 100 % is a promise: nothing short of the end may round up to it.
  return `${clipped < 1 ? Math.min(99, Math.floor(clipped * 100 + 1e-6)) : 100}%`;
}

const UNITS = [[86400, "d", "day"], [3600, "h", "hour"], [60, "min", "minute"], [1, "s", "second"]];

/** Steps in which a remaining time is told: 5 s under a minute, 30 s under five, else minutes, days. */
const stepOf = (seconds) => (seconds < 57.5 ? 5 : seconds < 285 ? 30 : seconds < 84600 ? 60 : 86400);

function span(seconds, long) {
  const step = stepOf(seconds);
  let rest = Math.max(step, Math.round(seconds / step) * step);
  const parts = UNITS.map(([size, short, word]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count && `${count} ${long ? `${word}${count === 1 ? "" : "s"}` : short}`;
  });
  return parts.filter(Boolean).join(" ");
}

/** "about 25 s left" */
export function etaText(seconds, long = false) {
  const left = number(seconds);
  return left < 0 ? "" : `about ${span(left, long)} left`;
}

/** What to say of `left` seconds when `told` was said last: a guess that wavers by less than a step is no news. */
export const calmly = (told, left) =>
  !isNothing(told) && !isNothing(left) && Math.abs(left - told) <= 0.8 * stepOf(left) ? told : left;

/** "starts in 2 min", "next attempt in 30 s": of a task that waits for its time. */
export function dueText(task, now) {
  const seconds = (Date.parse(task.due_at) - now) / 1000;
  if (task.state !== "scheduled" || !Number.isFinite(seconds)) return "";
  const what = shownOf(task) === "retrying" ? "next attempt" : "starts";
  return seconds <= 0 ? "due now" : `${what} in ${span(seconds)}`;
}

/** "no news for 40 s", once the silence is long for this task; else "". */
export function silenceText(silentSeconds, usualGapSeconds) {
  if (silentSeconds < Math.max(20, 3 * (usualGapSeconds || 0))) return "";
  return `no news for ${silentSeconds < 90 ? `${Math.floor(silentSeconds / 10) * 10} s` : span(silentSeconds)}`;
}

const tell = (value, locale) => Number(value).toLocaleString(locale, { maximumFractionDigits: value < 10 ? 1 : 0 });
const counted = (task, locale) =>
  isNothing(task.done) ? "" : [tell(task.done, locale), task.total && `of ${tell(task.total, locale)}`, task.unit].filter(Boolean).join(" ");

/** The small print: 620 of 1,000 rows · 25 rows/s · attempt 2 */
export function countText(task, locale) {
  const rate = task.rate && !isFinal(task) ? `${tell(task.rate, locale)}${task.unit ? ` ${task.unit}` : ""}/s` : "";
  return [counted(task, locale), rate, task.attempt > 1 ? `attempt ${task.attempt}` : ""].filter(Boolean).join(" · ");
}

/** What a screen reader hears as the bar's value. */
export function valueText(task, etaSeconds = task.eta_s, locale = undefined) {
  const percent = percentText(task.progress);
  const spoken = [percent && `${percent.slice(0, -1)} percent`, task.total && counted(task, locale), !isFinal(task) && etaText(etaSeconds, true)];
  return spoken.filter(Boolean).join(", ") || wordOf(shownOf(task));
}

/** The line under the bar: an error, else stage and message, else what the state means. */
export function messageText(task, hasStages = false) {
  const join = (...parts) => parts.filter(Boolean).join(": ");
  if (task.error && (task.state === "failed" || WAITING.has(task.state))) return join(task.error.type, task.error.message);
  const stage = hasStages || task.stage === task.message ? "" : task.stage;
  return join(stage, task.message) || (STATES[shownOf(task)]?.[1] ?? "");
}

/** 0:42, 1:02:03 */
export function clockText(seconds) {
  const all = Math.max(0, Math.floor(seconds)), hours = Math.floor(all / 3600);
  const two = (value) => String(value).padStart(2, "0");
  const minutes = Math.floor(all / 60) % 60;
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(all % 60)}`;
}

/**
 * The stages in order, each {name, state, text}: those the page names, then those the task told besides.
 * `task.stages` is [[name, second it began]…]; a stage lasts until the next begins or the task ends.
 */
export function stageList(names, task, now = Date.now()) {
  const told = task.stages?.length ? task.stages : task.stage ? [[task.stage, null]] : [];
  const end = (isFinal(task) ? Date.parse(task.updated_at) : now) / 1000;
  const lasted = new Map();
  told.forEach(([name, began], at) => {
    const until = told[at + 1]?.[1] ?? end;
    if (began) lasted.set(name, (lasted.get(name) ?? 0) + until - began);
  });
  const all = [...new Set([...names, ...told.map(([name]) => name)])];
  const current = told.at(-1)?.[0], place = all.indexOf(current);
  return all.map((name, at) => {
    const passed = at < place || task.state === "completed" || (name !== current && lasted.has(name));
    // A task that tells when its stages began did not go through the others.
    let state = passed ? (lasted.size && !lasted.has(name) ? "skipped" : "done") : isFinal(task) ? "not reached" : "waiting";
    if (name === current && task.state !== "completed") state = isFinal(task) ? "stopped" : "running";
    const time = lasted.has(name) ? ` ${clockText(lasted.get(name))}` : "";
    return { name, state, text: state + time };
  });
}

/**
 * What one widget should say aloud about a change, or null. A new state always; progress each 25 %, with
 * ten seconds between. `memory` is {shown, quarter, at} of the last word; returns {text, memory}.
 */
export function announcement(memory, task, label, now) {
  const shown = shownOf(task);
  const quarter = Math.floor((task.progress ?? 0) * 4 + 1e-9);
  const said = { shown, quarter, at: now };
  if (!memory) return { text: null, memory: { ...said, at: -Infinity } };
  const name = label || task.title || "Task";
  if (shown !== memory.shown) return { text: `${name}: ${wordOf(shown).toLowerCase()}`, memory: said };
  if (quarter < memory.quarter) return { text: null, memory: { ...memory, quarter } };
  if (isFinal(task) || quarter === memory.quarter || now - memory.at < 10000) return { text: null, memory };
  return { text: `${name}: ${percentText(task.progress).slice(0, -1)} percent`, memory: said };
}

/** Several endings in one breath: "3 tasks completed, 1 failed". One alone keeps its name. */
export function batchText(ended) {
  if (ended.length === 1) return `${ended[0].label || "Task"}: ${wordOf(ended[0].state).toLowerCase()}`;
  return [...FINAL]
    .map((state) => [ended.filter((one) => one.state === state).length, state])
    .filter(([count]) => count)
    .map(([count, state], at) => (at ? `${count} ${state}` : `${count} ${count === 1 ? "task" : "tasks"} ${state}`))
    .join(", ");
}

export function chunks(list, size) {
  const out = [];
  for (let at = 0; at < list.length; at += size) out.push(list.slice(at, at + size));
  return out;
}

/** Only http(s) addresses of a frame may become links: `javascript:` and friends may not. */
export function safeUrl(url, base) {
  if (typeof url !== "string" || !url) return null;
  try {
    const { protocol, href } = new URL(url, base);
    return protocol === "http:" || protocol === "https:" ? href : null;
  } catch {
    return null;
  }
}

/* ---- 2 one connection per page ------------------------------------------------------------------- */

const MAX_IDS = 200;
const IDLE = 20000, STALE = 50000, HELLO_WITHIN = 2500, STEADY = 10000;
const HIDDEN_LIMIT = 600000, RETRY_SOCKET = 300000;
const memoryKey = (wsUrl) => `taskcenter:polling:${wsUrl}`;
const remembered = (key) => {
  try {
    return Number(sessionStorage.getItem(key)) || 0;
  } catch {
    return 0; // storage may be forbidden
  }
};
const remember = (key, value) => {
  try {
    if (value) sessionStorage.setItem(key, String(value));
    else sessionStorage.removeItem(key);
  } catch { /* as above */ }
};

/** Watches tasks for the elements that asked. A watcher has receive(task), denied() and connection(name). */
class Hub {
  constructor(wsUrl, pollUrl) {
    Object.assign(this, { wsUrl, pollUrl, socket: null, tries: 0, failedOpens: 0, mode: "idle", n: 0, skew: 0 });
    this.tasks = new Map(); // id -> {watchers: Set, state, token, denied}
    this.timers = new Map();
    this.fresh = new Set(); // ids to subscribe in the next breath
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => event.persisted && this.resume());
    addEventListener("online", () => this.mode === "reconnecting" && this.resume());
    document.addEventListener("visibilitychange", () => this.visibility());
  }

  watch(id, watcher, known, token) {
    let task = this.tasks.get(id);
    if (!task) this.tasks.set(id, (task = { watchers: new Set(), state: null, token, denied: false }));
    task.watchers.add(watcher);
    task.token ||= token;
    task.state = merge(task.state, known);
    watcher.connection(task.denied ? "denied" : this.word());
    if (task.state !== known) watcher.receive(task.state);
    this.fresh.add(id);
    this.after("flush", 20, () => this.flush());
  }

  unwatch(id, watcher) {
    const task = this.tasks.get(id);
    task?.watchers.delete(watcher);
    if (!task || task.watchers.size) return;
    this.tasks.delete(id);
    this.ended(id);
  }

  ended(id) {
    this.send({ type: "unsubscribe", ids: [id] });
    this.rest();
  }

  /** A new pass for a task: the old one may have run out. */
  renew(id, token) {
    const task = this.tasks.get(id);
    if (!task) return;
    Object.assign(task, { token, denied: false });
    this.fresh.add(id);
    if (this.mode === "denied") this.mode = "idle";
    task.watchers.forEach((watcher) => watcher.connection(this.word()));
    this.after("flush", 20, () => this.flush());
  }

  /** Nothing left to follow: let go of the line, unless an element is only moving within the page. */
  rest() {
    this.after("rest", 1000, () => !this.live().length && !this.wantsNotices() && this.close());
  }

  live() {
    return [...this.tasks].filter(([, task]) => !task.denied && !(task.state && isFinal(task.state)));
  }

  /** A page with an unread counter keeps its socket for notices alone. */
  wantsNotices() {
    return Boolean(document.querySelector("[data-taskcenter-unread]"));
  }

  flush() {
    if (this.mode === "idle") this.start();
    else if (this.mode === "live") this.subscribe([...this.fresh]);
    else if (this.mode === "polling") this.after("poll", 0, () => this.poll());
  }

  start() {
    if (!this.live().length && !(this.wsUrl && this.wantsNotices())) return;
    const since = this.wsUrl ? remembered(memoryKey(this.wsUrl)) : 0;
    const wait = since ? RETRY_SOCKET - (Date.now() - since) : 0;
    if (!this.wsUrl || !globalThis.WebSocket) this.fallBack(false);
    else if (wait > 0 && this.pollUrl) this.fallBack(false, wait);
    else this.open();
  }

  open() {
    this.cancel("open", "poll", "retrySocket");
    this.drop();
    const address = new URL(this.wsUrl, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    let socket;
    try {
      socket = new WebSocket(address);
    } catch {
      this.closed(1006, false);
      return;
    }
    this.socket = socket;
    this.greeted = false;
    this.retrySeconds = null;
    // A proxy that swallows the handshake must not leave the reader waiting.
    this.after("hello", HELLO_WITHIN, () => { this.drop(); this.closed(1006, false); });
    socket.onmessage = (event) => socket === this.socket && this.heard(event.data);
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      this.socket = null;
      this.closed(event.code, this.greeted);
    };
  }

  heard(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    this.after("stale", STALE, () => { this.drop(); this.closed(1006, true); });
    this.after("idle", IDLE, () => this.ping());
    switch (frame.type) {
      case "hello": return this.hello(frame);
      case "snapshot": return this.snapshot(frame);
      case "update": return (frame.tasks ?? []).forEach((task) => this.take(task));
      case "events": return void document.dispatchEvent(new CustomEvent("taskcenter:events", { detail: frame }));
      case "notice": return notices.take(frame);
      case "bye": return void (this.retrySeconds = frame.retry_s ?? null);
    }
  }

  hello(frame) {
    this.cancel("hello", "poll");
    this.greeted = this.everLive = true;
    this.failedOpens = 0;
    this.max = frame.max || MAX_IDS;
    this.setClock(frame.now);
    remember(memoryKey(this.wsUrl), 0);
    this.after("steady", STEADY, () => (this.tries = 0));
    this.setMode("live");
    this.subscribe([...this.tasks.keys()]);
  }

  /** How far the server's clock is ahead of ours. */
  setClock(now) {
    this.skew = Date.parse(now) - Date.now() || 0;
  }

  subscribe(ids) {
    this.fresh.clear();
    const live = new Set(this.live().map(([id]) => id));
    const wanted = ids.filter((id) => live.has(id)).slice(0, this.max);
    const tasks = wanted.map((id) => {
      const { state, token } = this.tasks.get(id);
      const one = { id };
      for (const key of ["rev", "attempt", "seq"]) if (number(state?.[key]) >= 0) one[key] = number(state[key]);
      if (token) one.token = token;
      return one;
    });
    if (tasks.length || this.wantsNotices()) this.send({ type: "subscribe", tasks });
  }

  snapshot(frame) {
    (frame.tasks ?? []).forEach((task) => this.take(task));
    (frame.denied ?? []).forEach((id) => this.deny(id));
  }

  take(frame) {
    const task = this.tasks.get(frame?.id);
    if (!task) return;
    const next = merge(task.state, frame);
    if (next === task.state) return;
    task.state = next;
    task.denied = false;
    task.watchers.forEach((watcher) => watcher.receive(next));
  }

  deny(id) {
    const task = this.tasks.get(id);
    if (!task || task.denied) return;
    task.denied = true;
    task.watchers.forEach((watcher) => { watcher.connection("denied"); watcher.denied(); });
  }

  ping() {
    this.send({ type: "ping", n: (this.n += 1) });
    this.after("idle", IDLE, () => this.ping());
  }

  send(frame) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(frame));
  }

  closed(code, wasOpen) {
    this.cancel("hello", "idle", "stale", "steady");
    const then = afterClose(code);
    if (then === "denied") {
      this.setMode("denied");
      [...this.tasks.keys()].forEach((id) => this.deny(id));
    } else if (then === "poll") {
      console.warn(`taskcenter: the socket was refused (${code}); polling instead`);
      this.fallBack(true, RETRY_SOCKET, 5000);
    } else {
      if (!wasOpen) this.failedOpens += 1;
      // A line that has worked here is worth more patience: the server may only be restarting.
      const [patience, retryIn] = this.everLive ? [6, RETRY_SOCKET / 10] : [2, RETRY_SOCKET];
      if (this.failedOpens >= patience && this.pollUrl) this.fallBack(!this.everLive, retryIn);
      else {
        this.setMode("reconnecting");
        this.after("open", backoff(this.tries, Math.random(), this.retrySeconds), () => this.open());
        this.tries += 1;
      }
    }
  }

  /** The same JSON over HTTP, and another try at the socket later. */
  fallBack(note, retryIn = RETRY_SOCKET, first = 0) {
    this.drop();
    if (!this.pollUrl) {
      this.setMode("reconnecting");
      if (this.wsUrl) this.after("open", retryIn, () => this.open());
      return;
    }
    if (note) remember(memoryKey(this.wsUrl), Date.now());
    this.setMode("polling");
    this.after("poll", first, () => this.poll());
    if (this.wsUrl && globalThis.WebSocket) {
      this.after("retrySocket", retryIn, () => { this.failedOpens = 99; this.open(); });
    }
  }

  async poll() {
    this.fresh.clear();
    const live = this.live();
    if (!live.length) return;
    let next = 5;
    try {
      for (const part of chunks(live.slice(0, MAX_IDS), 50)) {
        const answer = await this.ask(part);
        if (this.mode === "polling") this.setMode("polling");
        (answer.tasks ?? []).forEach((task) => this.take(task));
        (answer.denied ?? []).forEach((id) => this.deny(id));
        next = answer.next || next;
      }
      this.pollTries = 0;
    } catch {
      next = Math.max(2, backoff((this.pollTries = (this.pollTries ?? 0) + 1)) / 1000);
      if (this.pollTries > 1) this.tell("reconnecting");
    }
    if (this.mode !== "polling") return;
    this.after("poll", (document.hidden ? Math.max(15, next) : next) * 1000, () => this.poll());
  }

  async ask(part) {
    const address = new URL(this.pollUrl, location.href);
    address.searchParams.set("ids", part.map(([id]) => id).join(","));
    address.searchParams.set("rev", part.map(([, task]) => Math.max(0, number(task.state?.rev))).join(","));
    const headers = { Accept: "application/json", ...passHeaders(part.map(([, task]) => task.token)) };
    const reply = await fetch(address, { headers, credentials: "same-origin", signal: AbortSignal.timeout(15000) });
    if (reply.status === 401 || reply.status === 403 || reply.status === 404) return { denied: part.map(([id]) => id) };
    if (!reply.ok) throw new Error(`poll answered ${reply.status}`);
    this.setClock(reply.headers.get("date"));
    return reply.json();
  }

  visibility() {
    if (document.hidden) return this.after("hidden", HIDDEN_LIMIT, () => this.close());
    this.cancel("hidden");
    if (this.mode === "idle") this.resume();
    else if (this.mode === "polling") this.after("poll", 0, () => this.poll());
    else if (this.mode === "reconnecting" && this.timers.has("open")) this.after("open", 0, () => this.open());
  }

  resume() {
    if (this.mode === "denied" || this.socket) return;
    this.tries = 0;
    if (this.everLive) this.tell("reconnecting");
    this.start();
  }

  close() {
    this.cancel(...this.timers.keys());
    this.drop();
    this.mode = "idle";
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  word() {
    return this.mode === "idle" ? "none" : this.mode; // none: nothing tried yet
  }

  setMode(mode) {
    this.mode = mode;
    this.tell(mode);
  }

  tell(word) {
    for (const [, task] of this.live()) task.watchers.forEach((watcher) => watcher.connection(word));
  }

  after(name, milliseconds, action) {
    this.cancel(name);
    this.timers.set(name, setTimeout(() => { this.timers.delete(name); action(); }, milliseconds));
  }

  cancel(...names) {
    for (const name of names) {
      clearTimeout(this.timers.get(name));
      this.timers.delete(name);
    }
  }
}

const hubs = new Map();

function hubFor(wsUrl, pollUrl) {
  const key = wsUrl || `poll:${pollUrl}`;
  if (!hubs.has(key)) hubs.set(key, new Hub(wsUrl, pollUrl));
  const hub = hubs.get(key);
  hub.pollUrl ||= pollUrl;
  return hub;
}

/* ---- 3 one voice per page ------------------------------------------------------------------------ */

function place(id, className, role) {
  let element = document.getElementById(id);
  if (!element) {
    element = document.createElement("div");
    element.id = id;
    element.className = className;
    if (role) element.setAttribute("role", role);
    document.body.append(element);
  }
  return element;
}

const announcer = {
  queue: new Set(), // two elements for one task say it once
  ended: new Map(),
  /** A live region must exist before it can speak. */
  region: () => place("taskcenter-live", "tc-visually-hidden", "status"),
  say(text) {
    if (text) this.queue.add(text);
    this.timer ??= setTimeout(() => this.speak(), 300);
  },
  end(id, state, label) {
    this.ended.set(id, { state, label });
    this.endTimer ??= setTimeout(() => {
      this.endTimer = null;
      this.say(batchText([...this.ended.values()]));
      this.ended.clear();
    }, 1500);
  },
  speak() {
    this.timer = null;
    this.region().textContent = [...this.queue].join(". ");
    this.queue.clear();
    // Emptied again, so that nobody finds old news there, and the same words twice are heard twice.
    clearTimeout(this.silence);
    this.silence = setTimeout(() => (this.region().textContent = ""), 8000);
  },
};

const notices = {
  take(frame) {
    document.querySelectorAll("[data-taskcenter-unread]").forEach((element) => {
      element.textContent = frame.unread ? String(frame.unread) : "";
      element.hidden = !frame.unread;
    });
    document.dispatchEvent(new CustomEvent("taskcenter:notice", { detail: { unread: frame.unread, item: frame.item } }));
    if (frame.item) this.toast(frame.item);
  },
  toast(item) {
    const box = document.createElement("div");
    box.className = "tc-notice";
    const href = safeUrl(item.url, location.href);
    const text = document.createElement(href ? "a" : "span");
    text.textContent = item.text || item.title || "Something new";
    if (href) text.href = href;
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "✕";
    close.setAttribute("aria-label", "Dismiss");
    let timer = null;
    const later = () => { timer = setTimeout(() => box.remove(), 10000); };
    const stay = () => clearTimeout(timer);
    close.onclick = () => box.remove();
    // It stays while somebody reads it.
    for (const name of ["pointerenter", "focusin"]) box.addEventListener(name, stay);
    for (const name of ["pointerleave", "focusout"]) box.addEventListener(name, later);
    box.append(text, close);
    const shelf = place("taskcenter-notices", "tc-notices");
    shelf.append(box);
    while (shelf.children.length > 4) shelf.firstElementChild.remove();
    announcer.say(text.textContent);
    later();
  },
};

/* ---- 4 the element --------------------------------------------------------------------------------- */

const plainTitle = globalThis.document?.title ?? "";
const locale = () => document.documentElement.lang || undefined;

const CONNECTION = {
  live: "live",
  polling: "updates every few seconds",
  reconnecting: "reconnecting…",
};

class TaskProgressElement extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = ["token"];

  connectedCallback() {
    // Wait for the children: while the page is being parsed they come after the element.
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.begin(), { once: true });
    else queueMicrotask(() => this.begin());
  }

  disconnectedCallback() {
    clearInterval(this.clock);
    this.hub?.unwatch(this.id_, this);
    this.hub = null;
  }

  attributeChangedCallback(_name, _before, token) {
    this.hub?.renew(this.id_, token);
  }

  begin() {
    if (!this.isConnected || this.hub) return;
    this.id_ = this.getAttribute("task-id");
    if (!this.id_) return;
    this.state ??= this.served();
    this.memory ??= announcement(null, this.state, this.label, 0).memory;
    this.heardAt ??= Date.now();
    announcer.region();
    this.hookCancel();
    if (isFinal(this.state)) return;
    const [wsUrl, pollUrl] = [this.getAttribute("ws-url"), this.getAttribute("poll-url")];
    if (!wsUrl && !pollUrl) return;
    this.hub = hubFor(wsUrl, pollUrl);
    this.hub.watch(this.id_, this, this.state, this.getAttribute("token"));
    this.clock = setInterval(() => this.tick(), 1000);
  }

  /** What the server printed, as far as attributes tell it. */
  served() {
    const bar = this.part("bar");
    const attribute = (name) => this.getAttribute(name) ?? undefined;
    const state = attribute("state") ?? "pending";
    return {
      id: this.id_,
      rev: number(attribute("rev")),
      attempt: number(attribute("attempt")),
      seq: number(attribute("seq")),
      state,
      shown: attribute("shown") ?? state,
      due_at: attribute("due-at"),
      progress: bar?.hasAttribute("value") ? bar.value / (bar.max || 1) : null,
      final: FINAL.has(state),
    };
  }

  part(name) {
    return this.querySelector(`[data-part="${name}"]`);
  }

  get label() {
    return this.getAttribute("label") || this.state?.title || "";
  }

  get compact() {
    return this.hasAttribute("compact");
  }

  /* What the hub tells. */

  connection(word) {
    this.setAttribute("data-conn", word);
    this.sayAside();
  }

  denied() {
    this.emit("task:denied");
  }

  receive(task) {
    const before = this.state;
    if (task === before) return;
    const progressed = isLaterProgress(task, before);
    const moved = task.state !== before.state || task.shown !== before.shown;
    this.hear(task, progressed, moved);
    this.state = task;
    this.paint();
    this.speak(before);
    if (progressed || task.progress !== before.progress) this.emit("task:progress");
    if (moved) this.emit("task:state");
    if (isFinal(task) && !isFinal(before)) this.finish();
  }

  /** Remember when the task last told something, by our clock, and how often it does. */
  hear(task, progressed, moved) {
    const now = Date.now();
    if (!("updated_at" in this.state)) {
      // The first frame may be old news; of later ones a worker's own clock need not be asked.
      this.heardAt = Math.min(now, Date.parse(task.updated_at) - (this.hub?.skew ?? 0) || now);
    } else if (progressed || moved) {
      const gap = (now - this.heardAt) / 1000;
      if (progressed) this.usualGap = this.usualGap ? this.usualGap * 0.8 + gap * 0.2 : gap;
      this.heardAt = now;
    }
  }

  speak(before) {
    if (this.compact) {
      if (isFinal(this.state) && !isFinal(before)) announcer.end(this.id_, this.state.state, this.label);
      return;
    }
    const { text, memory } = announcement(this.memory, this.state, this.label, Date.now());
    this.memory = memory;
    if (text) announcer.say(text);
  }

  /* Painting: text nodes and properties only, never markup. */

  paint() {
    const task = this.state, shown = shownOf(task);
    const reflected = { rev: task.rev, attempt: task.attempt, seq: task.seq, state: task.state, shown };
    for (const [name, value] of Object.entries(reflected)) if (value !== undefined) this.setAttribute(name, value);
    this.badge(shown);
    const progress = task.state === "completed" ? 1 : task.progress;
    this.text("percent", percentText(progress));
    const bar = this.part("bar");
    if (bar && isNothing(progress)) bar.removeAttribute("value");
    else if (bar) bar.value = Math.min(1, Math.max(0, progress)) * (bar.max || 1);
    // The server's own words stay until a frame brings others.
    if ("message" in task) {
      this.text("message", messageText(task, this.hasAttribute("stages")), true);
      this.text("count", countText(task, locale()), true);
    }
    this.offerCancel();
    if (this.hasAttribute("title-progress")) document.title = this.titled(percentText(progress));
    this.sayAside();
    this.tick();
  }

  titled(percent) {
    const prefix = isFinal(this.state) ? `${wordOf(this.state.state)}: ` : percent && `(${percent}) `;
    return prefix + plainTitle;
  }

  badge(shown) {
    const badge = this.part("badge");
    if (!badge) return;
    for (const name of [...badge.classList]) if (name.startsWith("tc-") && name !== "tc-badge") badge.classList.remove(name);
    badge.classList.add(`tc-${shown}`);
    this.text("word", wordOf(shown));
    badge.querySelector("path")?.setAttribute("d", STATES[shown]?.[2] ?? "");
  }

  /** What changes by itself: time left, a long silence, how long a stage has run. */
  tick() {
    const task = this.state, now = Date.now(), ended = isFinal(task);
    const running = task.state === "processing";
    const heard = (now - this.heardAt) / 1000;
    const left = running && !isNothing(task.eta_s) ? Math.max(0, task.eta_s - heard) : null;
    this.left = calmly(this.left, left);
    const silent = running && this.hub?.mode !== "reconnecting" ? silenceText(heard, this.usualGap) : "";
    const clock = now + (this.hub?.skew ?? 0);
    if (silent || ended || "eta_s" in task || task.due_at) this.text("eta", silent || etaText(this.left) || dueText(task, clock));
    this.part("bar")?.setAttribute("aria-valuetext", valueText(task, this.left, locale()));
    if ("stage" in task) this.paintStages(clock);
    if (ended) clearInterval(this.clock);
  }

  paintStages(clock) {
    const list = this.part("stages");
    if (!list) return;
    const rows = new Map([...list.querySelectorAll("[data-stage]")].map((row) => [row.dataset.stage, row]));
    for (const { name, state, text } of stageList([...rows.keys()], this.state, clock)) {
      const row = rows.get(name) ?? this.newStage(list, name);
      row.dataset.state = state;
      const words = row.querySelector('[data-part="stage-state"]');
      if (words && words.textContent !== text) words.textContent = text;
    }
  }

  newStage(list, name) {
    const row = document.createElement("li"), title = document.createElement("span"), words = document.createElement("span");
    row.dataset.stage = title.textContent = name;
    words.dataset.part = "stage-state";
    row.append(title, " ", words);
    list.append(row);
    return row;
  }

  /** Beside the bar: what went wrong with a button, else how the page is kept current. */
  sayAside() {
    const word = this.getAttribute("data-conn");
    const denied = this.hub?.mode === "denied" ? "Sign in to follow this task" : "This task cannot be followed";
    const told = isFinal(this.state) ? "" : word === "denied" ? denied : (CONNECTION[word] ?? "");
    this.toggleAttribute("data-trouble", Boolean(this.trouble));
    this.text("conn", this.trouble || told);
    if (this.compact) this.title = word === "denied" && told ? told : "";
  }

  text(part, value, whole = false) {
    const element = this.part(part);
    if (!element || element.textContent === value) return;
    element.textContent = value;
    if (whole) element.title = value; // it may be cut
  }

  /** False when a listener has prevented what would follow. */
  emit(name) {
    return this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, cancelable: true, detail: this.state }));
  }

  /* The end. */

  finish() {
    const goesOn = this.emit("task:finished");
    this.hub?.ended(this.id_);
    this.offerReport();
    if (goesOn) this.leave();
  }

  /** For hosts without a script of their own. A failed or cancelled task stays, so that its error can be read. */
  leave() {
    const target = safeUrl(this.getAttribute("redirect-on-finish"), location.href);
    const seen = `taskcenter:seen:${this.id_}`;
    if (target && this.state.state === "completed") setTimeout(() => location.assign(target), 1000);
    // A page that comes from a cache shows the task unfinished for ever: it is loaded again only once.
    else if (this.hasAttribute("reload-on-finish") && remembered(seen) !== this.state.rev) {
      remember(seen, this.state.rev);
      setTimeout(() => location.reload(), 1000);
    }
  }

  /** Links marked data-task-report-link: inside, with this task's id as value, or beside us in the parent. */
  offerReport() {
    const href = safeUrl(this.state.report_url, location.href);
    if (!href) return;
    const links = new Set(this.querySelectorAll("[data-task-report-link]"));
    document.querySelectorAll("[data-task-report-link]").forEach((link) => {
      const forTask = link.getAttribute("data-task-report-link");
      if (forTask ? forTask === this.id_ : this.parentElement?.contains(link)) links.add(link);
    });
    links.forEach((link) => { link.href = href; link.hidden = false; });
    if (links.size && !this.compact) announcer.say("Report ready");
  }

  /* Cancel: a real form; fetch only spares the page load. */

  hookCancel() {
    const form = this.part("cancel");
    if (!form || form.dataset.hooked) return;
    form.dataset.hooked = "true";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.asked) this.cancel(form);
    });
  }

  offerCancel() {
    const form = this.part("cancel"), ended = isFinal(this.state);
    if (!form) return;
    const possible = this.state.can ? this.state.can.includes("cancel") : !ended;
    const held = form.contains(document.activeElement);
    // Whoever has just pressed the button keeps their place until the task has ended.
    form.hidden = ended || !(possible || (held && (this.asked || this.state.shown === "cancelling")));
    this.press(form, this.asked || !possible);
    if (form.hidden && held) {
      this.tabIndex = -1;
      this.focus();
    }
  }

  press(form, pressed) {
    const button = form.querySelector("button");
    if (!button) return;
    if (pressed) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
    const word = button.firstChild; // whose name follows, hidden, stays
    button.dataset.word ??= word.data;
    word.data = this.asked ? "Cancelling…" : button.dataset.word;
  }

  async cancel(form) {
    this.ask(form, true, "");
    try {
      const { ok, answer } = await this.post(form);
      if (!ok) return this.ask(form, false, answer?.text || "Could not cancel. Try again.");
      const frame = answer?.task ?? answer;
      if (frame?.id === this.id_) this.hub ? this.hub.take(frame) : this.receive(merge(this.state, frame));
      // Heard, but nothing came of it.
      if (frame?.can?.includes("cancel")) this.ask(form, false, answer.text ?? "");
      if (this.hub?.mode === "polling") this.hub.after("poll", 0, () => this.hub?.poll());
    } catch {
      this.ask(form, false, "Could not cancel. Try again.");
    }
  }

  ask(form, asked, trouble) {
    Object.assign(this, { asked, trouble });
    this.press(form, asked);
    this.sayAside();
    announcer.say(trouble);
  }

  async post(form) {
    const reply = await fetch(form.action, {
      method: "POST",
      body: new FormData(form),
      headers: { Accept: "application/json", "X-Requested-With": "fetch" },
      credentials: "same-origin",
      signal: AbortSignal.timeout(15000),
    });
    const answer = reply.headers.get("content-type")?.includes("json") ? await reply.json() : null;
    return { ok: reply.ok, answer };
  }
}

if (globalThis.customElements && !customElements.get("task-progress")) {
  customElements.define("task-progress", TaskProgressElement);
  // A page may have an unread counter and no task at all: <span data-taskcenter-unread data-ws-url="/ws/…">.
  const listen = () => {
    const url = document.querySelector("[data-taskcenter-unread][data-ws-url]")?.dataset.wsUrl;
    if (!url) return;
    announcer.region();
    hubFor(url, null).flush();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", listen, { once: true });
  else listen();
}
