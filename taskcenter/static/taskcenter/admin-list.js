/* The admin's task list: keys, rows that follow what the progress widget hears, and "newer tasks".
 *
 * Without this file the list is as it was served. Rows never move: a task that has left the list is dimmed,
 * a new one waits for the reader's Refresh.
 */

const ROWS = "#result_list tbody tr";
const FOLLOW_MS = 1500;
const NEWER_MS = 10_000;
const KEYS_OFF = "taskcenter.keys.off";

/** Whether a key belongs to the element that has the focus, not to the page. */
export function isTyping(target) {
  return Boolean(target?.isContentEditable || target?.closest?.("input:not([type=checkbox]), textarea, select, dialog"));
}

/** The row `step` further on; from nowhere the first, or the last. */
export function stepped(current, step, count) {
  if (count === 0) return -1;
  if (current < 0) return step > 0 ? 0 : count - 1;
  return Math.min(count - 1, Math.max(0, current + step));
}

/** What the line about newer tasks says. */
export function newerText(count) {
  if (count <= 0) return "";
  return `${count > 999 ? "999+" : count} newer ${count === 1 ? "task" : "tasks"} — `;
}

const rows = () => [...document.querySelectorAll(ROWS)];
const idOf = (row) => row.querySelector("task-progress")?.getAttribute("task-id") ?? "";

/* ---- keys ------------------------------------------------------------------------------------------ */

function keys(dialog) {
  let current = -1;
  const focus = (step) => {
    const all = rows();
    const focused = all.findIndex((row) => row.contains(document.activeElement));
    current = stepped(focused >= 0 ? focused : current, step, all.length);
    all[current]?.querySelector(".tc-cell-title")?.focus();
  };
  const select = () => rows().find((row) => row.contains(document.activeElement))?.querySelector(".action-select")?.click();
  const actions = {
    "/": () => document.querySelector("#searchbar")?.focus(),
    j: () => focus(1),
    k: () => focus(-1),
    x: select,
    r: () => location.reload(),
    "?": () => dialog.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target) || localStorage.getItem(KEYS_OFF)) return;
    event.preventDefault();
    action();
  });
  const opener = document.querySelector("[data-keys-open]");
  const box = dialog.querySelector("[data-keys-on]");
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
  dialog.querySelector("[data-keys-close]").addEventListener("click", () => dialog.close());
  box.checked = !localStorage.getItem(KEYS_OFF);
  box.addEventListener("change", () => {
    if (box.checked) localStorage.removeItem(KEYS_OFF);
    else localStorage.setItem(KEYS_OFF, "1");
  });
}

/* ---- rows follow ----------------------------------------------------------------------------------- */

const CELLS = [".field-when_cell", ".field-took_cell"];
const ACTIONS = ".tc-cell-actions";

function follow() {
  const moved = new Set();
  let timer = 0;
  document.addEventListener("task:state", (event) => {
    moved.add(event.target.getAttribute("task-id"));
    timer ||= setTimeout(refresh, FOLLOW_MS);
  });
  async function refresh() {
    const ids = [...moved];
    moved.clear();
    timer = 0;
    const fresh = await loaded(location.href);
    if (!fresh) return;
    swap(document.querySelector(".tc-tabs"), fresh.querySelector(".tc-tabs"));
    const there = new Map([...fresh.querySelectorAll(ROWS)].map((row) => [idOf(row), row]));
    for (const row of rows().filter((one) => ids.includes(idOf(one)))) {
      const next = there.get(idOf(row));
      row.classList.toggle("tc-moved", !next);
      if (next) renew(row, next);
    }
  }
}

/** What the widget does not tell: the time, how long, what can be done now. */
function renew(row, next) {
  for (const cell of CELLS) swap(row.querySelector(cell), next.querySelector(cell));
  const status = row.querySelector(".field-status_cell");
  const [old, fresh] = [status.querySelector(ACTIONS), next.querySelector(ACTIONS)];
  if (old && fresh) swap(old, fresh);
  else if (old) old.remove();
  else if (fresh) status.append(document.adoptNode(fresh));
}

/** The same text is left alone: whoever has the focus in it keeps it. */
function swap(old, fresh) {
  if (old && fresh && old.innerHTML !== fresh.innerHTML) old.replaceChildren(...document.adoptNode(fresh).childNodes);
}

async function loaded(address) {
  try {
    const response = await fetch(address, { credentials: "same-origin" });
    if (!response.ok || response.redirected) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return null; // the next change asks again
  }
}

/* ---- newer tasks ----------------------------------------------------------------------------------- */

function newer(line) {
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const response = await fetch(line.dataset.newer, { credentials: "same-origin" });
      if (response.ok) tell((await response.json()).newer);
    } catch {
      // The server is away; the widget says so.
    }
  }, NEWER_MS);
  function tell(count) {
    const text = newerText(count);
    if (!text || line.textContent.startsWith(text)) return;
    const link = Object.assign(document.createElement("a"), { href: location.href, textContent: "Refresh" });
    line.replaceChildren(text, link);
  }
}

if (globalThis.document) {
  const dialog = document.querySelector("[data-keys]");
  if (dialog?.showModal) keys(dialog);
  follow();
  const line = document.querySelector("[data-newer]");
  if (line) newer(line);
}
