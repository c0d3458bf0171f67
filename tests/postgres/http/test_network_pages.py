"""The pages of the network: who sees and changes what, from which version, and what a refused form says."""

import re
from datetime import timedelta
from typing import Any

import pytest
from tests_http import Shop

from malha.identity.model import Role
from malha.network import reads, service
from malha.network.model import ChannelDraft, ChannelKind, LocationStatus
from malha.platform import audit
from malha.platform.brazil import cnpj_check_digits
from malha.testing import builders
from malha.testing.builders import in_days

HTMX = {"hx-request": "true", "x-slot": "#refusal"}


async def seed(shop: Shop) -> builders.World:
    async with shop.database.transaction() as tx:
        return await builders.a_network(tx, capacity=10)


def fields_of(page: str) -> dict[str, str]:
    """Return the filled-in fields of the one big form of a page, as a browser would send them."""
    form = page[page.index('<form class="m-form"') :]
    form = form[: form.index("</form>")]
    sent: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name = re.search(r'name="([^"]+)"', tag)
        if name is None or ('type="checkbox"' in tag and " checked" not in tag):
            continue
        value = re.search(r' value="([^"]*)"', tag)
        sent[name[1]] = value[1] if value else ""
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        sent[name] = chosen[1] if chosen else ""
    return sent


