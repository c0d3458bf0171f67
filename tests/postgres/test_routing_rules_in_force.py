"""Routing rules at the real gate: they take effect when published, queue, sell ahead, end, and never cost who has none."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from ahead_world import Shop, a_shop
from tests.waiting import waiting
from two_wares import a_gate, an_order, open_shop, stocked

from malha.doctor import examine
from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.intake import replanning
from malha.intake.gate import Gate
from malha.intake.model import Buyer, Placed
from malha.network import ownership
from malha.network.model import LocationGroupDraft, Method
from malha.notifications import reads as messages
from malha.notifications.model import Kind
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind
from malha.platform.db import Actor, Database
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, Invalid
from malha.platform.i18n import speaking
from malha.platform.ids import UUID
from malha.platform.subscribers import drain
from malha.routing import reads as routing
from malha.routing import service as decisions
from malha.routing import wave_reads
from malha.routing.model import Exclusion, Reason
from malha.routing.records import read_record, replay
from malha.routing.ruling import reads, service
from malha.routing.ruling.checks import flaws_of
from malha.routing.ruling.errors import (
    EffectiveInThePast,
    EndsBeforeItBegins,
    GroupGone,
    RuleSetEnded,
    RuleSetInForce,
    RuleSetPublished,
)
from malha.routing.ruling.model import Content, Row, Rule, RuleSet, Run, Status, Table, Then, Unfilled, When, Where
from malha.testing.builders import in_days

NORTH = Where(locations=["L2", "L3"])
NORTHERN = LocationGroupDraft(name="North", locations=["L2", "L3"])


@pytest.fixture
async def retailer(database: Database) -> AsyncIterator[Database]:
    """L1 in SP costs 1100 a parcel, L2 in RJ 1200, L3 in MG 1300. A is everywhere, B at L1 and L3. Nothing may drift."""
    stores = [("Near", "SP", 1000), ("Far", "RJ", 1100), ("Farther", "MG", 1200)]
    async with database.transaction() as tx:
        await open_shop(tx, stores, shortage="hold", release_after=30)
        await stocked(tx, {(1, 1): 9, (1, 2): 9, (1, 3): 9, (2, 1): 9, (2, 3): 9})
    yield database
    report = await examine(database)
    assert [line for f in report.findings if f.drifts for line in f.lines("en")] == []


@pytest.fixture
async def gate(retailer: Database) -> AsyncIterator[Gate]:
    async with a_gate(retailer) as gate:
        yield gate


# The two days that a rule lets it wait are over.
OVER = """
UPDATE order_hold SET placed_at = placed_at - interval '3 days',
       detail = jsonb_set(detail, '{cancel_on}', to_jsonb('2020-01-01T00:00:00Z'::text))
