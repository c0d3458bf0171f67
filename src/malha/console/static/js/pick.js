// Picking by scanner: from the first scan on, what counts is what was scanned. A code that is not part of the work, or one
// too many, is told and counts nothing. What was scanned outlives the page: a phone that needs the memory loads it anew.

const bare = (code) => (/^\d{7,14}$/.test(code) ? code.replace(/^0+/, "") : code.toUpperCase());
const inputs = (form) => [...form.querySelectorAll("li[data-codes] input[type=number]")];
const place = (form) => `picked:${form.querySelector("[data-pick]").dataset.pick}`;

const tell = (form, name, facts = {}) => {
  const says = form.querySelector("[data-pick-says]");
  says.textContent = Object.entries(facts).reduce((text, [fact, word]) => text.replace(`{${fact}}`, word), says.dataset[name]);
  says.classList.toggle("m-late", name === "wrong" || name === "enough");
};

const save = (form) => {
  const counted = Object.fromEntries(inputs(form).map((one) => [one.name, [one.value, one.max]]));
  try { sessionStorage.setItem(place(form), JSON.stringify(counted)); } catch { /* a browser that keeps nothing */ }
};
const forget = (form) => { try { sessionStorage.removeItem(place(form)); } catch { /* nothing was kept */ } };
const restore = (form) => {
  let kept = null;
  try { kept = JSON.parse(sessionStorage.getItem(place(form))); } catch { /* nothing was kept */ }
  const there = inputs(form);
  if (!kept || !there.length || there.some((one) => kept[one.name]?.[1] !== one.max)) return; // it is another work by now
  for (const one of there) one.value = kept[one.name][0];
  form.dataset.scanned = "";
  tell(form, "kept");
};
const restoreAll = () => {
  for (const box of document.querySelectorAll("[data-pick]")) {
    const form = box.closest("form");
    if (!("scanned" in form.dataset)) restore(form);
  }
};

const take = (form, code) => {
  const rows = [...form.querySelectorAll("li[data-codes]")].filter((row) => row.dataset.codes.split(" ").some((one) => bare(one) === bare(code)));
  if (!rows.length) { tell(form, "wrong", { code }); return; }
  if (!("scanned" in form.dataset)) {
    for (const one of inputs(form)) one.value = "0";
    form.dataset.scanned = "";
  }
  const count = (row) => Number(row.querySelector("input[type=number]").value) || 0;
  const most = (row) => Number(row.querySelector("input[type=number]").max);
  const row = rows.find((one) => count(one) < most(one));
  const item = rows[0].querySelector("label span").textContent;
  if (!row) { tell(form, "enough", { item, all: rows.reduce((sum, one) => sum + most(one), 0) }); return; }
  const input = row.querySelector("input[type=number]");
  input.value = String(count(row) + 1);
  for (const other of form.querySelectorAll("li[data-chosen]")) delete other.dataset.chosen;
  row.dataset.chosen = "";
  row.scrollIntoView({ block: "nearest" });
  const left = inputs(form).reduce((sum, one) => sum + Number(one.max) - (Number(one.value) || 0), 0);
  tell(form, left ? "found" : "all", { item, n: input.value, all: input.max, left });
  save(form);
};

document.addEventListener("keydown", (event) => {
  const field = event.target.closest?.("[data-pick-code]");
  if (!field || event.key !== "Enter") return;
  event.preventDefault(); // not the form: there is more to scan
  const code = field.value.trim();
  field.value = "";
  if (code) take(field.form, code);
});
document.addEventListener("input", (event) => {
  const form = event.target.matches("li[data-codes] input[type=number]") && event.target.form;
  if (form && form.querySelector("[data-pick]")) save(form);
});
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target.closest?.("form");
  if (form?.querySelector("[data-pick]") && event.detail.xhr.status < 400) forget(form);
});
document.addEventListener("htmx:afterSettle", restoreAll);
restoreAll();
