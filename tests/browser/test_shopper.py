"""The shopper's pages in a real browser without scripts: followed on a phone, collected, cancelled; both languages, day and night."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from malha.ordering.tracking import tracking_path
from malha.platform.settings import Settings
from malha.platform.signing import keys_of

from .conftest import NARROW, WIDE, shot, sideways, violations

Follow = Callable[..., Page]

# One of those that were there from the start: other tests ship orders too, with codes of their own, and nobody puts in
# order what happened to them.
SHIPPED = (
    "status = 'shipped' AND id IN (SELECT order_id FROM malha.shipment WHERE tracking_code = 'JD' || o.number || 'BR')"
)


@pytest.fixture
def link(seeded: str, address: str, web_home: Path) -> Callable[[str], str]:
    """The link of the newest order that fulfils an SQL condition on `o`."""
    keys = keys_of(Settings(data_dir=web_home, database_url=seeded))

    def find(condition: str) -> str:
        with psycopg.connect(seeded) as connection:
            connection.execute("SET search_path TO malha")
            row = connection.execute(
                f"SELECT id FROM sales_order o WHERE {condition} ORDER BY placed_at DESC LIMIT 1"  # type: ignore[arg-type]
            ).fetchone()
        assert row is not None, condition
        return tracking_path(keys, row[0], at=datetime.now(UTC))

    return find


@pytest.fixture
def follow(browser: Browser, address: str) -> Iterator[Follow]:
    """Open a page as a stranger's phone does, with scripts off unless a test needs them to look. Nothing may leave this machine."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def hear(url: str) -> None:
        if urlsplit(url).hostname not in {"127.0.0.1", None}:
            wrong.append(url)

    def open_(
        path: str, *, language: str = "pt-BR", size: Any = NARROW, dark: bool = False, script: bool = False
    ) -> Page:
        context = browser.new_context(
            viewport=size,
            locale=language,
            java_script_enabled=script,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.on("request", lambda request: hear(request.url))
        context.on("response", lambda got: wrong.append(f"{got.status} {got.url}") if got.status >= 500 else None)
        page = context.new_page()
        page.goto(address + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not wrong, wrong


def test_an_order_is_looked_up_by_number_and_e_mail_and_followed(follow: Follow, seeded: str) -> None:
    with psycopg.connect(seeded) as connection:
        row = connection.execute(
            f"SELECT number, buyer_email FROM malha.sales_order o WHERE {SHIPPED} AND method = 'ship' LIMIT 1"  # type: ignore[arg-type]
        ).fetchone()
    assert row is not None
    page = follow("/track")
    page.get_by_label("Número do pedido").fill(str(row[0]))
    page.get_by_label("E-mail").fill("outra@exemplo.com.br")
    page.get_by_role("button", name="Ver o meu pedido").click()
    expect(page.get_by_role("alert")).to_contain_text("Não encontramos um pedido com este número e e-mail.")
    expect(page.get_by_label("Número do pedido")).to_have_value(str(row[0]))
    page.get_by_label("E-mail").fill(row[1])
    page.get_by_role("button", name="Ver o meu pedido").click()
    expect(page).to_have_url(re.compile(r"/track/.{40,}"))
    expect(page.get_by_text(f"Pedido {row[0]}")).to_be_visible()
    expect(page.get_by_text("A caminho", exact=True)).to_be_visible()
    expect(page.get_by_text(f"JD{row[0]}BR")).to_be_visible()


@pytest.mark.parametrize("language", ["pt-BR", "en"])
def test_an_order_whose_items_come_on_two_days_says_both(
    follow: Follow, link: Callable[[str], str], seeded: str, language: str
) -> None:
    """What was promised is put back: other tests look at the order too."""
    waits = (
        "status = 'allocated' AND method = 'ship' AND (SELECT count(*) FROM order_line l WHERE l.order_id = o.id) > 1"
    )
    path = link(waits)
    with psycopg.connect(seeded, autocommit=True) as connection:
        connection.execute("SET search_path TO malha")
        order, was = connection.execute(
            f"SELECT id, promised_at FROM sales_order o WHERE {waits} ORDER BY placed_at DESC LIMIT 1"  # type: ignore[arg-type]
        ).fetchone() or (None, None)
        connection.execute("UPDATE sales_order SET promised_at = now() + interval '3 days' WHERE id = %s", (order,))
        connection.execute(
            "INSERT INTO order_line_promise SELECT order_id, line, now() + make_interval(days => 3 + 37 * (line > 1)::int)"
            " FROM order_line WHERE order_id = %s",
            (order,),
        )
        try:
            first, last = {"pt-BR": ("Primeiros itens até", "Tudo até"), "en": ("First items by", "All of it by")}[
                language
            ]
            for size in NARROW, WIDE:
                page = follow(path, language=language, size=size, script=True)
                expect(page.get_by_role("heading", level=1)).to_contain_text(first)
                expect(page.get_by_text(last)).to_be_visible()
                assert violations(page) == []
                shot(page, f"two-days-{language}-{size['width']}")
        finally:
            connection.execute("DELETE FROM order_line_promise WHERE order_id = %s", (order,))
            connection.execute("UPDATE sales_order SET promised_at = %s WHERE id = %s", (was, order))


def test_the_pickup_code_is_on_the_first_screen_of_a_phone(follow: Follow, link: Callable[[str], str]) -> None:
    page = follow(link("status = 'ready'"))
    expect(page.get_by_role("heading", name="Mostre isto no balcão")).to_be_visible()
    box = page.locator(".m-qr").bounding_box()
    assert box is not None
    assert box["width"] >= 200
    assert box["y"] + box["height"] < NARROW["height"]
    digits = page.locator(".m-shop-digits").inner_text()
    assert re.fullmatch(r"\d{3} \d{3}", digits)


def test_an_order_is_cancelled_without_a_script(follow: Follow, link: Callable[[str], str], seeded: str) -> None:
    page = follow(link("status = 'allocated' AND channel_id = (SELECT id FROM channel WHERE kind = 'web' LIMIT 1)"))
    number = re.findall(r"\d+", page.get_by_text(re.compile(r"^Pedido \d+")).first.inner_text())[0]
    page.get_by_role("link", name="Cancelar").click()
    expect(page.get_by_role("heading", name="Cancelar")).to_be_visible()
    page.get_by_label("Por quê?").select_option("by_mistake")
    page.get_by_role("button", name=re.compile("^Cancelar (estes|todos os) itens$")).click()
    expect(page.get_by_role("status")).to_contain_text("Seu pedido foi cancelado.")
    expect(page.get_by_role("heading", name="Pedido cancelado")).to_be_visible()
    with psycopg.connect(seeded) as connection:
        row = connection.execute("SELECT status FROM malha.sales_order WHERE number = %s", (int(number),)).fetchone()
    assert row == ("cancelled",)


def test_the_language_can_be_switched_and_stays(follow: Follow, link: Callable[[str], str]) -> None:
    page = follow(link(SHIPPED))
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", name="Step by step")).to_be_visible()
    page.goto(page.url.partition("?")[0])
    expect(page.locator("html")).to_have_attribute("lang", "en")


STATES = (
    "status = 'ready'",
    SHIPPED,
    "status = 'delivered'",
    "status = 'picking'",
    "status = 'cancelled'",
)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_pages_are_accessible_and_fit(follow: Follow, link: Callable[[str], str], size: Any, dark: bool) -> None:
    cancelling = link("status = 'picking' AND channel_id = (SELECT id FROM channel WHERE kind = 'web' LIMIT 1)")
    page = follow("/track", size=size, dark=dark, script=True)
    found = {}
    for path in ("/track", "/track/nothing", f"{cancelling}/cancel", *map(link, STATES)):
        page.goto(f"{page.url.partition('/track')[0]}{path}")
        found[path] = violations(page)
        assert sideways(page) == 0, path
    assert not any(found.values()), found


@pytest.mark.parametrize(("language", "foreign"), [("pt-BR", "Step by step"), ("en", "Passo a passo")])
def test_a_page_speaks_one_language(follow: Follow, link: Callable[[str], str], language: str, foreign: str) -> None:
    page = follow(link("status = 'delivered'"), language=language)
    expect(page.locator("html")).to_have_attribute("lang", language)
    assert foreign not in page.locator("body").inner_text()


def test_the_night_of_these_pages_follows_the_browser_and_is_that_of_the_console(
    follow: Follow, link: Callable[[str], str]
) -> None:
    css = Path(__file__).parents[2] / "src/malha/console/static/css"
    path = link("status = 'delivered'")
    for dark, sheet in ((False, "tokens.css"), (True, "tokens-dark.css")):
        said = re.search(r"--m-canvas: (#\w+);", (css / sheet).read_text("utf-8"))
        assert said is not None
        page = follow(path, dark=dark, script=True)
        shown = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--m-canvas').trim()")
        assert shown == said[1], sheet


@pytest.mark.parametrize("condition", [SHIPPED, "status = 'ready'", "status = 'allocated'"])
def test_a_phone_enlarged_to_twice_its_size_shows_every_name_whole(
    follow: Follow, link: Callable[[str], str], condition: str
) -> None:
    path = link(condition)
    page = follow(path, size={"width": 195, "height": 422}, script=True)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    names = page.locator(".m-shop-item .m-strong")
    assert names.count() > 0
    for name in names.all():
        box = name.bounding_box()
        assert box is not None
        assert box["width"] > 40, "a name that has no room"
        assert name.evaluate("one => one.scrollWidth <= one.clientWidth")
    if page.locator("a[href$='/cancel']").count():
        page.goto(page.url + "/cancel")
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    shot(page, f"shopper-enlarged-{len(condition)}")
