"""Safety rules as a table: a row states one rule whole, and what it leaves empty does not matter to the rule.

Rules that no row names stay as they are. Undoing an import states again what it changed and takes away what it added,
where nobody stated anything else since; the sweep obeys either as it does a rule that is saved by hand.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from malha.inventory.safety import reads, stating, writes
from malha.inventory.safety.model import Measure, Purpose, SafetyRule, SafetyRuleDraft
from malha.network.service import refuse_limited
from malha.platform import audit
from malha.platform.days import checked
from malha.platform.db import Actor, Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, current_zone
from malha.platform.imports import TOUCHED, Left, Outcome, Trace, combine
from malha.platform.tabular import BadCell, Column, Row, one_of, parse_state, whole, yes_no

_PURPOSES = {
    **{purpose.value: purpose for purpose in Purpose},
    "nao vender": Purpose.ROUTING,
    "reserva": Purpose.ROUTING,
    "nao publicar": Purpose.ONLINE,
}
_MEASURES = {
    **{measure.value: measure for measure in Measure},
    "unidades": Measure.UNITS,
    "un": Measure.UNITS,
    "%": Measure.PERCENT,
    "por cento": Measure.PERCENT,
    "percentual": Measure.PERCENT,
    "dias": Measure.DAYS,
}
TWICE = N_("Line {line} states the same rule.")
TWICE_MEND = N_("Leave one of the two out.")


def _purpose(text: str) -> Purpose:
    found: Purpose = one_of(_PURPOSES, text)
    return found


def _measure(text: str) -> Measure:
    found: Measure = one_of(_MEASURES, text)
    return found


def _instant(text: str) -> datetime:
    """Read a moment; one without a zone is told in the reader's, and a day alone is its beginning."""
    for shape in ("%d/%m/%Y %H:%M", "%d/%m/%Y"):
        try:
            found = datetime.strptime(text, shape).replace(tzinfo=ZoneInfo(current_zone()))
            checked(found.date())
        except ValueError:
            continue
        return found
    try:
        found = datetime.fromisoformat(text)
        checked(found.date())
    except ValueError:
        says, mend = N_("{value} is no moment."), N_("Write it like 2026-11-27T08:00 or 27/11/2026 08:00.")
        raise BadCell(says, mend) from None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(current_zone()))


COLUMNS = (
    Column("code", ("código", "regra", "código da regra", "rule"), required=True),
    Column("name", ("nome",), required=True),
    Column("purpose", ("finalidade", "para que"), parse=_purpose),
    Column("measure", ("medida", "unidade", "unit"), parse=_measure),
    Column("amount", ("quantidade", "qtd", "quantity"), parse=whole, required=True),
    Column("location", ("local", "loja", "filial", "cd")),
    Column("location_group", ("grupo", "grupo de locais", "group")),
    Column("location_kind", ("tipo de local", "tipo")),
    Column("state", ("uf", "estado"), parse=parse_state),
    Column("sku", ("código sku",)),
    Column("product", ("produto",)),
    Column("category", ("categoria",)),
    Column("brand", ("marca",)),
    Column("channel", ("canal",)),
    Column("starts_at", ("início", "começa", "start"), parse=_instant),
    Column("ends_at", ("fim", "termina", "end"), parse=_instant),
    Column("active", ("ativa", "ativo"), parse=yes_no),
)
_STATED = tuple(column.name for column in COLUMNS)


