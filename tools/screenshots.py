"""Take every page of the console in both languages, wide and narrow, light and dark, into screenshots/.

Runs `malha demo` in a directory of its own, signs in and visits; the pictures are there to be looked at. `--docs` also
writes those that the documentation shows.
"""

import argparse
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "screenshots"
DOCS = ROOT / "docs" / "images"
CHROMIUM = os.environ.get("MALHA_TEST_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
]
OWNER, PASSWORD = "ana@aroeira.example", "rede de descanso 7"
SIZES: dict[str, Any] = {"wide": {"width": 1366, "height": 768}, "narrow": {"width": 390, "height": 844}}
LANGUAGES = ("pt-BR", "en")
THEMES = ("light", "dark")
# name: address, or the view whose first order is shown
PAGES = {
    "login": "/login",
    "home": "/",
    "home-7-days": "/?period=7",
    "orders": "/orders",
    "orders-late": "/orders?view=late",
    "orders-empty": "/orders?q=zzzz",
    "order-to-pick": "view=to_pick",
    "order-on-hold": "view=on_hold",
    "order-to-pay": "view=awaiting_payment",
    "order-to-ship": "view=to_ship",
    "order-ready": "view=ready",
    "order-in-transit": "view=in_transit",
    "order-delivered": "view=all&status=delivered",
    "fulfillment": "/fulfillment",
    "stock": "/stock",
    "stock-sku": "/stock/AR-AL00-01",
    "stock-balance": "/stock/AR-AL00-01/CD-CONTAGEM",
    "products": "/products",
    "product": "/products/AR-AL00",
    "product-edit": "/products/AR-AL00/edit",
    "product-new": "/products:new",
    "kit": "/products/AR-KB00",
    "kit-edit": "/products/AR-KB00/edit",
    "customers": "/customers",
    "customer": "/customers/1",
    "customer-duplicates": "/customers:duplicates",
    "attention": "/attention",
    "imports": "/imports",
    "me": "/me",
    "components": "/components",
    "people": "/people",
    "person-new": "/people/new",
    "roles": "/roles",
    "providers": "/providers",
    "provider-new": "/providers:new",
    "keys": "/keys",
    "key-new": "/keys/new",
    "account": "/account",
    "second-factor": "/account/second-factor",
    "locations": "/locations",
    "location-new": "/locations:new",
    "companies": "/companies",
    "channels": "/channels",
    "shipping": "/services",
    "audit": "/audit",
    "settings": "/settings",
    "messages": "/messages",
    "messages-texts": "/messages/texts",
    "messages-edit": "/messages/texts/shipped/pt-BR",
    "not-found": "/orders/999999999",
    "track": "/track",
    "track-wrong": "/track/nothing",
}


@contextmanager
def demo(orders: int) -> Iterator[str]:
    """Run a demo retailer; give its address."""
    home = tempfile.mkdtemp(prefix="malha-screens-")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALHA_") and k != "DATABASE_URL"}
    command = [sys.executable, "-m", "malha.cli.main", "demo", "--no-traffic", "--orders", str(orders)]
    command += ["--port", str(port), "--password", PASSWORD]
    process = subprocess.Popen(command, env=environment | {"MALHA_DATA_DIR": home})
    base = f"http://127.0.0.1:{port}"
    try:
        wait(base, process)
        yield base
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(home, ignore_errors=True)


