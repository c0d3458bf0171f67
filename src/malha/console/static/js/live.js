// Live: one stream of the orders that changed, and on pages of stock of the SKUs they show. Rows of the list, cells of the
// matrix and the open order are read anew, at most once a second and never two readings at a time; a hidden tab lets go of the
// stream and catches up when it is seen again. A stream that breaks, or falls silent, is asked for again, ever more rarely, and
// once it is back all of the page is read.

import { ask, busy, read, selected } from "./reading.js";

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const REFRESH_MS = 900;
const COUNT_MS = 5000; // every page counts, and these counts look at every open order
const AGAIN_MS = 1500; // what could not be read is tried again
const SILENT_MS = 45_000; // three signs of life that did not come
const LONGEST_MS = 15_000; // between two attempts
const LASTS_MS = 10_000; // a stream that lived so long was no attempt

// Who hears of the same moment, in many tabs of many people, does not ask in the same moment.
const about = (ms) => ms * (0.7 + 0.6 * Math.random());

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
  let since = 0;
  let broken = false;

  const span = (seconds) => (seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`);
  const said = () => {
    if (state === "wait") return text.textContent;
    if (state !== "live") return words[state];
    const ago = Math.round((Date.now() - heard) / 1000);
    return held ? words.held : ago < 2 ? words.now : words.since.replace("{time}", span(ago));
  };
  const show = () => {
    pulse.className = "m-pulse" + ({ wait: " m-pulse-wait", paused: " m-pulse-wait", lost: " m-pulse-fail", out: " m-pulse-fail" }[state] ?? (held ? " m-pulse-wait" : ""));
    text.closest("[data-sync]").dataset.sync = state;
    text.textContent = said();
  };
  const set = (next) => { state = next; show(); };

  // --- the stream ---

  const close = () => { source?.close(); source = null; };
  // Which balances are on the page, with what it remembers of them: "7.1f3a,9.77b0".
  const stock = () => $$("[data-stock]").map((shown) => shown.dataset.stock).join(",");
  // Of which locations the rows have cells.
  const columns = () => {
    const { stockAt: location = "", stockOf: owner = "" } = $("[data-stock-at]")?.dataset ?? {};
    return new URLSearchParams({ location, owner });
  };
  let watched = "";
  const address = () => {
    const after = `after=${encodeURIComponent(position)}`;
    watched = stock();
    return watched ? `/events/stock?${after}&${columns()}&skus=${watched}` : `/events/orders?${after}`;
  };
  const hear = (kind, act) => source.addEventListener(kind, (event) => {
    heard = Date.now();
    if (event.lastEventId) position = event.lastEventId;
    act?.(event.data);
    if (state !== "live") set("live");
  });
  const connect = () => {
    clearTimeout(retry);
    if (source || document.hidden) return;
    heard = since = Date.now();
    source = new EventSource(address());
    hear("open", () => { if (broken) { failed = rested = 0; everything(); } broken = false; });
    hear("here");
    hear("orders", (data) => { JSON.parse(data).forEach((id) => changed.add(id)); stale = uncounted = true; soon(about(REFRESH_MS)); });
    hear("stock", (data) => { JSON.parse(data).forEach((id) => moved.add(String(id))); soon(150); }); // told at most once a second
    hear("again", everything); // too much happened to be told one by one
    source.addEventListener("renew", () => { close(); connect(); });
    source.addEventListener("error", lose);
  };
  // A stream does not tell why it was refused. Who is signed out, here or elsewhere, waits in vain for it.
  const lose = () => {
    const refused = source?.readyState === EventSource.CLOSED;
    close();
    if (Date.now() - since > LASTS_MS) pause = 1000;
    broken = true;
    set("lost");
    retry = setTimeout(connect, about(pause));
    pause = Math.min(pause * 2, LONGEST_MS);
    if (refused) ask("/find?q=");
  };
  document.addEventListener("malha:out", () => {
    close();
    clearTimeout(retry);
    if (state !== "out") toast(words.signedOut, "fail");
    set("out");
  });

  // --- what is read anew ---

  const changed = new Set(); // orders
  const moved = new Set(); // SKUs
  let stale = false; // the page as a whole
  let uncounted = false;
  let timer = 0;
  let due = 0;
  let rested = 0; // until then the server is left in peace: a reading that took long is not followed at once by the next
  let running = false;
  let missed = false; // its time came while the one before was running
  let failed = 0; // readings in a row
  let held = false; // something changed, and a person is in the middle of something there

  const soon = (ms) => {
    const at = Math.max(Date.now() + ms, rested);
    if (timer && due <= at) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(flush, at - Date.now());
  };
  const everything = () => {
    $$("tr[data-order]").forEach((row) => changed.add(row.dataset.order));
    $$("[data-open-order]").forEach((shown) => changed.add(shown.dataset.openOrder));
    $$("[data-stock]").forEach((shown) => moved.add(shown.dataset.stock.split(".")[0]));
    stale = uncounted = true;
    soon(about(REFRESH_MS));
  };
  const flush = async () => {
    timer = 0;
    missed = running;
    if (running || document.hidden || state === "out") return; // what changed stays noted
    if (Date.now() < rested) { soon(0); return; }
    running = true;
    const began = Date.now();
    const ids = new Set(changed), skus = new Set(moved);
    changed.clear();
    moved.clear();
    let waits = [];
    try {
      waits = (await Promise.all([rows(ids), opened(ids), whole(), counts(), cells(skus).then(beside), balance(skus)])).filter(Boolean);
    } finally { running = false; }
    rested = Date.now() + Math.min(4 * (Date.now() - began), LONGEST_MS);
    const declined = waits.includes(AGAIN_MS);
    held = declined && [$("#content"), $("#detail"), $("#drawer")].some((part) => part && busy(part));
    show();
    failed = declined && !held ? failed + 1 : 0; // a server that is away, or has too much to do, is asked ever more rarely
    if (failed) rested = Math.max(rested, Date.now() + about(Math.min(AGAIN_MS * 2 ** failed, LONGEST_MS)));
    if (waits.length) soon(Math.min(...waits));
    if (missed) soon(0);
  };
  // Each of these returns in how many milliseconds it is to be tried again; 0 when all is read.
  const kept = (set, ids) => { ids.forEach((id) => set.add(id)); return AGAIN_MS; };

  // Cells of the matrix whose balance moved: each is exchanged by itself, so that what is chosen and focused stays.
  const cells = async (skus) => {
    const shown = $$("tr[data-stock]").filter((row) => skus.has(row.dataset.stock.split(".")[0]));
    if (!shown.length) return 0;
    if (shown.some(selected)) return kept(moved, skus);
    const ids = shown.map((row) => row.dataset.stock).join(",");
    const answer = await ask(`/stock:rows?skus=${ids}&${columns()}`);
    if (answer === null) return kept(moved, skus);
    const fresh = new DOMParser().parseFromString(answer, "text/html");
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
    if (open && shown.includes(open.closest("tr"))) besides = true;
    return 0;
  };
  // The balance that is open beside the matrix.
  let besides = false;
  const beside = async (wait) => {
    const open = $("[data-cell][aria-current]"), drawer = $("#drawer");
    if (!besides || !open || !drawer?.children.length) { besides = false; return wait; }
    besides = !(await read(`${open.pathname}?beside=list`, drawer, { inner: true }));
    return besides ? AGAIN_MS : wait;
  };

  // The page of one SKU, or of one balance, is read anew as a whole.
  const balance = async (skus) => {
    const page = $("[data-stock-page]");
    const id = page?.dataset.stock.split(".")[0];
    if (!page || !skus.has(id)) return 0;
    return (await read(location.pathname + location.search, page)) ? 0 : kept(moved, [id]);
  };

  const rows = async (ids) => {
    const shown = $$("[data-rows] > tr").filter((row) => ids.has(row.dataset.order));
    if (!shown.length) return 0;
    const open = $("[data-rows] > tr[aria-current]")?.dataset.number ?? "";
    const answer = await ask(`/orders/rows?numbers=${shown.map((row) => row.dataset.number).join(",")}&open=${open}`);
    if (answer === null) return kept(changed, ids);
    const fresh = new DOMParser().parseFromString(answer, "text/html");
    const later = [];
    for (const row of shown) {
      const next = fresh.getElementById(row.id);
      if (!next) continue;
      if (selected(row)) { later.push(row.dataset.order); continue; }
      const adopted = document.adoptNode(next);
      const box = $("[data-select-row]", row);
      if (box?.checked) { $("[data-select-row]", adopted).checked = true; adopted.toggleAttribute("data-chosen", true); }
      if (adopted.innerHTML === row.innerHTML) continue;
      adopted.classList.add("m-fresh");
      const at = row.contains(document.activeElement) ? document.activeElement : null;
      row.replaceWith(adopted);
      if (at) $(at.matches("[data-select-row]") ? "[data-select-row]" : "a.m-id", adopted)?.focus({ preventScroll: true });
    }
    return later.length ? kept(changed, later) : 0;
  };

  const opened = async (ids) => {
    const shown = $("[data-open-order]");
    const id = shown?.dataset.openOrder;
    if (!shown || !ids.has(id)) return 0;
    const { peekOf } = shown.dataset;
    const done = peekOf ? read(peekOf, $("#detail"), { inner: true }) : read(location.pathname, shown);
    return (await done) ? 0 : kept(changed, [id]);
  };

  // A page that is one picture of everything is read anew as a whole. One that says how many seconds lie between two readings
  // is also read when nothing happened for a minute: it tells time.
  let last = Date.now();
  const whole = async () => {
    const page = $("[data-live-page]");
    if (!page || !stale) { stale = false; return 0; }
    const wait = Number(page.dataset.liveEvery ?? 0) * 1000 - (Date.now() - last);
    if (wait > 0) return wait;
    stale = false; // what happens from here on is news
    if (await read(page.dataset.livePage, page)) { last = Date.now(); return 0; }
    stale = true;
    return AGAIN_MS;
  };
  setInterval(() => { if ($("[data-live-every]") && Date.now() - last > 60_000) { stale = true; soon(0); } }, 5000);

  let counted = 0;
  const counts = async () => {
    const tabs = $$("#views [data-view]");
    const open = $("[data-count=orders]");
    if (!uncounted || (!tabs.length && !open)) return 0;
    const wait = COUNT_MS - (Date.now() - counted);
    if (wait > 0) return wait;
    uncounted = false;
    counted = Date.now();
    const by = await ask("/orders/counts", "json");
    if (by === null) { uncounted = true; return AGAIN_MS; }
    if (!by) return 0;
    tabs.forEach((tab) => { if (tab.dataset.view in by) $("span", tab).textContent = by[tab.dataset.view]; });
    if (open) open.textContent = by.open;
    return 0;
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { close(); clearTimeout(retry); set("paused"); }
    else { connect(); if (changed.size || moved.size || stale) soon(50); }
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", connect); // as it was left, out of the browser's memory
  document.addEventListener("malha:free", () => { if (changed.size || moved.size || stale) soon(50); });
  // Another page of the matrix, or another filter of it, has other balances to listen for.
  const named = (marks) => marks.replace(/\.[0-9a-f]+/g, "");
  for (const kind of ["htmx:afterSettle", "malha:fresh"])
    document.addEventListener(kind, () => { if (named(stock()) !== named(watched)) { close(); connect(); } });
  setInterval(() => { if (source && Date.now() - heard > SILENT_MS) lose(); else show(); }, 1000);
  connect();
};