class SafetyImport:
    """Safety rules; a `malha.platform.imports.Target`."""

    entity = "safety_rule"
    columns = COLUMNS
    families: Mapping[str, Sequence[str]] = {}
    passes = 1

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}  # where a file states a rule

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:  # noqa: ARG002
        """Check or write a chunk of rules, with one statement for all of them."""
        refuse_limited(tx)
        if apply:
            await tx.execute(writes.LOCK_RULES)
        outcome = Outcome()
        drafts = [(row.line, _draft(row)) for row in rows]
        known = await stating.named(tx, [draft for _line, draft in drafts])
        good: dict[str, dict[str, Any]] = {}
        for line, draft in drafts:
            stored, flaws = stating.meant(draft, known)
            if (other := self._lines.setdefault(draft.code, line)) != line:
                flaws.append(Flaw("code", TWICE, TWICE_MEND, {"line": other}))
            if flaws:
                combine(outcome, line, flaws)
            else:
                good[draft.code] = stored
        before = {rule.code: rule for rule in await reads.all_rules(tx) if rule.code in good}
        changed = {code: row for code, row in good.items() if code not in before or _differs(before[code], row)}
        outcome.created = len(changed.keys() - before.keys())
        outcome.changed = len(changed) - outcome.created
        outcome.unchanged = len(good) - len(changed)
        if apply and changed:
            after = await _state(tx, changed)
            outcome.traces = [_trace(before.get(code), after[code]) for code in sorted(changed)]
            for action, own in (("create", changed.keys() - before.keys()), ("change", changed.keys() & before.keys())):
                changes = [(code, before.get(code), after[code]) for code in sorted(own)]
                told = [{"line": self._lines[code]} for code in sorted(own)]
                await audit.record_many(tx, action=action, entity=self.entity, changes=changes, told=told)
        return outcome

    async def recall(self, tx: Tx, rows: Sequence[Row]) -> None:
        """Remember what rows said that were handled before."""
        await self.handle(tx, rows, apply=False, turn=0)

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:  # noqa: ARG002
        """State rules as they were, and take away those that were not there, where nobody changed them since."""
        await tx.execute(writes.LOCK_RULES)
        codes = {trace.key for trace in traces}
        now = {rule.code: rule for rule in await reads.all_rules(tx) if rule.code in codes}
        before = {trace.key: _stated(trace.before) for trace in traces if trace.before is not None}
        known = await stating.named(tx, list(before.values()))
        left: Left = {}
        back: dict[str, dict[str, Any]] = {}
        gone: list[str] = []
        for trace in traces:
            code = trace.key
            if code not in now or _as_left(now[code]) != trace.after:
                left[code] = TOUCHED
            elif code not in before:
                gone.append(code)
            else:
                stored, flaws = stating.meant(before[code], known)
                if flaws:  # what it named is no longer there
                    left[code] = msgspec.structs.replace(flaws[0], at="")
                else:
                    back[code] = stored
        if gone:
            await tx.execute(writes.DELETE_RULES, {"codes": gone})
            deleted: list[tuple[object, SafetyRule | None, None]] = [(code, now[code], None) for code in sorted(gone)]
            await audit.record_many(tx, action="delete", entity=self.entity, changes=deleted)
        if back:
            after = await _state(tx, back)
            changes = [(code, now[code], after[code]) for code in sorted(back)]
            await audit.record_many(tx, action="change", entity=self.entity, changes=changes)
        return left


async def _state(tx: Tx, rules: Mapping[str, Mapping[str, Any]]) -> dict[str, SafetyRule]:
    """Write rules as they are stored, by code; return them as they are then."""
    codes = sorted(rules)
    columns = {name: [rules[code][name] for code in codes] for name in (*_STATED, *stating.NAMING.values())}
    await tx.execute(writes.STATE_RULES, columns)
    return {rule.code: rule for rule in await reads.all_rules(tx) if rule.code in rules}


def _draft(row: Row) -> SafetyRuleDraft:
    # An empty cell is a condition that does not matter, and otherwise the draft's own default.
    stated = {name: value for name in _STATED if (value := row.values.get(name)) not in {None, ""}}
    return SafetyRuleDraft(**stated)


def _said(rule: SafetyRule) -> dict[str, Any]:
    """Return what is stated of a rule, in plain values; moments in one zone, so that the same one is the same text."""
    stated = {name: getattr(rule, name) for name in _STATED}
    moments = {name: at.astimezone(UTC) for name, at in stated.items() if isinstance(at, datetime)}
    said: dict[str, Any] = msgspec.to_builtins(stated | moments)
    return said


def _stated(said: Mapping[str, Any]) -> SafetyRuleDraft:
    return msgspec.convert(said, SafetyRuleDraft)


def _as_left(rule: SafetyRule) -> dict[str, Any]:
    # With the key: a rule of the same words that somebody deleted and stated anew is theirs.
    return {"id": rule.id, **_said(rule)}


def _trace(before: SafetyRule | None, after: SafetyRule) -> Trace:
    said = None if before is None else _said(before)
    return Trace(key=after.code, label=after.code, before=said, after=_as_left(after))


def _differs(rule: SafetyRule, row: Mapping[str, Any]) -> bool:
    return any(getattr(rule, name) != row[name] for name in _STATED)


async def rule_pages(database: Database, actor: Actor) -> AsyncIterator[list[list[object]]]:
    """Yield the rules that an actor sees, header first, as `SafetyImport` reads them back unchanged."""
    yield [list(_STATED)]
    async with database.transaction(actor) as tx:
        rules = await reads.rules_in_sight(tx)
    if rules:
        yield [[_cell(getattr(rule, name)) for name in _STATED] for rule in sorted(rules, key=lambda r: r.code)]


def _cell(value: Any) -> object:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat()
        case bool():
            return "yes" if value else "no"
        case StrEnum():
            return value.value
    return value
