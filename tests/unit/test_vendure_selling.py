"""How changes of a Vendure catalogue are found: by dates each time, by reading all of it every so often."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from malha.channels.connectors.vendure import selling
from malha.channels.connectors.vendure.config import VendureConfig
from malha.channels.connectors.vendure.selling import product_of, pull_products
from malha.channels.contract import ExtProduct, Reply

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def a_row(id_: int, changed: int = 0, **product: Any) -> dict[str, Any]:
    """A variant as the Admin API says it, changed so many seconds after `AT`."""
    whole = {
        "id": str(id_), "name": f"Manta {id_}", "slug": f"manta-{id_}", "description": "<p>De lã</p>", "enabled": True,
        "featuredAsset": None, "assets": [], "facetValues": [], "collections": [], **product,
    }  # fmt: skip
    at = (AT + timedelta(seconds=changed)).isoformat().replace("+00:00", "Z")
    return {
        "id": str(id_), "sku": f"S-{id_}", "name": f"Manta {id_}", "priceWithTax": 1_000, "enabled": True,
        "updatedAt": at, "options": [], "product": whole,
    }  # fmt: skip


class Shop:
    """The Admin API as far as variants are listed, and a clock."""

    def __init__(self, *rows: dict[str, Any], reread: int = 60, page: int = 2) -> None:
        self.rows = list(rows)
        self.clock = AT + timedelta(hours=1)
        self.asked: list[dict[str, Any]] = []
        self.ctx: Any = SimpleNamespace(
            config=VendureConfig(base_url="https://shop.example/admin-api", page=page, reread_minutes=reread),
            http=self,
            access=SimpleNamespace(secret=lambda _name: "key"),
            now=lambda: self.clock,
        )

    async def send(self, _method: str, _url: str, *, body: bytes, **_: Any) -> Reply:
        options = json.loads(body)["variables"]["options"]
        self.asked.append(options)
        rows = self.rows
        if "filter" in options:
            start = datetime.fromisoformat(options["filter"]["updatedAt"]["between"]["start"])
            rows = sorted(
                (row for row in rows if datetime.fromisoformat(row["updatedAt"]) >= start),
                key=lambda row: (row["updatedAt"], int(row["id"])),
            )
        found = rows[options["skip"] : options["skip"] + options["take"]]
        said = {"data": {"productVariants": {"totalItems": len(rows), "items": found}}}
        return Reply(200, {}, json.dumps(said).encode())

    async def read(self, cursor: str | None = None) -> tuple[list[str], str]:
        told: list[str] = []
        for _ in range(50):
            page = await pull_products(self.ctx, cursor)
            told += [item.sku for item in page.items]
            assert not page.more or page.cursor != cursor
            cursor = page.cursor
            if not page.more:
                return told, cursor
        raise AssertionError("it has no end")


async def test_all_is_read_once_and_a_text_that_leaves_no_date_is_found_when_all_is_read_again() -> None:
    shop = Shop(*(a_row(n) for n in range(1, 6)))
    told, cursor = await shop.read()
    assert told == ["S-1", "S-2", "S-3", "S-4", "S-5"]
    shop.rows[3] = a_row(4, description="<p>De algodão</p>")
    assert (await shop.read(cursor))[0] == [], "not yet: all of it is read every hour"
    shop.clock += timedelta(minutes=61)
    told, cursor = await shop.read(cursor)
    assert told == ["S-4"]
    asked = len(shop.asked)
    assert (await shop.read(cursor))[0] == []
    assert len(shop.asked) == asked + 1, "and then only what changed by its date"


async def test_what_was_told_by_its_date_is_not_told_again_by_its_digest() -> None:
    shop = Shop(a_row(1), a_row(2), a_row(3), reread=0)
    _, cursor = await shop.read()
    shop.rows[1] = a_row(2, changed=60, name="Colcha")
    told, cursor = await shop.read(cursor)
    assert told == ["S-2"]
    assert (await shop.read(cursor))[0] == []


async def test_what_is_gone_there_is_forgotten_and_what_moved_up_is_told_later_and_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selling, "PIECES", 1)
    shop = Shop(*(a_row(n) for n in range(1, 6)), reread=0)
    _, cursor = await shop.read()
    page = await pull_products(shop.ctx, cursor)
    page = await pull_products(shop.ctx, page.cursor)  # the first two of all
    del shop.rows[0]  # the third moves to where the second was
    shop.rows[1] = a_row(3, name="Outra")
    told, cursor = await shop.read(page.cursor)
    assert told == []
    told, cursor = await shop.read(cursor)
    assert told == ["S-3"]
    assert sorted(json.loads(cursor)["said"]) == ["2", "3", "4", "5"]


async def test_a_large_catalogue_is_read_whole_with_few_cursors_and_none_holds_more_than_its_digests() -> None:
    shop = Shop(*(a_row(n, changed=n) for n in range(1, 2_101)), page=50)
    _, cursor = await shop.read()
    shop.rows[77] = a_row(78, changed=78, name="Outra")
    shop.clock += timedelta(minutes=61)
    page = await pull_products(shop.ctx, cursor)
    kept, told = [page.cursor], [item.sku for item in page.items]
    while page.more:
        page = await pull_products(shop.ctx, page.cursor)
        kept.append(page.cursor)
        told += [item.sku for item in page.items]
    assert told == ["S-78"]
    assert len(kept) <= 4, "one after what changed, and one after each thousand variants"
    assert max(map(len, kept)) <= 21 * 2_100 + 500
    assert {len(digest) for digest in json.loads(kept[-1])["said"].values()} == {9}
    assert all(options["take"] <= 50 for options in shop.asked[-42:]), "an answer stays small"


async def test_a_slow_shop_has_what_was_read_of_it_kept_before_long() -> None:
    shop = Shop(*(a_row(n) for n in range(1, 21)), reread=0)
    _, cursor = await shop.read()
    shop.send = slow(shop)  # type: ignore[method-assign]
    page = await pull_products(shop.ctx, cursor)
    page = await pull_products(shop.ctx, page.cursor)
    assert page.more
    assert json.loads(page.cursor)["skip"] == 4, "two pages, each of which took half a minute"


def slow(shop: Shop) -> Any:
    """The shop's answers, each half a minute late."""
    answer = shop.send

    async def send(*args: Any, **kwargs: Any) -> Reply:
        shop.clock += timedelta(seconds=30)
        return await answer(*args, **kwargs)

    return send


