"""Stating what may be sold ahead: per product or SKU and, if narrowed, per channel.

A policy that is removed, or no longer lets anything be sold, takes nothing from those who bought: their units wait on.
"""

from datetime import date

import msgspec

from malha.catalog import reads as catalog
from malha.inventory.ahead import reads, writes
from malha.inventory.ahead.errors import PolicyChanged, UnknownPolicy
from malha.inventory.ahead.model import Mode
from malha.inventory.ahead.reads import PolicyRow
from malha.network.service import refuse_limited
from malha.platform import audit, revisions
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

MOST_UNITS = 1_000_000_000
MOST_DAYS = 730
MOST_HANDLING = 60


class PolicyDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as someone states it: of a product, or with `sku_id` of one SKU of it."""

    product_id: int
    sku_id: int | None = None
    channel_id: int | None = None
    mode: Mode
    release_on: date | None = None
    cap: int | None = None
    horizon_days: int | None = None
    handling_days: int = 1


async def put(tx: Tx, draft: PolicyDraft, version: int | None) -> PolicyRow:
    """State a policy (`version` None), or change one that still has `version`. Orders that come from now on follow it.

    Raises:
        SharedByAll: the actor is limited to some locations; what is sold ahead is, of all of them.
        Invalid: parts of it are not possible; every one is named.
        PolicyChanged: somebody else stated or changed it meanwhile.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_STATED)
    card = await catalog.by_ids(tx, [draft.sku_id]) if draft.sku_id is not None else []
    refuse(flaws_of(draft, is_kit=any(one.is_kit for one in card)))
    before = await _standing(tx, draft)
    row = {name: getattr(draft, name) for name in PolicyDraft.__struct_fields__} | {
        "product_id": None if draft.sku_id is not None else draft.product_id,
        "mode": draft.mode.value,
        "version": version,
        "actor": tx.actor.label,
    }
    if await tx.value(writes.PUT_POLICY, row) is None or (before is None and version is not None):
        raise PolicyChanged(key=_key(draft))
    await revisions.bump(tx, catalog.REVISION)
    after = await _standing(tx, draft)
    assert after is not None  # noqa: S101  (written just now)
    action = "create" if before is None else "change"
    await audit.record(tx, action=action, entity="ahead_policy", entity_id=after.id, before=before, after=after)
    return after


def flaws_of(draft: PolicyDraft, *, is_kit: bool) -> list[Flaw]:
    """Return everything that is wrong with a policy as it is stated; `is_kit`: of the SKU it is of."""
    flaws = []
    if is_kit:
        says = N_("Nothing is stated for a kit itself.")
        flaws.append(Flaw("sku", says, N_("State it for its components: the kit is sold ahead by them.")))
    if draft.mode is Mode.PREORDER and draft.release_on is None:
        flaws.append(Flaw("release_on", N_("A pre-order needs the day of its release.")))
    if draft.mode is not Mode.PREORDER and draft.release_on is not None:
        says = N_("Only a pre-order has the day of a release.")
        flaws.append(Flaw("release_on", says, N_("Leave the day out, or state a pre-order.")))
    if draft.cap is not None and not 0 < draft.cap <= MOST_UNITS:
        flaws.append(Flaw("cap", N_("Write a whole number, 1 or more.")))
    if draft.horizon_days is not None and not 0 < draft.horizon_days <= MOST_DAYS:
        flaws.append(Flaw("horizon_days", N_("Write a number of days from 1 to {most}."), facts={"most": MOST_DAYS}))
    if not 0 <= draft.handling_days <= MOST_HANDLING:
        says = N_("Write a number of days from 0 to {most}.")
        flaws.append(Flaw("handling_days", says, facts={"most": MOST_HANDLING}))
    return flaws


async def remove(tx: Tx, product_id: int, policy_id: int, version: int) -> None:
    """Take a policy away; what is less particular counts from now on.

    Raises:
        SharedByAll, UnknownPolicy, PolicyChanged: as their words say.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_STATED)
    before = next((p for p in await reads.of_product(tx, product_id) if p.id == policy_id), None)
    if before is None:
        raise UnknownPolicy(key=policy_id)
    if await tx.value(writes.REMOVE_POLICY, {"id": policy_id, "version": version, "actor": tx.actor.label}) is None:
        raise PolicyChanged(key=before.sku or product_id)
    await revisions.bump(tx, catalog.REVISION)
    await audit.record(tx, action="remove", entity="ahead_policy", entity_id=policy_id, before=before)


async def _standing(tx: Tx, draft: PolicyDraft) -> PolicyRow | None:
    wanted = draft.sku_id, draft.channel_id
    return next((p for p in await reads.of_product(tx, draft.product_id) if (p.sku_id, p.channel_id) == wanted), None)


def _key(draft: PolicyDraft) -> str:
    return f"#{draft.sku_id or draft.product_id}"
