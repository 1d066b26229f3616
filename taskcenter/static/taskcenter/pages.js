/* What TaskCenter's pages gain with JavaScript; all of them work without.
 *
 *   data-live-page   a page about one task: how it went on is fetched, not guessed
 *   data-shared      the same behind a link: it goes when the link has run out or was taken back
 *   data-copy        a button that copies the field of that id
 *   data-print       a button that prints
 *   notices          a list of notifications offers to show new ones
 */

const LINK_CHECK = 30000;

/* ---- one task ---- */

const live = document.querySelector("[data-live-page]");
if (live) {
  live.addEventListener("task:state", () => refresh());
}

let fetching = null, again = false;

/** Take the parts marked data-fresh from a new copy of this page. What holds the focus stays as it is. */
export async function refresh() {
  again = true;
  fetching ??= (async () => {
    while (again) {
      again = false;
      await takeFresh().catch(() => {}); // what is shown stays true as of its time
    }
    fetching = null;
  })();
  return fetching;
}

async function takeFresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-fresh]")) {
    const fresh = page.querySelector(`[data-fresh="${old.dataset.fresh}"]`);
    if (fresh && !old.contains(document.activeElement)) old.replaceWith(document.adoptNode(fresh));
  }
}

/* ---- a shared task ---- */

if (live && "shared" in live.dataset) {
  const bar = live.querySelector("task-progress");
  const check = async () => {
    const headers = { Accept: "application/json", "X-Task-Token": bar.getAttribute("token") };
    const answer = await fetch(bar.getAttribute("poll-url"), { headers });
    if (answer.status === 404) location.reload();
  };
  live.addEventListener("task:denied", () => location.reload());
  setInterval(() => check().catch(() => {}), LINK_CHECK);
}

/* ---- copy, print ---- */

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy), word = button.firstChild, before = word.data;
  button.hidden = false;
  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      word.data = "Copied";
      setTimeout(() => { word.data = before; }, 3000);
    } catch {
      field.focus(); // no clipboard over plain HTTP: it is selected, and Ctrl-C copies it
    }
  });
}

/* ---- notifications ---- */

const newer = document.querySelector("[data-newer]");
if (newer) document.addEventListener("taskcenter:notice", ({ detail }) => { if (detail.item) newer.hidden = false; });
