"""Rules and costs that decide on paper: which they are, what is asked of them, and how they come into force, and out.

What is promoted is what was compared: the same draft, beside the same rules in force, and nothing else changed.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.catalog import reads as catalog
from malha.catalog import trait_reads
from malha.network.snapshot import NetworkSnapshot
from malha.platform import audit
from malha.platform.db import Tx
from malha.routing import cost_draft_reads, cost_drafts, cost_reads
from malha.routing.cost_draft_model import Drafted
from malha.routing.cost_draft_rules import print_of
from malha.routing.lanes import compile_network
from malha.routing.model import RequestLine
from malha.routing.ruling import reads, service
from malha.routing.ruling.model import Content, Standing, Traits
from malha.routing.terms import Goods
from malha.simulation import costing
from malha.simulation import reads as simulation_reads
from malha.simulation.costing import CostsOnPaper
from malha.simulation.errors import AlreadyPromoted, CostsComeAtOnce, NoRulesTried, NotOnlyRules, NotPromoted
from malha.simulation.model import (
    At,
    CostsTried,
    Decided,
    Freight,
    RulesTried,
    Scenario,
    Simulation,
    Site,
)
from malha.simulation.rules import Leads, OnPaper, Replay
from malha.simulation.shadow_model import Shadow
from malha.simulation.together import Ways

MOST_GOODS = 50_000  # SKUs whose products are kept in memory
UNKNOWN = Traits(None, frozenset(), {})
_encode = msgspec.json.Encoder().encode


class _Lines(msgspec.Struct):
    lines: list[RequestLine]


_decode_lines = msgspec.json.Decoder(_Lines).decode


Trial = Simulation | Shadow


async def chosen(tx: Tx, rule_set: int | None, cost_draft: int | None = None) -> dict[str, str | None]:
    """Return the columns that keep which rules and costs are tried, as they are now.

    Raises:
        RuleSetNotFound, CostDraftNotFound: there are no such ones.
    """
    tried, content = await tried_of(tx, rule_set)
    costs, drafted = await costs_tried_of(tx, cost_draft)
    return {
        name: None if value is None else _encode(value).decode()
        for name, value in (
            ("rules", tried), ("rule_content", content), ("costs", costs), ("cost_content", drafted)
        )
    }  # fmt: skip


async def costs_tried_of(tx: Tx, cost_draft: int | None) -> tuple[CostsTried | None, Drafted | None]:
    """Return the draft of costs that is to be tried, as it is now; None: the costs that decided.

    Raises:
        CostDraftNotFound: there is no such draft.
    """
    if cost_draft is None:
        return None, None
    found = await cost_drafts.show(tx, cost_draft)
    beside = print_of(await cost_draft_reads.standing(tx, found.content))
    return CostsTried(draft=found.id, version=found.version, note=found.note, beside=beside), found.content


async def _costs_on_paper(tx: Tx, known: NetworkSnapshot, drafted: Drafted) -> CostsOnPaper:
    """Return a draft as the planner takes it. Parts that say what is in force already count as not changed."""
    live = await cost_reads.costs(tx)
    stated = drafted.costs or live
    taxes = credits_ = None
    if drafted.taxes is not None:
        taxes = drafted.taxes
    if drafted.markdowns is not None:
        skus = {card.sku: card.id for card in await catalog.by_skus(tx, sorted({m.sku for m in drafted.markdowns}))}
        ids = known.location_ids
        credits_ = [
            (skus[m.sku], ids[m.location], m.centavos) for m in drafted.markdowns if m.sku in skus and m.location in ids
        ]
    terms = await cost_reads.terms_of(tx, known, stated, taxes, credits_)

    def differ(*names: str) -> bool:
        return any(getattr(stated, name) != getattr(live, name) for name in names)

    splits, reaches = (
        [{own.channel: getattr(own, name) for own in one.channels if getattr(own, name) is not None}
         for one in (stated, live)]
        for name in ("split_penalty", "max_km")
    )  # fmt: skip
    changed = {
        costing.SPLIT: differ("split_penalty") or splits[0] != splits[1],
        costing.SITES: differ("same_site"),
        costing.CARTONS: differ("cartons"),
        costing.FEES: differ("reroute_cost", "late_penalty"),
        costing.BUSY: differ("capacity"),
        costing.TAXES: taxes is not None,
        costing.CREDITS: credits_ is not None or differ("aging"),
        costing.UNSERVED: differ("restrictions"),
        costing.FAR: differ("reach") or reaches[0] != reaches[1],
    }
    return CostsOnPaper(terms, frozenset(part for part, is_other in changed.items() if is_other))


def with_costs(scenario: Scenario, drafted: Drafted) -> Scenario:
    """Return a scenario with a draft's labour and carriage; what the scenario says itself goes first."""
    said = {at.location: at for at in scenario.locations}
    for labour in drafted.labour:
        at = said.get(labour.location, At(location=labour.location))
        said[labour.location] = msgspec.structs.replace(
            at,
            handling=labour.handling if at.handling is None else at.handling,
            line=labour.line if at.line is None else at.line,
        )
    carriage = [
        Freight(percent=change.percent, from_state=change.from_state, to_state=change.to_state)
        for change in drafted.carriage
    ]
    return msgspec.structs.replace(scenario, locations=list(said.values()), freight=[*carriage, *scenario.freight])


