// What a browser says of a field that it does not send, in the language of the page and not of the browser.

const words = document.querySelector("meta[name=malha-validity]")?.dataset ?? {};

const shown = (field, name) => {
  const value = field[name];
  if (field.type === "number") return Number(value).toLocaleString(document.documentElement.lang);
  if (field.type === "date") return new Date(`${value}T12:00`).toLocaleDateString(document.documentElement.lang);
  return value;
};
const said = (field) => {
  const wrong = field.validity;
  if (wrong.valueMissing) {
    if (field.type === "checkbox") return words.check;
    return field.type === "radio" || field.localName === "select" || field.type === "file" ? words.choose : words.missing;
  }
  if (wrong.typeMismatch) return field.type === "email" ? words.email : words.address;
  if (wrong.badInput) return field.type === "number" ? words.number : words.invalid;
  if (wrong.rangeUnderflow) return words.least.replace("{n}", shown(field, "min"));
  if (wrong.rangeOverflow) return words.most.replace("{n}", shown(field, "max"));
  if (wrong.stepMismatch) return Number(field.step || 1) === 1 ? words.whole : words.invalid;
  if (wrong.tooShort) return words.short.replace("{n}", field.minLength);
  if (wrong.tooLong) return words.long.replace("{n}", field.maxLength);
  return field.title || words.invalid;
};

document.addEventListener("invalid", (event) => {
  const field = event.target;
  if (!words.invalid || field.validity.customError) return; // somebody said something of their own
  field.setCustomValidity(said(field));
  field.dataset.said = "";
}, true);
// Not `change`: it comes when the browser moves to the first field it refuses, after all of them were asked.
document.addEventListener("input", (event) => {
  for (const field of event.target.form?.querySelectorAll("[data-said]") ?? []) {
    field.setCustomValidity("");
    delete field.dataset.said;
  }
}, true);
