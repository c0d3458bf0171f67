"""What needs attention: records whose events could not be handled, why, and the button that tries again."""

from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.response import Response

from malha.console import attention_reads as reads
from malha.console import render, shell, web
from malha.ordering import reads as orders
from malha.platform import audit, parking, subscribers
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.ids import UUID
from malha.platform.parking import ParkedKey
from malha.platform.subscribers import Failing

# What a subscriber does, as people say it; one without a name here shows its own.
DOES = {
    "order_timeline": N_("Timeline"),
    "order_search": N_("Search"),
    "order_customer": N_("Customer of the order"),
    "order_payments": N_("Effect of payments"),
    "order_work": N_("Work at the locations"),
    "order_places": N_("Choice of the location"),
    "waiting_orders": N_("Orders that wait for stock"),
}


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One record that waits."""

    subscriber: str
    key: str
    does: str
    record: str
    href: str
    cause: str
    error: str
    waiting: int
    since: str
    next: str


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """One subscriber that succeeds with nothing."""

    does: str
    error: str
    behind: int
    since: str


@get("/attention", opt={"permission": "doctor:read"})
async def attention(request: Request[Any, Any, Any]) -> Response[str]:
    """Show what could not be handled."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "attention")
        parked = await parking.needs_attention(tx)
        scope = shell.scope_of(web.caller_of(request))
        if scope is not None:
            parked = await orders.parked_at(tx, parked, scope)
        numbers = await _numbers(tx, parked)
        stuck = [_stuck(f) for f in await subscribers.failing(tx)]
    items = [_item(p, numbers) for p in parked]
    return render.html("attention/page.html", shell=around, items=items, stuck=stuck, may=around.may)


@post("/attention/replay", opt={"permission": "settings:manage"}, status_code=303)
async def replay(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have the waiting events of a record handled again.

    Raises:
        NotFound: nothing of that record waits any more.
    """
    form = await request.form()
    subscriber, key = str(form.get("subscriber", "")), str(form.get("key", ""))
    async with web.writing(request) as tx:
        await parking.ask_replay(tx, subscriber, key)
        await audit.record(tx, action="replay", entity="event", entity_id=f"{subscriber}/{key}")
    return web.see_other("/attention", notice=_("It is tried again within a second."))


async def _numbers(tx: Tx, parked: list[ParkedKey]) -> dict[str, int]:
    orders = [UUID(p.key.partition(":")[2]) for p in parked if p.key.startswith("order:")]
    if not orders:
        return {}
    return {f"order:{id_}": number for id_, number in await tx.tuples(reads.ORDER_NUMBERS, {"orders": orders})}


def _item(parked: ParkedKey, numbers: dict[str, int]) -> Item:
    number = numbers.get(parked.key)
    if parked.retry_at is None:
        tried = _("Waits for you")
    elif parked.retry_at <= now():
        tried = _("Now")
    else:
        tried = _("In {time}", time=render.span(parked.retry_at - now()))
    return Item(
        subscriber=parked.subscriber,
        key=parked.key,
        does=_(DOES.get(parked.subscriber, parked.subscriber)),
        record=parked.key if number is None else f"#{number}",
        href="" if number is None else f"/orders/{number}",
        cause=parked.cause,
        error=parked.error,
        waiting=parked.waiting,
        since=render.moment(parked.first_failed_at),
        next=tried,
    )


def _stuck(failing: Failing) -> Stuck:
    return Stuck(
        does=_(DOES.get(failing.name, failing.name)),
        error=failing.error,
        behind=failing.behind,
        since=render.moment(failing.moved_at),
    )


HANDLERS = [attention, replay]
