"""The network in a real database: statements, snapshot, versions, revisions."""

from datetime import UTC, date, datetime, time, timedelta

import msgspec
import pytest

from malha.network import reads, service
from malha.network.errors import (
    CnpjTaken,
    CodeTaken,
    SharedByAll,
    UnknownEstablishment,
    UnknownLegalEntity,
    UnknownLocation,
)
from malha.network.model import (
    ChannelDraft,
    ChannelKind,
    EntityKind,
    EstablishmentDraft,
    LegalEntityDraft,
    LocationDraft,
    LocationKind,
    LocationStatus,
    RateDraft,
    Repeat,
    ServiceDraft,
)
from malha.network.rates_file import read_rates
from malha.network.rules import MOST_REPEATS, repeated_days
from malha.platform import audit
from malha.platform.address import Address
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid

CNPJ = "11222333000181"
ALPHANUMERIC = "12ABC34501DE35"


def an_establishment(code: str = "E1", cnpj: str = CNPJ, **facts: object) -> EstablishmentDraft:
    return EstablishmentDraft(**{"code": code, "name": f"Loja {code}", "cnpj": cnpj, "state": "SP", **facts})


def a_location(code: str = "SP01", **facts: object) -> LocationDraft:
    stated = {
        "code": code,
        "name": f"Loja {code}",
        "kind": LocationKind.STORE,
        "establishment": "E1",
        "address": Address(postal_code="01310-100", street="Avenida Paulista", number="1000"),
        "opening_hours": {"mon": [("09:00", "18:00")], "sat": [("09:00", "13:00")]},
        **facts,
    }
    return LocationDraft(**stated)


async def a_network(tx: Tx) -> None:
    await service.put_establishments(tx, [an_establishment(), an_establishment("E2", ALPHANUMERIC, state="RJ")])
    await service.put_locations(
        tx,
        [
            a_location("SP01"),
            a_location("RJ01", establishment="E2", address=Address(city="Niterói", state="RJ")),
            a_location("AM01", address=Address(postal_code="69005-010"), daily_capacity=3),
        ],
    )
    await service.put_channels(
        tx,
        [
            ChannelDraft(code="site", name="Site", kind=ChannelKind.WEB),
            ChannelDraft(code="loja-sp", name="Loja", kind=ChannelKind.STORE, establishment="E1", locations=["SP01"]),
        ],
    )
    rates = [
        RateDraft(from_state="SP", to_state="SP", max_grams=1000, price=1290, lead_days=2),
        RateDraft(from_state="SP", to_state="SP", max_grams=5000, price=1990, lead_days=2, per_extra_kg=150),
        RateDraft(from_state="*", to_state="*", max_grams=30000, price=4990, lead_days=9),
    ]
    await service.put_services(tx, [ServiceDraft(code="pac", name="PAC", carrier="correios", rates=rates)])


