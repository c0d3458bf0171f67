"""One server, one browser and one seeded retailer for these tests. Every page watches itself for faults.

They end with this folder, not with the session: Playwright keeps an event loop in the main thread while it runs, beside
which no asynchronous test of another folder could run.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Request, expect, sync_playwright
from tests.mail_server import Mailbox, mail_server
from tests.ports import free_port
from tests.waiting import at_work

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity import links  # noqa: F401 -- declares its job
from malha.platform import jobs
from malha.platform.db import Database
from malha.platform.settings import Settings
from malha.platform.subscribers import drain

sys.path.insert(0, str(Path(__file__).parent))
import seeding

sys.path.pop(0)

# The build without windows, where it is installed: the whole one opens a window for each page, which takes it four times
# as long as the page. Both draw and run pages the same way.
BUILDS = ("chromium-headless-shell", "chromium")
CHROMIUM = os.environ.get("MALHA_TEST_CHROMIUM") or next(filter(None, map(shutil.which, BUILDS)), "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
expect.set_options(timeout=20_000)  # on a busy machine a page takes its time; what is there is found at once
SHOTS = os.environ.get("MALHA_TEST_SHOTS")  # a directory: pages are drawn into it, to be looked at
WIDE, NARROW = {"width": 1366, "height": 768}, {"width": 390, "height": 844}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = []
    if not Path(CHROMIUM).exists():
        missing.append("Chromium (apt-get install chromium-headless-shell, or MALHA_TEST_CHROMIUM=/path)")
    if not AXE.exists():
        missing.append("axe-core (make setup)")
    if missing and os.environ.get("CI") != "true":
        skip = pytest.mark.skip(reason="Browser tests need " + " and ".join(missing))
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(skip)


def shot(page: Page, name: str, *, whole: bool = True) -> None:
    """Draw a page into the directory that the environment names; none named, nothing is drawn."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=whole)


# A browser says that it holds back what a page asks for before the page itself was told: on a busy machine what is asked for
# right then goes to the server as if nothing held it back, and is told to nobody. Once it held one thing back it holds all.
HELD_BACK = """async () => { while ((await fetch("/held-back")).status !== 204); }"""


def stand_in(page: Page, asked: Any, answer: Callable[..., Any], **how: Any) -> None:
    """Answer what a page that is open asks for in the server's place, from the next request on."""
    page.route("**/held-back", lambda route: route.fulfill(status=204))
    page.route(asked, answer, **how)
    page.evaluate(HELD_BACK)


def apart(make: Callable[[], Any]) -> Any:
    """Run a coroutine in a thread of its own: Playwright's sync API holds this thread's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(make())).result()


@pytest.fixture(scope="package")
def seeded(template_url: str, migrated_template: str) -> Iterator[str]:
    """The URL of a database with a retailer in it."""
    name = f"t_browser_{os.getpid()}"
    url = urlunsplit(urlsplit(template_url)._replace(path=f"/{name}"))  # it may name a socket after its path
    with psycopg.connect(template_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated_template}"')

    async def fill() -> None:
        async with Database(url) as database:
            await seeding.seed(database)

    apart(fill)
    yield url
    with psycopg.connect(template_url, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def patient(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction in the retailer's database. Where it waits too long for a lock, it fails and says who is at work."""
    with psycopg.connect(url, options="-c search_path=malha -c lock_timeout=20s") as connection:
        try:
            yield connection
        except psycopg.errors.LockNotAvailable as error:
            with psycopg.connect(url) as another:
                error.add_note("Transactions in this database:\n" + "\n".join(at_work(another)))
            raise


@pytest.fixture(scope="package")
def settle(seeded: str) -> Callable[[], None]:
    """Let the subscribers see everything that happened, as the worker would."""

    async def run() -> None:
        async with Database(seeded) as database:
            await drain(database, SUBSCRIPTIONS)

    return lambda: apart(run)


