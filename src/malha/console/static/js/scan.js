// A scanner is a keyboard that types a code and presses Enter. On a scan sheet each code adds one to its field; on a count
// the form is sent, and the field is ready for the next code at once.

const $ = (selector, from = document) => from.querySelector(selector);

const field = $("[data-scan-code]");
const rows = $("[data-scan-rows]");
const says = $("[data-scan-says]");

const tell = (text, wrong) => {
  if (!says) return;
  says.textContent = text;
  says.classList.toggle("m-late", Boolean(wrong));
};
// Codes that were not taken stay on the page until somebody has seen them: who scans looks at the shelf, and the next code
// may be there before the refusal of this one.
const missed = [];
const miss = (code) => {
  missed.push(code);
  const box = $("[data-missed]");
  if (!box) return;
  $("[data-missed-codes]", box).textContent = missed.join(", ");
  box.hidden = false;
};
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-missed-seen]")) return;
  missed.length = 0;
  $("[data-missed]").hidden = true;
  (field ?? $("[data-count-code]"))?.focus();
});
const find = (code) => [...rows.children].find((row) => row.dataset.codes.split(" ").includes(code));
const add = (row, bucket) => {
  const input = $(`input[name$="/${bucket}"]`, row);
  input.value = String((Number.parseInt(input.value, 10) || 0) + 1);
  for (const other of rows.querySelectorAll("[data-chosen]")) delete other.dataset.chosen;
  row.dataset.chosen = "";
  row.scrollIntoView({ block: "nearest" });
  tell(`${$("th span", row).textContent}: ${input.value}`);
};
let waiting = Promise.resolve(); // scans come faster than answers: one after the other, none lost
let changed = () => {};
const row = async (code) => {
  const there = find(code);
  if (there) return there;
  const answer = await fetch(`/receive/row?code=${encodeURIComponent(code)}`, { headers: { "HX-Request": "true" } });
  if (answer.headers.has("X-Signed-Out")) { document.dispatchEvent(new Event("malha:out")); tell("", true); miss(code); return null; }
  if (!answer.ok) { tell(says.dataset.unknown.replace("{code}", code), true); miss(code); return null; }
  const sent = new DOMParser().parseFromString(`<table><tbody>${await answer.text()}</tbody></table>`, "text/html");
  const none = $("[data-scan-none]");
  if (none) none.hidden = true;
  const fresh = sent.querySelector("tr"); // a code may name a SKU that is there by another
  return find(fresh.dataset.codes.split(" ")[0]) ?? rows.appendChild(document.adoptNode(fresh));
};
const take = async (code, bucket) => {
  const found = await row(code);
  if (!found) return;
  add(found, bucket);
  changed();
};

if (field && rows) {
  field.focus();
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // not the form: there is more to scan
    const code = field.value.trim(), bucket = $("[data-scan-bucket]").value;
    field.value = "";
    if (code) waiting = waiting.then(() => take(code, bucket)).catch(() => { tell("", true); miss(code); });
  });
  // What is still in the field was not scanned: sent with the rest it would be lost.
  field.form?.addEventListener("htmx:confirm", (event) => {
    const code = field.value.trim();
    if (!code || event.target !== field.form) return;
    event.preventDefault();
    tell(says.dataset.left.replace("{code}", code), true);
    field.focus();
    field.select();
  });
  keep(field.form);
}

// What was scanned and not sent yet outlives the page: a phone that needs the memory loads it anew. The receipt keeps its id
// too, so that what was sent before the answer got lost is not received twice.
function keep(form) {
  const place = `scanned:${location.pathname}${location.search}`;
  const inputs = () => [...form.querySelectorAll("input[name], textarea[name]")].filter((one) => !["file", "checkbox"].includes(one.type));
  const save = () => {
    const filled = inputs().filter((one) => one.value && one.type !== "hidden");
    const words = Object.fromEntries(inputs().filter((one) => one.value).map((one) => [one.name, one.value]));
    const codes = [...rows.children].map((row) => row.dataset.codes.split(" ")[0]);
    try {
      if (filled.length) sessionStorage.setItem(place, JSON.stringify({ words, codes }));
      else sessionStorage.removeItem(place);
    } catch { /* a browser that keeps nothing */ }
  };
  const kept = () => { try { return JSON.parse(sessionStorage.getItem(place)); } catch { return null; } };
  const back = async ({ words, codes }) => {
    for (const code of codes) await row(code).catch(() => null);
    for (const one of inputs()) if (words[one.name]) one.value = words[one.name];
    tell(says.dataset.kept);
    save();
  };
  const before = kept();
  if (before) waiting = waiting.then(() => back(before));
  form.addEventListener("input", save);
  changed = save;
  form.addEventListener("htmx:afterRequest", (event) => {
    if (event.target !== form || !event.detail.xhr.status || event.detail.xhr.status >= 400) return;
    changed = () => {};
    try { sessionStorage.removeItem(place); } catch { /* nothing was kept */ }
  });
}

