// Malha's small behaviours. One ES module; hooks are data-* attributes, htmx fetches, nothing here knows what an order is
// but its number and id. Everything works again after a part of the page was replaced, because listeners sit on the document.

import { mind } from "./answers.js";
import { showBeside } from "./beside.js";
import { toRows } from "./enter.js";
import { listen } from "./live.js";
import { openedBy } from "./staying.js";
import "./validity.js";

const root = document.documentElement;
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const wide = matchMedia("(min-width: 68.8125em)");
const typing = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

// Side bar on narrow screens.
const side = (open) => {
  const shell = $(".m-shell");
  if (!shell || shell.hasAttribute("data-side-open") === open) return;
  shell.toggleAttribute("data-side-open", open);
  $$("[data-side-toggle][aria-expanded]").forEach((b) => b.setAttribute("aria-expanded", String(open)));
  const veil = $(".m-veil");
  if (veil) veil.hidden = !open;
};

// The menu is longer than most screens: where a person is stands in sight, with what is near it.
const here = $(".m-nav [aria-current=page]");
const menu = here?.closest(".m-nav");
if (menu && here.offsetTop + here.offsetHeight > menu.clientHeight) menu.scrollTop = here.offsetTop - menu.clientHeight / 2;

// Theme: changed at once, kept by the form it is the button of.
const theme = (form, button) => {
  root.dataset.bsTheme = button.value;
  fetch(form.action, { method: "POST", body: new URLSearchParams({ theme: button.value, next: "" }), headers: { "HX-Request": "true" } })
    .then(() => location.reload());
};

// What is chosen together counts when it is sent, not with each tick: a form that follows changes does not hear of them.
document.addEventListener("change", (event) => { if (event.target.closest("[data-later]")) event.stopPropagation(); }, true);

// Menus: closed by Escape, which gives focus back to what opened them, and when a person goes on elsewhere.
const pops = () => $$("details[data-pop][open]");
const fold = (pop) => { pop.open = false; $("summary", pop).focus(); };
document.addEventListener("focusin", ({ target }) => pops().forEach((pop) => { if (!pop.contains(target)) pop.open = false; }));

// A menu that would go beyond the page's right edge, as with more filters than usual, opens to the left.
document.addEventListener("toggle", ({ target }) => {
  const body = target.matches("details[data-pop][open]") && !target.matches(".m-pop-end") && $(".m-pop-body", target);
  if (body) target.classList.toggle("m-pop-end", body.getBoundingClientRect().right > root.clientWidth);
}, true);

// Dialogs: native ones, opened by what points at them. One that a menu led to gives focus back to the menu's button.
const open = (id, opener) => {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  const pop = opener?.closest("details[data-pop]");
  if (pop) fold(pop);
  if (opener) openedBy(dialog, pop ? $("summary", pop) : opener);
  dialog.showModal();
  dialog.dispatchEvent(new Event("open"));
  $("[autofocus], input:not([type=hidden]), select, textarea", dialog)?.focus();
};

document.addEventListener("click", (event) => {
  const target = event.target;
  const opener = target.closest("[data-open]");
  if (opener) { event.preventDefault(); open(opener.dataset.open, opener); return; }
  if (target.closest("[data-close], [data-command-close]")) { target.closest("dialog")?.close(); return; }
  if (target.closest("[data-side-toggle]")) { side(!$(".m-shell").hasAttribute("data-side-open")); return; }
  if (target.closest("[data-command-open]")) { openCommand(); return; }
  if (target.matches("dialog")) target.close(); // the backdrop
  pops().forEach((pop) => { if (!pop.contains(target)) pop.open = false; });
  const reveal = target.closest("[data-reveal]");
  if (reveal) { document.getElementById(reveal.dataset.reveal).hidden = false; reveal.hidden = true; return; }
  const copy = target.closest("[data-copy]");
  if (copy) { navigator.clipboard?.writeText(copy.dataset.copy).then(() => toast(copy.dataset.copied)); return; }
  const everything = target.closest("[data-bulk-all]");
  if (everything) {
    everything.nextElementSibling.disabled = false;
    paint(everything.closest("[data-select]"));
    $("button:not([hidden])", everything.closest("[data-bulk]"))?.focus();
    return;
  }
  if (target.closest("[data-bulk-page]")) {
    const scope = target.closest("[data-select]");
    $$("[data-select-row]", scope).forEach((box) => { box.checked = true; });
    paint(scope);
    $("button:not([hidden])", $("[data-bulk]", scope))?.focus();
    return;
  }
  if (target.closest("[data-bulk-clear]")) {
    const scope = target.closest("[data-select]");
    $$("[data-select-row]", scope).forEach((box) => { box.checked = false; });
    paint(scope);
    toRows($("[data-bulk]", scope)); // the bar goes away, and the keyboard with it
    return;
  }
  // A click in a row opens the order beside the list; a modified click, or a narrow screen, follows the link.
  const row = target.closest("[data-rows] > tr");
  if (row && !event.ctrlKey && !event.metaKey && !event.shiftKey && !target.closest("input, button, .m-col-check")) {
    if (wide.matches && $("#detail")) { event.preventDefault(); select(row); }
    else if (!target.closest("a")) { $("a.m-id", row)?.click(); }
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-theme-form]")) { event.preventDefault(); theme(form, event.submitter); }
});

