"""Saving safety rules, trying them out, and the sweep that writes what they say into the balances.

A rule is not looked up when an order comes: the sweep writes `balance.safety` (what may not be claimed) and
`safety_online` (what may not be published) set by set, a few SKUs to a transaction, whenever something that rules
depend on has changed, and every quarter of an hour for what depends on stock and time.
"""

from collections.abc import Sequence
from typing import Any

from malha.catalog import reads as catalog
from malha.inventory import announcing
from malha.inventory.safety import reads, rules, stating, writes
from malha.inventory.safety.errors import SafetyRuleCodeTaken, UnknownSafetyRule
from malha.inventory.safety.model import Difference, SafetyRule, SafetyRuleDraft, Trial
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.platform import audit, revisions
from malha.platform.db import Database, Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import refuse
from malha.platform.i18n import N_, Word

REVISION = "safety"
SKUS_AT_ONCE = 100
EVERY_S = 900
MOST_TRIED = 1_000  # SKUs that a trial looks at
SHOWN = 50


async def put(tx: Tx, draft: SafetyRuleDraft, version: int | None) -> SafetyRule:
    """Create a rule (`version` None), or change one that still has `version`. The sweep applies it within a minute.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: parts of it are not possible; every one is named.
        SafetyRuleCodeTaken, UnknownSafetyRule, Conflict: as their words say.
    """
    refuse_limited(tx)
    row = await _resolve(tx, draft)
    before = next((r for r in await reads.all_rules(tx) if r.code == draft.code), None)
    if before is None and version is not None:
        raise UnknownSafetyRule(key=draft.code)
    if before is not None and version is None:
        raise SafetyRuleCodeTaken(key=draft.code)
    statement = writes.INSERT_RULE if version is None else writes.UPDATE_RULE
    if not await tx.values(statement, row | {"version": version}):
        raise Conflict(what=Word(N_("Safety rule")), key=draft.code)
    after = next(r for r in await reads.all_rules(tx) if r.code == draft.code)
    action = "create" if before is None else "change"
    await audit.record(tx, action=action, entity="safety_rule", entity_id=draft.code, before=before, after=after)
    return after


async def remove(tx: Tx, code: str, version: int) -> None:
    """Delete a rule that still has `version`.

    Raises:
        SharedByAll, UnknownSafetyRule, Conflict: as their words say.
    """
    refuse_limited(tx)
    before = next((r for r in await reads.all_rules(tx) if r.code == code), None)
    if before is None:
        raise UnknownSafetyRule(key=code)
    if not await tx.values(writes.DELETE_RULE, {"code": code, "version": version}):
        raise Conflict(what=Word(N_("Safety rule")), key=code)
    await audit.record(tx, action="delete", entity="safety_rule", entity_id=code, before=before)


async def try_out(tx: Tx, draft: SafetyRuleDraft) -> Trial:
    """Return what the balances would change by if this rule were saved now; nothing is written.

    Looks at the SKUs the rule could concern, at most `MOST_TRIED` of them. What is published is not compared.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: parts of it are not possible; every one is named.
    """
    refuse_limited(tx)
    row = await _resolve(tx, draft)
    before = next((r for r in await reads.all_rules(tx) if r.code == draft.code), None)
    tried = SafetyRule(
        **(
            {name: row[name] for name in SafetyRule.__struct_fields__ if name in row}
            | {"purpose": draft.purpose, "measure": draft.measure}
        ),
        id=0 if before is None else before.id,
        category_path=row["path"],
        changed_at=await tx.now(),
    )
    now = await tx.now()
    others = [r for r in await reads.in_force(tx) if r.code != draft.code]
    ordered = rules.in_order([*others, tried] if rules.is_in_force(tried, now) else others)
    concerned = {
        "sku": row["sku_id"],
        "product": row["product_id"],
        "brand": row["brand"],
        "path": row["path"],
        "limit": MOST_TRIED + 1,
    }
    if before is not None:  # what it concerned until now changes too
        concerned |= {"sku": None, "product": None, "brand": None, "path": None}
    found = await tx.values(reads.CONCERNED, concerned)
    skus = found[:MOST_TRIED]
    rows = await tx.tuples(reads.DIFFERENCES, reads.params(ordered, skus))
    rows.sort(key=lambda r: -abs(r[3] - r[2]))
    shown = rows[:SHOWN]
    names = {c.id: c.sku for c in await catalog.by_ids(tx, sorted({r[0] for r in shown}))}
    places = {x.id: x.code for x in (await network.locations_by_id(tx, {r[1] for r in shown})).values()}
    return Trial(
        balances=len(rows),
        more=sum(max(0, after - was) for _, _, was, after in rows),
        fewer=sum(max(0, was - after) for _, _, was, after in rows),
        examined=len(skus),
        complete=len(found) <= MOST_TRIED,
        rows=[Difference(names[sku], places[place], was, after) for sku, place, was, after in shown],
    )


