// Live: one stream of the orders that changed, and on pages of stock of the SKUs they show. Rows of the list, cells of the
// matrix and the open order are fetched anew, at most once a second; a hidden tab lets go of the stream and catches up when
// it is seen again.

import { QUIET } from "./answers.js";

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const REFRESH_MS = 900;

export const listen = ({ toast }) => {
  const words = document.body.dataset;
  const text = $("[data-sync-text]");
  const pulse = $("[data-pulse]");
  if (!text || !words.live || !window.EventSource) return;
  let source = null;
  let position = words.live;
  let heard = Date.now();
  let state = "wait";
  let pause = 1000;
  let retry = 0;
  let failed = 0; // times in a row
  const changed = new Set();
  const moved = new Set(); // SKUs
  let flushing = 0;

  const span = (seconds) => (seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`);
  const show = () => {
    pulse.className = "m-pulse" + ({ wait: " m-pulse-wait", lost: " m-pulse-fail", out: " m-pulse-fail" }[state] ?? "");
    const ago = Math.round((Date.now() - heard) / 1000);
    text.textContent = state === "lost" ? words.lost : state === "out" ? words.out : state === "paused" ? words.paused : ago < 2 ? words.now : words.since.replace("{time}", span(ago));
  };
  const set = (next) => { state = next; show(); };

  const close = () => { source?.close(); source = null; };
  // Which balances are on the page, with what it remembers of them: "7.1f3a,9.77b0".
  const stock = () => $$("[data-stock]").map((shown) => shown.dataset.stock).join(",");
  let watched = "";
  const address = () => {
    const after = `after=${encodeURIComponent(position)}`;
    watched = stock();
    const at = encodeURIComponent($("[data-stock-at]")?.dataset.stockAt ?? "");
    return watched ? `/events/stock?${after}&location=${at}&skus=${watched}` : `/events/orders?${after}`;
  };
  const connect = () => {
    clearTimeout(retry);
    if (source || document.hidden) return;
    source = new EventSource(address());
    source.addEventListener("open", () => { pause = 1000; failed = 0; heard = Date.now(); set("live"); });
    source.addEventListener("here", (event) => { heard = Date.now(); if (event.lastEventId) position = event.lastEventId; set("live"); });
    source.addEventListener("orders", (event) => {
      heard = Date.now();
      if (event.lastEventId) position = event.lastEventId;
      JSON.parse(event.data).forEach((id) => changed.add(id));
      set("live");
      flushing ||= setTimeout(flush, REFRESH_MS);
    });
    source.addEventListener("stock", (event) => {
      heard = Date.now();
      JSON.parse(event.data).forEach((id) => moved.add(String(id)));
      set("live");
      flushing ||= setTimeout(flush, 150); // the stream itself tells at most once a second
    });
    // Too much happened to be told one by one: everything shown is read anew.
    source.addEventListener("again", (event) => {
      if (event.lastEventId) position = event.lastEventId;
      $$("[data-rows] > tr").forEach((row) => changed.add(row.dataset.order));
      const shown = $("[data-open-order]");
      if (shown) changed.add(shown.dataset.openOrder);
      flushing ||= setTimeout(flush, REFRESH_MS);
    });
    source.addEventListener("renew", () => { close(); connect(); });
    source.addEventListener("error", () => {
      close();
      set("lost");
      retry = setTimeout(connect, pause);
      pause = Math.min(pause * 2, 15000);
      failed += 1;
      if (failed > 1) signedOut();
    });
  };
  // A stream does not tell why it was refused. Who is signed out, here or elsewhere, waits in vain for it.
  const signedOut = async () => {
    const answer = await fetch("/find?q=", { headers: { "HX-Request": "true" } }).catch(() => null);
    if (!answer?.headers.has("HX-Redirect")) return;
    close();
    clearTimeout(retry);
    set("out");
    toast(words.signedOut, "fail");
  };

  const flush = async () => {
    flushing = 0;
    const ids = new Set(changed);
    changed.clear();
    if (document.hidden) { ids.forEach((id) => changed.add(id)); return; } // and what moved stays noted
    const skus = new Set(moved);
    moved.clear();
    await Promise.allSettled([rows(ids), opened(ids), ids.size ? whole() : null, ids.size ? counts() : null, cells(skus), balance(skus)]);
  };

  // Cells of the matrix whose balance moved: each is exchanged by itself, so that what is chosen and focused stays.
  const cells = async (skus) => {
    const shown = $$("tr[data-stock]").filter((row) => skus.has(row.dataset.stock.split(".")[0]));
    if (!shown.length) return;
    const at = encodeURIComponent($("[data-stock-at]")?.dataset.stockAt ?? "");
    const ids = shown.map((row) => row.dataset.stock).join(",");
    const answer = await fetch(`/stock:rows?skus=${ids}&location=${at}`, { headers: { "HX-Request": "true" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const row of shown) {
      const next = fresh.getElementById(row.id);
      if (!next || next.children.length !== row.children.length) continue;
      row.dataset.stock = next.dataset.stock;
      [...next.children].forEach((cell, index) => {
        const old = row.children[index];
        const [was, now] = [$(".m-mx", old), $(".m-mx", cell)];
        if (!was || !now || (was.textContent === now.textContent && was.classList.contains("m-mx-none") === now.classList.contains("m-mx-none"))) return;
        const focused = old.contains(document.activeElement);
        const current = was.getAttribute("aria-current");
        const adopted = document.adoptNode(cell);
        adopted.classList.add("m-fresh");
        old.replaceWith(adopted);
        const link = $("a", adopted);
        if (current) link.setAttribute("aria-current", current);
        if (focused) link.focus({ preventScroll: true });
      });
    }
    const open = $("[data-cell][aria-current]");
    const drawer = $("#drawer");
    if (!open || !shown.includes(open.closest("tr")) || !drawer?.children.length) return;
    if ($("dialog[open]") || drawer.contains(document.activeElement?.closest("input, select, textarea"))) return;
    const focused = drawer.contains(document.activeElement) ? [...drawer.querySelectorAll("a, button")].indexOf(document.activeElement) : -1;
    await window.htmx.ajax("GET", `${open.pathname}?beside=list`, { target: "#drawer", swap: "innerHTML", headers: QUIET });
    if (focused >= 0) drawer.querySelectorAll("a, button")[focused]?.focus({ preventScroll: true });
  };

  // The page of one SKU, or of one balance, is read anew as a whole, unless a person is in the middle of something in it.
  const balance = async (skus) => {
    const page = $("[data-stock-page]");
    const id = page?.dataset.stock.split(".")[0];
    if (!page || !skus.has(id)) return;
    if ($("dialog[open], details[data-pop][open]") || page.contains(document.activeElement?.closest("input, select, textarea"))) {
      moved.add(id);
      flushing ||= setTimeout(flush, 3000);
      return;
    }
    await again(location.pathname + location.search);
  };

  const rows = async (ids) => {
    const list = $("[data-rows]");
    if (!list) return;
    const shown = [...list.children].filter((row) => ids.has(row.dataset.order));
    if (!shown.length) return;
    const open = $("[data-rows] > tr[aria-current]")?.dataset.number ?? "";
    const numbers = shown.map((row) => row.dataset.number).join(",");
    const answer = await fetch(`/orders/rows?numbers=${numbers}&open=${open}`, { headers: { "HX-Request": "true" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const row of shown) {
      const next = fresh.getElementById(row.id);
      if (!next) continue;
      const adopted = document.adoptNode(next);
      const box = $("[data-select-row]", row);
      if (box?.checked) { $("[data-select-row]", adopted).checked = true; adopted.toggleAttribute("data-chosen", true); }
      if (adopted.innerHTML === row.innerHTML) continue;
      adopted.classList.add("m-fresh");
      const focused = row.contains(document.activeElement);
      row.replaceWith(adopted);
      if (focused) $("a.m-id", adopted)?.focus();
    }
  };

  // The open order is read anew unless a person is in the middle of something in it.
  const opened = async (ids) => {
    const shown = $("[data-open-order]");
    if (!shown || !ids.has(shown.dataset.openOrder)) return;
    const busy = $("dialog[open]:not([data-command])") || (shown.contains(document.activeElement) && document.activeElement.matches("input, textarea, select"));
    if (busy) { changed.add(shown.dataset.openOrder); flushing ||= setTimeout(flush, 3000); return; }
    if (shown.dataset.peekOf) await window.htmx.ajax("GET", shown.dataset.peekOf, { target: "#detail", swap: "innerHTML", headers: QUIET });
    else {
      const page = $("#content");
      const top = page.scrollTop;
      await window.htmx.ajax("GET", location.pathname, { target: "#content", swap: "outerHTML show:none", headers: QUIET });
      $("#content").scrollTop = top;
    }
  };

  // A page that is one picture of everything is read anew as a whole, where it stands: scrolled, unfolded and focused as it
  // was. One that says how many seconds lie between two readings is also read when nothing happened for a minute: it tells time.
  let last = Date.now();
  let due = 0;
  const whole = async () => {
    const page = $("[data-live-page]");
    if (!page) return;
    const wait = Number(page.dataset.liveEvery ?? 0) * 1000 - (Date.now() - last);
    if (wait > 0) { due ||= setTimeout(() => { due = 0; whole(); }, wait); return; }
    if (document.hidden) return;
    if ($("dialog[open]") || $("[data-select-row]:checked", page) || page.contains(document.activeElement?.closest("select"))) {
      due ||= setTimeout(() => { due = 0; whole(); }, 3000); // not now, but not never
      return;
    }
    last = Date.now();
    await again(page.dataset.livePage);
  };
  const again = async (from) => {
    const page = $("#content");
    const top = page.scrollTop;
    const kept = $$(".m-board, .m-col-body, .m-table-wrap", page).map((box) => [box.scrollLeft, box.scrollTop]);
    const unfolded = $$("details[id][open]", page).map((box) => box.id);
    const focused = page.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    await window.htmx.ajax("GET", from, { target: "#content", swap: "outerHTML show:none", headers: QUIET });
    const fresh = $("#content");
    unfolded.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    fresh.scrollTop = top;
    $$(".m-board, .m-col-body, .m-table-wrap", fresh).forEach((box, index) => { if (kept[index]) [box.scrollLeft, box.scrollTop] = kept[index]; });
    if (focused) $(`a[href="${CSS.escape(focused)}"]`, fresh)?.focus({ preventScroll: true });
  };
  setInterval(() => { if ($("[data-live-every]") && Date.now() - last > 60000) whole(); }, 5000);

  const counts = async () => {
    const tabs = $$("#views [data-view]");
    const open = $("[data-count=orders]");
    if (!tabs.length && !open) return;
    const answer = await fetch("/orders/counts", { headers: { "HX-Request": "true" } });
    if (!answer.ok) return;
    const by = await answer.json();
    tabs.forEach((tab) => { if (tab.dataset.view in by) $("span", tab).textContent = by[tab.dataset.view]; });
    if (open) open.textContent = by.open;
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { close(); clearTimeout(retry); set("paused"); }
    else { heard = Date.now(); connect(); if (changed.size || moved.size) flushing ||= setTimeout(flush, 50); }
  });
  addEventListener("pagehide", close);
  // Another page of the matrix, or another filter of it, has other balances to listen for.
  const named = (marks) => marks.replace(/\.[0-9a-f]+/g, "");
  document.addEventListener("htmx:afterSettle", () => { if (named(stock()) !== named(watched)) { close(); connect(); } });
  setInterval(show, 1000);
  connect();
};
