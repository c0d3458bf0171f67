"""Policies of selling ahead as a table: a row states one policy whole, by what it is of and the channel it is for.

Policies that no row names stay as they are; a row of mode `none` says that nothing is sold ahead. Undoing an import
states again what it changed and removes what it added, where nobody stated anything else since. Who waits already goes
on waiting, after either.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from malha.catalog import reads as catalog
from malha.catalog.model import VariantCard
from malha.inventory.ahead import policies, reads, writes
from malha.inventory.ahead.model import Mode
from malha.inventory.ahead.policies import PolicyDraft
from malha.inventory.ahead.reads import PolicyRow
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.platform import audit, revisions
from malha.platform.days import checked
from malha.platform.db import Actor, Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.imports import TOUCHED, Left, Outcome, Trace, combine
from malha.platform.tabular import BadCell, Column, Row, one_of, whole

AT_ONCE = 1000  # policies of one page of an export

NEEDED = N_("A row is of a product or of a SKU.")
NEEDED_MEND = N_("Fill in one of the two columns.")
UNKNOWN = N_("There is no {value}.")
NOT_ITS = N_("{value} is no SKU of this product.")
NOT_ITS_MEND = N_("Leave the product out, or write the one that has the SKU.")
TWICE = N_("Line {line} states the same policy.")
TWICE_MEND = N_("Leave one of the two out.")

_MODES = {
    **{mode.value: mode for mode in Mode},
    "nao": Mode.NONE,
    "nenhuma": Mode.NONE,
    "so o que ha": Mode.NONE,
    "pre venda": Mode.PREORDER,
    "pre-venda": Mode.PREORDER,
    "prevenda": Mode.PREORDER,
    "pre-order": Mode.PREORDER,
    "encomenda": Mode.BACKORDER,
    "sob encomenda": Mode.BACKORDER,
}


def _mode(text: str) -> Mode:
    found: Mode = one_of(_MODES, text)
    return found


def _day(text: str) -> date:
    for shape in ("%Y-%m-%d", "%d/%m/%Y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"):  # a spreadsheet's day has an hour
        try:
            return checked(datetime.strptime(text, shape).date())  # noqa: DTZ007  (a day has no zone)
        except ValueError:
            continue
    raise BadCell(N_("{value} is no day."), N_("Write it like 2026-11-27 or 27/11/2026."))


COLUMNS = (
    Column("product", ("produto", "código do produto", "product code")),
    Column("sku", ("código sku",)),
    Column("channel", ("canal",)),
    Column("mode", ("modo", "venda antecipada", "como"), parse=_mode, required=True),
    Column("release_on", ("lançamento", "data de lançamento", "release", "release day"), parse=_day),
    Column("cap", ("limite", "limite de unidades", "most units"), parse=whole),
    Column("horizon_days", ("horizonte", "horizonte em dias", "horizon"), parse=whole),
    Column("handling_days", ("dias até a expedição", "dias úteis até a expedição", "handling"), parse=whole),
)
_TERMS = ("mode", "release_on", "cap", "horizon_days", "handling_days")

Key = tuple[int | None, int | None, int | None]  # product_id unless of a SKU, sku_id, channel_id


class _Known(msgspec.Struct, frozen=True):
    """The records that some rows name, by their codes."""

    products: Mapping[str, int]
    cards: Mapping[str, VariantCard]
    channels: Mapping[str, int]


class AheadImport:
    """Policies of selling ahead; a `malha.platform.imports.Target`."""

    entity = "ahead_policy"
    columns = COLUMNS
    families: Mapping[str, Sequence[str]] = {}
    passes = 1

    def __init__(self) -> None:
        self._lines: dict[Key, int] = {}  # where a file states a policy

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:  # noqa: ARG002
        """Check or write a chunk of policies, with one statement for all of them."""
        refuse_limited(tx)
        if apply:
            await tx.execute(writes.LOCK_STATED)
        outcome = Outcome()
        known = await _known(tx, rows)
        good: dict[Key, PolicyDraft] = {}
        named: dict[Key, str] = {}
        for row in rows:
            draft, flaws = _meant(row, known)
            if draft is not None and not flaws:
                key = _key(draft)
                if (other := self._lines.setdefault(key, row.line)) != row.line:
                    flaws.append(Flaw("", TWICE, TWICE_MEND, {"line": other}))
                else:
                    good[key], named[key] = draft, _label(row)
            combine(outcome, row.line, flaws)
        before = await _standing(tx, _products(good))
        changed = {key: draft for key, draft in good.items() if key not in before or _differs(before[key], draft)}
        outcome.created = len(changed.keys() - before.keys())
        outcome.changed = len(changed) - outcome.created
        outcome.unchanged = len(good) - len(changed)
        if apply and changed:
            after = await _write(tx, changed, before)
            outcome.traces = [_trace(key, named[key], before.get(key), after[key]) for key in changed]
            await _note(tx, changed, before, after, self._lines)
        return outcome

    async def recall(self, tx: Tx, rows: Sequence[Row]) -> None:
        """Remember what rows said that were handled before."""
        await self.handle(tx, rows, apply=False, turn=0)

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:  # noqa: ARG002
        """State policies as they were, and remove those that were not there, where nobody stated others since."""
        await tx.execute(writes.LOCK_STATED)
        by_key = {msgspec.json.decode(trace.key, type=Key): trace for trace in traces}
        cards = {card.id: card for card in await catalog.by_ids(tx, sorted({sku for _, sku, _ in by_key if sku}))}
        products = {
            (of, sku, channel): of or cards[sku or 0].product_id for of, sku, channel in by_key if of or sku in cards
        }
        now = await _standing(tx, products)
        left: Left = {}
        back: dict[Key, PolicyDraft] = {}
        gone: list[PolicyRow] = []
        for key, trace in by_key.items():
            if key not in now or _said(now[key]) != trace.after:
                left[trace.key] = TOUCHED
            elif trace.before is None:
                gone.append(now[key])
            else:
                card = cards.get(key[1] or 0)
                place = {"product_id": products[key], "sku_id": key[1], "channel_id": key[2]}
                draft = msgspec.convert(trace.before | place, PolicyDraft)
                flaws = policies.flaws_of(draft, is_kit=card is not None and card.is_kit)
                if flaws:
                    left[trace.key] = msgspec.structs.replace(flaws[0], at="")
                else:
                    back[key] = draft
        if gone:
            ids = sorted(policy.id for policy in gone)
            await tx.execute(writes.REMOVE_POLICIES, {"ids": ids, "actor": tx.actor.label})
            await revisions.bump(tx, catalog.REVISION)
            removed = [(policy.id, policy, None) for policy in sorted(gone, key=lambda policy: policy.id)]
            await audit.record_many(tx, action="remove", entity=self.entity, changes=removed)
        if back:
            await _note(tx, back, now, await _write(tx, back, now))
        return left


async def _known(tx: Tx, rows: Sequence[Row]) -> _Known:
    def named(column: str) -> list[str]:
        return sorted({text for row in rows if (text := row.values.get(column))})

    cards = await catalog.by_skus(tx, named("sku"))
    channels = await network.channels(tx) if named("channel") else []
    return _Known(
        products=dict(await tx.tuples(catalog.PRODUCT_IDS, {"codes": named("product")})),
        cards={card.sku: card for card in cards},
        channels={channel.code: channel.id for channel in channels},
    )


def _meant(row: Row, known: _Known) -> tuple[PolicyDraft | None, list[Flaw]]:
    """Return what a row states, and everything that is wrong with it; None: it is of nothing that exists."""
    product, sku, channel = (row.values.get(name) or "" for name in ("product", "sku", "channel"))
    card = known.cards.get(sku)
    product_id = known.products.get(product)
    flaws = []
    if not product and not sku:
        flaws.append(Flaw("sku", NEEDED, NEEDED_MEND))
    if product and product_id is None:
        flaws.append(Flaw("product", UNKNOWN, facts={"value": product}))
    if sku and card is None:
        flaws.append(Flaw("sku", UNKNOWN, facts={"value": sku}))
    if channel and channel not in known.channels:
        flaws.append(Flaw("channel", UNKNOWN, facts={"value": channel}))
    if card is not None and product_id is not None and card.product_id != product_id:
        flaws.append(Flaw("sku", NOT_ITS, NOT_ITS_MEND, {"value": sku}))
    of = card.product_id if card is not None else product_id
    if flaws or of is None:
        return None, flaws
    terms = {name: value for name in _TERMS if (value := row.values.get(name)) not in {None, ""}}
    draft = PolicyDraft(
        product_id=of,
        sku_id=None if card is None else card.id,
        channel_id=known.channels.get(channel),
        **terms,
    )
    return draft, policies.flaws_of(draft, is_kit=card is not None and card.is_kit)


def _key(draft: PolicyDraft) -> Key:
    return None if draft.sku_id is not None else draft.product_id, draft.sku_id, draft.channel_id


async def _standing(tx: Tx, products: Mapping[Key, int]) -> dict[Key, PolicyRow]:
    """Return what is stated of some keys, each with the product whose, or whose SKU's, it is."""
    rows = await reads.of_products(tx, set(products.values()))
    found = {(p.product_id, p.sku_id, p.channel_id): p for p in rows}
    return {key: found[key] for key in products if key in found}


