"""Routing rules tried on paper, on screen: which they are, what they took, and the press that promotes them."""

from datetime import datetime
from typing import Any, NamedTuple

from malha.console.routing_rules import sign_of
from malha.platform.db import Tx
from malha.platform.i18n import _
from malha.routing.ruling import reads
from malha.routing.ruling.model import Content, RuleSet, Standing, Status
from malha.simulation.model import Result, RulesTried
from malha.simulation.trying import Trial


class Share(NamedTuple):
    """Orders that a run or a row of the table took; the share is of the largest, in percent."""

    name: str
    orders: int
    share: float


class Tried(NamedTuple):
    """The rules a page is about. `stale`: they, or those in force, are not what was compared any more."""

    name: str
    href: str  # empty: the draft was thrown away
    live: str
    stale: bool
    runs: list[Share]
    rows: list[Share]
    none: int
    asked_today: int
    otherwise: int


def name_of(rules: RulesTried) -> str:
    """Return what people call the rules that are tried."""
    if rules.number is not None:
        return _("rule set {number}", number=rules.number)
    return rules.note or _("draft {id}", id=rules.rule_set)


def set_name(number: int | None) -> str:
    """Return what people call rules in force."""
    return _("no rules") if number is None else _("rule set {number}", number=number)


def said_with(rules: RulesTried | None, scenario: str, *, plain: bool) -> str:
    """Return what a trial changes: its rules, and the scenario in words where it is not `plain`."""
    if rules is None:
        return scenario
    said = _("rules: {rules}", rules=name_of(rules))
    return said if plain else f"{said}, {scenario}"


async def choices(tx: Tx, at: datetime) -> list[tuple[str, str]]:
    """Return the rule sets that can be tried: drafts, then what was published, the newest first."""
    found = []
    for one in await reads.rule_sets(tx):
        if one.status is Status.WITHDRAWN:
            continue
        found.append((str(one.id), _choice(one, at)))
    return found


def _choice(one: RuleSet, at: datetime) -> str:
    name = one.note or _("Draft of {name}", name=one.created_by)
    if one.number is not None:
        name = _("Rule set {number}", number=one.number)
    return f"{name} ({_(sign_of(one, at).word)})"


async def tried(tx: Tx, trial: Trial, result: Result | None, content: Content | None) -> Tried | None:
    """Return the rules that a trial tries, of a content, and what they took; None: it tries none."""
    rules = trial.rules
    if rules is None:
        return None
    now = await reads.rule_set(tx, rules.rule_set)
    standing = await reads.standing(tx)
    stale = now is None or now.version != rules.version or standing != Standing(rules.live, rules.newest)
    ruled = None if result is None else result.ruled
    names = {str(n): row.name for n, row in enumerate([] if content is None else content.table.rows, 1)}
    rows: dict[str, int] = {} if ruled is None else dict(ruled.rows)
    if content is not None and ruled is not None:
        rows = {number: ruled.rows.get(number, 0) for number in names}
    return Tried(
        name=name_of(rules),
        href="" if now is None else f"/routing-rules/{rules.rule_set}",
        live=set_name(rules.live),
        stale=stale,
        runs=[] if ruled is None else _shares(ruled.runs),
        rows=_numbered(rows, names),
        none=0 if ruled is None else ruled.none,
        asked_today=0 if ruled is None else ruled.asked_today,
        otherwise=0 if ruled is None else ruled.otherwise,
    )


def _shares(taken: dict[str, int]) -> list[Share]:
    most = max(taken.values(), default=0) or 1
    ranked = sorted(taken.items(), key=lambda item: (-item[1], item[0]))
    return [Share(name, orders, round(100 * orders / most, 1)) for name, orders in ranked]


def _numbered(taken: dict[str, int], names: dict[str, str]) -> list[Share]:
    most = max(taken.values(), default=0) or 1
    found = []
    for number, orders in sorted(taken.items(), key=lambda item: int(item[0])):
        name = _("Row {n}", n=number) + (f" · {names[number]}" if names.get(number) else "")
        found.append(Share(name, orders, round(100 * orders / most, 1)))
    return found


def promotion(trial: Trial) -> dict[str, Any]:
    """Return what the panel of the promotion says."""
    return {
        "promoted": trial.promoted,
        "promoted_says": "" if trial.promoted is None else _("Promoted as rule set {number}", number=trial.promoted),
        "back_says": ""
        if trial.taken_back is None
        else _("withdrawn before its time")
        if trial.taken_back == 0
        else _("taken back: rule set {number} replaced it", number=trial.taken_back),
    }
