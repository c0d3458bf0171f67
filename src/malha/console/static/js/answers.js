// Answers that went wrong. A refusal comes with the slot it belongs in; where the page has no such slot it is put beside what
// was sent, or told in passing. What is no answer of ours, like the error page of a proxy or none at all, never gets into a
// page: it is told like a refusal. What the page asks for by itself (reading.js) fails silently, for it asks again. Who is
// signed out meanwhile loses nothing: a page in which somebody is in the middle of something stays, and says where to log in.

import { busy } from "./reading.js";
import { answered } from "./staying.js";

const $ = (selector, from = document) => from.querySelector(selector);

// What is read anew by itself would lose what is put anywhere in it but into a slot.
const FLEETING = "[data-live-page], [data-open-order], [data-stock-page], [data-poll], #drawer";
const signedOut = (xhr) => xhr.getResponseHeader("X-Signed-Out") !== null;
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
  const word = (name) => $(`#${name}`)?.content.firstElementChild.cloneNode(true);
  const none = () => word("no-answer");

  // What was refused before is no longer so while it is sent again: it fades, in its place, until there is an answer.
  const sending = (detail, stale) => {
    if (detail.requestConfig.verb !== "get") slotOf(detail.requestConfig.headers["X-Slot"] ?? "#refusal")?.toggleAttribute("data-stale", stale);
  };
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    document.querySelectorAll("[data-placed]").forEach((old) => old.remove());
    sending(detail, true);
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => sending(detail, false));
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr, elt, requestConfig } = event.detail;
    if (signedOut(xhr) && (requestConfig.verb !== "get" || elt.closest("form[method=post]") || busy(document.body))) {
      event.preventDefault(); // else htmx goes to the log-in
      put(word("signed-out"), event.detail);
      return;
    }
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
  // A form that was not sent at all, since its answer would have been none, or the log-in.
  document.addEventListener("malha:unsent", ({ target, detail }) => {
    const box = word(detail);
    if (box) put(box, { elt: target, target: null, requestConfig: { headers: {} } });
  });
};
