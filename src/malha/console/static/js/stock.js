// The matrix of stock: a balance opens beside it on a wide screen, arrow keys move between cells. Everywhere else a cell is
// a link, and works as one.

import { showBeside } from "./beside.js";

const $ = (selector, from = document) => from.querySelector(selector);
const wide = matchMedia("(min-width: 68.8125em)");

const remember = (value) => {
  const address = new URL(location.href);
  if (value) address.searchParams.set("open", value); else address.searchParams.delete("open");
  history.replaceState(history.state, "", address);
};

const mark = (cell) => {
  $("[data-cell][aria-current]")?.removeAttribute("aria-current");
  cell?.setAttribute("aria-current", "true");
};

// "/stock/SKU/LOCATION" as the address of the list says it.
const key = (cell) => cell.pathname.split("/").slice(2).map(decodeURIComponent).join("/");

const show = async (cell) => {
  mark(cell);
  remember(key(cell));
  $("[data-beside]").classList.remove("m-g-stock-alone");
  cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  await showBeside(`${cell.pathname}?beside=list`, "#drawer");
};

document.addEventListener("click", (event) => {
  const cell = event.target.closest("[data-cell]");
  if (cell && wide.matches && !event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); show(cell); return; }
  if (event.target.closest("[data-beside-close]")) {
    const was = $("[data-cell][aria-current]");
    mark(null);
    remember("");
    $("#drawer").replaceChildren();
    $("[data-beside]").classList.add("m-g-stock-alone");
    was?.focus();
  }
});

addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const cell = event.target.closest?.("[data-cell]");
  if (!step || !cell) return;
  const column = cell.parentElement, row = column.parentElement;
  const rows = [...row.parentElement.children];
  const next = rows[rows.indexOf(row) + step[0]]?.children[[...row.children].indexOf(column) + step[1]];
  const target = next && $("[data-cell]", next);
  if (target) { event.preventDefault(); target.focus(); }
});

// The list may have been drawn anew with a balance beside it.
const again = () => {
  const open = new URL(location.href).searchParams.get("open");
  mark(open ? [...document.querySelectorAll("[data-cell]")].find((cell) => key(cell) === open) : null);
};
for (const kind of ["htmx:afterSettle", "malha:fresh"]) document.addEventListener(kind, again);
again();