@pytest.fixture(scope="package")
def web_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the web process, which holds its secret key."""
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="package")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    """A real mail server in a thread of its own, for as long as the web process runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = mail_server(tmp_path_factory.mktemp("mail"), "none")
    yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="package")
def web_settings(seeded: str, mailbox: Mailbox, web_home: Path) -> Settings:
    """What the web process is told, and the worker would be."""
    return Settings(
        database_url=seeded,
        data_dir=web_home,
        port=free_port(),
        smtp_url=mailbox.url,
        mail_from="Aroeira Casa <acesso@aroeira.example>",
    )


@pytest.fixture(scope="package")
def run_jobs(web_settings: Settings) -> Callable[[Callable[[], bool]], None]:
    """Let a worker run until something is so: `run_jobs(lambda: bool(mailbox.inbox))`."""

    def run(until: Callable[[], bool]) -> None:
        async def work() -> None:
            stop = asyncio.Event()
            async with Database(web_settings.database_url or "") as database, asyncio.timeout(60):
                running = asyncio.create_task(jobs.run_jobs(database, stop, settings=web_settings))
                while not until():
                    await asyncio.sleep(0.05)
                stop.set()
                await running

        apart(work)

    return run


@pytest.fixture(scope="package")
def address(web_settings: Settings) -> Iterator[str]:
    """The address of a running web process."""
    home, port = web_settings.data_dir, web_settings.port
    log = (home / "log").open("wb")
    env = {k: v for k, v in os.environ.items() if not k.startswith("MALHA_")}
    env |= {"DATABASE_URL": web_settings.database_url or "", "MALHA_DATA_DIR": str(home), "MALHA_PORT": str(port)}
    env["MALHA_OUTWARD_ALLOW"] = "127.0.0.1"  # log-in providers of tests
    env |= {"MALHA_SMTP_URL": web_settings.smtp_url or "", "MALHA_MAIL_FROM": web_settings.mail_from or ""}
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--host", "127.0.0.1"]
    server = subprocess.Popen([*command, "--port", str(port), "malha.app:create_app"], env=env, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{base}/login", timeout=5)  # noqa: S310
                break
            except urllib.error.HTTPError as error:
                pytest.fail(f"the server answers {error.code}:\n{(home / 'log').read_text()[-3000:]}")
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail("the server did not start:\n" + (home / "log").read_text()[-3000:])
                time.sleep(0.1)
        yield base
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def session_cookies(browser: Browser, address: str) -> list[Any]:
    """The cookies of the owner's session, signed in once."""
    context = browser.new_context()
    answer = context.request.post(
        f"{address}/login", form={"email": seeding.OWNER[1], "password": seeding.OWNER[2]}, max_redirects=0
    )
    assert answer.status == 303, answer.text()[:500]
    cookies = context.cookies()
    context.close()
    return cookies


@pytest.fixture
def nothing_kept(seeded: str) -> Iterator[None]:
    """Leave the owner without anything of their own: tests choose language and theme by cookie."""
    yield
    with patient(seeded) as connection:
        connection.execute("UPDATE person SET language = NULL, theme = NULL, timezone = NULL")
        connection.execute("DELETE FROM default_view")
        connection.execute("DELETE FROM saved_view")
        connection.execute("DELETE FROM recent_choice")


@pytest.fixture
def visit(
    browser: Browser, address: str, session_cookies: list[Any], nothing_kept: None
) -> Iterator[Callable[..., Page]]:
    """Open a page: `visit("/orders", size=NARROW, language="en")`. At the end nothing may have gone wrong in it."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def hear(kind: str, text: str) -> None:
        # A refusal (4xx) is part of the tests; a fault (5xx) is found by its status. Who leaves a page, or types on, gives up
        # what was asked: htmx calls that an error, and names what did fail once more, as htmx:sendError or htmx:timeout.
        if kind == "error" and not text.startswith(("Failed to load resource", "htmx:sendAbort", "htmx:afterRequest")):
            wrong.append(f"console: {text}")

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("console", lambda said: hear(said.type, said.text))
        page.on("response", lambda got: wrong.append(f"{got.status} {got.url}") if got.status >= 500 else None)

    def guard(request: Request) -> None:
        # What a page of another server loads, like a log-in provider's, is its own affair.
        ours = request.is_navigation_request() or request.frame.url.startswith(address)
        if ours and urlsplit(request.url).hostname not in {"127.0.0.1", None}:
            wrong.append(f"left this machine: {request.url}")

    def open_(
        path: str, *, size: Any = WIDE, language: str = "pt-BR", theme: str = "light", signed_in: bool = True
    ) -> Page:
        context = browser.new_context(viewport=size, has_touch=size is NARROW, reduced_motion="reduce")
        contexts.append(context)
        if signed_in:
            context.add_cookies(session_cookies)
        for name, value in (("malha_language", language), ("malha_theme", theme)):
            context.add_cookies([{"name": name, "value": value, "url": address}])
        context.on("request", guard)
        page = context.new_page()
        watch(page)
        page.goto(address + path)
        return page

    yield open_
    _close(contexts)
    assert not wrong, wrong


def _close(contexts: Iterable[BrowserContext]) -> None:
    for context in contexts:
        for page in context.pages:
            # A page that is on its way elsewhere may not close for minutes, and nothing limits how long that is waited for.
            # It gives up its way for an empty page, and is then at rest; a page that cannot says so in half a minute.
            _rest(page)
            page.close()
        context.close()


def _rest(page: Page) -> None:
    """Go to an empty page, once more where what the page had begun to go to comes in between."""
    try:
        page.goto("about:blank")
    except Error as error:
        if "interrupted by another navigation" not in str(error):
            raise
        page.goto("about:blank")


# Only what is wrong is looked up in detail and comes back: all else is ten times as much to carry out of the browser. Of
# what axe would load beforehand only media matter to these rules; its one rule that reads style sheets is experimental, and
# all sheets would be fetched and parsed anew for it on every page.
RUN_AXE = """async () => {
    const found = await axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'],
        resultTypes: ['violations'],
        preload: {assets: ['media']},
    });
    const first = nodes => nodes.slice(0, 3).map(node => node.html.slice(0, 200));
    return found.violations.map(({id, help, nodes}) => ({id, help, nodes: first(nodes)}));
}"""


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong on a page: WCAG 2.1 A and AA, and best practice."""
    page.evaluate(AXE.read_text("utf-8"))
    return [f"{v['id']}: {v['help']}: {v['nodes']}" for v in page.evaluate(RUN_AXE)]


