// An order taken by hand. Two fields with a list below (goods and customers), lines that come from the server, and what the
// server says beside the form as it is filled in. What was typed is never drawn anew.

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const form = $("[data-taking]");
const lines = $("#lines");

// An answer to what was asked before would draw anew what was just chosen, and lose it: it is not waited for any more.
const ask = () => {
  window.htmx?.trigger("#offers", "htmx:abort");
  document.body.dispatchEvent(new Event("offers"));
};
const listOf = (input) => document.getElementById(input.getAttribute("aria-controls"));
const optionsOf = (input) => $$("[role=option]", listOf(input));
const pick = (input, next) => {
  optionsOf(input).forEach((option) => option.setAttribute("aria-selected", String(option === next)));
  if (next) input.setAttribute("aria-activedescendant", next.id); else input.removeAttribute("aria-activedescendant");
  next?.scrollIntoView({ block: "nearest" });
};
const shut = (input) => {
  if (!listOf(input)) return; // the field was drawn anew
  listOf(input).replaceChildren();
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
};
const says = (text) => {
  const box = document.createElement("p");
  box.className = "m-late";
  box.textContent = text;
  $("#goods-says")?.replaceChildren(...(text ? [box] : []));
};

// A code becomes a line; one that is there already gets one more. Scans come faster than answers: one after the other.
let waiting = Promise.resolve();
const rowOf = (sku) => $$("[data-line]", lines).find((row) => row.dataset.sku === sku);
const quantityOf = (row) => $("input[name$='/quantity']", row);
const add = (code, chosen) => {
  waiting = waiting.then(async () => {
    const n = Number(lines.dataset.next);
    const asked = new URLSearchParams({ code, channel: form.elements.channel.value, n });
    let text = "", ok = false;
    try {
      const answer = await fetch(`/orders/new/line?${asked}`, { headers: { "HX-Request": "true" } });
      text = await answer.text();
      if (answer.headers.has("X-Signed-Out")) { // the order stays as it is: leaving would lose all of it
        $("#goods-says").replaceChildren($("#signed-out").content.cloneNode(true));
        return null;
      }
      ok = answer.ok;
    } catch { text = `<p>${$("#lost-says").innerHTML}</p>`; }
    const sent = new DOMParser().parseFromString(text, "text/html").body;
    if (!ok) { says($$("li, p", sent).map((line) => line.textContent.trim()).join(" ")); return null; }
    says("");
    const fresh = $("[data-line]", sent);
    let row = rowOf(fresh.dataset.sku);
    if (row) quantityOf(row).value = String((Number.parseInt(quantityOf(row).value, 10) || 0) + 1);
    else {
      lines.append(document.adoptNode(fresh));
      lines.dataset.next = String(n + 1);
      row = fresh;
    }
    if (chosen) { quantityOf(row).focus(); quantityOf(row).select(); }
    row.scrollIntoView({ block: "nearest" });
    ask();
    return row;
  });
  return waiting;
};

const take = (input, option) => {
  const value = option?.dataset.value;
  if (input.dataset.combo === "goods") {
    const code = value ?? input.value.trim();
    input.value = "";
    shut(input);
    if (code) add(code, Boolean(value));
  } else if (value) {
    window.htmx.ajax("GET", `/orders/new/customer?number=${value}`, { target: "#who", swap: "innerHTML" }).then(() => $("#f-goods")?.focus());
  }
};
// The list answers what stands in the field: else what is typed counts, as a scanner types it.
const answered = (input) => listOf(input).dataset.text === input.value.trim();

form?.addEventListener("input", (event) => {
  const input = event.target;
  if (!input.matches("[data-combo]")) return;
  if (!input.value.trim()) shut(input);
  input.dispatchEvent(new Event("sought"));
});
form?.addEventListener("keydown", (event) => {
  const input = event.target;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit($("[type=submit]", form)); return; }
  if (input.matches("[data-combo]")) {
    const options = optionsOf(input), now = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) { event.preventDefault(); pick(input, options[(now + step + options.length) % options.length]); }
    if (event.key === "Escape" && options.length) { event.preventDefault(); shut(input); }
    if (event.key === "Enter") { event.preventDefault(); take(input, answered(input) ? options[now] : undefined); }
    return;
  }
  if (event.key !== "Enter" || !input.matches("input, select")) return;
  event.preventDefault(); // an order is placed by its button, never by a key too many
  if (input.closest("[data-line]")) { ask(); $("#f-goods")?.focus(); }
});
document.addEventListener("click", (event) => {
  const option = event.target.closest(".m-combo-item");
  if (option) { take($(`[aria-controls="${option.parentElement.id}"]`), option); return; }
  $$("[data-combo]").forEach((input) => { if (!input.parentElement.parentElement.contains(event.target)) shut(input); });
  if (event.target.closest("[data-remove]")) queueMicrotask(ask);
  const fewer = event.target.closest("[data-take]");
  const other = event.target.closest("[data-instead]");
  const row = (fewer ?? other) && $(`input[name="lines/${(fewer ?? other).dataset.lineAt}/quantity"]`)?.closest("[data-line]");
  if (!row) return;
  if (fewer) { quantityOf(row).value = fewer.dataset.take; ask(); return; }
  const wanted = quantityOf(row).value;
  add(other.dataset.instead, true).then((fresh) => { if (fresh) { quantityOf(fresh).value = wanted; row.remove(); ask(); } });
});
form?.addEventListener("focusout", (event) => {
  if (event.target.matches("[data-combo]") && !event.relatedTarget?.closest?.(".m-combo")) setTimeout(() => { if (document.activeElement !== event.target) shut(event.target); }, 200);
});
// What was typed or chosen is asked about when its field is left; a search is not part of the order.
form?.addEventListener("change", (event) => { if (!event.target.matches("[data-combo], [name=note], [name=reference]")) ask(); });
// A CEP is complete with its eighth digit: nobody has to leave the field to see the city.
form?.addEventListener("input", (event) => { if (event.target.name === "postal_code" && event.target.value.replace(/\D/g, "").length === 8) ask(); });

document.addEventListener("htmx:afterSettle", (event) => {
  const home = event.detail.target?.closest?.("#offers, #who, .m-combo-list");
  if (!home) return;
  if (home.matches(".m-combo-list")) {
    const input = $(`[aria-controls="${home.id}"]`);
    home.dataset.text = String(event.detail.requestConfig?.parameters?.[input.name] ?? "").trim();
    if (!input.value.trim()) { shut(input); return; }
    input.setAttribute("aria-expanded", String(home.childElementCount > 0));
    pick(input, $("[role=option]", home));
    return;
  }
  $$("template[data-into]", home).forEach((part) => {
    document.getElementById(part.dataset.into)?.replaceChildren(part.content);
    part.remove();
  });
  $$("template[data-price]", home).forEach((part) => {
    const price = document.getElementById(part.dataset.price);
    if (price) { price.value = part.content.textContent; price.readOnly = true; }
    part.remove();
  });
  if (home.id === "who") ask();
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.target === form && event.detail.xhr?.status >= 400) ask(); // what is so now stands beside what is wrong
});