// A count: the field is empty for the next code at once, the sheet is drawn anew after each. Scans come faster than
// answers: they go one after the other, and none is lost or joined to the next. One that got no answer may have been noted all
// the same: it is sent again, as the scan that it was, until there is an answer. It outlives the page, and is noted once.
const counting = $("[data-count-code]")?.form;
const unsentPlace = `unsent:${location.pathname}`;
const unsent = (() => { try { return JSON.parse(sessionStorage.getItem(unsentPlace)) ?? []; } catch { return []; } })();
const late = new Set(); // which of them were sent once and got no answer
const FIRST = 2000, LONGEST = 30_000;
let pause = FIRST, timer = 0;
const mark = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const hold = () => {
  try { sessionStorage.setItem(unsentPlace, JSON.stringify(unsent)); } catch { /* a browser that keeps nothing */ }
  const box = $("[data-unsent]"), waits = unsent.filter((one) => late.has(one.scan));
  if (!box) return;
  $("[data-unsent-codes]", box).textContent = waits.map((one) => one.code.trim()).join(", ");
  box.hidden = !waits.length;
};
const post = (values) => {
  const headers = JSON.parse(counting.getAttribute("hx-headers"));
  return window.htmx.ajax("POST", counting.action, { target: "#sheet", swap: "outerHTML", values, headers });
};
const queue = (values) => {
  // A refusal is shown by the page; the next scan goes on.
  waiting = waiting.then(() => (unsent.includes(values) ? post(values) : null)).catch(() => {});
};
const resend = () => {
  clearTimeout(timer);
  timer = 0;
  unsent.filter((one) => late.has(one.scan)).forEach(queue);
};
const soon = () => {
  timer ||= setTimeout(resend, pause);
  pause = Math.min(pause * 2, LONGEST);
};
if (counting) {
  addEventListener("online", () => { pause = FIRST; resend(); });
  for (const one of unsent) late.add(one.scan);
  if (unsent.length) { hold(); soon(); }
}
let typed = false; // since what was sent last: the same code again is another scan, whose Enter is on its way
document.addEventListener("input", ({ target }) => { typed ||= target.matches("[data-count-code]"); });
document.addEventListener("keydown", (event) => {
  const code = event.target.closest?.("[data-count-code]");
  if (!code || event.key !== "Enter" || !window.htmx) return;
  event.preventDefault();
  const form = code.form, values = Object.fromEntries(new FormData(form));
  code.value = "";
  typed = false;
  form.elements.quantity.value = "1"; // units are of this code, not of the next
  if (!values.code.trim()) return;
  values.scan = mark();
  unsent.push(values);
  hold();
  queue(values);
});
// What is sent by a button stays in its field until there is an answer: pressed again, it is the same scan.
let byHand = null;
document.addEventListener("htmx:configRequest", ({ detail: { path, parameters } }) => {
  if (!counting || new URL(path, location.href).href !== counting.action || ["scan", "set"].some((name) => parameters.has(name))) return;
  const what = JSON.stringify([parameters.code, parameters.quantity, parameters.minus]);
  if (byHand?.what !== what) byHand = { what, scan: mark() };
  parameters.scan = byHand.scan;
});
// Who is done is done with what is still on its way, too.
document.addEventListener("htmx:confirm", (event) => {
  if (!event.target.matches(".m-count-done") || !unsent.length) return;
  event.preventDefault();
  resend();
  waiting.then(() => { if (!unsent.length) $(".m-count-done")?.requestSubmit(); }); // the sheet was drawn anew meanwhile
});
document.addEventListener("htmx:afterRequest", (event) => {
  const { xhr, requestConfig } = event.detail, code = $("[data-count-code]");
  if (!code || !requestConfig || new URL(requestConfig.path, location.href).href !== code.form.action) return;
  const { scan } = requestConfig.parameters, sent = String(requestConfig.parameters.code ?? "").trim();
  const at = unsent.findIndex((one) => one.scan === scan);
  // Refused for the moment only (it is being noted right now, too many requests) is no answer either.
  const lost = !xhr.status || xhr.status >= 500 || ["X-Signed-Out", "Retry-After"].some((name) => xhr.getResponseHeader(name) !== null);
  if (lost) {
    if (at < 0) return; // the code is still in its field
    late.add(scan);
    soon();
    hold();
    return;
  }
  pause = FIRST;
  if (at >= 0) { unsent.splice(at, 1); late.delete(scan); hold(); }
  if (byHand?.scan === scan) byHand = null;
  if (xhr.status >= 400) { if (sent) miss(sent); return; }
  $("#scan-slot").replaceChildren();
  if (typed || code.value.trim() !== sent) return; // the next one, which is being typed
  code.value = "";
  code.form.elements.quantity.value = "1";
});
let entered = false; // whether what was typed by hand was sent since
const ready = () => {
  const code = $("[data-count-code]"), at = document.activeElement;
  if (!code || at === code) return; // the next code may be on its way
  if (!entered && at?.matches("input, select, textarea")) return; // somebody types: a late answer takes no focus away
  entered = false;
  code.focus();
  code.select();
};
document.addEventListener("submit", (event) => { if ($("[data-count-code]", event.target)) { entered = true; typed = false; } });
document.addEventListener("htmx:afterSettle", (event) => {
  if (!$("[data-count-code]") || event.target.closest?.("dialog")) return;
  ready();
});
ready();
