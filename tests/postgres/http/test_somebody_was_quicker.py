"""A form from a state that is no more is refused on its own page, with what somebody else changed meanwhile."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from linked_world import CODE, linked
from tests_http import open_shop

from malha.catalog import ownership
from malha.catalog import reads as catalog_reads
from malha.catalog import service as catalog
from malha.catalog.model import ProductDraft, VariantDraft
from malha.channels.connecting import fields, mastering
from malha.channels.connecting.field_rules import FieldRule
from malha.channels.feeds.model import Mapped, Origin
from malha.channels.listings import service as listings
from malha.platform.db import Database, Tx
from malha.routing.ruling import service as ruling
from malha.routing.ruling.model import Content, Run

HERE = f"/connections/{CODE}"
SAID = [Mapped(target="title", origin=Origin.TEMPLATE, value="{name} {sku}")]


@pytest.fixture
async def made(database: Database, tmp_path: Path):
    """A connection and a product, and a person who reads English."""
    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed,))
        async with world.database.transaction() as tx:
            draft = ProductDraft(code="Q-1", name="Camisa", variants=[VariantDraft(sku="Q-1", price=100)])
            await catalog.put_products(tx, [draft])
        yield world, shop, await shop.session()


async def rules(tx: Tx) -> None:
    await fields.put(tx, CODE, [FieldRule(to="note", source="note")], 0)


async def kept(tx: Tx) -> None:
    await mastering.put_fields(tx, CODE, ["brand"], 0)


async def mapped(tx: Tx) -> None:
    await listings.put_mapping(tx, CODE, SAID, 0)


async def said(tx: Tx) -> None:
    await listings.say(tx, CODE, "A", {"title": "Outro nome"}, 0)


FORMS: dict[str, tuple[Any, str, dict[str, str], str, str]] = {
    "fields that a connection keeps": (kept, f"{HERE}/products", {"field": "ncm"}, f"{HERE}/products", "brand"),
    "how fields are filled": (
        mapped,
        f"{HERE}/listing-fields",
        {"plan/mapping/0/target": "title", "plan/mapping/0/source": "field:name"},
        f"{HERE}/listing-fields",
        "Changed last by",
    ),
    "the last change taken back": (
        mapped, f"{HERE}/listing-fields:undo", {"act": "usual"}, f"{HERE}/listing-fields", "Changed last by",
    ),
    "a field of a listing": (
        said, f"{HERE}/listings/A", {"field": "title", "value": "Meu nome"}, f"{HERE}/listings/A", "Outro nome",
    ),
    "field rules": (
        rules, f"{HERE}/fields", {"act": "save", "rows/0/to": "note", "rows/0/source": "note"}, f"{HERE}/fields",
        "Changed last by",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
async def test_a_form_of_a_former_state_is_refused_beside_what_was_typed(made: Any, name: str) -> None:
    world, shop, headers = made
    change, address, form, shown, told = FORMS[name]
    async with world.database.transaction() as tx:
        await change(tx)
    script = {**headers, "hx-request": "true", "x-slot": "#refusal"}
    answer = await shop.http.post(address, data={**form, "version": "0"}, headers=script)
    assert answer.status_code == 409, answer.text
    assert answer.headers["hx-retarget"] == "#refusal"
    assert "<html" not in answer.text, "the page stays, with what was typed"
    assert "by someone else meanwhile" in answer.text
    assert f'href="{shown}"' in answer.text
    assert "Changed last by" in answer.text
    assert told.lower() in answer.text.lower()
    portuguese = {**script, "accept-language": "pt-BR"}
    answer = await shop.http.post(address, data={**form, "version": "0"}, headers=portuguese)
    assert "outra pessoa" in answer.text.casefold()
    assert "O que você digitou continua aqui" in answer.text
    bare = await shop.http.post(address, data={**form, "version": "0"}, headers=headers)
    assert (bare.status_code, "by someone else meanwhile" in bare.text) == (409, True), "without a script, too"


@pytest.mark.parametrize("path", ["", "/active"])
async def test_a_product_that_somebody_else_changed_says_what_they_changed(made: Any, path: str) -> None:
    world, shop, headers = made
    async with world.database.transaction() as tx:
        now = (await catalog_reads.products_by_code(tx, ["Q-1"]))["Q-1"]
        draft = msgspec.structs.replace(catalog_reads.product_draft(now), name="Camiseta de outra pessoa")
        await catalog.update_product(tx, draft, now.version)
    script = {**headers, "hx-request": "true", "x-slot": "#refusal"}
    answer = await shop.http.post(f"/products/Q-1{path}", data={"seen": "0.0", "name": "Minha"}, headers=script)
    assert answer.status_code == 409, answer.text
    assert "Product Q-1 was changed by someone else meanwhile" in answer.text
    assert "Camisa → Camiseta de outra pessoa" in answer.text
    assert 'href="/products/Q-1"' in answer.text


async def test_another_conflict_is_told_as_it_was(made: Any) -> None:
    world, shop, headers = made
    async with world.database.transaction() as tx:
        await ownership.claim(tx, "erp", "ERP", ["brand"])
    script = {**headers, "hx-request": "true", "x-slot": "#refusal"}
    answer = await shop.http.post(f"{HERE}/products", data={"field": "brand", "version": "0"}, headers=script)
    assert answer.status_code == 409
    assert "another tab" not in answer.text
    assert "A field has one owner" in answer.text


async def test_a_draft_of_routing_rules_is_named_as_readers_name_it(made: Any) -> None:
    world, shop, headers = made
    async with world.database.transaction() as tx:
        draft = await ruling.start_draft(tx)
        await ruling.save_draft(tx, draft.id, Content(runs=[Run(name="Another's")]), draft.version)
    script = {**headers, "hx-request": "true", "x-slot": "#refusal"}
    form = {"version": str(draft.version), "name": "Mine"}
    answer = await shop.http.post(f"/routing-rules/{draft.id}/runs:new", data=form, headers=script)
    assert (answer.status_code, f"Routing rules {draft.id} was changed" in answer.text) == (409, True)
    portuguese = {**script, "accept-language": "pt-BR"}
    answer = await shop.http.post(f"/routing-rules/{draft.id}/runs:new", data=form, headers=portuguese)
    assert f"Regras de roteamento {draft.id}: outra pessoa fez alterações nesse meio-tempo" in answer.text
