"""Connections made and edited in the console: of every connector, there and back, with nothing lost."""

import html
import re
from typing import Any

import msgspec
import pytest
from tests_http import Shop

from malha.channels.connecting import registry, service
from malha.channels.connecting.model import ConnectionDraft
from malha.testing.builders import a_network

ADDRESS = "https://shop.example/admin-api"
# What cannot be made up from the schema: what has a form of its own.
REQUIRED: dict[str, dict[str, str]] = {
    "shopify": {"shop": "loja.myshopify.com", "location": "61234567890"},
    "partner_files": {"host": "sftp.example", "user": "malha"},
    "erp_files": {"host": "sftp.example", "user": "malha"},
}


def filled_in(page: str) -> dict[str, str]:
    """The fields of the form as a browser sends them back."""
    form = page[page.index('<form class="m-form"') :]
    form = form[: form.index("</form>")]
    sent: dict[str, str] = {}
    for tag, attributes, inner in re.findall(
        r"<(input|select|textarea)\b([^>]*)>(?:(.*?)</(?:select|textarea)>)?", _closed(form), re.DOTALL
    ):
        name = html.unescape(re.search(r'name="([^"]*)"', attributes)[1])  # type: ignore[index]
        if tag == "input":
            value = re.search(r'value="([^"]*)"', attributes)
            sent[name] = html.unescape(value[1]) if value else ""
        elif tag == "textarea":
            sent[name] = html.unescape(inner.removeprefix("\n")).replace("\n", "\r\n")
        else:
            chosen = re.search(r'<option value="([^"]*)" selected', inner) or re.search(
                r'<option value="([^"]*)"', inner
            )
            sent[name] = html.unescape(chosen[1]) if chosen else ""
    return sent


def _closed(form: str) -> str:
    """Close inputs, which have no end of their own."""
    return re.sub(r"(<input\b[^>]*>)", r"\1</select>", form)


async def kept(shop: Shop, code: str) -> dict[str, Any]:
    async with shop.database.transaction() as tx:
        return (await service.connection_of(tx, code)).config


@pytest.mark.parametrize("key", sorted(registry.connectors()))
async def test_a_connection_is_made_in_the_form_and_edited_with_nothing_changed(shop: Shop, key: str) -> None:
    connector = registry.connectors()[key]
    async with shop.database.transaction() as tx:
        await a_network(tx)
    owner = await shop.session()
    page = await shop.http.get(f"/connections:new?connector={key}", headers=owner)
    form = filled_in(page.text)
    if "channel" in form:
        assert form["channel"]
    given = REQUIRED.get(key, {"base_url": ADDRESS})
    form |= {"name": "Loja", "code": "loja", **{f"config/{name}": value for name, value in given.items()}}
    made = await shop.http.post("/connections:new", data=form, headers=owner)
    assert made.status_code == 303, made.text
    first = await kept(shop, "loja")
    assert msgspec.convert(first, connector.config_model) == msgspec.convert(given, connector.config_model)

    edit = await shop.http.get("/connections/loja/edit", headers=owner)
    again = filled_in(edit.text) | {"name": "Other name"}
    saved = await shop.http.post("/connections/loja/edit", data=again, headers=owner)
    assert saved.status_code == 303, saved.text
    assert await kept(shop, "loja") == first
    assert (await shop.http.get("/connections/loja", headers=owner)).status_code == 200