async def test_the_snapshot_holds_the_whole_network_with_what_the_cep_tells(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await service.close_days(tx, "SP01", [date(2026, 1, 26)], "Aniversário")
    async with database.snapshot() as tx:
        network = await reads.snapshot(tx)
    sp, rj, am = (network.location(code) for code in ("SP01", "RJ01", "AM01"))
    assert sp
    assert rj
    assert am
    assert (sp.address.city, sp.address.ibge, sp.postal_code, sp.timezone) == (
        "São Paulo", "3550308", "01310100", "America/Sao_Paulo",
    )  # fmt: skip
    assert rj.address.ibge == "3303302"
    assert rj.latitude is not None
    assert (am.state, am.timezone, am.holiday_calendar, am.daily_capacity) == ("AM", "America/Manaus", "BR-AM", 3)
    assert sp.cut_off == time(14, 0)
    assert network.establishment_of(rj.id).cnpj == ALPHANUMERIC
    web, store = network.channel("site"), network.channel("loja-sp")
    assert web
    assert store
    assert web.may_use(am.id)
    assert store.may_use(sp.id)
    assert not store.may_use(rj.id)
    pac = network.service("pac")
    assert pac
    quote = network.tariff.quote(pac.id, "SP", "SP", 1001)
    assert quote
    assert (quote.price, quote.lead_days) == (1990, 2)
    # Friday after the cut-off; Saturday is worked, Monday is closed: Saturday 13:00 in São Paulo.
    due = network.calendars[sp.id].due_at(datetime(2026, 1, 23, 20, tzinfo=UTC))
    assert due == datetime(2026, 1, 24, 16, tzinfo=UTC)
    assert network.location("XX") is None


async def test_stating_the_same_again_changes_neither_versions_nor_the_revision(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        before = await reads.snapshot(tx)
        await service.put_establishments(tx, [an_establishment()])
        saved = await service.put_locations(tx, [a_location("SP01")])
        after = await reads.snapshot(tx)
    assert not saved[0].created
    assert after.locations == before.locations
    assert after.revision == before.revision


async def test_a_change_moves_the_revision_and_the_version(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        before = await reads.revision(tx)
        changed = await service.update_location(tx, a_location("SP01", name="Paulista"), 1)
        assert changed.name == "Paulista"
        assert changed.version == 2
        assert await reads.revision(tx) == before + 1
        with pytest.raises(Conflict):
            await service.update_location(tx, a_location("SP01", name="Outra"), 1)


async def test_a_location_is_paused_and_opened_again(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        paused = await service.set_location_status(tx, "SP01", LocationStatus.PAUSED)
        assert paused.status is LocationStatus.PAUSED
        with pytest.raises(Conflict):
            await service.set_location_status(tx, "SP01", LocationStatus.ACTIVE, version=1)
        opened = await service.set_location_status(tx, "SP01", LocationStatus.ACTIVE, version=paused.version)
        assert opened.status is LocationStatus.ACTIVE
        with pytest.raises(UnknownLocation):
            await service.set_location_status(tx, "nowhere", LocationStatus.PAUSED)


async def test_closures_are_added_and_taken_back(database: Database) -> None:
    day = date(2026, 6, 1)
    async with database.transaction() as tx:
        await a_network(tx)
        await service.close_days(tx, "SP01", [day], "Balanço")
        await service.close_days(tx, "SP01", [day], "Inventário")
        network = await reads.snapshot(tx)
        location = network.location("SP01")
        assert location
        assert [c.reason for c in await reads.closures(tx, location.id)] == ["Inventário"]
        await service.open_days(tx, "SP01", [day])
        assert await reads.closures(tx, location.id) == []


async def test_what_is_wrong_is_refused_whole_and_named(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        with pytest.raises(Invalid) as refused:
            await service.put_locations(
                tx,
                [
                    a_location("OK01"),
                    a_location(
                        "bad code",
                        address=Address(postal_code="01310100", state="RJ"),
                        opening_hours={"mon": [("18:00", "09:00")], "xyz": []},
                        timezone="Mars/Olympus",
                        daily_capacity=-1,
                    ),
                ],
            )
        assert {flaw.at for flaw in refused.value.flaws} == {
            "1/code", "1/address/postal_code", "1/opening_hours/mon", "1/opening_hours/xyz", "1/timezone",
            "1/daily_capacity",
        }  # fmt: skip
        assert await reads.location_by_code(tx, "OK01") is None
        with pytest.raises(UnknownEstablishment):
            await service.put_locations(tx, [a_location("SP09", establishment="nobody")])
        with pytest.raises(CodeTaken):
            await service.create_location(tx, a_location("SP01"))
        with pytest.raises(CnpjTaken):
            await service.put_establishments(tx, [an_establishment("E9")])
        with pytest.raises(Invalid):
            await service.put_establishments(tx, [an_establishment("E9", "11222333000180")])


async def test_establishments_of_one_company_share_its_legal_entity(database: Database) -> None:
    async with database.transaction() as tx:
        drafts = [
            an_establishment("M", "11222333000181", legal_name="Malha Comércio Ltda."),
            an_establishment("F", "11222333000262", state="RJ", state_registration="isento"),
        ]
        await service.put_establishments(tx, drafts)
        found = await reads.establishments_by_code(tx, ["M", "F"])
        assert found["M"].legal_entity_id == found["F"].legal_entity_id
        assert found["F"].legal_name == "Malha Comércio Ltda."
        assert found["F"].state_registration is None
        await service.put_establishments(tx, [an_establishment("F", "11222333000262", state="RJ")])
        assert [e.name for e in await reads.legal_entities(tx)] == ["Malha Comércio Ltda."]


# --- pauses, closures, companies ---


async def test_a_pause_keeps_its_reason_and_end_and_a_resumed_location_forgets_them(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        until = await tx.now() + timedelta(hours=2)
        paused = await service.set_location_status(tx, "SP01", LocationStatus.PAUSED, reason="Inventário", until=until)
        assert (paused.paused_reason, paused.paused_until) == ("Inventário", until)
        entry = (await audit.trail(tx, entity="location", entity_id="SP01"))[0]
        assert entry.after is not None
        assert entry.after["paused_reason"] == "Inventário"
        resumed = await service.set_location_status(tx, "SP01", LocationStatus.ACTIVE)
        assert (resumed.status, resumed.paused_reason, resumed.paused_until) == (LocationStatus.ACTIVE, None, None)


async def test_a_pause_that_is_over_before_it_begins_is_refused(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        with pytest.raises(Invalid):
            await service.set_location_status(
                tx, "SP01", LocationStatus.PAUSED, until=await tx.now() - timedelta(minutes=1)
            )


async def test_locations_whose_pause_is_over_take_work_again_by_themselves(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        soon = await tx.now() + timedelta(minutes=5)
        await service.pause_locations(tx, ["SP01", "RJ01"], "Chuva", soon)
        await service.pause_locations(tx, ["AM01"], "Obra")
        await tx.execute(
            "UPDATE location SET paused_until = now() - interval '1 minute' WHERE code = %(c)s::text", {"c": "SP01"}
        )
    async with database.transaction() as tx:
        before = await reads.revision(tx)
        assert await service.resume_due(tx) == ["SP01"]
        found = await reads.locations_by_code(tx, ["SP01", "RJ01", "AM01"])
        assert {code: x.status.value for code, x in found.items()} == {
            "SP01": "active",
            "RJ01": "paused",
            "AM01": "paused",
        }
        assert await reads.revision(tx) > before
        assert (await audit.trail(tx, entity="location", entity_id="SP01"))[0].actor_kind == "system"
        assert await service.resume_due(tx) == []


async def test_many_are_paused_at_once_but_only_active_ones_in_scope(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await service.set_location_status(tx, "AM01", LocationStatus.CLOSED)
        ids = {x.code: x.id for x in await reads.locations(tx)}
    scoped = Actor("person", "1", "Ana", locations=frozenset({ids["SP01"], ids["AM01"]}))
    async with database.transaction(scoped) as tx:
        assert await service.pause_locations(tx, ["SP01", "RJ01", "AM01", "NONE"], "Chuva") == ["SP01"]
        assert len(await audit.trail(tx, entity="location", actor_id="1")) == 1
        assert await service.resume_locations(tx, ["SP01", "RJ01"]) == ["SP01"]


async def test_a_location_stated_as_active_again_is_no_longer_paused_for_a_reason(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        await service.pause_locations(tx, ["SP01"], "Chuva")
        await service.put_locations(tx, [a_location("SP01", status=LocationStatus.ACTIVE)])
        found = await reads.location_by_code(tx, "SP01")
        assert found is not None
        assert (found.status, found.paused_reason) == (LocationStatus.ACTIVE, None)


async def test_a_company_is_renamed_from_the_version_that_was_read(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        company = await reads.legal_entity(tx, CNPJ[:8])
        assert company is not None
        draft = LegalEntityDraft(name="Rendeira do Norte SA", kind=EntityKind.FRANCHISE)
        changed = await service.update_legal_entity(tx, CNPJ[:8], draft, company.version)
        assert (changed.name, changed.kind) == ("Rendeira do Norte SA", EntityKind.FRANCHISE)
        with pytest.raises(Conflict):
            await service.update_legal_entity(tx, CNPJ[:8], draft, company.version)
        with pytest.raises(UnknownLegalEntity):
            await service.update_legal_entity(tx, "00000000", draft, 1)


async def test_what_changed_of_a_tariff_is_audited_bracket_by_bracket(database: Database) -> None:
    rates = [
        RateDraft(from_state="SP", to_state="RJ", max_grams=g, price=p, lead_days=2)
        for g, p in ((1000, 10), (5000, 20))
    ]
    draft = ServiceDraft(code="express", name="Expressa", carrier="Azul", rates=rates)
    async with database.transaction() as tx:
        await service.create_service(tx, draft)
        dearer = msgspec.structs.replace(draft, rates=[rates[0], msgspec.structs.replace(rates[1], price=25)])
        await service.update_service(tx, dearer, 1)
        entry = (await audit.trail(tx, entity="service", entity_id="express"))[0]
        assert entry.before == {"rate SP-RJ 5000 g": {"price": 20, "lead_days": 2, "per_extra_kg": 0}}
        assert entry.after == {"rate SP-RJ 5000 g": {"price": 25, "lead_days": 2, "per_extra_kg": 0}}


def test_a_closure_comes_again_weekly_or_on_the_same_date() -> None:
    monday = date(2026, 11, 30)
    assert repeated_days(monday, Repeat.NEVER, 9) == [monday]
    assert repeated_days(monday, Repeat.WEEKLY, 3) == [monday, date(2026, 12, 7), date(2026, 12, 14)]
    assert repeated_days(date(2026, 6, 24), Repeat.YEARLY, 2) == [date(2026, 6, 24), date(2027, 6, 24)]
    assert repeated_days(date(2028, 2, 29), Repeat.YEARLY, 5) == [date(2028, 2, 29), date(2032, 2, 29)]
    assert len(repeated_days(monday, Repeat.WEEKLY, 10**9)) == MOST_REPEATS


def test_a_tariff_is_read_as_it_is_sent_and_as_brazil_writes_it() -> None:
    rates = [
        RateDraft(from_state="SP", to_state="*", max_grams=500, price=1990, lead_days=3),
        RateDraft(from_state="SP", to_state="*", max_grams=30_000, price=4990, lead_days=3, per_extra_kg=150),
    ]
    sent = "from;to;up_to_kg;price;lead_days;per_extra_kg\r\nSP;*;0,500;19,90;3;0,00\r\nSP;*;30,000;49,90;3;1,50\r\n"
    assert read_rates(sent.encode()) == (rates, [])
    brazilian = "Origem;Destino;Até kg;Preço;Prazo\nSão Paulo;todos;0,5;R$ 19,90;3\nXX;RJ;1;-2;3\n"
    read, problems = read_rates(brazilian.encode())
    assert read == rates[:1]
    assert [(p.line, p.column) for p in problems] == [(3, "from"), (3, "price")]
    twice = "from;to;up_to_kg;price;lead_days\nSP;RJ;1;10;2\nSP;RJ;1;11;2\n"
    assert [(p.line, p.column) for p in read_rates(twice.encode())[1]] == [(3, "")]


async def test_who_is_limited_to_a_location_changes_that_one_and_nothing_of_the_others(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        own = await reads.location_by_code(tx, "SP01")
        assert own is not None
    limited = Actor("person", "7", "Ana", permissions=frozenset({"network:write"}), locations=frozenset({own.id}))
    async with database.transaction(limited) as tx:
        changed = await service.update_location(tx, a_location("SP01", name="Loja nova"), own.version)
        assert changed.name == "Loja nova"
    for change in (
        lambda tx: service.put_locations(tx, [a_location("RJ01")]),
        lambda tx: service.create_location(tx, a_location("SP99")),
        lambda tx: service.put_channels(tx, [ChannelDraft(code="web", name="Web", kind=ChannelKind.WEB)]),
        lambda tx: service.put_services(tx, [ServiceDraft(code="std", name="Std", carrier="C")]),
        lambda tx: service.put_establishments(tx, [an_establishment("E1", name="Outra")]),
        lambda tx: service.update_legal_entity(
            tx, CNPJ[:8], LegalEntityDraft(name="Outra", kind=EntityKind.OWN), version=1
        ),
    ):
        with pytest.raises(SharedByAll):
            async with database.transaction(limited) as tx:
                await change(tx)
    async with database.transaction(limited) as tx:
        with pytest.raises(UnknownLocation):
            await service.update_location(tx, a_location("RJ01"), 1)
