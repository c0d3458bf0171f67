// Readings: what the page asks for by itself and puts in place of what it shows. A person in the middle of something is not
// disturbed: with a dialog or menu open, a field half filled in, or text selected to be copied, a part stays as it is and is
// read when they are done.
// What a person was answered is newer than any reading that was asked for before it.

import { carry, stay } from "./staying.js";

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const tell = (name) => document.dispatchEvent(new Event(name));

// --- what a person does ---

let asking = 0; // requests of theirs that are under way
let turn = 0; // another one whenever such a request begins or ends
let choosing = null; // a list of choices that may be unfolded: nothing tells that it was folded again without a choice
let shown = new WeakMap(); // what was last read of a part, which is left alone while that is still so

document.addEventListener("htmx:beforeSend", ({ detail: { xhr } }) => {
  asking += 1;
  turn += 1;
  xhr.addEventListener("loadend", () => { asking -= 1; turn += 1; shown = new WeakMap(); tell("malha:free"); });
});
for (const kind of ["close", "toggle"]) // these do not bubble
  document.addEventListener(kind, ({ target }) => { if (target.matches?.("dialog, [data-pop]") && !target.open) tell("malha:free"); }, true);
document.addEventListener("pointerdown", ({ target }) => { choosing = target.closest("select"); }, true);
document.addEventListener("keydown", ({ key, target }) => { if (key !== "Tab" && target.matches?.("select")) choosing = target; }, true);
for (const kind of ["change", "focusout"]) document.addEventListener(kind, () => { choosing = null; }, true);

const typed = (field) => {
  if (field.matches("[data-select-row], [data-select-all], [data-select-part], [type=hidden]")) return false; // kept otherwise
  if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
  if (!field.matches("select")) return field.value !== field.defaultValue;
  const options = [...field.options];
  if (!options.some((one) => one.defaultSelected)) return field.selectedIndex > 0;
  return options.some((one) => one.selected !== one.defaultSelected);
};
// Text that somebody selects would be let go with what it stands in. A field keeps its own selection.
export const selected = (part) => {
  const selection = getSelection();
  return Boolean(selection?.rangeCount) && !selection.isCollapsed && selection.getRangeAt(0).intersectsNode(part);
};
let selecting = false;
document.addEventListener("selectionchange", () => {
  const was = selecting;
  selecting = !(getSelection()?.isCollapsed ?? true);
  if (was && !selecting) tell("malha:free");
});
// Fields of a closed dialog or menu do not count: whoever left them may never come back, and the page would stay as it is.
export const busy = (part) =>
  Boolean($("dialog[open], details[data-pop][open]", part))
  || part.contains(choosing)
  || selected(part)
  || $$("input, textarea, select", part).some((field) => field.checkVisibility() && typed(field));

// --- asking ---

let out = false; // signed out, as the last answer said
document.addEventListener("visibilitychange", () => { if (!document.hidden) out = false; }); // perhaps in again, elsewhere

// Return what an address says; null when it cannot be had now, or when a person asked for something meanwhile: it may be older
// than what they were answered. "" of what is no more, or not theirs to see.
export const ask = async (address, kind = "text") => {
  if (asking || out) return null;
  const seen = turn;
  const headers = { "HX-Request": "true", "HX-Current-URL": location.href };
  const answer = await fetch(address, { headers }).catch(() => null);
  if (answer?.headers.has("HX-Redirect")) { out = true; tell("malha:out"); return null; }
  if (!answer || answer.status >= 500 || answer.status === 429) return null;
  if (!answer.ok || answer.redirected) return "";
  const said = await answer[kind]().catch(() => null);
  return seen === turn ? said : null;
};

// Read a part anew, and others by their ids from the same answer. `inner`: the answer is what is in the part. Return whether
// it is done with; false: to be tried again.
export const read = async (address, part, { also = [], inner = false } = {}) => {
  const parts = [part, ...also.map((id) => $(id)).filter(Boolean)];
  if (parts.some(busy)) return false;
  const said = await ask(address);
  if (said === null || parts.some(busy)) return false;
  const answer = new DOMParser().parseFromString(said, "text/html");
  for (const old of said ? parts : []) {
    const fresh = inner ? answer.body : answer.getElementById(old.id);
    if (fresh && old.isConnected && shown.get(old) !== fresh.outerHTML) exchange(old, fresh, inner);
  }
  return true;
};

const exchange = (part, fresh, inner) => {
  shown.set(part, fresh.outerHTML);
  const settle = stay(part);
  carry(part, fresh);
  if (!inner) {
    [...part.attributes].forEach(({ name }) => { if (!fresh.hasAttribute(name) && name !== "tabindex") part.removeAttribute(name); });
    [...fresh.attributes].forEach(({ name, value }) => part.setAttribute(name, value));
  }
  part.replaceChildren(...fresh.childNodes);
  window.htmx.process(part);
  settle(part);
  part.dispatchEvent(new CustomEvent("malha:fresh", { bubbles: true }));
};

// --- what goes on by itself ---

// `data-poll="/imports/7" data-poll-every="1" data-poll-also="#head"` has a part read every so many seconds for as long as it
// says so: not in a hidden tab, more rarely where the server takes its time, and more rarely still while it is away.
const LONGEST_MS = 15_000;
let due = new WeakMap();
let polling = false;
const poll = async () => {
  if (polling || out || document.hidden) return;
  polling = true;
  try { for (const part of $$("[data-poll]")) await lookAt(part); } finally { polling = false; }
};
const lookAt = async (part) => {
  const every = Number(part.dataset.pollEvery) * 1000;
  const now = Date.now();
  const { at, pause } = due.get(part) ?? { at: now + every, pause: every };
  due.set(part, { at, pause });
  if (now < at || busy(part)) return;
  const done = await read(part.dataset.poll, part, { also: part.dataset.pollAlso?.split(",") });
  const wait = done ? every : Math.min(pause * 2, LONGEST_MS);
  due.set(part, { at: Date.now() + Math.max(wait, Math.min(4 * (Date.now() - now), LONGEST_MS)), pause: wait });
};
setInterval(poll, 250);
document.addEventListener("malha:free", () => { due = new WeakMap(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) { $$("[data-poll]").forEach((part) => due.set(part, { at: 0, pause: 1000 })); poll(); } });