def walk(visit: Callable[..., Page], paths: Iterable[str], **how: Any) -> Iterator[tuple[str, Page]]:
    """Go through pages in one tab, as people do: each as soon as the one before it is left."""
    page = None
    for path in paths:
        if page is None:
            page = visit(path, **how)
        else:
            page.goto(urljoin(page.url, path))
        yield path, page


# A page that scrolls inside itself hides from the document what goes beyond its edge: both are measured.
SIDEWAYS = """() => [document.documentElement, document.querySelector('#content')]
    .map(each => each ? each.scrollWidth - each.clientWidth : 0)"""


def sideways(page: Page) -> int:
    """Return by how many pixels a page, or what it holds, is wider than the screen."""
    return int(max(0, *page.evaluate(SIDEWAYS)))


def unsound(visit: Callable[..., Page], paths: Mapping[str, str], **how: Any) -> dict[str, list[str]]:
    """Return what is wrong on which page: what axe-core finds, and what is wider than the screen."""
    wrong = {}
    for name, (_, page) in zip(paths, walk(visit, paths.values(), **how), strict=True):
        expect(page.locator("#content h1")).to_be_visible()
        overflow = sideways(page)
        found = violations(page) + ([f"{overflow} px too wide"] if overflow > 0 else [])
        if found:
            wrong[name] = found
    return wrong
