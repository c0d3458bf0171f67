// Answers that went wrong. A refusal comes with the slot it belongs in; where the page has no such slot it is put beside what
// was sent, or told in passing. What is no answer of ours, like the error page of a proxy or none at all, never gets into a
// page: it is told like a refusal. What the page asks for by itself (reading.js) fails silently, for it asks again.

import { answered } from "./staying.js";

const $ = (selector, from = document) => from.querySelector(selector);

// What is read anew by itself would lose what is put anywhere in it but into a slot.
const FLEETING = "[data-live-page], [data-open-order], [data-stock-page], [data-poll], #drawer";
const slotOf = (name) => (name?.startsWith("#") ? document.getElementById(name.slice(1)) : null);

export const mind = ({ toast }) => {
  const put = (box, { elt, target, requestConfig }) => {
    const slot = slotOf(requestConfig.headers["X-Slot"] ?? "#refusal");
    const form = elt.closest?.("form:not([role=search])");
    const part = target && target.id !== "content" && (elt === document.body || elt.closest("dialog")) ? target : null;
    if (slot) { slot.replaceChildren(box); answered(slot); }
    else if (form && (form.closest("dialog") || !form.closest(FLEETING))) { box.dataset.placed = ""; ($(".m-dialog-foot", form) ?? form.lastElementChild).before(box); }
    else if (part) part.replaceChildren(box);
    else { toast([...box.querySelectorAll("b, small, li")].map((line) => line.textContent).join(" "), "fail"); return; }
    box.scrollIntoView({ block: "nearest" });
  };
  const none = () => $("#no-answer")?.content.firstElementChild.cloneNode(true);

  document.addEventListener("htmx:beforeRequest", () => document.querySelectorAll("[data-placed]").forEach((old) => old.remove()));
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr } = event.detail;
    if (xhr.status < 400) return;
    const ours = xhr.getResponseHeader("HX-Retarget");
    if (ours && slotOf(ours)) return;
    event.preventDefault();
    const box = ours ? new DOMParser().parseFromString(xhr.responseText, "text/html").body.firstElementChild : none();
    if (box) put(document.adoptNode(box), event.detail);
  });
  document.addEventListener("htmx:sendError", (event) => {
    const box = none();
    if (box) put(box, event.detail);
  });
};
