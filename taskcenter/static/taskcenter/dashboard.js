/* The dashboard, kept current: its regions are asked for again and put in the place of the old ones.
 *
 * Asked every 5 s while somebody looks, more rarely when the window has lost the focus, never in a hidden tab.
 * A region that did not change is left alone; what is open, focused or scrolled in one that did stays so; and
 * a list is not moved away under the pointer.
 */

export const EVERY = 5_000;
export const UNFOCUSED = 30_000;

/** Milliseconds until the next question; null: not now. */
export function delay({ hidden, focused, paused, failures = 0 }) {
  if (hidden || paused) return null;
  const calm = focused ? EVERY : UNFOCUSED;
  return Math.min(calm * 2 ** failures, Math.max(calm, 60_000));
}

export function ago(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

/** What the line above the regions says, and whether the dot is full. */
export function status({ paused, signedOut, failures, since }) {
  if (signedOut) return [false, "Signed out: load this page again"];
  if (failures) return [false, `The site does not answer; updated ${ago(since)}`];
  return paused ? [false, `Paused; updated ${ago(since)}`] : [true, `Live; updated ${ago(since)}`];
}

/** How an element is found again among those that took its place. */
function nameOf(element) {
  return `${element.tagName} ${element.getAttribute("href") ?? element.textContent}`;
}

class Board {
  constructor(element) {
    this.element = element;
    this.words = element.querySelector("[data-live-words]");
    this.dot = element.querySelector("[data-live-dot]");
    this.toggle = element.querySelector("[data-live-toggle]");
    this.state = { paused: false, signedOut: false, failures: 0 };
    this.updated = performance.now();
    this.known = new Map();
    this.toggle.hidden = false;
    this.toggle.addEventListener("click", () => this.pause(!this.state.paused));
    for (const [target, name] of [[document, "visibilitychange"], [window, "focus"], [window, "blur"]]) {
      target.addEventListener(name, () => this.plan(name === "blur" ? undefined : 0));
    }
    setInterval(() => this.say(), 1000);
    this.plan();
    this.say();
  }

  pause(paused) {
    this.state.paused = paused;
    this.toggle.textContent = paused ? "Resume updates" : "Pause updates";
    this.plan(0);
    this.say();
  }

  plan(soon) {
    clearTimeout(this.timer);
    const { paused, failures, signedOut } = this.state;
    const wait = delay({ hidden: document.hidden, focused: document.hasFocus(), paused, failures });
    if (wait !== null && !signedOut && !this.asking) this.timer = setTimeout(() => this.ask(), soon ?? wait);
  }

  async ask() {
    this.asking = true;
    try {
      const answer = await fetch(this.element.dataset.liveUrl, { credentials: "same-origin", redirect: "manual" });
      this.state.signedOut = answer.type === "opaqueredirect" || answer.status === 403;
      if (!this.state.signedOut && !answer.ok) throw new Error(answer.status);
      if (!this.state.signedOut) this.show(await answer.text());
      this.state.failures = 0;
    } catch {
      this.state.failures += 1;
    } finally {
      this.asking = false;
      this.say();
      this.plan();
    }
  }

  show(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const regions = [...fresh.querySelectorAll("[data-region]")];
    const names = regions.map((region) => region.dataset.region);
    const shown = [...this.element.querySelectorAll("[data-region]")];
    if (names.join() !== shown.map((region) => region.dataset.region).join()) {
      // The first task has come: other regions than before.
      shown.forEach((region) => region.remove());
      this.element.append(...regions.map((region) => document.importNode(region, true)));
    } else {
      regions.forEach((region, at) => this.swap(shown[at], region));
    }
    this.updated = performance.now();
  }

  swap(old, fresh) {
    const html = fresh.innerHTML;
    const isHeld = "hold" in old.dataset && old.matches(":hover");
    if (isHeld || this.known.get(old.dataset.region) === html) return;
    this.known.set(old.dataset.region, html);
    const focused = old.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    const open = [...old.querySelectorAll("details")].map((one) => one.open);
    const scrolled = [...old.querySelectorAll("[tabindex]")].map((one) => [one.scrollLeft, one.scrollTop]);
    old.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
    old.querySelectorAll("details").forEach((one, at) => { one.open = open[at] ?? one.open; });
    old.querySelectorAll("[tabindex]").forEach((one, at) => {
      [one.scrollLeft, one.scrollTop] = scrolled[at] ?? [0, 0];
    });
    if (focused) [...old.querySelectorAll("a, summary, [tabindex]")].find((one) => nameOf(one) === focused)?.focus();
  }

  say() {
    const [full, words] = status({ ...this.state, since: performance.now() - this.updated });
    this.dot.textContent = full ? "●" : "○";
    this.words.textContent = words;
    this.element.dataset.live = full ? "live" : "still";
  }
}

if (globalThis.document) {
  document.querySelectorAll("[data-live-url]").forEach((element) => new Board(element));
}
