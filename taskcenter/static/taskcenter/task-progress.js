/* <task-progress>: a task's state and progress, live.
 *
 * Without this file the element shows what the server printed. With it, one WebSocket per page carries
 * every task on the page; where sockets fail, the same JSON is polled. Frames hold a task's whole small
 * state, so losing one costs nothing: of the state fields the highest `rev` is kept, of the progress
 * fields the highest (attempt, seq).
 *
 *   1 pure functions    merge, back-off, words: importable without a browser, tested by `node --test`
 *   2 Hub               one connection for all elements of a page
 *   3 Announcer         one live region for all of them, another for notices
 *   4 TaskProgress      the element
 */

/* ---- 1 pure functions ---------------------------------------------------------------------------- */

export const FINAL = new Set(["completed", "failed", "cancelled"]);

export const WORDS = {
  blocked: "Blocked", scheduled: "Scheduled", pending: "Pending", processing: "Processing",
  retrying: "Retrying", stalled: "Stalled", cancelling: "Cancelling", completed: "Completed",
  failed: "Failed", cancelled: "Cancelled", lost: "Lost",
};

export const ICONS = {
  blocked: "◌", scheduled: "◷", pending: "⋯", processing: "◔", retrying: "↻", stalled: "‖",
  cancelling: "◧", completed: "✓", failed: "✕", cancelled: "–", lost: "?",
};

const PROGRESS_FIELDS = ["attempt", "seq", "progress", "message", "stage", "done", "total", "unit", "eta_s", "rate"];
const number = (value, otherwise = -1) => {
  const plain = value === null || value === undefined || value === "" ? NaN : Number(value);
  return Number.isFinite(plain) ? plain : otherwise;
};

const WAITING = new Set(["blocked", "scheduled", "pending"]);

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

const same = (a, b) => a === b || (a && b && typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));

export const isFinal = (task) => Boolean(task.final ?? FINAL.has(task.state));

/** Milliseconds before attempt `tries` (0, 1, …): 0.5 s·2ⁿ, at most 15 s, times 0.5–1. `retrySeconds` wins. */
export function backoff(tries, random = Math.random(), retrySeconds = null) {
  if (retrySeconds !== null && retrySeconds !== undefined) return Math.max(0, retrySeconds * 1000);
  return Math.min(15000, 500 * 2 ** Math.min(tries, 10)) * (0.5 + random / 2);
}

/** What a close code asks of the client: "reconnect", "poll" or "denied". */
export function afterClose(code) {
  if (code === 4401 || code === 4403) return "denied";
  if (code === 4400 || code === 4408 || code === 4429) return "poll";
  return "reconnect";
}

export function percentText(progress) {
  if (progress === null || progress === undefined || Number.isNaN(Number(progress))) return "";
  const clipped = Math.min(1, Math.max(0, Number(progress)));
  // 100 % is a promise: nothing short of the end may round up to it.
  return `${clipped < 1 ? Math.min(99, Math.floor(clipped * 100 + 1e-6)) : 100}%`;
}

const spell = (count, unit) => `${count} ${unit}${count === 1 ? "" : "s"}`;

