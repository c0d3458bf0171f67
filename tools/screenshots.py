"""Take every page of the console and of the shopper in both languages, wide and narrow, light and dark.

Runs `malha demo`, and an empty retailer beside it, in directories of their own, signs in and visits; the pictures in
screenshots/ are there to be looked at, and flaws.txt beside them says what a machine can see. `--docs` writes the
pictures that the documentation shows instead.
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
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import records
import walk

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "screenshots"
DOCS = ROOT / "docs" / "images"
BUILDS = ("chromium", "chromium-headless-shell")  # the whole one first: it drew the pictures of the documentation
CHROMIUM = os.environ.get("MALHA_TEST_CHROMIUM") or next(filter(None, map(shutil.which, BUILDS)), "/usr/bin/chromium")
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
ZONE = "America/Sao_Paulo"


class Form(NamedTuple):
    """How a page is looked at."""

    language: str
    size: str
    theme: str

    @property
    def folder(self) -> str:
        """Return the folder of its pictures."""
        return f"{self.language}/{self.size}-{self.theme}"

    @property
    def height(self) -> int:
        """Return how tall its window is at least."""
        return int(SIZES[self.size]["height"])


FORMS = [Form(*each) for each in product(LANGUAGES, SIZES, THEMES)]


@contextmanager
def served(*command: str, zone: str = ZONE) -> Iterator[str]:
    """Run a command of `malha` that serves, in a directory and a time zone of its own; give its address."""
    home = tempfile.mkdtemp(prefix="malha-screens-")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALHA_") and k != "DATABASE_URL"}
    whole = [sys.executable, "-m", "malha.cli.main", *command, "--port", str(port)]
    process = subprocess.Popen(whole, env=environment | {"MALHA_DATA_DIR": home, "MALHA_TIMEZONE": zone})
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
            sys.exit(f"screenshots: the server answers {error.code}")
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("screenshots: the server did not start")
            time.sleep(0.3)
        else:
            return


def enter(request: Any, base: str) -> None:
    """Sign in; of a retailer without people become the owner first."""
    welcome = request.get(f"{base}/welcome", max_redirects=0)
    if welcome.status == 200:
        request.post(f"{base}/welcome", form={"name": "Ana Prates", "email": OWNER, "password": PASSWORD})
    request.post(f"{base}/login", form={"email": OWNER, "password": PASSWORD}, max_redirects=0)


def take(base: str, world: str, only: str, forms: list[Form], *, axe: bool) -> int:
    """Visit every page in every form, take its picture and say what is wrong; return how many pictures were taken."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- a development dependency

    taken, wrong = 0, []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        door = browser.new_context()
        if world == "empty" and not only:
            taken += welcome(browser, base, forms)
        enter(door.request, base)
        unlinked = records.make(door.request, base) if world == "demo" else {}
        pages, missing = walk.pages_of(door.request, base, unlinked)
        wrong += [f"{world}: no record for {path}" for path in missing]
        pages |= {name: address for name, address in walk.STATES.items() if world == "demo" or "first:" not in address}
        pages = {name: address for name, address in pages.items() if only in name}
        session = door.cookies()
        for form in forms:
            context = browser.new_context(
                viewport=SIZES[form.size],
                has_touch=form.size == "narrow",
                reduced_motion="reduce",
                color_scheme=form.theme,  # what shoppers' pages go by
                locale=form.language,
                timezone_id=ZONE,
            )
            looks = {"malha_language": form.language, "malha_theme": form.theme}
            context.add_cookies([{"name": n, "value": v, "url": base} for n, v in looks.items()])
            context.add_cookies(session)
            # What a person chose before comes before what their browser wants.
            for what, chosen in (("language", form.language), ("theme", form.theme)):
                context.request.post(
                    f"{base}/me/{what}", form={what: chosen, "next": "/"}, headers={"Origin": base}, max_redirects=0
                )
            for name, address in pages.items():
                if walk.OUTSIDE.match(address):
                    context.clear_cookies(name="malha")
                else:
                    context.add_cookies(session)
                said = picture(context, base, address, form, OUT / world / form.folder / f"{name}.png", axe=axe)
                wrong += [f"{world} {form.folder} {name} ({address}): {flaw}" for flaw in said]
                taken += 1
            context.add_cookies(session)  # the last page may have been one of those outside
            for name in filter(walk.FORM.search, pages):
                for state in ("wrong", "stale") if name.endswith("-edit") else ("wrong",):
                    said = picture(
                        context, base, pages[name], form, OUT / world / form.folder / f"{name}-{state}.png",
                        axe=axe, state=state,
                    )  # fmt: skip
                    wrong += [f"{world} {form.folder} {name}-{state} ({pages[name]}): {flaw}" for flaw in said]
                    taken += 1
            context.close()
        browser.close()
    with (OUT / "flaws.txt").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in wrong)
    return taken