async def test_a_heading_that_means_nothing_is_refused_at_its_field_in_the_form(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_network(tx)
    owner = await shop.session()
    form = filled_in((await shop.http.get("/connections:new?connector=erp_files", headers=owner)).text)
    form |= {"name": "ERP", "code": "erp", "config/host": "sftp.example", "config/user": "malha"}
    form["config/columns"] = "COD=foo"
    htmx = {**owner, "hx-request": "true"}
    refused = await shop.http.post("/connections:new", data=form, headers=htmx)
    assert refused.status_code == 422
    told = html.unescape(refused.text)
    assert 'data-at="config/columns"' in told
    assert "there is no column foo." in told or "não existe a coluna foo." in told


async def test_what_the_api_was_told_stays_when_only_a_secret_is_changed(shop: Shop) -> None:
    config = {
        "shop": "loja.myshopify.com",
        "location": "1",
        "locations": {"SP-MOEMA": "456", "RJ": "7"},
        "own_stock": ["8", "9"],
        "pos_orders": "take",
    }
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        channel = await tx.value("SELECT code FROM channel ORDER BY id LIMIT 1")
        keys = shop.app.state.services.signing
        draft = ConnectionDraft(code="loja", name="L", connector="shopify", channel=channel, config=config, secrets={})
        await service.add_connection(tx, draft, keys)
    assert world
    owner = await shop.session()
    form = filled_in((await shop.http.get("/connections/loja/edit", headers=owner)).text)
    assert form["config/locations"] == "RJ = 7\r\nSP-MOEMA = 456"
    saved = await shop.http.post(
        "/connections/loja/edit", data={**form, "secrets/access_token": "t" * 20}, headers=owner
    )
    assert saved.status_code == 303, saved.text
    assert await kept(shop, "loja") == config
    form = filled_in((await shop.http.get("/connections/loja/edit", headers=owner)).text)
    form["config/locations"] = "SP-MOEMA 456\r\nRJ = 7"
    htmx = {**owner, "hx-request": "true"}
    refused = await shop.http.post("/connections/loja/edit", data=form, headers=htmx)
    assert refused.status_code == 422
    told = html.unescape(refused.text)
    assert 'data-at="config/locations"' in told
    assert "Line 1, SP-MOEMA 456: there is no = in it." in told
    shown = html.unescape((await shop.http.get("/connections/loja", headers=owner)).text)
    assert "RJ = 7, SP-MOEMA = 456" in shown
    assert "Our locations at Shopify" in shown


async def test_a_page_tells_a_failed_test_in_the_readers_language_and_without_a_mark(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_network(tx)
        channel = await tx.value("SELECT code FROM channel ORDER BY id LIMIT 1")
        config = {"base_url": "https://shop.example"}
        draft = ConnectionDraft(code="loja", name="L", connector="generic", channel=channel, config=config)
        await service.add_connection(tx, draft, shop.app.state.services.signing)
        await tx.execute(
            "INSERT INTO api_log (connection_id, slot, at, operation, method, path, status, ms, says)"
            " SELECT id, 1, now(), 'pull', 'GET', '/', NULL, 1,"
            " '127.0.0.1 cannot be reached: All connection attempts failed' FROM connection"
        )
    owner = {**await shop.session(), "accept-language": "pt-BR"}
    tested = await shop.http.post("/connections/loja/act", data={"act": "test"}, headers=owner)
    assert tested.status_code == 303
    page = html.unescape((await shop.http.get("/connections/loja", headers=owner)).text)
    assert '<span class="m-late">o segredo api_key não foi informado</span>' in page
    assert ": ! " not in page
    assert "Não foi possível alcançar 127.0.0.1: nenhuma tentativa de conexão teve êxito" in page


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("generic", {"base_url": "https://192.168.0.7/api"}),
        ("erp_files", {"host": "0300.0250.7", "user": "malha"}),
        ("partner_files", {"host": "::1", "user": "malha"}),
    ],
)
async def test_an_address_that_is_not_public_is_refused_at_its_field_when_it_is_saved(
    shop: Shop, key: str, given: dict[str, str]
) -> None:
    async with shop.database.transaction() as tx:
        await a_network(tx)
    owner = {**await shop.session(), "accept-language": "pt-BR"}
    form = filled_in((await shop.http.get(f"/connections:new?connector={key}", headers=owner)).text)
    form |= {"code": "dentro", "name": "Dentro"} | {f"config/{name}": value for name, value in given.items()}
    if "channel" in form:
        form["channel"] = "SITE"
    page = html.unescape((await shop.http.post("/connections:new", data=form, headers=owner)).text)
    assert "leva a uma rede que não é pública" in page
    assert "MALHA_OUTWARD_ALLOW" in page
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM connection") == 0
