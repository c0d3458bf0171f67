"""Take every page of a running Malha, in both languages, wide and narrow, light and dark, into `screenshots/`.

Without `--url` it runs a demo of its own (`malha demo --no-traffic`) in a temporary directory and ends it afterwards.
"""

import argparse
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "screenshots"
EMAIL = "ana@aroeira.example"
SIZES = {"wide": {"width": 1366, "height": 900}, "narrow": {"width": 390, "height": 844}}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
# Name -> path. An order page is the first of a list.
PAGES = {
    "orders": "/orders",
    "orders-search": "/orders?q=silva",
    "orders-empty": "/orders?q=nada+com+este+nome",
    "fulfillment": "/fulfillment",
    "api": "/v1/docs",
}
ORDERS_IN = ("", "hold", "late", "done")  # views whose first order is opened


@contextlib.contextmanager
def demo(orders: int) -> Iterator[tuple[str, str]]:
    """Run a demo of our own; gives its address and its owner's password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    password = secrets.token_urlsafe(12)
    home = Path(tempfile.mkdtemp(prefix="malha-screenshots-"))
    home.chmod(0o711)  # as root, the database's own user passes through
    command = [sys.executable, "-m", "malha.cli.main", "demo", "--no-traffic", "--orders", str(orders)]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--password", password],
        env=dict(os.environ, MALHA_DATA_DIR=str(home / "data")),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stderr or ():
            if "answers at" in line:
                break
        else:
            sys.exit("screenshots: the demo did not start")
        yield f"http://127.0.0.1:{port}", password
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        shutil.rmtree(home, ignore_errors=True)


def order_pages(page: Any, url: str) -> dict[str, str]:
    """Return the address of one order per view that has any."""
    found = {}
    for view in ORDERS_IN:
        page.goto(f"{url}/orders?view={view}" if view else f"{url}/orders")
        links = [link.get_attribute("href") or "" for link in page.locator("a[href^='/orders/']").all()]
        own = [link for link in links if re.fullmatch(r"/orders/\d+", link.split("?")[0])]
        if own:
            found[f"order-{view or 'any'}"] = own[0]
    return found


def shoot(browser: Browser, url: str, email: str, password: str) -> int:
    """Take all pages; return how many pictures there are."""
    taken = 0
    door = browser.new_context()
    door.request.post(f"{url}/login", form={"email": email, "password": password}, max_redirects=0)
    cookies: Any = door.cookies()
    if not cookies:
        sys.exit(f"screenshots: {email} could not log in")
    pages = PAGES | order_pages(door.new_page(), url)
    for language in ("pt-BR", "en"):
        for size, viewport in SIZES.items():
            for theme in ("light", "dark"):
                context = browser.new_context(viewport=viewport, reduced_motion="reduce")  # type: ignore[arg-type]
                context.add_cookies(
                    [
                        {"name": "malha_language", "value": language, "url": url},
                        {"name": "malha_theme", "value": theme, "url": url},
                    ]
                )
                page = context.new_page()
                page.goto(f"{url}/login")
                page.screenshot(path=TARGET / f"login-{size}-{theme}-{language}.png")
                context.add_cookies(cookies)
                for name, path in pages.items():
                    page.goto(url + path)
                    page.wait_for_timeout(300)  # live parts settle
                    page.screenshot(path=TARGET / f"{name}-{size}-{theme}-{language}.png")
                    taken += 1
                context.close()
    return taken


def main() -> None:
    """Take the pictures."""
    arguments = argparse.ArgumentParser(description="Take every page into screenshots/.")
    arguments.add_argument("--url", help="address of a running server; default: a demo of our own")
    arguments.add_argument("--email", default=EMAIL)
    arguments.add_argument("--password", default=os.environ.get("MALHA_TEST_PASSWORD", ""))
    arguments.add_argument("--orders", type=int, default=800, help="orders of the demo")
    asked = arguments.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        sys.exit("screenshots: Chromium is needed. Mend: make setup")
    TARGET.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        url, password = (asked.url, asked.password) if asked.url else stack.enter_context(demo(asked.orders))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        taken = shoot(browser, url.rstrip("/"), asked.email, password)
        browser.close()
    print(f"screenshots: {taken} pictures in {TARGET.relative_to(ROOT)}/")


if __name__ == "__main__":
    main()
