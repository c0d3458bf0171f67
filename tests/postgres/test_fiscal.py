"""Fiscal documents as facts: the right issuer, exactly what was packed, one at a time."""

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from malha.fiscal import service
from malha.fiscal.errors import (
    DocumentDiffers,
    DocumentExists,
    DocumentNotLiving,
    DocumentUsed,
    GoodsLeft,
    NotPacked,
    NumberUsed,
)
from malha.fiscal.model import Covered, DocumentFacts
from malha.fulfillment import service as fulfillment
from malha.ordering import service as ordering
from malha.platform.brazil import build_access_key
from malha.platform.flaws import Invalid
from malha.platform.money import Money
from malha.testing.builders import Sold, a_network, a_product, an_access_key, an_order


async def packed(tx, world, lines, **kwargs):
    """Return (order, work) of an order whose goods are packed."""
    order_id = await an_order(tx, world, lines, **kwargs)
    [work] = await fulfillment.release_order(tx, order_id)
    await fulfillment.confirm_pick(tx, work.id)
    await fulfillment.pack(tx, work.id)
    return order_id, work.id


async def test_a_document_covers_exactly_what_was_packed_or_each_difference_is_named(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        cup = await a_product(tx, world, "CUP", stock={"DC": 9})
        plate = await a_product(tx, world, "PLATE", stock={"DC": 9})
        order_id, work = await packed(tx, world, [Sold(cup, 2, price=300), Sold(plate, 1, price=500)])
        key = an_access_key(world)
        lines = [Covered(1, cup, 3), Covered(2, cup, 1)]
        with pytest.raises(DocumentDiffers) as refused:
            await service.record_document(tx, work, DocumentFacts(access_key=key, lines=lines))
        told = [(p["facts"]["line"], p["facts"]["sku"], p["facts"]["packed"], p["facts"]["stated"])
                for p in refused.value.facts["problems"]]  # fmt: skip
        assert told == [(1, "CUP", 2, 3), (2, "CUP", 0, 1), (2, "PLATE", 1, 0)]
        lines = [Covered(1, cup, 1), Covered(2, plate, 1), Covered(1, cup, 1)]
        done = await service.record_document(tx, work, DocumentFacts(access_key=key, lines=lines))
        assert (done.series, done.number, done.total, done.repeated) == (1, 1, 1100, False)
        assert await tx.tuples("SELECT line, quantity, total FROM fiscal_line ORDER BY item") == [
            (1, 2, 600),
            (2, 1, 500),
        ]
        units = (await ordering.units_of(tx, [order_id]))[order_id]
        assert {(u.state.value, u.document_id) for u in units} == {("invoiced", done.id)}
        again = await service.record_document(tx, work, DocumentFacts(access_key=key))
        assert (again.id, again.repeated) == (done.id, True)
        with pytest.raises(DocumentExists):
            await service.record_document(tx, work, DocumentFacts(access_key=an_access_key(world, number=2)))


async def test_a_key_must_be_the_issuers_agree_with_its_parts_and_with_its_date(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        _, work = await packed(tx, world, 1)
        good = an_access_key(world)
        now = datetime.now(UTC)
        elsewhere = {"year": now.year, "month": now.month, "series": 1, "number": 1, "code": "00000001"}
        wrong = [
            ("access_key", DocumentFacts(access_key=good[:-1] + str((int(good[-1]) + 1) % 10))),
            ("access_key", DocumentFacts(access_key="123")),
            ("access_key", DocumentFacts(access_key=an_access_key(world, "RJ1"))),  # another company's
            ("access_key", DocumentFacts(access_key=an_access_key(world, model="57"))),
            (
                "access_key",
                DocumentFacts(
                    access_key=build_access_key(state="RJ", issuer=world.cnpjs["SP1"], model="55", **elsewhere)
                ),
            ),
            ("number", DocumentFacts(access_key=good, number=2)),
            ("series", DocumentFacts(access_key=good, series=9)),
            ("issued_at", DocumentFacts(access_key=good, issued_at=now - timedelta(days=40))),
            ("total", DocumentFacts(access_key=good, total=-1)),
        ]
        for field, facts in wrong:
            with pytest.raises(Invalid) as refused:
                await service.record_document(tx, work, facts)
            assert [p["at"] for p in refused.value.facts["problems"]] == [f"/{field}"]
        spaced = " ".join(good[i : i + 4] for i in range(0, 44, 4))
        await service.record_document(tx, work, DocumentFacts(access_key=spaced, model="55", series=1, number=1))


async def test_a_company_with_letters_in_its_cnpj_issues_for_its_own_store(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"S2": 1})
        _, work = await packed(tx, world, [Sold(sku, at="S2")])
        key = an_access_key(world, "RJ1")
        assert "AB345678" in key
        await service.record_document(tx, work, DocumentFacts(access_key=key))


async def test_what_was_recorded_is_answered_the_same_though_the_goods_got_another_owner_since(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        _, work = await packed(tx, world, 1)
        _, other = await packed(tx, world, 1)
        facts = DocumentFacts(access_key=an_access_key(world))
        done = await service.record_document(tx, work, facts)
        await tx.execute(
            "UPDATE location SET owner_id = (SELECT id FROM establishment WHERE code = 'RJ1') WHERE code = 'DC'"
        )
        again = await service.record_document(tx, work, facts)
        assert (again.id, again.repeated) == (done.id, True)
        for key in (facts.access_key, an_access_key(world, number=2)):  # what is new has the issuer of now
            assert (await refusal(tx, other, DocumentFacts(access_key=key)))[0] == "/access_key"


async def test_keys_and_numbers_are_used_once(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        _, first = await packed(tx, world, 1)
        _, second = await packed(tx, world, 1)
        key = an_access_key(world, number=5)
        await service.record_document(tx, first, DocumentFacts(access_key=key))
        with pytest.raises(DocumentUsed):
            await service.record_document(tx, second, DocumentFacts(access_key=key))
        now = datetime.now(UTC)
        twin = build_access_key(
            state="SP", year=now.year, month=now.month, issuer=world.cnpjs["SP1"], model="55", series=1, number=5,
            code="99999999",
        )  # fmt: skip
        with pytest.raises(NumberUsed):
            await service.record_document(tx, second, DocumentFacts(access_key=twin))


async def test_before_packing_there_is_nothing_to_cover(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
        [work] = await fulfillment.release_order(tx, order_id)
        with pytest.raises(NotPacked):
            await service.record_document(tx, work.id, DocumentFacts(access_key=an_access_key(world)))


async def test_a_cancelled_document_sends_units_back_to_wait_and_not_after_they_left(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id, work = await packed(tx, world, 1)
        first = await service.record_document(tx, work, DocumentFacts(access_key=an_access_key(world, number=1)))
        with pytest.raises(Invalid):
            await service.cancel_document(tx, first.id, reason=" ")
        await service.cancel_document(tx, first.id, reason="wrong price")
        assert (await ordering.lock_order(tx, order_id)).status == "packed"
        with pytest.raises(DocumentNotLiving):
            await service.cancel_document(tx, first.id, reason="again")
        with pytest.raises(DocumentUsed):  # a cancelled key never comes back
            await service.record_document(tx, work, DocumentFacts(access_key=first.access_key))
        second = await service.record_document(tx, work, DocumentFacts(access_key=an_access_key(world, number=2)))
        await fulfillment.ship(tx, work)
        with pytest.raises(GoodsLeft):
            await service.cancel_document(tx, second.id, reason="too late")


async def test_where_no_document_is_required_one_may_still_be_recorded_and_cancelled(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        order_id, work = await packed(tx, world, 1)
        done = await service.record_document(tx, work, DocumentFacts(access_key=an_access_key(world)))
        assert (await ordering.lock_order(tx, order_id)).status == "invoiced"
        await service.cancel_document(tx, done.id, reason="not needed")
        await fulfillment.ship(tx, work)


async def test_of_many_documents_at_once_for_one_work_exactly_one_is_recorded(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        _, work = await packed(tx, world, 1)

    async def record(number):
        async with database.transaction() as tx:
            await service.record_document(tx, work, DocumentFacts(access_key=an_access_key(world, number=number)))

    results = await asyncio.gather(*[record(n) for n in range(1, 9)], return_exceptions=True)
    assert [r for r in results if r is None] == [None]
    assert all(isinstance(r, DocumentExists) for r in results if r is not None)


async def test_one_key_at_once_for_many_works_covers_one_of_them(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        works = [(await packed(tx, world, 1))[1] for _ in range(4)]

    async def record(work):
        async with database.transaction() as tx:
            await service.record_document(tx, work, DocumentFacts(access_key=an_access_key(world)))

    results = await asyncio.gather(*[record(work) for work in works], return_exceptions=True)
    assert [r for r in results if r is None] == [None]
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM fiscal_document") == 1
        assert await tx.value("SELECT count(*) FROM order_unit WHERE state = 'invoiced'") == 1


BRASILIA = ZoneInfo("America/Sao_Paulo")


async def refusal(tx, work, facts):
    """Return where a document is refused, and what is told of it."""
    with pytest.raises(Invalid) as refused:
        await service.record_document(tx, work, facts)
    [problem] = refused.value.facts["problems"]
    return problem["at"], problem["facts"]


def issued(world, at, model="55", number=1):
    """Return the facts of a document of SP1 that was issued at a moment."""
    key = build_access_key(
        state="SP", year=at.year, month=at.month, issuer=world.cnpjs["SP1"], model=model, series=1, number=number,
        code="00000001",
    )  # fmt: skip
    return DocumentFacts(access_key=key, issued_at=at)


async def test_a_document_is_not_of_the_future_and_not_older_than_its_order(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id, work = await packed(tx, world, 1)
        now = (await tx.now()).astimezone(BRASILIA)
        await tx.execute("UPDATE sales_order SET placed_at = %(at)s WHERE id = %(id)s", {"at": now, "id": order_id})
        late = [now + timedelta(minutes=11), now + timedelta(days=1), now + timedelta(days=400)]
        for at in (*late, now - timedelta(hours=25), now.replace(tzinfo=None)):
            assert (await refusal(tx, work, issued(world, at)))[0] == "/issued_at"
        assert (await refusal(tx, work, issued(world, now - timedelta(days=8), "65")))[0] == "/issued_at"


async def test_what_was_issued_before_the_month_ended_is_recorded_after_by_its_key_alone(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        now = (await tx.now()).astimezone(BRASILIA)
        ended = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(seconds=1)
        long_ago = ended.replace(day=1) - timedelta(days=1)
        order_id, work = await packed(tx, world, 1)
        placed = {"at": ended - timedelta(hours=9), "id": order_id}
        await tx.execute("UPDATE sales_order SET placed_at = %(at)s WHERE id = %(id)s", placed)
        undated = {at: DocumentFacts(access_key=issued(world, at).access_key) for at in (ended, long_ago)}
        assert (await refusal(tx, work, undated[long_ago]))[0] == "/issued_at"
        done = await service.record_document(tx, work, undated[ended])
        assert await tx.value("SELECT issued_at FROM fiscal_document WHERE id = %(id)s", {"id": done.id}) == ended
        assert (await service.record_document(tx, work, undated[ended])).repeated
        order_id, work = await packed(tx, world, 1)
        placed = {"at": ended + timedelta(days=1, hours=1), "id": order_id}
        await tx.execute("UPDATE sales_order SET placed_at = %(at)s WHERE id = %(id)s", placed)
        facts = DocumentFacts(access_key=issued(world, ended, number=2).access_key)
        assert (await refusal(tx, work, facts))[0] == "/issued_at"  # of another order


async def test_clocks_differ_a_little_and_a_till_issues_before_its_order_is_told(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        now = (await tx.now()).astimezone(BRASILIA)
        near = [(now + timedelta(minutes=9), "55"), (now - timedelta(hours=23), "55"), (now - timedelta(days=6), "65")]
        for number, (at, model) in enumerate(near, 1):
            order_id, work = await packed(tx, world, 1)
            placed = {"at": now, "id": order_id}
            await tx.execute("UPDATE sales_order SET placed_at = %(at)s WHERE id = %(id)s", placed)
            facts = issued(world, at, model, number)
            done = await service.record_document(tx, work, facts)
            await tx.execute("UPDATE sales_order SET placed_at = now() + interval '30 days'")
            again = await service.record_document(tx, work, facts)
            assert (again.id, again.repeated) == (done.id, True)  # what was recorded before is answered the same


async def test_a_total_that_the_goods_are_not_worth_opens_no_gate_until_it_is_said_why(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        cup = await a_product(tx, world, "CUP", stock={"DC": 9})
        order_id, work = await packed(
            tx, world, [Sold(cup, 2, price=10_000, discount=1_000)], discount=900, shipping=1_500
        )
        key = an_access_key(world)
        for total in (1, 17_000, 22_000, 181_000):
            at, told = await refusal(tx, work, DocumentFacts(access_key=key, total=total))
            assert (at, told["stated"], told["least"], told["most"]) == (
                "/total", Money(total), Money(18_100), Money(21_500),
            )  # fmt: skip
        assert {u.state.value for u in (await ordering.units_of(tx, [order_id]))[order_id]} == {"awaiting_document"}
        facts = DocumentFacts(access_key=key, total=22_000, total_reason="ICMS-ST 5.00")
        assert (await service.record_document(tx, work, facts)).total == 22_000
        [after] = await tx.values("SELECT after FROM audit WHERE entity = 'order' AND action = 'accept_total'")
        told = [after[name] for name in ("total", "worth_least", "worth_most", "reason")]
        assert told == [22_000, 18_100, 21_500, "ICMS-ST 5.00"]


@pytest.mark.parametrize("total", [18_100, 19_000, 20_500, 20_000, 21_500, 18_099, 21_600])
async def test_freight_and_discounts_may_be_on_the_document_or_not(database, total):
    """The channel may pay a discount, and others may invoice the freight; a centavo a unit is rounded."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        cup = await a_product(tx, world, "CUP", stock={"DC": 9})
        _, work = await packed(tx, world, [Sold(cup, 2, price=10_000, discount=1_000)], discount=900, shipping=1_500)
        await service.record_document(tx, work, DocumentFacts(access_key=an_access_key(world), total=total))
        assert await tx.value("SELECT count(*) FROM audit WHERE action = 'accept_total'") == 0


async def test_a_gift_may_be_worth_something_on_its_document(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        cup = await a_product(tx, world, "CUP", stock={"DC": 9})
        pen = await a_product(tx, world, "PEN", stock={"DC": 9})
        _, work = await packed(tx, world, [Sold(cup, price=10_000), Sold(pen, price=0)])
        assert (await refusal(tx, work, DocumentFacts(access_key=an_access_key(world), total=1)))[0] == "/total"
        await service.record_document(tx, work, DocumentFacts(access_key=an_access_key(world), total=10_700))
        _, free = await packed(tx, world, [Sold(pen, price=0)])
        await service.record_document(tx, free, DocumentFacts(access_key=an_access_key(world, number=2), total=0))


async def test_each_shipment_of_an_order_has_a_document_of_its_own_worth(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        cup = await a_product(tx, world, "CUP", stock={"DC": 9, "S1": 9})
        order_id = await an_order(
            tx, world, [Sold(cup, 1, price=10_000), Sold(cup, 3, price=10_000, at="S1")], shipping=2_000
        )
        works = {work.location_id: work.id for work in await fulfillment.release_order(tx, order_id)}
        for work in works.values():
            await fulfillment.confirm_pick(tx, work)
            await fulfillment.pack(tx, work)
        first, second = works[world.locations["DC"]], works[world.locations["S1"]]
        whole = DocumentFacts(access_key=an_access_key(world), total=42_000)
        assert (await refusal(tx, first, whole))[0] == "/total"
        await service.record_document(tx, first, DocumentFacts(access_key=an_access_key(world), total=12_000))
        await service.record_document(
            tx, second, DocumentFacts(access_key=an_access_key(world, number=2), total=30_000)
        )