def _products(drafts: Mapping[Key, PolicyDraft]) -> dict[Key, int]:
    return {key: draft.product_id for key, draft in drafts.items()}


def _differs(standing: PolicyRow, draft: PolicyDraft) -> bool:
    return any(getattr(standing, name) != getattr(draft, name) for name in _TERMS)


def _label(row: Row) -> str:
    of = row.values.get("sku") or row.values.get("product") or ""
    return ", ".join(filter(None, (of, row.values.get("channel"))))


def _said(policy: PolicyRow) -> dict[str, Any]:
    """Return what is stated of a policy, in plain values."""
    said: dict[str, Any] = msgspec.to_builtins({name: getattr(policy, name) for name in _TERMS})
    return said


def _trace(key: Key, label: str, before: PolicyRow | None, after: PolicyRow) -> Trace:
    said = None if before is None else _said(before)
    return Trace(key=msgspec.json.encode(key).decode(), label=label, before=said, after=_said(after))


async def _write(tx: Tx, changed: Mapping[Key, PolicyDraft], before: Mapping[Key, PolicyRow]) -> dict[Key, PolicyRow]:
    """State policies; return them as they are then."""
    await tx.tuples(writes.LOCK_ROWS, {"ids": [before[key].id for key in changed if key in before]})
    keys = list(changed)
    columns: dict[str, Any] = {
        "products": [product for product, _, _ in keys],
        "skus": [sku for _, sku, _ in keys],
        "channels": [channel for _, _, channel in keys],
        **{name: [getattr(changed[key], name) for key in keys] for name in _TERMS},
    }
    await tx.execute(writes.STATE_POLICIES, columns | {"actor": tx.actor.label})
    await revisions.bump(tx, catalog.REVISION)
    return await _standing(tx, _products(changed))