// A form that is sent as a whole is sent once: whoever presses twice would make two keys, and see the secret of one. What
// htmx sends it holds back by itself. A page that stays, since a file was the answer, may send its form again.
let sent = new WeakSet();
document.addEventListener("submit", (event) => {
  const form = event.target;
  const beside = event.submitter?.formTarget || form.target; // a preview, as often as it is wanted
  if (event.defaultPrevented || form.method !== "post" || (beside && beside !== "_self")) return;
  if (passed === form) { passed = null; return; }
  if (sent.has(form)) { event.preventDefault(); return; }
  sent.add(form);
  setTimeout(() => sent.delete(form), 5000);
  if (!$$(TYPED, form).some((field) => field.checkVisibility())) return;
  event.preventDefault();
  go(form, event.submitter);
});
// What was typed is gone with the page, if the log-in or the browser's own page of faults comes instead of an answer: whether
// there is somebody who answers, and still knows the person, is asked beforehand.
const TYPED = "input:not([type=hidden], [type=checkbox], [type=radio]), textarea";
let passed = null;
const go = async (form, button) => {
  const answer = await fetch("/find?q=", { headers: { "HX-Request": "true" } }).catch(() => null);
  const why = !answer ? "no-answer" : answer.headers.has("X-Signed-Out") ? "signed-out" : "";
  if (why) { sent.delete(form); form.dispatchEvent(new CustomEvent("malha:unsent", { bubbles: true, detail: why })); return; }
  passed = form;
  form.requestSubmit(button);
  passed = null;
};
addEventListener("pageshow", () => { sent = new WeakSet(); }); // back at a page that was left

// A page that answers a form is asked for when it is loaded again, or comes back with its tab: the form is not sent once more,
// which would make another key. A refused one is, for what was typed is in its answer.
if (!(performance.getEntriesByType("navigation")[0]?.responseStatus >= 400)) history.replaceState(history.state, "", location.href);

// The name of a chosen file, beside the button that chose it.
const named = (input) => {
  const says = $("[data-none]", input.closest("[data-file]") ?? document.createElement("i"));
  if (says) says.value = [...input.files].map((file) => file.name).join(", ") || says.dataset.none;
};
for (const happening of ["change", "cancel"])
  document.addEventListener(happening, (event) => { if (event.target.matches?.("input[type=file]")) named(event.target); }, true);

// A file on its way: how much of it has left.
document.addEventListener("htmx:xhr:progress", (event) => {
  const bar = $("progress", event.target);
  if (!event.target.matches("[data-upload]") || !bar || !event.detail.lengthComputable) return;
  bar.hidden = false;
  bar.value = (100 * event.detail.loaded) / event.detail.total;
});
document.addEventListener("htmx:afterRequest", (event) => { // the same file can be chosen again after it was mended
  if (!event.target.matches("[data-upload]")) return;
  const file = $("input[type=file]", event.target);
  file.value = ""; // and what else was filled in stays
  named(file);
  $("progress", event.target).hidden = true;
});