async def tried_of(tx: Tx, rule_set: int | None) -> tuple[RulesTried | None, Content | None]:
    """Return the rules that are to be tried, as they are now; None: those that decided.

    Raises:
        RuleSetNotFound: there is no such rule set.
    """
    if rule_set is None:
        return None, None
    found = await service.show(tx, rule_set)
    beside = await reads.standing(tx)
    tried = RulesTried(
        rule_set=found.id,
        version=found.version,
        number=found.number,
        note=found.note,
        live=beside.live,
        newest=beside.newest,
    )
    return tried, found.content


async def replay_of(
    tx: Tx,
    scenario: Scenario,
    known: NetworkSnapshot,
    tried: RulesTried | None = None,
    content: Content | None = None,
    drafted: Drafted | None = None,
) -> Replay:
    """Return the two worlds before the first order."""
    costs = None
    if drafted is not None:
        costs = await _costs_on_paper(tx, known, drafted)
        scenario = with_costs(scenario, drafted)
    sites = {x.id: Site(x.id, x.code, x.state, x.daily_capacity, x.home) for x in known.locations.values()}
    leads = Leads(known.tariff, [s.id for s in known.offered_services()])
    if tried is None or content is None:
        return Replay(scenario, sites, leads, None, costs)
    network_ = compile_network(known, await cost_reads.terms(tx, known))
    ways = Ways(network_, {site.id: site.home for site in sites.values()})
    locations, twins = dict(known.locations), {}
    for n, opening in enumerate(scenario.opened):
        source = known.location(opening.stock_from)
        if source is not None:
            id_ = -1 - n
            twins[id_] = source.id
            locations[id_] = msgspec.structs.replace(
                source, id=id_, state=opening.state, latitude=None, longitude=None
            )  # nobody knows how far it is from anywhere
    paper = msgspec.structs.replace(known, locations=locations)
    rules = await reads.compiled(tx, tried.number or 0, content, paper, twins=twins)
    await reads.learn_vendors(tx, rules, None)
    channels = {channel.id: channel.code for channel in known.channels.values()}
    return Replay(scenario, sites, leads, OnPaper(rules, channels, tried.live), costs, ways)


async def learn(tx: Tx, replay: Replay, piece: Sequence[Decided]) -> None:
    """Read what rules and costs on paper ask of the lines of the next orders, as far as it is not in memory.

    To be called where the replay `asks_goods` or `asks_kinds`.
    """
    wanted = await asyncio.to_thread(_skus_of, piece)
    if replay.asks_goods:
        missing = _missing(replay.goods, wanted)
        found = await reads.traits(tx, missing) if missing else {}
        replay.goods.update({sku: found.get(sku, UNKNOWN) for sku in missing})
    if replay.asks_kinds:
        missing = _missing(replay.kinds, wanted)
        kinds = await trait_reads.traits(tx, sorted(missing)) if missing else {}
        for sku in missing:
            ncm, price, named = kinds.get(sku, trait_reads.NO_TRAITS)
            replay.kinds[sku] = Goods(price, ncm, named)
        replay.worths = await simulation_reads.worths(tx, [decided.order_id for decided in piece])