async def test_the_list_of_locations_is_searched_and_filtered(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()

    async def codes(query: str) -> list[str]:
        page = (await shop.http.get(f"/locations{query}", headers=owner)).text
        return re.findall(r'class="m-id" href="/locations/([^"]+)"', page)

    assert sorted(await codes("")) == ["DC", "S1", "S2"]
    assert sorted(await codes("?kind=store")) == ["S1", "S2"]
    assert await codes("?state=RJ") == ["S2"]
    assert await codes("?q=s1") == ["S1"]
    assert await codes("?status=closed") == []
    assert sorted(await codes("?kind=nonsense&page=x&can=fly")) == ["DC", "S1", "S2"]


async def test_a_person_of_one_location_sees_and_pauses_no_other(shop: Shop) -> None:
    await seed(shop)
    lead = await shop.session(Role.PLANNER, locations=["S1"])
    page = (await shop.http.get("/locations", headers=lead)).text
    assert "/locations/S1" in page
    assert "/locations/S2" not in page
    assert (await shop.http.get("/locations/S2", headers=lead)).status_code == 404
    assert (await shop.http.get("/establishments/RJ1", headers=lead)).status_code == 404
    assert "AB.345.678" not in (await shop.http.get("/companies", headers=lead)).text
    exported = (await shop.http.get("/locations:export.csv", headers=lead)).text
    assert "S1" in exported
    assert "S2" not in exported
    sent = {"act": "pause", "code": ["S1", "S2"], "reason": "Chuva", "until": ""}
    assert (await shop.http.post("/locations:bulk", data=sent, headers=lead)).status_code == 303
    async with shop.database.transaction() as tx:
        found = await reads.locations_by_code(tx, ["S1", "S2"])
    assert [found[code].status for code in ("S1", "S2")] == [LocationStatus.PAUSED, LocationStatus.ACTIVE]


async def test_a_location_is_created_with_what_its_cep_tells_and_changed(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()
    new = fields_of((await shop.http.get("/locations:new", headers=owner)).text)
    new |= {"name": "Loja Manaíra", "code": "JPA-01", "kind": "store", "establishment": "SP1", "handling_cost": "5,20"}
    new |= {"address/postal_code": "58038-310", "hours/mon/0/from": "9", "hours/mon/0/to": "18h30", "cut_off": "1400"}
    sent = await shop.http.post("/locations:new", data=new, headers=owner)
    assert (sent.status_code, sent.headers["location"]) == (303, "/locations/JPA-01")
    async with shop.database.transaction() as tx:
        made = (await reads.locations_by_code(tx, ["JPA-01"]))["JPA-01"]
    assert (made.address.city, made.state, made.timezone) == ("João Pessoa", "PB", "America/Fortaleza")
    assert (made.opening_hours, made.handling_cost) == ({"mon": [("09:00", "18:30")]}, 520)

    edit = fields_of((await shop.http.get("/locations/JPA-01/edit", headers=owner)).text)
    edit |= {"address/postal_code": "51020-010", "address/city": "", "address/state": "", "daily_capacity": "60"}
    assert (await shop.http.post("/locations/JPA-01/edit", data=edit, headers=owner)).status_code == 303
    async with shop.database.transaction() as tx:
        moved = (await reads.locations_by_code(tx, ["JPA-01"]))["JPA-01"]
    assert (moved.address.city, moved.daily_capacity) == ("Recife", 60)
    assert moved.latitude != made.latitude
    assert "60" in (await shop.http.get("/locations/JPA-01", headers=owner)).text


async def test_a_form_that_was_open_while_someone_else_saved_is_refused(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()
    for path in ("/locations/S1/edit", "/channels/web/edit", "/services/standard/edit", "/establishments/SP1/edit"):
        form = fields_of((await shop.http.get(path, headers=owner)).text)
        assert (await shop.http.post(path, data=form | {"name": "Primeiro"}, headers=owner)).status_code == 303, path
        late = await shop.http.post(path, data=form | {"name": "Segundo"}, headers=owner | HTMX)
        assert late.status_code == 409, path
        assert "was changed by someone else" in late.text


async def test_a_refused_form_says_which_fields_are_wrong(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()
    form = fields_of((await shop.http.get("/locations/S1/edit", headers=owner)).text)
    form |= {"name": "", "hours/tue/0/from": "25:00", "priority": "many", "latitude": "12", "longitude": ""}
    refused = await shop.http.post("/locations/S1/edit", data=form, headers=owner | HTMX)
    assert refused.status_code == 422
    assert refused.headers["hx-retarget"] == "#refusal"
    assert set(re.findall(r'data-at="([^"]*)"', refused.text)) == {"hours/tue/0/from", "priority", "longitude"}
    form |= {"hours/tue/0/from": "", "hours/tue/0/to": "", "priority": "1", "longitude": "12"}
    refused = await shop.http.post("/locations/S1/edit", data=form, headers=owner | HTMX)
    assert re.findall(r'data-at="([^"]*)"', refused.text) == ["name"]


async def test_a_location_is_paused_with_a_reason_until_a_time_and_takes_work_again(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()
    async with shop.database.transaction() as tx:
        version = (await reads.locations_by_code(tx, ["S1"]))["S1"].version
    until = f"{in_days(2)}T09:00"
    sent = {"status": "paused", "reason": "Inventário <b>", "until": until, "version": str(version)}
    assert (await shop.http.post("/locations/S1/status", data=sent, headers=owner)).status_code == 303
    page = (await shop.http.get("/locations/S1", headers=owner)).text
    assert "Inventário &lt;b&gt;" in page
    assert "Take work again" in page
    past = {"status": "paused", "reason": "x", "until": "2020-01-01T09:00", "version": str(version + 1)}
    assert (await shop.http.post("/locations/S1/status", data=past, headers=owner | HTMX)).status_code == 422
    again = {"status": "active", "version": str(version + 1)}
    led = await shop.http.post("/locations/S1/status", data=again, headers=owner | HTMX)
    assert led.headers["hx-redirect"] == "/locations/S1"
    assert "Pause this location" in (await shop.http.get("/locations/S1", headers=owner)).text


async def test_days_are_closed_also_repeatedly_and_opened_again(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()
    first = in_days(10)
    sent = {
        "first": str(first),
        "last": str(first + timedelta(days=1)),
        "repeat": "weekly",
        "times": "2",
        "reason": "Obra",
    }
    assert (await shop.http.post("/locations/S1/close-days", data=sent, headers=owner)).status_code == 303
    page = (await shop.http.get("/locations/S1", headers=owner)).text
    assert page.count("<td>Obra</td>") == 4
    await shop.http.post("/locations/S1/open-days", data={"day": str(first)}, headers=owner)
    assert (await shop.http.get("/locations/S1", headers=owner)).text.count("<td>Obra</td>") == 3
    wrong = sent | {"first": "", "reason": ""}
    refused = await shop.http.post("/locations/S1/close-days", data=wrong, headers=owner | HTMX)
    assert re.findall(r'data-at="([^"]*)"', refused.text) == ["first"]


async def test_an_establishment_brings_its_company_when_the_root_of_its_cnpj_is_new(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()
    base = "12ABC3450001"
    form = fields_of((await shop.http.get("/establishments:new", headers=owner)).text)
    form |= {"name": "Filial", "code": "F1", "cnpj": f"{base}{cnpj_check_digits(base)}", "state": "BA"}
    refused = await shop.http.post("/establishments:new", data=form, headers=owner | HTMX)
    assert re.findall(r'data-at="([^"]*)"', refused.text) == ["legal_name"]
    form |= {"legal_name": "Renda e Cia Ltda", "company_kind": "franchise"}
    assert (await shop.http.post("/establishments:new", data=form, headers=owner)).status_code == 303
    company = (await shop.http.get("/companies/12ABC345", headers=owner)).text
    assert "Renda e Cia Ltda" in company
    assert "12.ABC.345" in company
    # A second establishment of the same company leaves the company's kind as it is.
    second = "12ABC3450002"
    form |= {"name": "Filial 2", "code": "F2", "cnpj": f"{second}{cnpj_check_digits(second)}"}
    form |= {"legal_name": "", "company_kind": "own"}
    assert (await shop.http.post("/establishments:new", data=form, headers=owner)).status_code == 303
    async with shop.database.transaction() as tx:
        found = await reads.legal_entity(tx, "12ABC345")
    assert found is not None
    assert (found.name, found.kind) == ("Renda e Cia Ltda", "franchise")
    sent = {"name": "Renda & Cia", "kind": "franchise", "version": str(found.version)}
    assert (await shop.http.post("/companies/12ABC345", data=sent, headers=owner)).status_code == 303
    assert "Renda &amp; Cia" in (await shop.http.get("/companies?q=12.ABC.345", headers=owner)).text


async def test_a_channel_is_created_with_the_locations_that_may_serve_it(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()
    form: dict[str, Any] = fields_of((await shop.http.get("/channels:new", headers=owner)).text)
    form |= {"name": "Televendas", "code": "tel", "kind": "telesales", "locations": ["S1", "DC"], "priority": "5"}
    assert (await shop.http.post("/channels:new", data=form, headers=owner)).status_code == 303
    page = (await shop.http.get("/channels/tel", headers=owner)).text
    assert "/locations/S1" in page
    assert "/locations/S2" not in page
    assert "Televendas" in (await shop.http.get("/channels", headers=owner)).text
    async with shop.database.transaction() as tx:
        entry = (await audit.trail(tx, entity="channel", entity_id="tel"))[0]
    assert (entry.action, entry.actor_kind) == ("create", "person")


async def test_what_changed_of_a_channel_is_written_down_before_and_after(shop: Shop) -> None:
    await seed(shop)
    async with shop.database.transaction() as tx:
        await service.create_channel(tx, ChannelDraft(code="tel", name="Tel", kind=ChannelKind.TELESALES))
        await service.update_channel(
            tx, ChannelDraft(code="tel", name="Tel", kind=ChannelKind.TELESALES, priority=3), 1
        )
        entry = (await audit.trail(tx, entity="channel", entity_id="tel"))[0]
    assert (entry.before, entry.after) == ({"priority": 100}, {"priority": 3})


# --- prices ---


async def test_prices_are_edited_as_a_grid_and_other_origins_stay(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()
    table = (
        "from;to;up_to_kg;price;lead_days;per_extra_kg\nSP;RJ;1;10,00;2;0\nSP;RJ;5;20,00;2;1,50\nRJ;SP;1;11,00;2;0\n"
    )
    page = (await shop.http.get("/services/standard", headers=owner)).text
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version is not None
    sent = await shop.http.post(
        "/services/standard/rates/import",
        data={"version": version[1]},
        files={"file": ("t.csv", table.encode(), "text/csv")},
        headers=owner,
    )
    assert sent.status_code == 303
    page = (await shop.http.get("/services/standard?origin=SP", headers=owner)).text
    form = fields_of(page)
    assert (form["kg0"], form["kg1"], form["p0-0"], form["p0-1"], form["days0"], form["extra0"]) == (
        "1",
        "5",
        "10.00",
        "20.00",
        "2",
        "1.50",
    )
    form |= {"p0-0": "12,50", "kg2": "30", "p0-2": "45", "to1": "BA", "p1-0": "30", "days1": "5"}
    saved = await shop.http.post("/services/standard/rates", data=form, headers=owner)
    assert (saved.status_code, saved.headers["location"]) == (303, "/services/standard?origin=SP")
    exported = (await shop.http.get("/services/standard/rates.csv", headers=owner)).text.splitlines()[1:]
    assert exported == [
        "RJ;SP;1,000;11,00;2;0,00",
        "SP;BA;1,000;30,00;5;0,00",
        "SP;RJ;1,000;12,50;2;0,00",
        "SP;RJ;5,000;20,00;2;1,50",
        "SP;RJ;30,000;45,00;2;1,50",
    ]


async def test_a_wrong_price_is_told_at_its_cell(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()
    form = {
        "version": "1",
        "origin": "SP",
        "kg0": "1",
        "kg1": "5",
        "to0": "RJ",
        "days0": "2",
        "p0-0": "10",
        "p0-1": "x",
    }
    refused = await shop.http.post("/services/standard/rates", data=form, headers=owner | HTMX)
    assert re.findall(r'data-at="([^"]*)"', refused.text) == ["p0-1"]
    form |= {"p0-1": "9"}
    refused = await shop.http.post("/services/standard/rates", data=form, headers=owner | HTMX)
    assert "a heavier bracket is cheaper" in refused.text
    form |= {"p0-1": "19", "days0": ""}
    refused = await shop.http.post("/services/standard/rates", data=form, headers=owner | HTMX)
    assert re.findall(r'data-at="([^"]*)"', refused.text) == ["days0"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("from;to;up_to_kg;price;lead_days\nSP;RJ;1;10;2\n", "New prices"),
        ("from;to;up_to_kg;price;lead_days\nSP;XX;1;10;2\n", "Line 2: "),
        ("a;b\n1;2\n", "These columns are missing"),
        ("", "The file is empty"),
    ],
)
async def test_a_file_of_prices_says_beforehand_what_it_would_do(shop: Shop, table: str, says: str) -> None:
    await seed(shop)
    owner = await shop.session()
    files = {"file": ("t.csv", table.encode(), "text/csv")}
    told = await shop.http.post("/services/standard/rates/preview", files=files, headers=owner | HTMX)
    assert says in told.text
    async with shop.database.transaction() as tx:
        assert len(await reads.rates(tx)) == 1


async def test_a_parcel_is_quoted_between_states_or_ceps(shop: Shop) -> None:
    await seed(shop)
    owner = await shop.session()
    told = await shop.http.get("/services:quote?from=01310-100&to=RJ&kg=0,5", headers=owner)
    assert 'href="/services/standard"' in told.text
    nothing = await shop.http.get("/services:quote?from=SP&to=RJ&kg=90000", headers=owner)
    assert "No service in use carries" in nothing.text
    wrong = await shop.http.get("/services:quote?from=Here&to=RJ&kg=1", headers=owner)
    assert "Give both places" in wrong.text


async def test_who_may_only_read_sees_no_form(shop: Shop) -> None:
    await seed(shop)
    auditor = await shop.session(Role.AUDITOR)
    for path in (
        "/locations",
        "/locations/S1",
        "/companies",
        "/channels",
        "/channels/web",
        "/services",
        "/services/standard",
    ):
        page = (await shop.http.get(path, headers=auditor)).text
        assert ":new" not in page, path
        assert "m-btn-primary" not in page, path
        assert 'method="post" action="/services' not in page, path
