"""Rules that decide on paper: which they are, what they are asked with, and how they come into force, and out again.

What is promoted is what was compared: the same draft, beside the same rules in force, and nothing else changed.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.network.model import Method
from malha.network.snapshot import NetworkSnapshot
from malha.platform import audit
from malha.platform.db import Tx
from malha.routing.model import RequestLine
from malha.routing.ruling import reads, service
from malha.routing.ruling.model import Content, Standing, Traits
from malha.simulation.errors import AlreadyPromoted, NoRulesTried, NotOnlyRules, NotPromoted
from malha.simulation.model import Decided, RulesTried, Scenario, Simulation, Site
from malha.simulation.rules import Leads, OnPaper, Replay
from malha.simulation.shadow_model import Shadow

MOST_GOODS = 50_000  # SKUs whose products are kept in memory
UNKNOWN = Traits(None, frozenset(), {})
_encode = msgspec.json.Encoder().encode


class _Lines(msgspec.Struct):
    lines: list[RequestLine]


_decode_lines = msgspec.json.Decoder(_Lines).decode


Trial = Simulation | Shadow


async def chosen(tx: Tx, rule_set: int | None) -> dict[str, str | None]:
    """Return the columns that keep which rules are tried, as they are now.

    Raises:
        RuleSetNotFound: there is no such rule set.
    """
    tried, content = await tried_of(tx, rule_set)
    if tried is None:
        return {"rules": None, "rule_content": None}
    return {"rules": _encode(tried).decode(), "rule_content": _encode(content).decode()}


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
) -> Replay:
    """Return the two worlds before the first order."""
    sites = {x.id: Site(x.id, x.code, x.state, x.daily_capacity) for x in known.locations.values()}
    leads = Leads(known.tariff, [s.id for s in known.active_services(Method.SHIP)])
    if tried is None or content is None:
        return Replay(scenario, sites, leads)
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
    channels = {channel.id: channel.code for channel in known.channels.values()}
    return Replay(scenario, sites, leads, OnPaper(rules, channels, tried.live))


async def learn(tx: Tx, replay: Replay, piece: Sequence[Decided]) -> None:
    """Read what rules on paper ask of the products of the next orders, as far as it is not in memory.

    To be called where the replay `asks_goods`.
    """
    wanted = await asyncio.to_thread(_skus_of, piece)
    if len(replay.goods) > MOST_GOODS:
        replay.goods.clear()
    missing = wanted - replay.goods.keys()
    found = await reads.traits(tx, missing) if missing else {}
    replay.goods.update({sku: found.get(sku, UNKNOWN) for sku in missing})


def _skus_of(piece: Sequence[Decided]) -> set[int]:
    found: set[int] = set()
    for decided in piece:
        try:
            found.update(line.sku_id for line in _decode_lines(decided.record).lines)
        except msgspec.MsgspecError:
            continue  # counted where it is replayed
    return found


async def promote(tx: Tx, trial: Trial, entity: str, statement: str, *, effective_from: datetime | None = None) -> int:
    """Let the rules that a locked trial tried decide, at once or from a time on; return their number.

    Raises:
        NoRulesTried: it tried none.
        NotOnlyRules: the network was another one too.
        AlreadyPromoted: they were.
        RulesMovedOn, RulesStand, SharedByAll, Invalid, EffectiveInThePast: see `ruling.service.promote`.
    """
    tried = trial.rules
    if tried is None:
        raise NoRulesTried(name=trial.name)
    if msgspec.structs.replace(trial.scenario, replenished_after=Scenario().replenished_after) != Scenario():
        raise NotOnlyRules(name=trial.name)
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
    """Undo a locked trial's promotion; return the number of what is in force again, 0 where its time had not come.

    Raises:
        NotPromoted: there is nothing to undo.
        RulesMovedOn, SharedByAll, Invalid: see `ruling.service.take_back`.
    """
    if trial.rules is None or trial.promoted is None or trial.taken_back is not None:
        raise NotPromoted(name=trial.name)
    back = await service.take_back(tx, trial.promoted, trial.rules.live)
    number = 0 if back is None or back.number is None else back.number
    await tx.execute(statement, {"id": trial.id, "number": number})
    before, after = {"rule_set": trial.promoted}, {"rule_set": number or trial.rules.live}
    await audit.record(tx, action="take_back", entity=entity, entity_id=str(trial.id), before=before, after=after)
    return number
