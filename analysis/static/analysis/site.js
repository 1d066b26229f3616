/* What the pages gain with JavaScript; all of them work without.
 *
 *   upload   drop zone, bar, and no upload of what is too large anyway
 */

const select = (selector, root = document) => root.querySelector(selector);
const percent = (fraction) => `${Math.floor(fraction * 100)}%`;

/* ---- upload ---- */

const form = select("form[data-upload]");
if (form) begin(form);

function begin(form) {
  const input = select('input[type="file"]', form), zone = select("[data-drop]", form);
  select("[data-drop-hint]", form).hidden = false;
  for (const kind of ["dragenter", "dragover"]) zone.addEventListener(kind, (event) => hover(event, zone, true));
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, (event) => hover(event, zone, false));
  zone.addEventListener("drop", (event) => {
    if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
    complain(form, wrongWith(form, input));
  });
  input.addEventListener("change", () => complain(form, wrongWith(form, input)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.dataset.sending) return;
    const wrong = wrongWith(form, input);
    complain(form, wrong);
    if (wrong) input.focus();
    else send(form);
  });
}

function hover(event, zone, over) {
  event.preventDefault();
  zone.classList.toggle("site-drop-over", over);
}

function wrongWith(form, input) {
  const file = input.files[0];
  if (!file) return "";
  if (file.size === 0) return "This file is empty: it has 0 bytes.";
  if (file.size > Number(form.dataset.limit)) return `This file is too large: at most ${form.dataset.limitText} can be uploaded.`;
  return "";
}

function complain(form, text) {
  const place = select("[data-error]", form);
  place.textContent = text;
  place.hidden = !text;
  select("[data-drop]", form).classList.toggle("site-drop-wrong", Boolean(text));
  select('input[type="file"]', form).toggleAttribute("aria-invalid", Boolean(text));
}

function send(form) {
  const bar = select("[data-upload-bar]", form), text = select("[data-upload-text]", form);
  const request = new XMLHttpRequest();
  form.dataset.sending = "1";
  bar.hidden = false;
  request.upload.addEventListener("progress", (event) => {
    select("progress", bar).value = event.loaded / event.total;
    text.textContent = event.loaded < event.total ? percent(event.loaded / event.total) : "Uploaded, starting…";
  });
  request.addEventListener("load", () => arrived(request));
  request.addEventListener("error", () => {
    delete form.dataset.sending;
    bar.hidden = true;
    complain(form, "The upload broke off. Check your connection and send it again.");
  });
  request.open("POST", form.action || location.href);
  request.send(new FormData(form));
}

/** After a redirect the answer is another page: go there. Else it is this page with its errors. */
function arrived(request) {
  if (request.status < 400) return location.assign(request.responseURL);
  const page = new DOMParser().parseFromString(request.responseText, "text/html");
  const fresh = select("main", page);
  if (!fresh) return form.submit();
  select("main").replaceWith(document.adoptNode(fresh));
  const again = select("form[data-upload]");
  if (again) {
    begin(again);
    select('input[type="file"]', again).focus();
  }
}
