"""Walk through every page a person can open, and say by machine what is wrong with each.

The pages are derived from the routes of the application; a page of one record is found by following the links of the
others, so that it shows a record which is there. `screenshots.py` takes the pictures.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
EXAMINE = Path(__file__).with_name("examine.js")
ROUTES = ROOT / "tests" / "postgres" / "http" / "routes.txt"
LOCALE = ROOT / "src" / "malha" / "locale" / "pt_BR" / "LC_MESSAGES"
# Not pages: the API, files, streams, and what only programs ask.
NO_PAGE = re.compile(
    r"^/(v1|static|shop|events|exports|healthz|readyz|metrics|favicon\.ico|openapi|settings/(logo|colour))"
    r"|\.(csv|xlsx|json)$|^/(find|access|documents/key|orders/(rows|counts))$|/peek$"
)
OUTSIDE = re.compile(r"/(login|forgot|access|track|wishes)(/|\?|$)")  # seen by those who have no account
PER_ROUTE = 2  # records of one route that are visited
OF_ROUTE = {"/orders/{number:int}": 1, "/imports/{number:int}": 4}  # states of an order have views of their own, below
# Views of a list, where another state of the page is another page. `first:` is the page of the first record there.
STATES = {
    "home-7-days": "/?period=7",
    "home-30-days": "/?period=30",
    "orders-late": "/orders?view=late",
    "orders-none-found": "/orders?q=zzzz",
    "order-to-pick": "first:/orders?view=to_pick",
    "order-on-hold": "first:/orders?view=on_hold",
    "order-to-pay": "first:/orders?view=awaiting_payment",
    "order-to-ship": "first:/orders?view=to_ship",
    "order-ready": "first:/orders?view=ready",
    "order-in-transit": "first:/orders?view=in_transit",
    "order-delivered": "first:/orders?view=all&status=delivered",
    "order-cancelled": "first:/orders?view=all&status=cancelled",
    "stock-none-found": "/stock?q=zzzz",
    "products-none-found": "/products?q=zzzz",
    "customers-none-found": "/customers?q=zzzz",
    "unknown-order": "/orders/999999999",
    "unknown-sku": "/stock/NOWHERE",
    "unknown-page": "/nowhere",
    "track-unknown": "/track/nothing",
    "wishes-unknown": "/wishes/nothing",
}


class Route(NamedTuple):
    """A route that is perhaps a page."""

    path: str
    pattern: re.Pattern[str]
    public: bool


def routes() -> list[Route]:
    """Return the routes that may be pages, from the table which a test holds equal to the application."""
    found = []
    for line in ROUTES.read_text("utf-8").splitlines():
        method, path, permission = line.split()
        if method != "GET" or NO_PAGE.search(path):
            continue
        kinds = {"int": r"\d+", "uuid": r"[0-9a-f-]{36}", "str": r"[^/?#:]+", "path": r".+"}
        parts = re.split(r"\{\w+:(\w+)\}", path)
        pattern = "".join(kinds[part] if n % 2 else re.escape(part) for n, part in enumerate(parts))
        found.append(Route(path, re.compile(f"^{pattern}$"), permission == "public"))
    # A literal path is meant before one with a parameter.
    return sorted(found, key=lambda route: (route.path.count("{"), route.path))


def name_of(path: str) -> str:
    """Return a name for a file: `/counts/{number:int}/count` is `counts-number-count`."""
    bare = re.sub(r"\{(\w+):\w+\}", r"\1", path).strip("/")
    return re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-") or "home"


def pages_of(request: Any, base: str, unlinked: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the address of every page by name, and the routes for which no record was found.

    `unlinked` are pages that no other page links to: they are among them, and so is what they link to.
    """
    known = routes()
    seen: dict[str, list[str]] = {route.path: [] for route in known}
    pages = dict(unlinked)
    waiting = [route.path for route in known if "{" not in route.path]
    for address in [*waiting, *unlinked.values()]:
        route = next((route for route in known if route.pattern.match(address)), None)
        if route is not None:
            seen[route.path].append(address)
            waiting += [address] if address not in waiting else []
    while waiting:
        address = waiting.pop(0)
        answer = request.get(base + address, max_redirects=0)
        route = next(route for route in known if route.pattern.match(address))
        if answer.status != 200 or "<html" not in (text := answer.text())[:300]:
            if answer.status in {200, 303} and route.public:
                pages[name_of(route.path)] = address  # of somebody who has not signed in
            continue
        nth = seen[route.path].index(address)
        if address not in unlinked.values():
            pages[name_of(route.path) + (f"-{nth + 1}" if nth else "")] = address
        for link in re.findall(r'(?:href|hx-get)="([^"]+)"', text):
            path = link.replace("&amp;", "&").removeprefix(base).split("?")[0].split("#")[0]
            to = next((route for route in known if route.pattern.match(path)), None)
            if to is None or "{" not in to.path or path in seen[to.path]:
                continue
            if len(seen[to.path]) < OF_ROUTE.get(to.path, PER_ROUTE):
                seen[to.path].append(path)
                waiting.append(path)
    return pages, [path for path, addresses in seen.items() if not addresses]


