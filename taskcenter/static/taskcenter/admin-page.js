/* The admin's page of one task: what the progress widget does not tell follows it; the timeline follows while
 * asked to; Copy buttons. Without this file the page is as it was served.
 */

const FOLLOW_MS = 5000;
const AFTER_NEWS_MS = 700;
const NEAR_PX = 48;

/** Whether a scrolled box shows its end. */
export const isAtEnd = ({ scrollTop, clientHeight, scrollHeight }) => scrollTop + clientHeight >= scrollHeight - NEAR_PX;

/** The page as it is now; null when the server does not answer or asks to sign in. */
async function loaded() {
  try {
    const response = await fetch(location.href, { credentials: "same-origin" });
    if (!response.ok || response.redirected) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return null;
  }
}

/** Put what is new in the place of what is old; what was unfolded stays so, what has the focus stays as it is. */
function swap(old, fresh) {
  if (!old || !fresh || old.innerHTML === fresh.innerHTML || old.contains(document.activeElement)) return false;
  for (const details of old.querySelectorAll("details[id]")) {
    const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
    if (same) same.open = details.open;
  }
  old.replaceChildren(...document.adoptNode(fresh).childNodes);
  showCopy(old);
  return true;
}

function follow(page) {
  const box = page.querySelector("[data-timeline]");
  const label = page.querySelector("[data-follow]");
  const check = label?.querySelector("input");
  const isWhole = !new URLSearchParams(location.search).has("before");
  let timer = 0;
  const isFollowing = () => Boolean(check?.checked) && isWhole;
  const renew = async () => {
    const fresh = await loaded();
    if (!fresh) return;
    for (const old of document.querySelectorAll("[data-region]")) swap(old, fresh.getElementById(old.id));
    swap(document.querySelector(".object-tools"), fresh.querySelector(".object-tools"));
    if (isFollowing() && swap(box, fresh.getElementById(box.id))) box.scrollTop = box.scrollHeight;
    if (!fresh.querySelector("[data-live]")) {
      page.removeAttribute("data-live");
      if (label) label.hidden = true;
    } else if (!page.hasAttribute("data-live")) location.reload(); // it was finished, and lives again
  };
  document.addEventListener("task:state", () => {
    clearTimeout(timer);
    timer = setTimeout(renew, AFTER_NEWS_MS);
  });
  if (!label || !isWhole) return;
  label.hidden = false;
  if (!location.hash) box.scrollTop = box.scrollHeight;
  let last = box.scrollTop;
  box.addEventListener("scroll", () => {
    if (box.scrollTop < last && !isAtEnd(box)) check.checked = false;
    last = box.scrollTop;
  });
  setInterval(() => {
    if (page.hasAttribute("data-live") && isFollowing() && !document.hidden) renew();
  }, FOLLOW_MS);
}

/* ---- copy -------------------------------------------------------------------------------------------- */

function showCopy(where) {
  for (const button of where.querySelectorAll("[data-copy]")) button.hidden = false;
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  if (!source) return;
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    // Plain HTTP has no clipboard: it is selected, and one key away.
    for (let folded = source.closest("details"); folded; folded = folded.parentElement.closest("details")) folded.open = true;
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: press Ctrl+C";
  }
}

/** A permalink to an attempt unfolds it. */
function unfold() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target?.tagName === "DETAILS") target.open = true;
}

if (globalThis.document) {
  const page = document.querySelector("[data-task-page]");
  if (page) {
    follow(page);
    showCopy(document);
    document.addEventListener("click", (event) => {
      const button = event.target.closest?.("[data-copy]");
      if (button) copy(button);
    });
    addEventListener("hashchange", unfold);
    unfold();
  }
}