def picture(
    context: Any, base: str, address: str, form: Form, path: Path, *, axe: bool = True, state: str = ""
) -> list[str]:
    """Take the picture of a page, as tall as it is; return what is wrong with it. `state` is how its form is sent."""
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("console", lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("response", lambda got: wrong.append(f"{got.status} {got.url}") if got.status >= 500 else None)
    page.on("requestfailed", lambda lost: wrong.append(f"request failed: {lost.url} {lost.failure}"))
    if address.startswith("first:"):
        address = address.removeprefix("first:")
        page.goto(base + address)
        link = page.locator("[data-rows] a.m-id").first
        if not link.count():
            page.close()
            return ["there is no such order"]
        address = link.get_attribute("href") or address
    page.goto(base + address)
    page.wait_for_timeout(150)
    if state:
        if not page.evaluate(walk.SPOIL, state == "stale"):
            page.close()
            return []
        wrong += refused(page, base + address)
    wrong[:] = [w for w in wrong if "events/" not in w and "Failed to load resource" not in w]
    wrong += walk.wide(page)
    tall = page.evaluate(TALL)
    page.set_viewport_size({"width": SIZES[form.size]["width"], "height": min(max(tall, form.height), 2600)})
    page.wait_for_timeout(60)
    wrong += walk.flaws(page, form.language, phone=form.size == "narrow", axe=axe)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
    page.close()
    return wrong


def refused(page: Any, address: str) -> list[str]:
    """Wait for what a page says of a form that was sent; return that it says nothing, if so."""
    from playwright.sync_api import TimeoutError as TooLate  # noqa: PLC0415 -- a development dependency

    try:
        page.locator("[role=alert]").first.wait_for(timeout=8_000)
    except TooLate:
        return [] if page.url != address else ["the form was sent, and nobody sees what became of it"]
    return []


# How tall a window must be for all of a page to be seen in it, whichever of its parts scrolls.
TALL = """Math.max(document.documentElement.scrollHeight, ...[...document.querySelectorAll('main, main *')]
  .filter(n => n.scrollHeight > n.clientHeight + 4 && ['auto', 'scroll'].includes(getComputedStyle(n).overflowY))
  .map(n => innerHeight + n.scrollHeight - n.clientHeight))"""


def welcome(browser: Any, base: str, forms: list[Form]) -> int:
    """Take the page that makes the first owner, which is there only until somebody is."""
    for form in forms:
        context = browser.new_context(viewport=SIZES[form.size], locale=form.language, timezone_id=ZONE)
        looks = {"malha_language": form.language, "malha_theme": form.theme}
        context.add_cookies([{"name": n, "value": v, "url": base} for n, v in looks.items()])
        picture(context, base, "/welcome", form, OUT / "empty" / form.folder / "welcome-first.png")
        context.close()
    return len(forms)


def publish(base: str, zone: str) -> None:
    """Take the pictures that the documentation shows: small enough to be kept with the text."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- a development dependency

    DOCS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        door = browser.new_context()
        enter(door.request, base)
        records.make(door.request, base)
        for language, ending in (("en", ""), ("pt-BR", ".pt-BR")):
            context = browser.new_context(
                viewport={"width": 1366, "height": 900}, reduced_motion="reduce", locale=language, timezone_id=zone
            )
            context.request.post(f"{base}/login", form={"email": OWNER, "password": PASSWORD}, max_redirects=0)
            context.add_cookies([{"name": "malha_language", "value": language, "url": base}])
            page = context.new_page()
            shown = {"home": "/", "orders": "/orders?view=open", "stock": "/stock"}
            # A delivery, because several locations could have served it; and the simulation that was made.
            for name, listed, link in (
                ("order", "/orders?view=to_pick&method=ship", "[data-rows] a.m-id"),
                ("simulation", "/simulations", "main a.m-id"),
            ):
                page.goto(f"{base}{listed}")
                shown[name] = page.locator(link).first.get_attribute("href") or listed
            for name, address in shown.items():
                page.goto(f"{base}{address}")
                page.wait_for_timeout(600)
                page.screenshot(path=DOCS / f"{name}{ending}.png")
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
    arguments = argparse.ArgumentParser(description="Take every page of the console and of the shopper.")
    arguments.add_argument("--orders", type=int, default=500, help="orders of the demo")
    arguments.add_argument("--only", default="", help="pages whose name contains this")
    arguments.add_argument("--form", default="", help="forms whose name contains this, like pt-BR/narrow-light")
    arguments.add_argument("--world", choices=("demo", "empty", "both"), default="both")
    arguments.add_argument("--url", default="", help="a demo that runs already (its owner's password as here)")
    arguments.add_argument("--quick", action="store_true", help="without axe-core, which takes most of the time")
    arguments.add_argument("--docs", action="store_true", help="write docs/images, and nothing else")
    arguments.add_argument(
        "--zone", default=ZONE, help="time zone of the retailer: where it is night, a day looks empty"
    )
    given = arguments.parse_args()
    if not Path(CHROMIUM).exists():
        sys.exit("screenshots: Chromium is missing. Mend: apt-get install chromium, or set MALHA_TEST_CHROMIUM")
    forms = [form for form in FORMS if given.form in form.folder]
    (OUT / "flaws.txt").unlink(missing_ok=True)
    OUT.mkdir(exist_ok=True)
    taken = 0
    full = ("demo", "--no-traffic", "--orders", str(given.orders), "--password", PASSWORD)
    if given.docs or given.world in {"demo", "both"}:
        with nullcontext(given.url) if given.url else served(*full, zone=given.zone) as base:
            if given.docs:
                publish(base, given.zone)
            else:
                taken += take(base, "demo", given.only, forms, axe=not given.quick)
    if not given.docs and given.world in {"empty", "both"}:
        with nullcontext(given.url) if given.url and given.world == "empty" else served("serve") as base:
            taken += take(base, "empty", given.only, forms, axe=not given.quick)
    if taken:
        flaws = (OUT / "flaws.txt").read_text("utf-8").splitlines()
        print(f"screenshots: {taken} pictures in {OUT.relative_to(ROOT)}, {len(flaws)} flaws in flaws.txt")


if __name__ == "__main__":
    main()