def wait(base: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the retailer answers."""
    deadline = time.monotonic() + 180
    while True:
        try:
            urllib.request.urlopen(f"{base}/login", timeout=5)  # noqa: S310
        except urllib.error.HTTPError as error:
            sys.exit(f"screenshots: the demo answers {error.code}")
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("screenshots: the demo did not start")
            time.sleep(0.3)
        else:
            return


def take(base: str, only: str) -> int:
    """Visit every page in every form; return how many pictures were written."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- a development dependency

    taken = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        door = browser.new_context()
        door.request.post(f"{base}/login", form={"email": OWNER, "password": PASSWORD}, max_redirects=0)
        session = door.cookies()
        for language in LANGUAGES:
            for size, viewport in SIZES.items():
                for theme in THEMES:
                    context = browser.new_context(
                        viewport=viewport, has_touch=size == "narrow", reduced_motion="reduce"
                    )
                    looks = {"malha_language": language, "malha_theme": theme}
                    context.add_cookies([{"name": n, "value": v, "url": base} for n, v in looks.items()])
                    for name, address in PAGES.items():
                        if only and only not in name:
                            continue
                        if name == "login":
                            context.clear_cookies(name="malha")
                        else:
                            context.add_cookies(session)
                        page = context.new_page()
                        visit(page, base, address)
                        folder = OUT / language / f"{size}-{theme}"
                        folder.mkdir(parents=True, exist_ok=True)
                        page.screenshot(path=folder / f"{name}.png", full_page=False)
                        page.close()
                        taken += 1
                    context.close()
        browser.close()
    return taken


def visit(page: Any, base: str, address: str) -> None:
    """Open an address; of a view, the page of its first order. Narrow windows are made as tall as the page."""
    if not address.startswith("/"):
        page.goto(f"{base}/orders?{address}")
        link = page.locator("[data-rows] a.m-id").first
        address = link.get_attribute("href") if link.count() else f"/orders?{address}"
    page.goto(base + address)
    page.wait_for_timeout(250)
    tall = page.evaluate("document.querySelector('#content')?.scrollHeight ?? 0")
    if "/orders/" in address and tall:
        width = page.viewport_size["width"]
        page.set_viewport_size({"width": width, "height": min(max(tall + 60, 768), 4000)})
        page.wait_for_timeout(100)


def publish(base: str) -> None:
    """Take the pictures that the documentation shows: small enough to be kept with the text."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- a development dependency

    DOCS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for language, ending in (("en", ""), ("pt-BR", ".pt-BR")):
            context = browser.new_context(viewport={"width": 1366, "height": 900}, reduced_motion="reduce")
            context.request.post(f"{base}/login", form={"email": OWNER, "password": PASSWORD}, max_redirects=0)
            context.add_cookies([{"name": "malha_language", "value": language, "url": base}])
            page = context.new_page()
            for name, address in (("home", "/"), ("orders", "/orders?view=open"), ("stock", "/stock")):
                page.goto(f"{base}{address}")
                page.wait_for_timeout(600)
                page.screenshot(path=DOCS / f"{name}{ending}.png")
            # A delivery, because several locations could have served it.
            page.goto(f"{base}/orders?view=to_pick&method=ship")
            page.goto(base + (page.locator("[data-rows] a.m-id").first.get_attribute("href") or "/orders"))
            page.wait_for_timeout(600)
            page.screenshot(path=DOCS / f"order{ending}.png")
            context.close()
        browser.close()
    for path in DOCS.glob("*.png"):
        shrink(path)


def shrink(path: Path) -> None:
    """Write a picture anew with its 256 most telling colours; others become the nearest of them."""
    width, height, pixels = decoded(path.read_bytes())
    counts = Counter(pixels)
    # The most frequent half as they are; then one for each small cell of the colour space, the vivid ones first: a rare
    # red must not turn brown.
    palette = [colour for colour, _count in counts.most_common(128)]
    known, cells = set(palette), set()
    for colour in sorted(counts, key=lambda c: -counts[c] * (1 + max(parts(c)) - min(parts(c)))):
        cell = tuple(part >> 4 for part in parts(colour))
        if cell not in cells and colour not in known and len(palette) < 256:
            palette.append(colour)
        cells.add(cell)
    spread = [parts(colour) for colour in palette]
    nearest = {}
    for colour in counts:
        r, g, b = parts(colour)
        away = [(r - p) ** 2 + (g - q) ** 2 + (b - s) ** 2 for p, q, s in spread]
        nearest[colour] = away.index(min(away))
    lines = b"".join(
        b"\0" + bytes(nearest[colour] for colour in pixels[at : at + width]) for at in range(0, width * height, width)
    )
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(part for colour in spread for part in colour)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        out += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(out)


def parts(colour: int) -> tuple[int, int, int]:
    """Return red, green and blue of a colour."""
    return colour >> 16, colour >> 8 & 255, colour & 255


def decoded(png: bytes) -> tuple[int, int, list[int]]:
    """Return width, height and pixels (0xRRGGBB, row by row) of an 8-bit RGB picture as Chromium writes it."""
    at, body, width, height = 8, b"", 0, 0
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        data = png[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", data[:10])
            if (depth, colour) != (8, 2):
                sys.exit("screenshots: a picture is not 8-bit RGB")
        elif kind == b"IDAT":
            body += data
        at += 12 + size
    raw, length = zlib.decompress(body), 1 + width * 3
    pixels: list[int] = []
    above = bytes(3 + width * 3)  # three zeros to the left of each line spare a question at its first pixel
    for y in range(height):
        above = unfiltered(raw[y * length], raw[y * length + 1 : (y + 1) * length], above)
        pixels += [r << 16 | g << 8 | b for r, g, b in zip(above[3::3], above[4::3], above[5::3], strict=True)]
    return width, height, pixels


def unfiltered(kind: int, line: bytes, above: bytes) -> bytes:
    """Return a line of a picture as it was before PNG's filter, with three zeros before it, as `above` has them."""
    out = bytearray(3) + line
    for x in range(3, len(out)):
        a, b, c = out[x - 3], above[x], above[x - 3]
        match kind:
            case 1:
                guess = a
            case 2:
                guess = b
            case 3:
                guess = (a + b) // 2
            case 4:
                near = a + b - c
                guess = min((abs(near - a), 0, a), (abs(near - b), 1, b), (abs(near - c), 2, c))[2]
            case _:
                return bytes(out)
        out[x] = (out[x] + guess) & 255
    return bytes(out)


def main() -> None:
    """Run."""
    arguments = argparse.ArgumentParser(description="Take every page of the console.")
    arguments.add_argument("--orders", type=int, default=500, help="orders of the demo")
    arguments.add_argument("--only", default="", help="pages whose name contains this")
    arguments.add_argument("--url", default="", help="a demo that runs already (its owner's password as here)")
    arguments.add_argument("--docs", action="store_true", help="also write docs/images")
    given = arguments.parse_args()
    if not Path(CHROMIUM).exists():
        sys.exit("screenshots: Chromium is missing. Mend: apt-get install chromium, or set MALHA_TEST_CHROMIUM")
    with nullcontext(given.url) if given.url else demo(given.orders) as base:
        taken = 0 if given.only == "docs" else take(base, given.only)
        if given.docs:
            publish(base)
    print(f"screenshots: {taken} pictures in {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