"""


def one(rule: Rule, when: When | None = None) -> Content:
    return Content(runs=[Run(name="All", when=when or When(), rules=[rule])])


async def published(database: Database, content: Content, at: datetime | None = None) -> RuleSet:
    async with database.transaction(Actor("person", "ana", "Ana")) as tx:
        draft = await service.start_draft(tx, content)
        return await service.publish(tx, draft.id, draft.version, effective_from=at)


async def place(gate: Gate, number: int | str, *skus: str) -> Placed:
    gate._cache.expire()
    return await gate.submit(an_order(number, *skus))


def places(placed: Placed) -> list[str | None]:
    return [line.location for line in placed.lines]


async def holds(database: Database, order_id: UUID) -> dict[HoldKind, dict[str, Any]]:
    async with database.snapshot() as tx:
        return {kind: hold.detail for kind, hold in (await ordering.open_holds(tx, [order_id]))[order_id].items()}


async def record(database: Database, order_id: UUID) -> Any:
    async with database.snapshot() as tx:
        return read_record(
            await tx.value(
                "SELECT record::text FROM routing_decision WHERE order_id = %s::uuid ORDER BY attempt DESC LIMIT 1",
                [order_id],
            )
        )


async def test_a_published_rule_decides_the_next_order_and_the_explanation_names_it(gate: Gate, retailer: Database):
    assert places(await place(gate, 1, "A")) == ["L1"]
    found = await published(retailer, one(Rule(name="North", where=NORTH)))
    assert (found.number, found.status, found.in_force) == (1, Status.PUBLISHED, True)
    placed = await place(gate, 2, "A")
    assert places(placed) == ["L2"]
    async with retailer.snapshot() as tx:
        with speaking("en"):
            told = await routing.explanation(tx, placed.id)
    assert told is not None
    assert told.rule is not None
    assert (told.rule.run, told.rule.rule, told.rule.number) == ("All", "North", 1)
    assert "Rule “North” of the run “All” decided, rule set 1." in told.sentences
    (out,) = [r for r in told.rejected if r.location.code == "L1"]
    assert (out.reason, out.says) == (Reason.RULE, "It is not in the rule “North”.")
    stored = await record(retailer, placed.id)
    again = replay(stored)
    assert (again.cost, again.basis.costs, again.basis.parcels[0][0]) == (
        stored.cost, stored.costs, stored.parcels[0][0]
    )  # fmt: skip


async def test_a_rule_set_ends_by_itself_and_the_one_before_it_is_back(gate: Gate, retailer: Database):
    ana = Actor("person", "ana", "Ana")
    usual = await published(retailer, one(Rule(name="North", where=NORTH)))
    async with retailer.transaction(ana) as tx:
        draft = await service.start_draft(tx, one(Rule(name="Black Friday", where=Where(locations=["L3"]))))
        now = await tx.now()
        with pytest.raises(EndsBeforeItBegins):
            await service.publish(
                tx,
                draft.id,
                draft.version,
                effective_from=now + timedelta(days=2),
                effective_until=now + timedelta(days=1),
            )
        with pytest.raises(EndsBeforeItBegins):
            await service.publish(tx, draft.id, draft.version, effective_until=now)
        friday = await service.publish(tx, draft.id, draft.version, effective_until=now + timedelta(hours=1))
    assert (friday.in_force, friday.effective_until) == (True, now + timedelta(hours=1))
    assert places(await place(gate, 1, "A")) == ["L3"]
    async with retailer.transaction() as tx:  # its hour is over
        await tx.execute(
            "UPDATE routing_rule_set SET effective_from = now() - interval '2 hours',"
            " effective_until = now() - interval '1 hour' WHERE id = %s",
            [friday.id],
        )
    assert places(await place(gate, 2, "A")) == ["L2"]
    async with retailer.transaction(ana) as tx:
        assert (await reads.standing(tx)).live == usual.number
        assert [(x.number, x.in_force) for x in await reads.rule_sets(tx)] == [(2, False), (1, True)]
        with pytest.raises(RuleSetEnded):
            await service.end_at(tx, friday.id, None)
        with pytest.raises(EndsBeforeItBegins):
            await service.end_at(tx, usual.id, now - timedelta(days=1))
        back = await service.roll_back(tx, 2, effective_until=now + timedelta(days=1))
        assert (back.in_force, back.number) == (True, 3)
        ended = await service.end_at(tx, usual.id, now + timedelta(days=2))
        assert (ended.effective_until, ended.in_force) == (now + timedelta(days=2), False)
        assert (await service.end_at(tx, usual.id, None)).effective_until is None


async def test_what_a_promotion_replaced_ends_as_it_was_to_when_the_promotion_is_taken_back(retailer: Database):
    """Rules of a campaign do not last for ever because others were promoted in the midst of it, and taken back."""
    ana = Actor("person", "ana", "Ana")
    usual = await published(retailer, Content())
    until = datetime.now(UTC) + timedelta(days=1)
    async with retailer.transaction(ana) as tx:
        draft = await service.start_draft(tx, Content(runs=[Run(name="Campaign")]))
        campaign = await service.publish(tx, draft.id, draft.version, effective_until=until)
    async with retailer.transaction(ana) as tx:
        tried = await service.start_draft(tx, Content(runs=[Run(name="Tried")]))
        beside = await reads.standing(tx)
    async with retailer.transaction(ana) as tx:
        promoted = await service.promote(tx, tried.id, tried.version, beside)
        assert promoted.number is not None
    async with retailer.transaction(ana) as tx:
        back = await service.take_back(tx, promoted.number, beside.live)
        assert back is not None
        assert (back.number, back.effective_until, back.in_force) == (campaign.number, until, True)
    async with retailer.transaction(ana) as tx:
        await tx.execute(
            "UPDATE routing_rule_set SET effective_until = statement_timestamp() WHERE id = %s", [campaign.id]
        )
        assert (await reads.standing(tx)).live == usual.number, "not what was taken back"


async def test_rules_do_not_end_where_those_that_come_back_name_a_group_that_is_gone(retailer: Database):
    """What was replaced for good holds no group; it would send its orders nowhere."""
    ana = Actor("person", "ana", "Ana")
    grouped = Content(runs=[Run(name="All", rules=[Rule(name="Both", where=Where(groups=["NORTH"]))])])
    async with retailer.transaction() as tx:
        await ownership.put_group(tx, "NORTH", NORTHERN, None)
    async with retailer.transaction(ana) as tx:
        draft = await service.start_draft(tx, grouped)
        first = await service.publish(tx, draft.id, draft.version)
    second = await published(retailer, Content())
    async with retailer.transaction(ana) as tx:
        await service.let_go_of_group(tx, "NORTH")
        await ownership.remove_group(tx, "NORTH", 1)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(GroupGone) as refused:
        async with retailer.transaction(ana) as tx:
            await service.end_at(tx, second.id, tomorrow)
    assert refused.value.facts == {"number": first.number, "codes": "NORTH"}
    async with retailer.transaction(ana) as tx:
        await ownership.put_group(tx, "NORTH", NORTHERN, None)
        assert (await service.end_at(tx, second.id, tomorrow)).effective_until == tomorrow


async def test_a_row_of_the_table_sends_an_order_by_its_run_and_the_explanation_names_the_row(
    gate: Gate, retailer: Database
):
    runs = [
        Run(name="Any", when=When(channels=["web"])),
        Run(name="North", when=When(customer_groups=["none"]), rules=[Rule(name="Both", where=NORTH)]),
    ]
    rows = [
        Row(name="Large", when=When(min_value=1_000_000), then=Then(run="Any")),
        Row(name="Usual", when=When(methods=[Method.SHIP]), then=Then(run="North", keep=9, unfilled=Unfilled.QUEUE)),
    ]
    await published(retailer, Content(runs=runs, table=Table(rows=rows[:1])))
    assert places(await place(gate, 1, "A")) == ["L1"]  # no row fits: by the runs
    rows[1] = msgspec.structs.replace(rows[1], then=Then(run="North"))
    found = await published(retailer, Content(runs=runs, table=Table(rows=rows)))
    placed = await place(gate, 2, "A")
    assert places(placed) == ["L2"]
    stored = await record(retailer, placed.id)
    assert (stored.bound.number, stored.bound.rows) == (found.number, [2])
    async with retailer.snapshot() as tx:
        with speaking("en"):
            told = await routing.explanation(tx, placed.id)
    assert told is not None
    assert "Row 2 of the decision table fitted the order." in told.sentences
    row = Row(when=When(weekdays=[1, 2, 3, 4, 5, 6, 7]), then=Then(run="North", keep=9, unfilled=Unfilled.QUEUE))
    await published(retailer, Content(runs=runs, table=Table(rows=[row])))
    kept = await place(gate, 3, "A")
    assert places(kept) == [None]
    assert set(await holds(retailer, kept.id)) == {HoldKind.ROUTING_RULE}


async def test_a_row_that_names_no_run_limits_the_one_that_fits_or_is_a_rule_by_itself(gate: Gate, retailer: Database):
    row = Row(name="Alone", then=Then(keep=9, complete=True, unfilled=Unfilled.QUEUE))
    await published(retailer, Content(table=Table(rows=[row])))
    placed = await place(gate, 1, "A")
    assert places(placed) == [None]
    bound = (await holds(retailer, placed.id))[HoldKind.ROUTING_RULE]
    assert (bound["run"], bound["rule"]) == ("Alone", "Alone")
    north = Run(name="North", rules=[Rule(name="Both", where=NORTH)])
    await published(retailer, Content(runs=[north], table=Table(rows=[Row(then=Then(max_packages=1))])))
    placed = await place(gate, 2, "A")
    assert places(placed) == ["L2"]
    bound = (await record(retailer, placed.id)).bound
    assert (bound.run, bound.rule, bound.packages, bound.rows) == ("North", "Both", 1, [1])


async def test_what_a_table_cannot_say_is_refused_cell_by_cell(retailer: Database):
    rows = [
        Row(when=When(channels=["nope"], min_value=2, max_value=1), then=Then(run="Nowhere")),
        Row(then=Then(groups=["nope"], prefer=["nope"], cancel_after_days=2)),
    ]
    with pytest.raises(Invalid) as refused:
        await published(retailer, Content(table=Table(rows=rows)))
    assert [flaw.at for flaw in refused.value.flaws] == [
        "table/rows/0/when/channels/0",
        "table/rows/0/when/max_value",
        "table/rows/0/then/run",
        "table/rows/1/then/groups/0",
        "table/rows/1/then/prefer/0",
        "table/rows/1/then/cancel_after_days",
    ]


async def test_without_rules_a_record_says_nothing_of_them(gate: Gate, retailer: Database):
    placed = await place(gate, 1, "A")
    async with retailer.snapshot() as tx:
        text, number = (
            await tx.tuples(
                "SELECT record::text, rule_set FROM routing_decision WHERE order_id = %s::uuid", [placed.id]
            )
        )[0]
    assert number is None
    assert "bound" not in text


async def test_an_empty_rule_set_is_as_none_and_a_run_without_rules_leaves_orders_alone(gate: Gate, retailer: Database):
    await published(retailer, one(Rule(name="North", where=NORTH)))
    await published(retailer, Content())
    assert places(await place(gate, 1, "A")) == ["L1"]
    await published(
        retailer,
        Content(runs=[Run(name="Web"), Run(name="Others", rules=[Rule(name="North", where=NORTH)])]),
    )
    placed = await place(gate, 2, "A")
    assert places(placed) == ["L1"]
    assert (await record(retailer, placed.id)).bound.run == "Web"


async def test_a_rule_set_comes_into_force_at_its_time_and_an_earlier_one_comes_back(gate: Gate, retailer: Database):
    await published(retailer, one(Rule(name="North", where=NORTH)))
    later = await published(
        retailer, one(Rule(name="Last", where=Where(locations=["L3"]))), datetime.now(UTC) + timedelta(hours=1)
    )
    assert not later.in_force
    assert places(await place(gate, 1, "A")) == ["L2"]
    async with retailer.transaction() as tx:
        await tx.execute("UPDATE routing_rule_set SET effective_from = now() WHERE id = %s", [later.id])
    assert places(await place(gate, 2, "A")) == ["L3"]
    async with retailer.transaction(Actor("person", "ana", "Ana")) as tx:
        back = await service.roll_back(tx, 1, note="L3 is full")
    assert (back.number, back.based_on, back.note) == (3, 1, "L3 is full")
    placed = await place(gate, 3, "A")
    assert places(placed) == ["L2"]
    assert (await record(retailer, placed.id)).bound.number == 3
    async with retailer.snapshot() as tx:
        assert await reads.decided_by(tx, [1, 2, 3]) == {1: 1, 2: 1, 3: 1}


async def test_of_two_who_publish_at_once_the_one_who_came_last_decides(retailer: Database):
    """His transaction began first and waited for the other: he was told that his rules are in force, and they are."""
    async with retailer.transaction() as tx:
        mine, theirs = [await service.start_draft(tx, Content(runs=[Run(name=name)])) for name in ("mine", "theirs")]
    async with retailer.transaction() as tx:
        await tx.now()
        async with retailer.transaction() as other:
            await service.publish(other, theirs.id, theirs.version)
        told = await service.publish(tx, mine.id, mine.version)
    async with retailer.transaction() as tx:
        found = {r.id: r for r in await reads.rule_sets(tx)}
    assert (told.number, told.in_force) == (2, True)
    assert (found[mine.id].in_force, found[theirs.id].in_force) == (True, False)


async def test_two_who_bring_rules_back_at_once_do_not_wait_for_one_another_for_ever(retailer: Database):
    async with retailer.transaction() as tx:
        draft = await service.start_draft(tx, Content(runs=[Run(name="old")]))
        await service.publish(tx, draft.id, draft.version)
    async with asyncio.timeout(60):
        async with retailer.transaction() as tx:
            mine = await service.start_draft(tx, based_on=1)
            other = asyncio.create_task(again(retailer))
            while not await waiting(retailer):
                await asyncio.sleep(0.01)
            assert (await service.publish(tx, mine.id, mine.version)).number == 2
        assert await other == 3


async def again(retailer: Database) -> int | None:
    async with retailer.transaction() as tx:
        return (await service.roll_back(tx, 1)).number


async def test_of_two_with_the_same_time_the_one_that_was_published_last_decides(retailer: Database):
    async with retailer.transaction() as tx:
        old, new = [await service.start_draft(tx, Content(runs=[Run(name=name)])) for name in ("old", "new")]
        at = await tx.now() + timedelta(hours=1)
        for draft in (new, old):  # the draft that was begun first is the second to be published
            await service.publish(tx, draft.id, draft.version, effective_from=at)
        await tx.execute("UPDATE routing_rule_set SET effective_from = effective_from - interval '2 hours'")
    async with retailer.transaction() as tx:
        assert [(r.id, r.number) for r in await reads.rule_sets(tx) if r.in_force] == [(old.id, 2)]


async def test_what_is_published_never_changes_and_what_is_to_come_may_be_withdrawn(retailer: Database):
    now = await published(retailer, one(Rule(name="North", where=NORTH)))
    later = await published(retailer, Content(), datetime.now(UTC) + timedelta(hours=1))
    async with retailer.transaction() as tx:
        with pytest.raises(RuleSetPublished):
            await service.save_draft(tx, now.id, Content(), now.version)
        with pytest.raises(RuleSetPublished):
            await service.drop_draft(tx, now.id, now.version)
        with pytest.raises(RuleSetInForce):
            await service.withdraw(tx, now.id)
        assert (await service.withdraw(tx, later.id)).status is Status.WITHDRAWN
        draft = await service.start_draft(tx, based_on=1)
        with pytest.raises(EffectiveInThePast):
            await service.publish(tx, draft.id, draft.version, effective_from=datetime.now(UTC) - timedelta(hours=1))
        saved = await service.save_draft(tx, draft.id, Content(), draft.version, note="Empty")
        with pytest.raises(Conflict):
            await service.save_draft(tx, draft.id, now.content, draft.version)
        await service.drop_draft(tx, saved.id, saved.version)
        trail = await tx.values("SELECT action FROM audit WHERE entity = 'routing_rules' ORDER BY id")
    assert trail == ["create", "publish", "create", "publish", "withdraw", "create", "change", "delete"]


async def test_a_draft_that_names_what_is_not_there_is_refused_field_by_field(retailer: Database):
    wrong = Content(
        runs=[
            Run(
                name="One",
                when=When(channels=["nowhere"], categories=["none"], min_value=5, max_value=4),
                rules=[
                    Rule(name="X", where=Where(groups=["g"], locations=["L9"]), unfilled=Unfilled.QUEUE),
                    Rule(name="x", cancel_after_days=3),
                ],
            ),
            Run(name=" one "),
        ]
    )
    async with retailer.transaction() as tx:
        with pytest.raises(Invalid) as refused:
            await service.start_draft(tx, wrong)
    assert sorted(flaw.at for flaw in refused.value.flaws) == [
        "runs/0/rules/0/unfilled",
        "runs/0/rules/0/where/groups/0",
        "runs/0/rules/0/where/locations/0",
        "runs/0/rules/1/cancel_after_days",
        "runs/0/rules/1/name",
        "runs/0/when/categories/0",
        "runs/0/when/channels/0",
        "runs/0/when/max_value",
        "runs/1/name",
    ]


async def test_rules_are_tried_in_turn_and_after_the_last_any_location_counts(gate: Gate, retailer: Database):
    await published(
        retailer,
        Content(
            runs=[
                Run(
                    name="All",
                    rules=[
                        Rule(name="Same state", where=Where(same_state=True), keep=9),
                        Rule(name="Second", where=Where(locations=["L2"])),
                    ],
                )
            ]
        ),
    )
    a = await place(gate, 1, "A")
    both = await place(gate, 2, "A", "B")  # L1 keeps nine, L2 has no B: no rule fills it
    assert places(a) == ["L2"]
    assert places(both) == ["L1", "L1"]
    bound = (await record(retailer, both.id)).bound
    assert (bound.rule, bound.tried) == (None, ["Same state", "Second"])
    async with retailer.snapshot() as tx:
        with speaking("en"):
            told = await routing.explanation(tx, both.id)
            kept = await routing.explanation(tx, a.id)
    assert told is not None
    assert kept is not None
    assert "No rule of the run “All” could fill the order, so any location counted; rule set 1." in told.sentences
    assert "“Same state” could not fill it." in kept.sentences


async def test_preferred_locations_come_before_cost(gate: Gate, retailer: Database):
    await published(retailer, one(Rule(name="Pref", prefer=[Where(locations=["L3"]), Where(locations=["L2"])])))
    placed = await place(gate, 1, "A")
    assert places(placed) == ["L3"]
    async with retailer.snapshot() as tx:
        with speaking("en"):
            told = await routing.explanation(tx, placed.id)
    assert told is not None
    assert told.headline == "Farther comes first in the rule."
    assert [a.chosen for a in told.alternatives] == [True, False, False]
    async with retailer.transaction() as tx:
        await stocked(tx, {(1, 3): 1})  # what is left is allocated
    assert places(await place(gate, 2, "A")) == ["L2"]


async def test_an_order_its_rule_cannot_fill_waits_for_a_person_and_takes_nothing_when_it_must_be_complete(
    gate: Gate, retailer: Database
):
    rule = Rule(
        name="Second only",
        where=Where(locations=["L2"]),
        complete=True,
        unfilled=Unfilled.QUEUE,
        cancel_after_days=2,
    )
    await published(retailer, one(rule))
    placed = await place(gate, 1, "A", "B")
    assert places(placed) == [None, None]
    detail = (await holds(retailer, placed.id))[HoldKind.ROUTING_RULE]
    assert (detail["run"], detail["rule"], detail["lines"]) == ("All", "Second only", [1, 2])
    async with retailer.snapshot() as tx:
        with speaking("en"):
            told = await routing.explanation(tx, placed.id)
    assert told is not None
    assert told.headline == "The rule places nothing of this order."
    assert "The rule sends the order complete or not at all." in told.sentences
    # It is not shown as short of stock, and stock at the rule's location ends the wait.
    assert HoldKind.SHORTAGE not in await holds(retailer, placed.id)
    async with retailer.transaction() as tx:
        await stocked(tx, {(2, 2): 3})
        assert await replanning.place_units(tx, placed.id) == []
    assert await holds(retailer, placed.id) == {}


async def test_when_the_rule_is_gone_its_hold_is_a_shortage_like_any_other(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        await stocked(tx, {(2, 1): 0, (2, 3): 0})
    await published(retailer, one(Rule(name="Second only", where=Where(locations=["L2"]), unfilled=Unfilled.QUEUE)))
    placed = await place(gate, 1, "B")
    assert [*await holds(retailer, placed.id)] == [HoldKind.ROUTING_RULE]
    await published(retailer, Content())
    async with retailer.transaction() as tx:
        await replanning.place_units(tx, placed.id)
    assert [*await holds(retailer, placed.id)] == [HoldKind.SHORTAGE]


async def test_a_person_who_overrides_the_hold_has_the_order_placed_anywhere(gate: Gate, retailer: Database):
    rule = Rule(name="Second only", where=Where(locations=["L2"]), unfilled=Unfilled.QUEUE)
    await published(retailer, one(rule))
    placed = await place(gate, 1, "A", "B")
    assert places(placed) == ["L2", None]  # what the rule could place is kept for the order
    async with retailer.transaction(Actor("person", "ana", "Ana")) as tx:
        await order_holds.resolve_hold(
            tx, placed.id, HoldKind.ROUTING_RULE, resolution="They are in a hurry", force=True
        )
    await drain(retailer, SUBSCRIPTIONS)
    assert await holds(retailer, placed.id) == {}
    async with retailer.snapshot() as tx:
        where = await tx.tuples(
            "SELECT line, location_id, state FROM order_unit WHERE order_id = %s::uuid ORDER BY line", [placed.id]
        )
    assert where == [(1, 2, "allocated"), (2, 1, "allocated")]


@pytest.mark.usefixtures("mail_set_up")
async def test_what_nobody_placed_in_time_is_cancelled_and_told_and_the_rest_goes_on(gate: Gate, retailer: Database):
    rule = Rule(
        name="Second only", where=Where(locations=["L2"]), unfilled=Unfilled.QUEUE, cancel_after_days=2
    )  # fmt: skip
    await published(retailer, one(rule))
    gate._cache.expire()
    buyer = Buyer(name="Maria", email="maria@example.com")
    placed = await gate.submit(msgspec.structs.replace(an_order(1, "A", "B"), customer=buyer))
    assert await order_to_cash.watch_rules(retailer) == 0
    async with retailer.transaction() as tx:
        await tx.execute(OVER)
    assert await order_to_cash.watch_rules(retailer) == 1
    assert await order_to_cash.watch_rules(retailer) == 0
    await drain(retailer, SUBSCRIPTIONS)
    assert await holds(retailer, placed.id) == {}
    async with retailer.snapshot() as tx:
        states = await tx.values("SELECT state FROM order_unit WHERE order_id = %s::uuid ORDER BY line", [placed.id])
        told = [message.kind for message in await messages.of_order(tx, placed.id)]
    assert states == ["allocated", "cancelled"]
    assert Kind.CANCELLED_IN_PART in told


async def test_what_can_be_placed_by_now_is_not_cancelled_though_nobody_has_tried_it(gate: Gate, retailer: Database):
    """The worker was away for days, or is behind: goods came, and the days are over before they were given out."""
    rule = Rule(name="Second only", where=Where(locations=["L2"]), unfilled=Unfilled.QUEUE, cancel_after_days=2)
    await published(retailer, one(rule))
    placed = await place(gate, 1, "A", "B")
    assert await holds(retailer, placed.id) != {}
    async with retailer.transaction() as tx:
        await stocked(tx, {(2, 2): 5})
        await tx.execute(OVER)
    assert await order_to_cash.watch_rules(retailer) == 0
    assert await holds(retailer, placed.id) == {}
    async with retailer.snapshot() as tx:
        assert await tx.values("SELECT state FROM order_unit WHERE order_id = %s::uuid", [placed.id]) == [
            "allocated", "allocated",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("days", "left"), [(None, HoldKind.ROUTING_RULE), (30, HoldKind.ROUTING_RULE), (0, HoldKind.SHORTAGE)]
)
async def test_what_waits_is_not_cancelled_for_a_rule_that_says_so_no_more(
    gate: Gate, retailer: Database, days: int | None, left: HoldKind
):
    """Nobody has the goods, so nothing has the order tried again: the rule of two days ago would still cancel it."""
    rule = Rule(name="Second only", where=Where(locations=["L2"]), unfilled=Unfilled.QUEUE, cancel_after_days=2)
    async with retailer.transaction() as tx:
        await stocked(tx, {(2, 1): 0, (2, 3): 0})
    await published(retailer, one(rule))
    placed = await place(gate, 1, "B")
    async with retailer.transaction() as tx:
        await tx.execute(OVER)
    changed = msgspec.structs.replace(rule, cancel_after_days=days)
    await published(retailer, Content() if days == 0 else one(changed))
    assert await order_to_cash.watch_rules(retailer) == 0
    assert [*await holds(retailer, placed.id)] == [left]
    async with retailer.transaction() as tx:
        assert await tx.values("SELECT state FROM order_unit") == ["unplaced"]
    await published(retailer, one(rule))
    if left is HoldKind.ROUTING_RULE:  # the days are counted from when it began to wait
        async with retailer.transaction() as tx:
            await replanning.place_units(tx, placed.id)
        assert await order_to_cash.watch_rules(retailer) == 1


async def test_more_packages_than_a_rule_allows_are_no_plan(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        await stocked(tx, {(2, 1): 0, (2, 3): 0, (2, 2): 5, (1, 2): 0})
    rule = Rule(name="One box", max_packages=1, unfilled=Unfilled.QUEUE)
    await published(retailer, one(rule))
    placed = await place(gate, 1, "A", "B")
    assert places(placed) == ["L1", None]
    assert HoldKind.ROUTING_RULE in await holds(retailer, placed.id)
    alone = await place(gate, 2, "B")
    assert places(alone) == ["L2"]


async def test_conditions_of_goods_value_and_place_choose_the_run(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        await tx.execute(
            "INSERT INTO product (code, name, brand, attributes) VALUES ('Q', 'Q', 'Acme', '{\"class\": \"fragile\"}')"
        )
        await tx.execute("UPDATE variant SET product_id = 2 WHERE sku = 'B'")
    await published(
        retailer,
        Content(
            runs=[
                Run(
                    name="Fragile",
                    when=When(attributes={"class": ["fragile"]}, brands=["Acme"], states=["SP"]),
                    rules=[Rule(name="Third", where=Where(locations=["L3"]))],
                ),
                Run(
                    name="Dear",
                    when=When(min_value=1990 * 2, channels=["web"]),
                    rules=[Rule(name="Second", where=Where(locations=["L2"]))],
                ),
            ]
        ),
    )
    assert places(await place(gate, 1, "A", "B")) == ["L3", "L3"]
    assert places(await place(gate, 2, "A")) == ["L1"]
    assert places(await place(gate, 3, "A", "A")) == ["L2", "L2"]


async def test_distance_is_counted_from_the_city_of_the_destination(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        await tx.execute("UPDATE location SET latitude = -22.9, longitude = -43.2 WHERE code = 'L2'")  # Rio
        await tx.execute("UPDATE location SET latitude = -19.9, longitude = -43.9 WHERE code = 'L3'")  # Belo Horizonte
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")
    await published(retailer, one(Rule(name="Near", where=Where(max_km=420), unfilled=Unfilled.QUEUE)))
    placed = await place(gate, 1, "A")
    assert places(placed) == ["L2"]
    async with retailer.snapshot() as tx:
        with speaking("en"):
            told = await routing.explanation(tx, placed.id)
    assert told is not None
    assert {r.location.code: r.reason for r in told.rejected} == {
        "L1": Reason.RULE_DISTANCE,
        "L3": Reason.RULE_DISTANCE,
    }


async def test_waves_leave_orders_where_their_rule_put_them(gate: Gate, retailer: Database):
    first = await place(gate, 1, "A")
    await published(retailer, one(Rule(name="North", where=NORTH)))
    await place(gate, 2, "A")
    async with retailer.snapshot() as tx:
        assert [held.id for held in await wave_reads.held(tx, most=9, lines=9, margin_s=1)] == [first.id]


# --- selling ahead by a rule ---


async def sold_under(database: Database, rule: Rule) -> tuple[Shop, UUID]:
    """A channel that refuses what is short, ten cups to come at DC, and three cups bought under a rule."""
    shop = await a_shop(database)
    await shop.allow()
    await shop.order_goods(10, 5)
    await published(database, one(rule))
    (order_id,) = await shop.sold(3)
    return shop, order_id


async def test_what_a_rule_sells_ahead_waits_for_supply_where_the_rule_looks(database: Database):
    rule = Rule(name="DC", where=Where(locations=["DC"]), unfilled=Unfilled.BACKORDER)
    shop, order_id = await sold_under(database, rule)
    assert await shop.waits(order_id) == [("waiting", in_days(5), 3)]
    assert await shop.holds(order_id) == []
    await shop.receive(None, 3)
    await shop.settle()
    assert await shop.units(order_id) == {"allocated": 3}


async def test_supply_elsewhere_is_not_promised_by_a_rule_and_the_order_waits_for_a_person(database: Database):
    rule = Rule(name="Store", where=Where(locations=["S1"]), unfilled=Unfilled.BACKORDER)
    shop, order_id = await sold_under(database, rule)
    assert await shop.waits(order_id) == []
    assert await shop.holds(order_id) == ["routing_rule"]


async def test_a_rule_that_queues_sells_nothing_ahead_and_accepts_what_the_channel_would_refuse(database: Database):
    shop, order_id = await sold_under(database, Rule(name="Any", unfilled=Unfilled.QUEUE))
    assert await shop.waits(order_id) == []
    assert await shop.holds(order_id) == ["routing_rule"]
    await shop.settle()
    assert await shop.holds(order_id) == ["routing_rule"]  # nor later, when its supply is looked at


async def test_a_location_that_gives_an_order_back_under_a_rule_leaves_one_hold(database: Database):
    shop = await a_shop(database, stock=3)
    await published(database, one(Rule(name="DC", where=Where(locations=["DC"]), unfilled=Unfilled.QUEUE)))
    (order_id,) = await shop.sold(3)
    assert await shop.units(order_id) == {"allocated": 3}
    async with database.transaction() as tx:
        await decisions.exclude(tx, [Exclusion(order_id, 1, shop.world.locations["DC"], "rejected")])
        assert [w.quantity for w in await replanning.replan(tx, order_id)] == [3]
    assert await shop.holds(order_id) == ["routing_rule"]


async def test_rules_are_checked_beside_whatever_else_asks_the_process(
    retailer: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of a table of megabytes takes seconds: it is not done in the thread that answers everybody."""
    checked: list[int] = []

    def check(*what: Any) -> list[Flaw]:
        checked.append(threading.get_ident())
        return flaws_of(*what)

    monkeypatch.setattr(service, "flaws_of", check)
    async with retailer.transaction() as tx:
        await service.start_draft(tx, one(Rule(name="Everywhere")))
    assert len(checked) == 1
    assert checked[0] != threading.get_ident()