/** "about 25 s left": steps of 5 s under a minute, 30 s under five, else minutes, hours. */
export function etaText(seconds, long = false) {
  if (seconds === null || seconds === undefined || !Number.isFinite(Number(seconds)) || seconds < 0) return "";
  const say = (count, short, unit) => `about ${long ? spell(count, unit) : `${count} ${short}`} left`;
  if (seconds < 57.5) return say(Math.max(5, Math.round(seconds / 5) * 5), "s", "second");
  if (seconds < 285) {
    const halves = Math.max(2, Math.round(seconds / 30));
    if (halves % 2 === 0) return say(halves / 2, "min", "minute");
    const whole = Math.floor(halves / 2);
    return long ? `about ${spell(whole, "minute")} 30 seconds left` : `about ${whole} min 30 s left`;
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return say(minutes, "min", "minute");
  const hours = Math.floor(minutes / 60), rest = minutes % 60;
  if (hours >= 24) return say(Math.round(hours / 24), "d", "day");
  const tail = rest ? (long ? ` ${spell(rest, "minute")}` : ` ${rest} min`) : "";
  return long ? `about ${spell(hours, "hour")}${tail} left` : `about ${hours} h${tail} left`;
}

/** "no news for 40 s", once the silence is long for this task; else "". */
export function silenceText(silentSeconds, usualGapSeconds) {
  const patience = Math.max(20, 3 * (usualGapSeconds || 0));
  if (silentSeconds < patience) return "";
  return silentSeconds < 90 ? `no news for ${Math.floor(silentSeconds / 10) * 10} s` : `no news for ${Math.round(silentSeconds / 60)} min`;
}

/** The small print: row 620 of 1,000 · 25 rows/s. */
export function countText(task, locale) {
  const tell = (value) => Number(value).toLocaleString(locale, { maximumFractionDigits: value < 10 ? 1 : 0 });
  const unit = task.unit || "";
  const parts = [];
  if (task.total && task.done !== null && task.done !== undefined) {
    parts.push(`${tell(task.done)} of ${tell(task.total)}${unit ? ` ${unit}` : ""}`);
  } else if (task.done) parts.push(`${tell(task.done)}${unit ? ` ${unit}` : ""}`);
  if (task.rate && !isFinal(task)) parts.push(`${tell(task.rate)}${unit ? ` ${unit}` : ""}/s`);
  return parts.join(" · ");
}

/** What a screen reader hears as the bar's value. */
export function valueText(task, etaSeconds = task.eta_s) {
  const percent = percentText(task.progress);
  const count = task.total ? `${task.done ?? 0} of ${task.total}${task.unit ? ` ${task.unit}` : ""}` : "";
  const parts = [percent && `${percent.slice(0, -1)} percent`, count, isFinal(task) ? "" : etaText(etaSeconds, true)];
  return parts.filter(Boolean).join(", ") || WORDS[task.shown ?? task.state] || "";
}

/** The line under the bar: the error of a failed task, else its stage and message. */
export function messageText(task) {
  if (task.state === "failed" && task.error) {
    return [task.error.type, task.error.message].filter(Boolean).join(": ");
  }
  const stage = task.stage && task.stage !== task.message ? task.stage : "";
  return [stage, task.message].filter(Boolean).join(": ");
}

/**
 * What one widget should say aloud about a change, or null. A new state always; progress each 25 %, with
 * ten seconds between. `memory` is {shown, quarter, at} of the last word; returns {text, memory}.
 */
export function announcement(memory, task, label, now) {
  const shown = task.shown ?? task.state;
  const quarter = Math.floor((task.progress ?? 0) * 4 + 1e-9);
  const said = { shown, quarter, at: now };
  if (!memory) return { text: null, memory: { ...said, at: -Infinity } };
  const name = label || task.title || "Task";
  if (shown !== memory.shown) return { text: `${name}: ${(WORDS[shown] ?? shown).toLowerCase()}`, memory: said };
  if (quarter < memory.quarter) return { text: null, memory: { ...memory, quarter } };
  if (isFinal(task) || quarter === memory.quarter || now - memory.at < 10000) return { text: null, memory };
  return { text: `${name}: ${percentText(task.progress).slice(0, -1)} percent`, memory: said };
}

/** Several endings in one breath: "3 tasks completed, 1 failed". One alone keeps its name. */
export function batchText(ended) {
  if (!ended.length) return "";
  if (ended.length === 1) return `${ended[0].label || "Task"}: ${(WORDS[ended[0].state] ?? ended[0].state).toLowerCase()}`;
  const parts = ["completed", "failed", "cancelled"]
    .map((state) => [ended.filter((one) => one.state === state).length, state])
    .filter(([count]) => count)
    .map(([count, state], at) => (at ? `${count} ${state}` : `${count} ${count === 1 ? "task" : "tasks"} ${state}`));
  return parts.join(", ");
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
    Object.assign(this, { wsUrl, pollUrl, socket: null, tries: 0, failedOpens: 0, mode: "idle", n: 0 });
    this.tasks = new Map(); // id -> {watchers: Set, state, token, denied}
    this.timers = new Map();
    this.fresh = new Set(); // ids to subscribe in the next breath
    addEventListener("pagehide", () => this.pause());
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
    this.send({ type: "unsubscribe", ids: [id] });
    if (!this.live().length && !this.wantsNotices()) this.close();
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
    if (frame.now) this.skew = Date.parse(frame.now) - Date.now() || 0;
    remember(memoryKey(this.wsUrl), 0);
    this.after("steady", STEADY, () => (this.tries = 0));
    this.setMode("live");
    this.subscribe([...this.tasks.keys()]);
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
        (answer.tasks ?? []).forEach((task) => this.take(task));
        (answer.denied ?? []).forEach((id) => this.deny(id));
        next = answer.next || next;
      }
      this.pollTries = 0;
      if (this.mode === "polling") this.setMode("polling");
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
    // The tokens of shared links go in a header, so that they stay out of logs and histories.
    const tokens = [...new Set(part.map(([, task]) => task.token).filter(Boolean))];
    const headers = { Accept: "application/json" };
    if (tokens.length) headers["X-Task-Token"] = tokens.join(",");
    const reply = await fetch(address, { headers, credentials: "same-origin", signal: AbortSignal.timeout(15000) });
    if (reply.status === 401 || reply.status === 403 || reply.status === 404) return { denied: part.map(([id]) => id) };
    if (!reply.ok) throw new Error(`poll answered ${reply.status}`);
    return reply.json();
  }

  visibility() {
    if (document.hidden) return this.after("hidden", HIDDEN_LIMIT, () => this.pause());
    this.cancel("hidden");
    if (this.mode === "idle") this.resume();
    else if (this.mode === "polling") this.after("poll", 0, () => this.poll());
    else if (this.mode === "reconnecting" && this.timers.has("open")) this.after("open", 0, () => this.open());
  }

  pause() {
    this.close();
  }

  resume() {
    if (this.mode === "denied" || this.socket) return;
    this.tries = 0;
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
    for (const task of this.tasks.values()) {
      if (!task.denied) task.watchers.forEach((watcher) => watcher.connection(word));
    }
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

function region(id, className) {
  let element = document.getElementById(id);
  if (!element) {
    element = document.createElement("div");
    element.id = id;
    element.className = className;
    element.setAttribute("role", "status");
    document.body.append(element);
  }
  return element;
}

const announcer = {
  queue: [],
  ended: [],
  say(text) {
    if (text) this.queue.push(text);
    this.timer ??= setTimeout(() => this.speak(), 300);
  },
  end(state, label) {
    this.ended.push({ state, label });
    this.endTimer ??= setTimeout(() => {
      this.endTimer = null;
      this.say(batchText(this.ended.splice(0)));
    }, 1500);
  },
  speak() {
    this.timer = null;
    if (this.queue.length) region("taskcenter-live", "tc-visually-hidden").textContent = this.queue.splice(0).join(". ");
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
    const shelf = region("taskcenter-notices", "tc-notices");
    shelf.append(box);
    while (shelf.children.length > 4) shelf.firstElementChild.remove();
    later();
  },
};

/* ---- 4 the element --------------------------------------------------------------------------------- */

const plainTitle = globalThis.document?.title ?? "";

class TaskProgressElement extends (globalThis.HTMLElement ?? class {}) {
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

  begin() {
    if (!this.isConnected || this.hub) return;
    this.id_ = this.getAttribute("task-id");
    if (!this.id_) return;
    const bar = this.part("bar");
    const attribute = (name) => this.getAttribute(name) ?? undefined;
    this.state ??= {
      id: this.id_,
      rev: number(attribute("rev")),
      attempt: number(attribute("attempt")),
      seq: number(attribute("seq")),
      state: attribute("state") ?? "pending",
      shown: attribute("shown") ?? attribute("state") ?? "pending",
      progress: bar?.hasAttribute("value") ? bar.value / (bar.max || 1) : null,
      final: FINAL.has(attribute("state")),
    };
    this.memory = announcement(null, this.state, this.label, 0).memory;
    this.heardAt = Date.now();
    region("taskcenter-live", "tc-visually-hidden"); // a region must exist before it can speak
    this.hookCancel();
    if (isFinal(this.state)) return;
    const pollUrl = this.getAttribute("poll-url");
    const wsUrl = this.getAttribute("ws-url");
    if (!wsUrl && !pollUrl) return;
    this.hub = hubFor(wsUrl, pollUrl);
    this.hub.watch(this.id_, this, this.state, this.getAttribute("token"));
    this.clock = setInterval(() => this.tick(), 1000);
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
    if (this.getAttribute("data-conn") === word) return;
    this.setAttribute("data-conn", word);
    const words = {
      reconnecting: "reconnecting…",
      denied: this.hub?.mode === "denied" ? "Sign in to follow this task" : "This task cannot be followed",
    };
    const told = this.compact ? "" : (words[word] ?? "");
    let place = this.part("conn");
    if (!place && told) {
      place = document.createElement("span");
      place.dataset.part = "conn";
      this.append(place);
    }
    if (place) place.textContent = told;
  }

  denied() {
    this.emit("task:denied");
  }

  receive(task) {
    const before = this.state;
    if (task === before) return;
    const progressed = isLaterProgress(task, before);
    if (progressed) {
      const gap = (Date.now() - this.heardAt) / 1000;
      this.usualGap = this.usualGap ? this.usualGap * 0.8 + gap * 0.2 : gap;
      this.heardAt = Date.now();
    }
    if (progressed || before.eta_s === undefined) this.etaFrom = Date.now();
    this.state = task;
    this.paint();
    this.speak(before);
    if (progressed || task.progress !== before.progress) this.emit("task:progress");
    if (task.state !== before.state || task.shown !== before.shown) {
      this.heardAt = Date.now();
      this.emit("task:state");
    }
    if (isFinal(task) && !isFinal(before)) this.finish();
  }

  speak(before) {
    if (this.compact) {
      if (isFinal(this.state) && !isFinal(before)) announcer.end(this.state.state, this.label);
      return;
    }
    const { text, memory } = announcement(this.memory, this.state, this.label, Date.now());
    this.memory = memory;
    if (text) announcer.say(text);
  }

  /* Painting: text nodes and properties only, never markup. */

  paint() {
    const task = this.state;
    const shown = task.shown ?? task.state;
    const reflected = { rev: task.rev, attempt: task.attempt, seq: task.seq, state: task.state, shown };
    for (const [name, value] of Object.entries(reflected)) if (value !== undefined) this.setAttribute(name, value);
    this.badge(shown);
    const percent = isFinal(task) && task.state === "completed" ? 1 : task.progress;
    this.text("percent", percentText(percent));
    // The server's own words stay until a frame brings others.
    if (["message", "stage", "error", "done"].some((key) => key in task)) this.text("message", messageText(task) || countText(task));
    const bar = this.part("bar");
    if (bar) {
      if (percent === null || percent === undefined) bar.removeAttribute("value");
      else bar.value = Math.min(1, Math.max(0, percent)) * (bar.max || 1);
    }
    const form = this.part("cancel");
    if (form) this.offerCancel(form);
    if (this.hasAttribute("title-progress")) {
      const prefix = isFinal(task) ? `${WORDS[task.state]}: ` : percent === null || percent === undefined ? "" : `(${percentText(percent)}) `;
      document.title = prefix + plainTitle;
    }
    this.tick();
  }

  badge(shown) {
    const badge = this.part("badge");
    if (!badge) return;
    for (const name of [...badge.classList]) if (name.startsWith("tc-") && name !== "tc-badge") badge.classList.remove(name);
    badge.classList.add(`tc-${shown in WORDS ? shown : "pending"}`);
    this.text("word", WORDS[shown] ?? shown);
    this.text("icon", ICONS[shown] ?? "");
  }

  /** ETA counts down between frames; a long silence is said instead. */
  tick() {
    const task = this.state;
    const running = task.state === "processing";
    const silent = running ? silenceText((Date.now() - this.heardAt) / 1000, this.usualGap) : "";
    const left = task.eta_s === null || task.eta_s === undefined || !running
      ? null
      : Math.max(0, task.eta_s - (Date.now() - (this.etaFrom ?? Date.now())) / 1000);
    // What the server printed stays until the first frame has come.
    if (silent || "eta_s" in task || isFinal(task)) this.text("eta", silent || etaText(left));
    this.part("bar")?.setAttribute("aria-valuetext", valueText(task, left));
    if (isFinal(task)) clearInterval(this.clock);
  }

  text(part, value) {
    const element = this.part(part);
    if (element && element.textContent !== value) element.textContent = value;
  }

  emit(name) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail: this.state }));
  }

  finish() {
    this.emit("task:finished");
    this.hub?.send({ type: "unsubscribe", ids: [this.id_] });
    this.offerReport();
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

  offerCancel(form) {
    const possible = this.state.can ? this.state.can.includes("cancel") : !isFinal(this.state);
    const held = form.contains(document.activeElement);
    // Whoever has just pressed the button keeps their place until the task has ended.
    const asked = this.asked || this.state.shown === "cancelling";
    form.hidden = isFinal(this.state) || !(possible || (asked && held));
    const button = form.querySelector("button");
    if (button && !possible && !form.hidden) button.setAttribute("aria-disabled", "true");
    if (button && possible && !this.asked) button.removeAttribute("aria-disabled");
    if (form.hidden && held) {
      this.tabIndex = -1;
      this.focus();
    }
  }

  hookCancel() {
    const form = this.part("cancel");
    if (!form || form.dataset.hooked) return;
    form.dataset.hooked = "true";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.asked) this.cancel(form);
    });
  }

  async cancel(form) {
    const button = form.querySelector("button");
    const before = button?.textContent;
    this.asked = true;
    if (button) {
      button.setAttribute("aria-disabled", "true");
      button.textContent = "Cancelling…";
    }
    try {
      const reply = await fetch(form.action, {
        method: "POST",
        body: new FormData(form),
        headers: { Accept: "application/json", "X-Requested-With": "fetch" },
        credentials: "same-origin",
        signal: AbortSignal.timeout(15000),
      });
      if (!reply.ok) throw new Error(String(reply.status));
      const answer = reply.headers.get("content-type")?.includes("json") ? await reply.json() : null;
      const frame = answer?.task ?? answer;
      if (frame?.id === this.id_) this.hub?.take(frame);
      if (this.hub?.mode === "polling") this.hub.after("poll", 0, () => this.hub?.poll());
    } catch {
      this.asked = false;
      if (button) {
        button.removeAttribute("aria-disabled");
        button.textContent = before;
      }
      announcer.say("Could not cancel. Try again.");
      this.text("eta", "Could not cancel. Try again.");
    }
  }
}

if (globalThis.customElements && !customElements.get("task-progress")) {
  customElements.define("task-progress", TaskProgressElement);
  // A page may have an unread counter and no task at all: <span data-taskcenter-unread data-ws-url="/ws/…">.
  const listen = () => {
    const url = document.querySelector("[data-taskcenter-unread][data-ws-url]")?.dataset.wsUrl;
    if (!url) return;
    region("taskcenter-notices", "tc-notices");
    hubFor(url, null).flush();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", listen, { once: true });
  else listen();
}
