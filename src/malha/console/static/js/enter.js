// What the keyboard does in forms that hold several acts: Enter presses the button a person would expect, and the bar with
// what can be done with the chosen rows is one key away, though it comes after all of them.

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const BOX = "[data-select-row], [data-select-all], [data-select-part]";
const TYPED = "input:not([type=submit], [type=button], [type=reset], [type=image], [type=file], [type=search])";

// Left to itself a browser presses the first button of the whole form: in the dialog that holds orders it was the one beside
// the dialog that releases them, in a dialog that changes something the one that takes it away, at the foot of a long form the
// one that asks for more rows. Return what to press instead,
// null for nothing, or undefined where the browser is right. A form whose first button is disabled wants nothing pressed that
// is not near the field; of boxes Chromium does not know that by itself.
const instead = (field) => {
  const form = field.form, home = field.closest("dialog, .m-panel");
  const near = form && home ? $$("button[type=submit]", home).filter((button) => button.form === form && button.checkVisibility()) : [];
  const meant = near.find((button) => button.matches(".m-btn-primary")) ?? near[0] ?? (form && $(".m-form-foot .m-btn-primary[type=submit]", form));
  const pressed = form && [...form.elements].find((one) => one.matches("button[type=submit]"));
  if (!meant) return pressed?.disabled ? null : undefined;
  return meant === pressed ? undefined : meant;
};

const buttons = (bar) => $$("button", bar).filter((button) => button.checkVisibility() && !button.disabled);
const came = new WeakMap(); // where in the list the keyboard was
const toBar = (bar, from) => {
  const first = bar && !bar.hidden && buttons(bar)[0];
  if (!first) return false;
  if (from) came.set(bar, from);
  first.focus();
  return true;
};
// Back where the keyboard came from; what it chose there may be chosen no longer.
export const toRows = (bar) => {
  const from = came.get(bar), scope = bar.closest("[data-select]");
  (from?.isConnected ? from : $(BOX, scope))?.focus();
};

addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (key === "Enter" && target.matches?.(BOX)) { // never an act: which one, the box does not say
    event.preventDefault();
    toBar($("[data-bulk]", target.closest("[data-select]")), target);
    return;
  }
  if (key === "Enter" && target.matches?.(TYPED)) {
    const button = instead(target);
    if (button !== undefined) event.preventDefault();
    if (button && !button.disabled) button.click();
    return;
  }
  const bar = target.closest?.("[data-bulk]");
  if (bar && !$("dialog[open]")) {
    if (key === "Escape") { toRows(bar); return; }
    const all = buttons(bar), now = all.indexOf(target), last = all.length - 1;
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: last }[key];
    if (next !== undefined && now >= 0) { event.preventDefault(); all[(next + all.length) % all.length].focus(); }
    return;
  }
  if (key.toLowerCase() !== "a" || $("dialog[open]") || target.closest?.(`${TYPED}:not([type=checkbox], [type=radio]), [type=search], textarea, select, [contenteditable]`)) return;
  if ($$("[data-bulk]").some((one) => toBar(one, target.closest?.(BOX)))) event.preventDefault();
});