@cache
def sentences() -> tuple[frozenset[str], frozenset[str]]:
    """Return what is said in English only and in Portuguese only: the message ids, and their translations."""
    from babel.messages.pofile import read_po  # noqa: PLC0415 -- a second that --help need not wait

    english, portuguese = set(), set()
    for path in LOCALE.glob("*.po"):
        with path.open("rb") as file:
            for message in read_po(file):
                ids = message.id if isinstance(message.id, tuple) else (message.id,)
                said = message.string if isinstance(message.string, tuple) else (message.string,)
                english |= {one for one in ids if one and "{" not in one}
                portuguese |= {one for one in said if one and "{" not in one}
    return frozenset(english - portuguese), frozenset(portuguese - english)


def flaws(page: Any, language: str, *, phone: bool, axe: bool = True) -> Iterator[str]:
    """Say what is wrong with a page as it stands in a browser."""
    english, portuguese = sentences()
    strange = english if language == "pt-BR" else portuguese
    found = page.evaluate(EXAMINE.read_text("utf-8"), {"phone": phone})
    yield from found["flaws"]
    for text in found["texts"]:
        if text in strange and text not in NAMES:
            yield f"not in {language}: {text}"
        elif language == "pt-BR" and ENGLISH.search(text):
            yield f"looks English: {text[:120]}"
    if axe:
        page.evaluate(AXE.read_text("utf-8"))
        for one in page.evaluate(RUN_AXE):
            yield f"axe {one}"


# Pages with a form whose refusals are looked at as well: sent with wrong values, and made from what has moved on since.
FORM = re.compile(r"(-new|-edit)$")
SPOIL = """stale => {
  const form = document.querySelector('main form.m-form, main form[method=post]');
  if (!form || stale && !form.elements.version) return false;
  form.noValidate = true;
  if (stale) form.elements.version.value = String(Number(form.elements.version.value) + 7);
  else for (const field of form.elements) {
    if (field.required && ['INPUT', 'TEXTAREA'].includes(field.tagName) && field.type !== 'checkbox') field.value = '';
    if (['numeric', 'decimal'].includes(field.inputMode) || field.type === 'number') field.value = '-1';
  }
  (form.querySelector('.m-btn-primary[type=submit]') ?? form.querySelector('[type=submit]')).click();
  return true;
}"""


def wide(page: Any) -> list[str]:
    """Say what does not fit a window of its size: the page, or what its main part scrolls sideways for."""
    found: list[str] = page.evaluate(WIDE)
    return found


WIDE = """() => ['html', 'main', '#content'].map(name => document.querySelector(name))
  .filter(node => node && node.scrollWidth > node.clientWidth + 1)
  .map(node => {
    const edge = node.getBoundingClientRect().left + node.clientWidth;
    const past = [...node.querySelectorAll('*')].filter(one => one.getBoundingClientRect().right > edge + 1 &&
      !one.closest('.m-table-wrap, .m-views, .m-filters, .m-tabs, .m-board, .m-matrix-wrap'));
    const told = one => `${one.tagName.toLowerCase()}.${one.className} ${one.textContent.slice(0, 40)}`;
    const last = past.slice(-1).map(told);
    return `${node.tagName.toLowerCase()} is ${node.scrollWidth - node.clientWidth} px too wide: ${last}`;
  })"""
NAMES = {"Site", "Televendas", "loja", "retirada"}  # records of the demo that are called like words of the pages
ENGLISH = re.compile(r"(?i)\b(the|is|are|was|with|from|this|that|and|your|not|of|has|have)\b.*\b\w+")
RUN_AXE = """async () => {
  const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
  const found = await axe.run(document, {runOnly: rules});
  const told = v => v.nodes.slice(0, 2).map(n => n.html.slice(0, 160)).join(' | ');
  return found.violations.map(v => `${v.id}: ${v.help}: ${told(v)}`);
}"""