// Command bar.
const command = $("[data-command]");
const openCommand = () => {
  if (!command || command.open) return;
  command.showModal();
  const input = $("input", command);
  input.select();
  input.focus();
  input.dispatchEvent(new Event("open"));
};
// What is chosen is told to the server, which shows it first the next time.
const choose = (item) => navigator.sendBeacon("/find/chosen", new URLSearchParams({ kind: item.dataset.kind, key: item.dataset.key }));
const pick = (items, next) => {
  items.forEach((item) => item.setAttribute("aria-selected", String(item === next)));
  $("input", command).setAttribute("aria-activedescendant", next?.id ?? "");
  next?.scrollIntoView({ block: "nearest" });
};
command?.addEventListener("keydown", (event) => {
  const items = $$("[role=option]", command);
  const now = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
  if (event.key === "Enter") {
    const chosen = items[now];
    if (!chosen) return;
    event.preventDefault();
    choose(chosen);
    if (event.ctrlKey || event.metaKey) window.open(chosen.href); else location.assign(chosen.href);
    return;
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !items.length) return;
  event.preventDefault();
  pick(items, items[(now + step + items.length) % items.length]);
});
command?.addEventListener("click", (event) => { const item = event.target.closest("[role=option]"); if (item) choose(item); });
document.addEventListener("htmx:afterSettle", (event) => { if (event.target.id === "cmd-list") pick($$("[role=option]", command), $("[role=option]", command)); });

// The rows that a row stands for: those right below it, as many as it says.
const parts = (box) => {
  const found = [];
  for (let row = box.closest("tr"); found.length < Number(box.dataset.selectPart) && (row = row.nextElementSibling);) found.push($("[data-select-row]", row));
  return found.filter(Boolean);
};
// Rows: choosing, and the one that is open beside the list.
const paint = (scope) => {
  const rows = $$("[data-select-row]", scope);
  const chosen = rows.filter((box) => box.checked);
  rows.forEach((box) => box.closest("tr, [data-card]").toggleAttribute("data-chosen", box.checked));
  const all = $("[data-select-all]", scope);
  if (all) { all.checked = rows.length > 0 && chosen.length === rows.length; all.indeterminate = chosen.length > 0 && !all.checked; }
  $$("[data-select-part]", scope).forEach((box) => {
    const mine = parts(box), picked = mine.filter((part) => part.checked).length;
    box.checked = picked > 0 && picked === mine.length;
    box.indeterminate = picked > 0 && picked < mine.length;
    box.closest("tr").toggleAttribute("data-chosen", box.checked);
  });
  const bar = $("[data-bulk]", scope);
  if (!bar) return;
  bar.hidden = chosen.length === 0;
  const page = $("[data-bulk-page]", bar); // of a phone, whose list has no head with a box for all
  if (page) page.hidden = chosen.length === rows.length;
  // All that the list finds, beyond this page: offered once all of the page is chosen, and given up with any of it.
  const offer = $("[data-bulk-all]", bar), field = offer?.nextElementSibling;
  if (offer) {
    if (!all.checked) field.disabled = true;
    offer.hidden = !all.checked || !field.disabled;
  }
  $("[data-bulk-count]", bar).textContent = offer && !field.disabled ? offer.dataset.bulkAll : String(chosen.length);
};
document.addEventListener("change", (event) => {
  const scope = event.target.closest("[data-select]");
  if (!scope) return;
  if (event.target.matches("[data-select-all]")) $$("[data-select-row]", scope).forEach((box) => { box.checked = event.target.checked; });
  if (event.target.matches("[data-select-part]")) parts(event.target).forEach((box) => { box.checked = event.target.checked; });
  paint(scope);
});

