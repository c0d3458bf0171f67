"""Pictures of goods in a real browser: a page asks for what is not here, and shows it as soon as a worker has it."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.picture_host import PictureHost, picture, picture_host

from malha.catalog.pictures import service
from malha.platform.db import Database
from malha.platform.settings import Settings

from .conftest import NARROW, WIDE, apart, shot, violations

Visit = Callable[..., Page]
# The goods of one order: its first line has three pictures, the last one an address with no picture behind it.
GOODS = """
SELECT p.id, p.code, o.number FROM sales_order o
JOIN order_line l ON l.order_id = o.id JOIN variant v ON v.id = l.sku_id JOIN product p ON p.id = v.product_id
WHERE NOT v.is_kit ORDER BY o.number DESC, l.line LIMIT 1
"""
ADD = """
INSERT INTO media (product_id, position, url, alt)
SELECT %(id)s::int, n, %(url)s::text || n || '.jpg', 'Side ' || n FROM generate_series(0, 2) AS n
"""


@pytest.fixture(scope="module")
def host() -> Iterator[PictureHost]:
    with picture_host() as made:
        for n, colour in enumerate(("teal", "salmon")):
            made.put(f"/{n}.jpg", picture(colour, (900, 600)))
        yield made


@pytest.fixture
def pictured(seeded: str, host: PictureHost) -> Iterator[tuple[str, int]]:
    """The code of a product with pictures, and an order of it."""

    async def there() -> tuple[str, int]:
        async with Database(seeded) as db, db.transaction() as tx:
            [(id_, code, number)] = await tx.tuples(GOODS)
            await tx.execute("DELETE FROM media")
            await tx.execute(ADD, {"id": id_, "url": f"{host.url}/"})
            return code, number

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM media")
            await tx.execute("DELETE FROM picture")

    yield apart(there)
    apart(away)


def test_pictures_come_while_the_page_is_open(
    visit: Visit, seeded: str, pictured: tuple[str, int], web_settings: Settings, host: PictureHost
) -> None:
    code, number = pictured
    page = visit(f"/products/{code}", language="en")
    expect(page.locator(".m-gallery img.m-lacks")).to_have_count(3)
    fetched(seeded, web_settings, 3)
    shown = page.locator(".m-gallery img.m-there")
    expect(shown).to_have_count(2)
    assert shown.evaluate_all("all => all.map(one => one.naturalWidth)") == [640, 640]
    expect(page.get_by_alt_text("Side 0")).to_be_visible()
    assert violations(page) == []
    for size in (WIDE, NARROW):
        for language, says in (("en", "Its server did not send it"), ("pt-BR", "O servidor dela não a enviou")):
            again = visit(f"/products/{code}", size=size, language=language)
            expect(again.locator(".m-gallery")).to_contain_text(says)
            again.locator(".m-gallery").scroll_into_view_if_needed()
            expect(again.locator(".m-gallery img.m-there")).to_have_count(2)
            shot(again, f"pictures-product-{language}-{size['width']}")
            for name, path in (("products", "/products"), ("order", f"/orders/{number}")):
                again.goto(f"{again.url.partition('/products')[0]}{path}")
                first = again.locator("#content img.m-there").first
                expect(first).to_be_visible()
                assert first.evaluate("one => one.naturalWidth") == 96
                assert (
                    again.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
                )
                shot(again, f"pictures-{name}-{language}-{size['width']}")
                assert violations(again) == []
    assert host.asked == {f"/{n}.jpg": 1 for n in range(3)}


def fetched(seeded: str, settings: Settings, count: int) -> None:
    """Do what the worker would, once the page has asked for so many."""

    async def run() -> None:
        async with Database(seeded) as db:
            keys: list[str] = []
            async with asyncio.timeout(30):
                while len(keys) < count:
                    async with db.transaction() as tx:
                        keys = await tx.values("SELECT key FROM picture WHERE state = 'wanted'")
                    await asyncio.sleep(0.05)
            await service.fetch.work(db, replace(settings, outward_allow=("127.0.0.1",)), keys=keys)

    apart(run)
