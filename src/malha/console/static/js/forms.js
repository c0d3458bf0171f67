// What forms do beyond sending: marking the fields a refusal names, and small helps in filling them in.

// Of boxes that share a name the first stands for all: it is focused, and called as their group is.
const byName = (form, name) => {
  const found = form?.elements.namedItem(name);
  return found instanceof RadioNodeList ? [...found].find((one) => one.type !== "hidden") : found;
};
const oneOfMany = (field) => ["checkbox", "radio"].includes(field.type) && field.form.elements.namedItem(field.name) instanceof RadioNodeList;
const called = (field) => (oneOfMany(field) ? field.closest("fieldset")?.querySelector("legend") : field.labels?.[0])?.innerText
  .trim().replace(/\s*\n\s*/g, " · ") || field.getAttribute("aria-label");

// A refusal lists what is wrong with the path of each field: the field is marked, and named in the list.
document.addEventListener("htmx:afterSettle", (event) => {
  const form = event.target.closest?.("form") ?? event.detail.requestConfig?.elt?.closest("form");
  if (!form || event.target.closest?.("[data-keeps-marks]")) return; // what is told beside a form mends nothing of it
  form.querySelectorAll("[aria-invalid]").forEach((field) => {
    field.removeAttribute("aria-invalid");
    describe(field, `${field.id || field.name}-error`, false);
  });
  form.querySelectorAll(".m-field-error").forEach((told) => told.remove());
  mark(form, event.target);
  // What is read out once more (a pickup code) is written over at once: a customer stands there, and others behind them.
  const again = event.target.querySelector(".m-form-error:not(:has([data-at]))") && form.querySelector("[data-again]");
  again?.focus();
  again?.select();
});

function mark(form, told) {
  const points = [...told.querySelectorAll("[data-at]")];
  let first = null;
  for (const point of points) {
    const field = byName(form, point.dataset.at);
    if (!(field instanceof HTMLElement)) continue;
    if (!oneOfMany(field)) { field.setAttribute("aria-invalid", "true"); tell(field, point.textContent); }
    const name = called(field);
    if (name && !point.querySelector("b")) {
      const label = document.createElement("b");
      label.textContent = `${name}: `;
      point.prepend(label);
    }
    if (!first || field.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING) first = field;
  }
  for (let box = first; (box = box?.parentElement?.closest("details")); ) box.open = true; // what is folded up takes no focus
  if (first) first.focus();
  else if (points.length) told.scrollIntoView({ block: "center" });
}

// A form that was sent as a whole comes back with its refusal above it.
for (const told of document.querySelectorAll("#content > .m-form-error, #content > * > .m-form-error")) {
  const at = told.querySelector("[data-at]")?.dataset.at;
  const form = at && [...document.querySelectorAll("#content form")].find((one) => byName(one, at));
  if (form) mark(form, told);
}

// What is wrong with a field stands below it as well: the list of a long form may be out of sight.
function tell(field, text) {
  const home = field.closest(".m-field");
  if (!home) return;
  const told = home.querySelector(".m-field-error") ?? document.createElement("span");
  told.className = "m-field-error";
  told.id = `${field.id || field.name}-error`;
  told.append(`${told.textContent && " "}${text}`);
  home.append(told);
  describe(field, told.id, true);
}

// Described, not `aria-errormessage`: few screen readers say that, and it wants a live region of its own.
function describe(field, id, on) {
  const others = (field.getAttribute("aria-describedby") ?? "").split(/\s+/).filter((one) => one && one !== id);
  const ids = on ? [id, ...others] : others;
  if (ids.length) field.setAttribute("aria-describedby", ids.join(" "));
  else field.removeAttribute("aria-describedby");
}

// The hours of Monday for the rest of the working week.
const copy = document.querySelector("[data-copy-hours]");
if (copy) {
  copy.hidden = false;
  copy.addEventListener("click", () => {
    const fields = (day) => [...document.querySelectorAll(`[data-day=${day}] input`)];
    const monday = fields("mon").map((field) => field.value);
    for (const day of ["tue", "wed", "thu", "fri"]) fields(day).forEach((field, i) => { field.value = monday[i] ?? ""; });
  });
}

// Entries of a list in a form: another one from its template, or one less. Numbers and paths are filled in, as values of
// attributes and as text, never as markup.
const filled = (template, words) => {
  const copy = template.content.cloneNode(true);
  const fill = (text) => Object.entries(words).reduce((said, [name, word]) => said.replaceAll(name, word), text);
  for (const element of copy.querySelectorAll("*")) {
    for (const attribute of element.attributes) attribute.value = fill(attribute.value);
  }
  const texts = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.data = fill(texts.currentNode.data);
  return copy;
};
document.addEventListener("click", (event) => {
  const add = event.target.closest("[data-add]");
  if (add) {
    const list = document.getElementById(add.dataset.addTo);
    const next = Number(list.dataset.next ?? 0);
    list.append(filled(document.getElementById(add.dataset.add), { __n__: String(next), __at__: add.dataset.at ?? "" }));
    list.dataset.next = String(next + 1);
    window.htmx?.process(list.lastElementChild);
    list.lastElementChild.querySelector("input:not([type=hidden])")?.focus();
  }
  const remove = event.target.closest("[data-remove]");
  if (remove) {
    const entry = remove.closest("[data-entry]");
    const near = entry.nextElementSibling ?? entry.previousElementSibling;
    const back = near?.querySelector("input:not([type=hidden])") ?? document.querySelector(`[data-add-to="${entry.parentElement.id}"]`);
    entry.remove();
    back?.focus();
  }
});

// All units of all lines, or none: of sixty lines one is soon chosen.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-units]");
  if (!button) return;
  const fields = [...document.getElementById(button.dataset.of).querySelectorAll("input[type=number]")];
  fields.forEach((field) => { field.value = button.dataset.units === "most" ? field.max : "0"; });
  fields[0]?.dispatchEvent(new Event("change", { bubbles: true }));
});

// A choice that is a place to go to.
document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-go]")) event.target.form.requestSubmit();
});

// The browser's own colour chooser beside a field of text: each follows the other.
for (const chooser of document.querySelectorAll("[data-colour]")) {
  const text = document.getElementById(chooser.dataset.colour);
  chooser.hidden = false;
  chooser.addEventListener("input", () => { text.value = chooser.value; text.dispatchEvent(new Event("input", { bubbles: true })); });
  text.addEventListener("input", () => { if (/^#[0-9a-f]{6}$/i.test(text.value)) chooser.value = text.value; });
}

// A corrected file of the same name is a new choice.
document.addEventListener("click", (event) => {
  if (event.target.matches("input[type=file]")) event.target.value = "";
});
