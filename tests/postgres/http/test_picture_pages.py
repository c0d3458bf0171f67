"""Pictures over HTTP: nothing where there is none yet, a WebP where there is, and only for who sees the catalogue."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.picture_host import PictureHost, picture, picture_host
from tests_http import Shop, open_shop

from malha.catalog import service as catalog
from malha.catalog.model import MediaDraft, ProductDraft, VariantDraft
from malha.catalog.pictures import service
from malha.catalog.pictures.model import key_of
from malha.platform.db import Database
from malha.testing.builders import a_network

IMAGE = re.compile(r'<img src="(/pictures/[^"]+)"[^>]* data-url="([^"]*)" data-mark="([^"]*)"')


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path, outward_allow=("127.0.0.1",))


@pytest.fixture
def host():
    with picture_host() as made:
        yield made


async def a_mug(shop: Shop, *urls: str) -> None:
    async with shop.database.transaction() as tx:
        await a_network(tx)
        variant = VariantDraft(sku="MUG", name="Mug", price=1_990)
        media = [MediaDraft(url=f"https://img.example/{n}.jpg", alt="A teal mug") for n in range(len(urls))]
        await catalog.put_products(tx, [ProductDraft(code="MUG", name="Mug", variants=[variant], media=media)])
        for n, url in enumerate(urls):  # the catalogue takes https only, which this server does not speak
            await tx.execute("UPDATE media SET url = %(url)s::text WHERE position = %(n)s::int", {"url": url, "n": n})


def images(page: str) -> list[tuple[str, dict[str, str]]]:
    return [(src, {"url": html.unescape(url), "mark": mark}) for src, url, mark in IMAGE.findall(page)]


async def want(shop: Shop, headers: Any, *wanted: Any) -> Any:
    return await shop.http.post("/pictures:want", json={"pictures": list(wanted)}, headers=headers)


async def test_a_product_shows_its_pictures_once_they_are_fetched(shop: Shop, host: PictureHost) -> None:
    owner = {**await shop.session(), "accept-language": "en"}
    good, gone = host.put("/mug.jpg?w=1&h=2", picture()), f"{host.url}/gone.jpg"
    await a_mug(shop, good, gone)
    page = (await shop.http.get("/products/MUG", headers=owner)).text
    (large, one), (_, other) = images(page)
    assert (large, one["url"]) == (f"/pictures/{key_of(good)}/large", good)
    before = await shop.http.get(large, headers=owner)
    assert (before.status_code, before.content, before.headers["cache-control"]) == (204, b"", "no-store")
    asked = await want(shop, owner, one, other)
    assert asked.json() == [{"key": key_of(url), "state": "wanted", "why": ""} for url in (good, gone)]
    await service.fetch.work(shop.database, shop.app.state.services.settings, keys=[key_of(good), key_of(gone)])
    shown = await shop.http.get(large, headers=owner)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
    assert shown.headers["cache-control"] == "private, max-age=86400"
    assert shown.headers["x-content-type-options"] == "nosniff"
    (small, _), *_ = images((await shop.http.get("/products", headers=owner)).text)
    assert small == f"/pictures/{key_of(good)}/small"
    assert (await shop.http.get(small, headers=owner)).status_code == 200
    assert (await shop.http.get(f"/pictures/{key_of(good)}/huge", headers=owner)).status_code == 404
    assert "Its server did not send it" in (await shop.http.get("/products/MUG", headers=owner)).text


async def test_a_page_can_have_nothing_asked_but_what_it_shows(shop: Shop, host: PictureHost) -> None:
    owner = {**await shop.session(), "accept-language": "en"}
    await a_mug(shop, host.put("/mug.jpg", picture()))
    ((_, one),) = images((await shop.http.get("/products/MUG", headers=owner)).text)
    forged = await want(shop, owner, {**one, "url": f"{host.url}/secret"})
    assert forged.status_code == 404
    assert "This link is not valid." in forged.text
    for body in (b"", b"[]", b'{"pictures": 1}', b'{"pictures": [{"url": 1}]}', b"\xff"):
        answer = await shop.http.post("/pictures:want", content=body, headers=owner)
        assert answer.status_code == 422, body
    nobody = await shop.http.get(f"/pictures/{key_of(one['url'])}/small", headers={"accept": "application/json"})
    assert nobody.status_code in {303, 401}
    assert not host.asked