async def _resolve(tx: Tx, draft: SafetyRuleDraft) -> dict[str, Any]:
    row, flaws = stating.meant(draft, await stating.named(tx, [draft]))
    refuse(flaws)
    return row


async def apply(tx: Tx, ordered: Sequence[SafetyRule], skus: Sequence[int]) -> int:
    """Write what rules say of some SKUs; return how many balances changed. What it frees and takes is announced."""
    params = reads.params(ordered, skus)
    rows = await tx.tuples(writes.LOCK_DIFFERING, params)
    if rows:
        await tx.execute(
            writes.APPLY,
            {
                "skus": [sku for sku, _, _, _ in rows],
                "locations": [place for _, place, _, _ in rows],
                "units": [units for _, _, _, units in rows],
            },
        )
    await tx.execute(writes.PUT_ONLINE, params)
    await announcing.increased(tx, [(sku, place) for sku, place, was, units in rows if units < was], "safety")
    await announcing.decreased(tx, [(sku, place) for sku, place, was, units in rows if units > was], "safety")
    return len(rows)


async def drop_overrides(tx: Tx, keys: Sequence[tuple[int, int]]) -> int:
    """Let rules decide again at balances that had a quantity of their own; return how many had."""
    params = {"skus": [sku for sku, _ in keys], "locations": [place for _, place in keys]}
    gone = await tx.tuples(writes.DROP_OVERRIDES, params)
    if gone:
        await apply(tx, await reads.in_force(tx), sorted({sku for sku, _ in gone}))
    return len(gone)


async def sweep(database: Database) -> int:
    """Write what rules say wherever it may have changed; return how many balances did. Resumes where it was stopped."""
    changed = 0
    while True:
        async with database.transaction() as tx:
            await tx.execute(writes.ENSURE_SWEEP)
            row = next(iter(await tx.tuples(writes.LOCK_SWEEP)), None)
            if row is None:
                return changed  # another process is at it
            known, after = row
            fingerprint = await _fingerprint(tx)
            if after is None:
                if fingerprint == known:
                    return changed
                known, after = fingerprint, 0
            skus = await tx.values(reads.NEXT_SKUS, {"after": after, "limit": SKUS_AT_ONCE})
            if skus:
                changed += await apply(tx, await reads.in_force(tx), skus)
            if len(skus) < SKUS_AT_ONCE:
                await revisions.bump(tx, REVISION)  # what channels are told may be another quantity everywhere
            note = {"fingerprint": known, "after": skus[-1] if len(skus) == SKUS_AT_ONCE else None}
            await tx.execute(writes.NOTE_SWEEP, note)


async def _fingerprint(tx: Tx) -> str:
    in_force, revisions, quarter = (await tx.tuples(reads.FINGERPRINT, {"every": EVERY_S}))[0]
    # Without rules nothing depends on stock or time.
    return f"{in_force}|{revisions}|{quarter}" if in_force else "none"
