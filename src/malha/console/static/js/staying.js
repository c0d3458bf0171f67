// What stays when a part of the page is exchanged: focus and caret, what is scrolled, unfolded and chosen, and the answers
// of acts, like a refusal, which nobody would see if the next reading took them away.

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

// --- which element of the new part is the one of the old ---

const MARKS = ["href", "name", "type", "data-open", "data-view", "formaction"];
const words = (element) => (element.matches("a, button:not([data-open]), summary") ? (element.getAttribute("aria-label") ?? element.textContent).trim() : "");
const marks = (element) => {
  const said = MARKS.filter((name) => element.hasAttribute(name)).map((name) => `[${name}="${CSS.escape(element.getAttribute(name))}"]`);
  if (element.matches("[type=checkbox], [type=radio]")) said.push(`[value="${CSS.escape(element.value)}"]`);
  return element.localName + said.join("");
};
// Of several alike it is the one at the same place, as long as there are as many: the next one may act on another order.
const same = (element, part) => {
  const { id } = element;
  if (id) return (fresh) => $(`#${CSS.escape(id)}`, fresh);
  const form = element.closest("form[action]");
  const within = form && part.contains(form) ? `form[action="${CSS.escape(form.getAttribute("action"))}"] ` : "";
  const path = within + marks(element), text = words(element);
  const alike = (from) => $$(path, from).filter((one) => words(one) === text);
  const before = alike(part), at = before.indexOf(element);
  return (fresh) => {
    const now = alike(fresh);
    return now.length === before.length ? now[at] : null;
  };
};

// --- focus ---

const openers = new WeakMap();
// Remember what opened a dialog: the keyboard goes on there when the dialog is gone.
export const openedBy = (dialog, opener) => openers.set(dialog, opener);

// A button that must not be pressed twice is disabled until it is answered, and the browser takes the keyboard from it.
const asking = new WeakMap();
const lost = (pressed) => pressed?.isConnected && document.activeElement === document.body;
document.addEventListener("htmx:beforeRequest", ({ detail: { xhr } }) => {
  const now = document.activeElement;
  if (now?.matches("button, input, select")) asking.set(xhr, now);
});
document.addEventListener("htmx:afterRequest", ({ detail: { xhr } }) => {
  const pressed = asking.get(xhr);
  if (lost(pressed) && !pressed.disabled) pressed.focus({ preventScroll: true });
});

const focused = (part, pressed) => {
  const now = lost(pressed) ? pressed : document.activeElement;
  if (!part.contains(now)) return () => {};
  const dialog = now.closest("dialog");
  const at = dialog ? openers.get(dialog) : now;
  const find = at && at !== part && part.contains(at) ? same(at, part) : () => null;
  const caret = at === now && now.matches("input, textarea") && now.selectionStart !== null;
  const [from, to, way] = caret ? [now.selectionStart, now.selectionEnd, now.selectionDirection] : [];
  return (fresh) => {
    if (document.activeElement && ![document.body, fresh].includes(document.activeElement)) return; // it was given to something
    const next = find(fresh);
    if (next?.checkVisibility()) {
      next.focus({ preventScroll: true });
      if (caret) next.setSelectionRange(from, to, way);
      return;
    }
    if (!fresh.hasAttribute("tabindex")) fresh.tabIndex = -1; // what had it is gone: the keyboard goes on in this part
    fresh.focus({ preventScroll: true });
  };
};

// --- the rest ---

const SCROLLED = "[tabindex='0'], .m-col-body, .m-detail-body";
const scrolled = (part) => {
  const boxes = (from) => [from, ...$$(SCROLLED, from)];
  const kept = boxes(part).map((box) => [box.scrollLeft, box.scrollTop]);
  return (fresh) => boxes(fresh).forEach((box, n) => { if (kept[n]) [box.scrollLeft, box.scrollTop] = kept[n]; });
};
const unfolded = (part) => {
  const kept = $$("details:not([data-pop])", part).map((box) => [same(box.id ? box : $("summary", box), part), box.open]);
  return (fresh) => kept.forEach(([find, open]) => { const box = find(fresh)?.closest("details"); if (box) box.open = open; });
};
// What was chosen and is no longer there is chosen no longer, which the page says.
const chosen = (part) => {
  const kept = $$("[data-select-row]:checked", part).map((box) => box.value);
  return (fresh) => {
    const there = new Map($$("[data-select-row]", fresh).map((box) => [box.value, box]));
    kept.forEach((value) => { if (there.has(value)) there.get(value).checked = true; });
    const gone = kept.filter((value) => !there.has(value)).length;
    if (gone) document.dispatchEvent(new CustomEvent("malha:gone", { detail: gone }));
  };
};

// Remember how a part is, and return what makes another one so.
export const stay = (part) => {
  const restore = [unfolded, chosen, scrolled, focused].map((keep) => keep(part));
  return (fresh) => restore.forEach((again) => again(fresh));
};

// --- answers of acts ---

const before = new WeakMap(); // a place that an act filled, and what had been in it
// An answer was put into a place: it stays there until the page itself has something else to say in it. Not in a closed
// dialog, whose fields are as at first again, too.
export const answered = (place, was = "") => { before.set(place, was); place.dataset.answered = ""; };
export const carry = (part, fresh) => {
  for (const place of $$("[data-answered]", part)) {
    const there = $(`#${CSS.escape(place.id)}`, fresh);
    if (place.checkVisibility() && there?.innerHTML === before.get(place)) there.replaceWith(place);
  }
};
document.addEventListener("htmx:beforeRequest", ({ detail: { target, requestConfig } }) => {
  if (requestConfig.verb !== "get" && target.id && target.id !== "content" && !("answered" in target.dataset)) before.set(target, target.innerHTML);
});
document.addEventListener("htmx:afterSwap", ({ detail: { target, requestConfig } }) => {
  if (target?.matches(".m-slot[id]")) answered(target);
  else if (!requestConfig || requestConfig.verb === "get") return;
  else if (target.id === "content") $$("#content .m-slot[id]:not(:empty)").forEach((slot) => answered(slot));
  else if (target.id && target.isConnected) answered(target, before.get(target));
});

// --- what a person asked for ---

// The page that answers an act or a filter goes on with the keyboard where it was, too.
let settle = null;
document.addEventListener("htmx:beforeSwap", ({ detail: { target, shouldSwap, xhr } }) => {
  const again = shouldSwap && target?.id ? focused(target, asking.get(xhr)) : null;
  settle = again && (() => { const fresh = document.getElementById(target.id); if (fresh) again(fresh); });
});
document.addEventListener("htmx:afterSettle", () => { settle?.(); settle = null; });
