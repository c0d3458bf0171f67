"""What one act of a bulk action does to one order: the same as for an order by itself."""

from datetime import date

from malha.fulfillment import service
from malha.fulfillment.bulk_model import FINAL, Act, Wish
from malha.ordering import details, holds, promises, rules
from malha.ordering import service as ordering
from malha.ordering.errors import TooManyTags
from malha.ordering.model import AUTOMATIC_HOLDS, HoldKind, PromiseReason
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import DEFAULT_ZONE, N_
from malha.platform.ids import UUID


def check(wish: Wish) -> None:
    """Refuse a wish that lacks what its act needs, before any order is touched.

    Raises:
        Invalid: it lacks a day, a reason or tags.
    """
    flaws = []
    if wish.act is Act.PROMISE:
        flaws += lacking_in_promise(wish.day, wish.because)
        if wish.because is PromiseReason.OTHER and not wish.note:
            flaws.append(Flaw("note", N_("This needs a reason."), N_("Say why in a few words.")))
    if wish.act is Act.TAGS:
        details.check_tags(wish.add, wish.remove)
    refuse(flaws)


def lacking_in_promise(day: date | None, because: PromiseReason | None) -> list[Flaw]:
    """Return what somebody has to choose yet who promises orders for another day."""
    flaws = [] if day else [Flaw("day", N_("Choose a day."))]
    return flaws if because else [*flaws, Flaw("promise_reason", N_("Choose a reason."))]


async def carry_out(tx: Tx, order_id: UUID, wish: Wish, seen: int | None) -> None:
    """Do to one order what is wished; `seen` is the version the asker saw, for acts that depend on it.

    Raises:
        Invalid: the wish lacks what its act needs.
        OrderChanged: it has another version by now, and the act cannot be taken back.
        MalhaError: the order refuses it, as it would by itself.
    """
    check(wish)
    if wish.act in FINAL:
        order = await ordering.lock_order(tx, order_id, seen)
    match wish.act:
        case Act.RELEASE:
            await service.release_order(tx, order_id)
        case Act.HOLD:
            await holds.place_hold(tx, order_id, HoldKind.MANUAL, note=wish.reason)
        case Act.PROMISE if wish.day and wish.because:
            zone = await promises.zone_promised(tx, order, wish.zone or DEFAULT_ZONE)
            until = rules.end_of_day(wish.day, zone)
            await promises.repromise(tx, order_id, until, reason=wish.because, note=wish.note)
        case Act.TAGS:
            done = await details.change_tags(tx, [order_id], add=wish.add, remove=wish.remove)
            if done.full:
                raise TooManyTags(most=details.MOST_TAGS)
        case Act.CANCEL:
            await service.cancel(tx, order_id, reason=wish.reason, rest=True)
        case Act.RESOLVE:
            kinds = (await ordering.open_holds(tx, [order_id]))[order_id]
            by_hand = [kind for kind in kinds if kind not in AUTOMATIC_HOLDS]
            for kind in by_hand or list(kinds)[:1] or [HoldKind.MANUAL]:
                await holds.resolve_hold(tx, order_id, kind)