async def test_a_cursor_of_a_former_version_has_everything_told_once_more() -> None:
    shop = Shop(a_row(1), a_row(2))
    former = json.dumps({"at": AT.isoformat(), "seen": {"1": 1, "2": 2}})
    told, cursor = await shop.read(former)
    assert set(told) == {"S-1", "S-2"}
    assert (await shop.read(cursor))[0] == []


async def test_of_a_catalogue_that_is_too_large_to_be_remembered_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selling, "MOST_KEPT", 3)
    shop = Shop(*(a_row(n) for n in range(1, 6)), reread=0)
    _, cursor = await shop.read()
    told, _ = await shop.read(cursor)
    assert told == ["S-4", "S-5"], "those without a digest are told each time"


def said(**product: Any) -> ExtProduct:
    return product_of(a_row(7, **product))


def test_the_deepest_public_collection_counts_and_the_root_has_no_name() -> None:
    root = {"id": "1", "name": "__root_collection__"}
    house, rugs = {"id": "2", "name": "Casa"}, {"id": "3", "name": "Tapetes"}
    found = [
        {"id": "9", "isPrivate": True, "breadcrumbs": [root, house, rugs, {"id": "9", "name": "Só aqui"}]},
        {"id": "2", "isPrivate": False, "breadcrumbs": [root, house]},
        {"id": "3", "isPrivate": False, "breadcrumbs": [root, house, rugs]},
    ]
    assert said(collections=found).category == "Casa > Tapetes"
    assert said().category == ""


def test_facets_are_attributes_but_for_private_ones_and_pictures_need_https() -> None:
    facets = [
        {"id": str(n), "name": name, "facet": {"id": str(f), "name": of, "isPrivate": private}}
        for n, name, f, of, private in (
            (2, "Lã", 1, "Fio", False), (1, "Linho", 1, "Fio", False), (3, "x", 2, "Interna", True),
        )
    ]  # fmt: skip
    cover = {"id": "5", "type": "IMAGE", "source": "https://m.example/5.jpg"}
    other = {"id": "4", "type": "IMAGE", "source": "https://m.example/4.jpg"}
    plain = {"id": "6", "type": "IMAGE", "source": "http://m.example/6.jpg"}
    film = {"id": "8", "type": "VIDEO", "source": "https://m.example/8.mp4"}
    told = said(facetValues=facets, featuredAsset=cover, assets=[other, cover, plain, film])
    assert told.attributes == {"Fio": "Linho, Lã"}
    assert told.pictures == ["https://m.example/5.jpg", "https://m.example/4.jpg"]
    assert told.description == "De lã"