async def _note(
    tx: Tx,
    changed: Mapping[Key, PolicyDraft],
    before: Mapping[Key, PolicyRow],
    after: Mapping[Key, PolicyRow],
    lines: Mapping[Key, int] | None = None,
) -> None:
    """Write down, policy by policy, what was changed; `lines`: of the file that said so."""
    for action, own in (("create", changed.keys() - before.keys()), ("change", changed.keys() & before.keys())):
        keys = sorted(own, key=lambda key: after[key].id)
        changes = [(after[key].id, before.get(key), after[key]) for key in keys]
        told = None if lines is None else [{"line": lines[key]} for key in keys]
        await audit.record_many(tx, action=action, entity=AheadImport.entity, changes=changes, told=told)


async def policy_pages(database: Database, actor: Actor) -> AsyncIterator[list[list[object]]]:
    """Yield all policies, header first, as `AheadImport` reads them back unchanged."""
    yield [[column.name for column in COLUMNS]]
    after = 0
    while True:
        async with database.snapshot(actor) as tx:
            rows = await tx.tuples(reads.POLICY_TABLE, {"after": after, "limit": AT_ONCE})
        if not rows:
            return
        after = rows[-1][0]
        yield [["" if cell is None else _cell(cell) for cell in row[1:]] for row in rows]


def _cell(value: Any) -> object:
    return value.isoformat() if isinstance(value, date) else value
