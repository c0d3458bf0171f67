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
const take = async (code, bucket) => {
  let row = find(code);
  if (!row) {
    const answer = await fetch(`/receive/row?code=${encodeURIComponent(code)}`, { headers: { "HX-Request": "true" } });
    if (!answer.ok) { tell(says.dataset.unknown.replace("{code}", code), true); return; }
    const sent = new DOMParser().parseFromString(`<table><tbody>${await answer.text()}</tbody></table>`, "text/html");
    row = find(code) ?? rows.appendChild(document.adoptNode(sent.querySelector("tr")));
    const none = $("[data-scan-none]");
    if (none) none.hidden = true;
  }
  add(row, bucket);
};

if (field && rows) {
  field.focus();
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // not the form: there is more to scan
    const code = field.value.trim(), bucket = $("[data-scan-bucket]").value;
    field.value = "";
    if (code) waiting = waiting.then(() => take(code, bucket));
  });
}

// A count: the field is empty for the next code at once, the sheet is drawn anew after each. Scans come faster than
// answers: they go one after the other, and none is lost or joined to the next.
document.addEventListener("keydown", (event) => {
  const code = event.target.closest?.("[data-count-code]");
  if (!code || event.key !== "Enter" || !window.htmx) return;
  event.preventDefault();
  const form = code.form, values = Object.fromEntries(new FormData(form));
  code.value = "";
  if (!values.code.trim()) return;
  const headers = JSON.parse(form.getAttribute("hx-headers"));
  const sent = () => window.htmx.ajax("POST", form.action, { target: "#sheet", swap: "outerHTML", values, headers });
  waiting = waiting.then(sent).catch(() => {}); // a refusal is shown by the page; the next scan goes on
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
document.addEventListener("submit", (event) => { entered ||= Boolean($("[data-count-code]", event.target)); });
document.addEventListener("htmx:afterSettle", (event) => {
  if (!$("[data-count-code]") || event.target.closest?.("dialog")) return;
  ready();
});
ready();