let asked = 0;
const select = (row) => {
  $$("[data-rows] > tr[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
  row.setAttribute("aria-current", "true");
  row.scrollIntoView({ block: "nearest" });
  const detail = $("#detail");
  const link = $("[data-peek]", row);
  if (!detail || !wide.matches || !link) return;
  const address = new URL(location.href);
  address.searchParams.set("open", row.dataset.number);
  history.replaceState(history.state, "", address);
  clearTimeout(asked);
  // Holding J down passes many rows: only the one it stops on is fetched, and a skeleton shows while it is.
  asked = setTimeout(() => {
    const skeleton = $("#skeleton");
    const slow = setTimeout(() => { if (skeleton) detail.replaceChildren(skeleton.content.cloneNode(true)); }, 150);
    const came = () => clearTimeout(slow); // before it is put in: else a skeleton that was due just then takes its place, for good
    detail.addEventListener("htmx:beforeSwap", came, { once: true });
    showBeside(link.dataset.peek, "#detail").finally(came);
  }, 60);
};

addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openCommand(); return; }
  if (event.key === "Escape" && !$("dialog[open]")) {
    pops().forEach(fold);
    if ($(".m-shell[data-side-open]")) { side(false); $(".m-side-open").focus(); }
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || $("dialog[open]")) return;
  const rows = $$("[data-rows] > tr");
  if (event.key === "/") { const q = $("#q"); if (q) { event.preventDefault(); q.focus(); } return; }
  if (!rows.length) return;
  const now = rows.findIndex((row) => row.getAttribute("aria-current") === "true");
  const step = { j: 1, k: -1 }[event.key.toLowerCase()];
  if (step) { event.preventDefault(); select(rows[Math.max(0, Math.min(rows.length - 1, now + step))]); }
  if (event.key.toLowerCase() === "x" && rows[now]) $("[data-select-row]", rows[now])?.click();
  if (event.key === "Enter" && rows[now] && !event.target.closest("a, button, input, summary")) $("a.m-id", rows[now]) && location.assign($("a.m-id", rows[now]).href);
});

// A map is one stop of the Tab key; the arrows go to the nearest place in their direction.
document.addEventListener("keydown", (event) => {
  const now = event.target.closest?.("[data-map] a");
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
  if (!now || (!dx && !dy)) return;
  event.preventDefault();
  const middle = (link) => { const box = link.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; };
  const [x, y] = middle(now);
  const ahead = $$("a", now.closest("[data-map]")).map((link) => {
    const [to, down] = middle(link);
    const along = (to - x) * dx + (down - y) * dy;
    const aside = Math.abs((to - x) * dy) + Math.abs((down - y) * dx);
    return { link, along, far: along + 2 * aside };
  }).filter(({ link, along, far }) => link !== now && along > 1 && far < along * 5);
  const next = ahead.sort((a, b) => a.far - b.far)[0]?.link;
  if (!next) return;
  $$("a", now.closest("[data-map]")).forEach((link) => { link.tabIndex = link === next ? 0 : -1; });
  next.focus();
});

// Toasts leave by themselves; the tray is a live region of the page.
export const toast = (text, kind = "") => {
  const tray = $("#toasts");
  const template = $(kind ? `#toast-${kind}` : "#toast");
  if (!tray || !template || !text) return;
  $$("[data-toast]", tray).filter((old) => $("span", old).textContent === text).forEach((old) => old.remove());
  const box = template.content.firstElementChild.cloneNode(true);
  $("span", box).textContent = text;
  tray.append(box);
  expire(box);
};
const expire = (box) => setTimeout(() => box.remove(), box.matches(".m-toast-fail") ? 12000 : 6000);
$$("[data-toast]").forEach(expire);
document.addEventListener("toast", (event) => toast(event.detail.value));

// A dialog named in the address is open: links beside the list lead to an action.
const fromAddress = () => { const id = location.hash.slice(1); if (id.startsWith("dlg-")) { open(id); history.replaceState(history.state, "", location.pathname + location.search); } };

// What htmx put in place: an open dialog stays usable after a refusal, focus goes to the first wrong field.
document.addEventListener("htmx:afterSettle", (event) => {
  $$("[data-select]").forEach(paint);
  const wrong = $("[aria-invalid=true]", event.target);
  wrong?.focus();
});
// What was read anew (reading.js): chosen rows are still chosen, and those that are gone are told.
document.addEventListener("malha:fresh", () => $$("[data-select]").forEach(paint));
document.addEventListener("malha:gone", ({ detail }) => toast(document.body.dataset.gone.replace("{n}", detail)));
// A form whose answer goes elsewhere on the page: its dialog is done with, unless it was refused.
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful && event.detail.xhr.status < 400) event.target.closest?.("[data-close-after]")?.closest("dialog")?.close(); });

$$("[data-select]").forEach(paint);
fromAddress();
mind({ toast });
listen({ toast });

// A frame that shows what a form would make: filled when the page opens, and after a field of it was changed.
const show = (frame) => {
  const form = document.getElementById(frame.dataset.previewOf);
  const button = form && $(`[formtarget="${frame.name}"]`, form);
  if (button && form.checkValidity()) form.requestSubmit(button);
};
$$("iframe[data-preview-of]").forEach(show);
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form?.id) $$(`iframe[data-preview-of="${form.id}"]`).forEach(show);
});