def _missing(memory: dict[int, Any], wanted: set[int]) -> set[int]:
    if len(memory) > MOST_GOODS:
        memory.clear()
    return wanted - memory.keys()


def _skus_of(piece: Sequence[Decided]) -> set[int]:
    found: set[int] = set()
    for decided in piece:
        try:
            for line in _decode_lines(decided.record).lines:
                found.add(line.sku_id)
                found.update(sku for sku, _ in line.components or ())
        except msgspec.MsgspecError:
            continue  # counted where it is replayed
    return found


async def promote(
    tx: Tx, trial: Trial, entity: str, statement: str, *, effective_from: datetime | None = None
) -> int | None:
    """Let the rules, or the costs, that a locked trial tried decide; return the number of the rules.

    Rules may begin later; costs are in force at once.

    Raises:
        NoRulesTried: it tried neither.
        NotOnlyRules: the network was another one too, or both were tried.
        AlreadyPromoted: they were.
        RulesMovedOn, RulesStand, SharedByAll, Invalid, EffectiveInThePast: see `ruling.service.promote`.
        CostsMovedOn, CostDraftNotFound, CostDraftPromoted: see `cost_drafts.promote`.
        CostsComeAtOnce: a time was given for costs.
    """
    tried, costs = trial.rules, trial.costs
    if tried is None and costs is None:
        raise NoRulesTried(name=trial.name)
    plain = msgspec.structs.replace(trial.scenario, replenished_after=Scenario().replenished_after) == Scenario()
    if not plain or (tried is not None and costs is not None):
        raise NotOnlyRules(name=trial.name)
    if costs is not None:
        if effective_from is not None:
            raise CostsComeAtOnce
        await cost_drafts.promote(tx, costs.draft, costs.version, costs.beside)
        after: dict[str, object] = {"cost_draft": costs.draft}
        await audit.record(tx, action="promote", entity=entity, entity_id=str(trial.id), after=after)
        return None
    assert tried is not None  # noqa: S101  (one of the two is tried)
    if trial.promoted is not None and trial.taken_back is None:
        raise AlreadyPromoted(name=trial.name, number=trial.promoted)
    beside = Standing(tried.live, tried.newest)
    made = await service.promote(tx, tried.rule_set, tried.version, beside, effective_from=effective_from)
    assert made.number is not None  # noqa: S101  (it is published)
    await tx.execute(statement, {"id": trial.id, "number": made.number, "by": tx.actor.name})
    after = {"rule_set": made.number, "effective_from": made.effective_from, "instead_of": tried.live}
    await audit.record(tx, action="promote", entity=entity, entity_id=str(trial.id), after=after)
    return made.number


async def take_back(tx: Tx, trial: Trial, entity: str, statement: str) -> int:
    """Undo a locked trial's promotion; return the number of the rules in force again, 0 where their time had not come.

    Raises:
        NotPromoted: there is nothing to undo.
        RulesMovedOn, SharedByAll, Invalid: see `ruling.service.take_back`.
        CostsNotPromoted, CostsMovedOn: see `cost_drafts.take_back`.
    """
    if trial.costs is not None and trial.rules is None:
        await cost_drafts.take_back(tx, trial.costs.draft)
        entity_id = str(trial.id)
        told = {"cost_draft": trial.costs.draft}
        await audit.record(tx, action="take_back", entity=entity, entity_id=entity_id, before=told)
        return 0
    if trial.rules is None or trial.promoted is None or trial.taken_back is not None:
        raise NotPromoted(name=trial.name)
    back = await service.take_back(tx, trial.promoted, trial.rules.live)
    number = 0 if back is None or back.number is None else back.number
    await tx.execute(statement, {"id": trial.id, "number": number})
    before, after = {"rule_set": trial.promoted}, {"rule_set": number or trial.rules.live}
    await audit.record(tx, action="take_back", entity=entity, entity_id=str(trial.id), before=before, after=after)
    return number
