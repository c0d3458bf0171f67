"""The log of messages to customers: what was said to whom, how it ended, and what a person can do about it."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, render, shell, web
from malha.console.words import Sign
from malha.flows import telling
from malha.fulfillment import finding
from malha.notifications import reads
from malha.notifications import service as notifications
from malha.notifications.errors import MessageNotFound
from malha.notifications.model import (
    CHANNEL_WORDS,
    KINDS,
    REASON_WORDS,
    REPEATABLE,
    STATE_WORDS,
    TROUBLE,
    Channel,
    Kind,
    State,
)
from malha.notifications.reads import LogWanted, MessageRow
from malha.ordering import listing
from malha.ordering import reads as orders
from malha.platform import brazil, i18n, paging
from malha.platform.days import maybe_day
from malha.platform.db import Tx
from malha.platform.errors import Forbidden, MalhaError
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as Kinds

PAGE_SIZE = 50
REVEAL = "customers:reveal"
LISTING = "console-messages"
BULK_MOST = 200
KIND_CODES = frozenset(kind.value for kind in Kind)

SIGNS: dict[State, Sign] = {
    State.QUEUED: Sign(STATE_WORDS[State.QUEUED], "wait", "dash"),
    State.SENDING: Sign(STATE_WORDS[State.SENDING], "work", "p50"),
    State.SENT: Sign(STATE_WORDS[State.SENT], "done", "done"),
    State.REFUSED: Sign(STATE_WORDS[State.REFUSED], "fail", "fail"),
    State.UNCERTAIN: Sign(STATE_WORDS[State.UNCERTAIN], "wait", "q"),
    State.SKIPPED: Sign(STATE_WORDS[State.SKIPPED], "neutral", "x"),
    State.FAILED: Sign(STATE_WORDS[State.FAILED], "fail", "fail"),
    State.BOUNCED: Sign(STATE_WORDS[State.BOUNCED], "back", "back"),
}
# The tabs: a name in the address, a word, the states in it.
VIEWS: dict[str, tuple[str, tuple[State, ...]]] = {
    "all": (N_("All messages"), ()),
    "trouble": (N_("To look at"), TROUBLE),
    "untold": (N_("Needs another address"), ()),
    "waiting": (N_("Waiting"), (State.QUEUED, State.SENDING)),
    "sent": (N_("Sent"), (State.SENT,)),
    "skipped": (N_("Not sent out"), (State.SKIPPED,)),
}
COLUMNS = (
    Column(N_("Created"), Kinds.MOMENT, 18), Column(N_("Ended"), Kinds.MOMENT, 18), Column(N_("Order"), Kinds.WHOLE),
    Column(N_("Customer"), width=32), Column(N_("Message"), width=24), Column(N_("Channel")),
    Column(N_("State"), width=18), Column(N_("Reason"), width=40), Column(N_("Answer"), width=40),
    Column(N_("Attempts"), Kinds.WHOLE),
)  # fmt: skip


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address of the log says. Nonsense in it is ignored."""

    view: str = "all"
    q: str = ""
    kind: str = ""
    since: date | None = None
    until: date | None = None
    after: str = ""

    def address(self, path: str = "/messages", **changes: Any) -> str:
        """Return the address of this list with parts changed; what changes the list goes to its first page."""
        said = {**{name: getattr(self, name) for name in self.__struct_fields__}, "after": "", **changes}
        shown = {k: v for k, v in said.items() if v not in {None, ""} and (k, v) != ("view", "all")}
        return f"{path}?{urlencode(shown)}" if shown else path


class RowView(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it is drawn."""

    row: MessageRow
    sign: Sign
    kind: str
    channel: str
    why: str
    arrived: str
    to: str
    repeatable: bool
    again: bool  # to another address


READ, DELIVERED = Sign(N_("Read"), "done", "done"), Sign(N_("Delivered"), "done", "done")


def sign_of(row: MessageRow) -> Sign:
    """Return how a message stands: what a receipt said counts for more than that it was handed over."""
    if row.state == State.SENT and (row.read_at or row.delivered_at):
        return READ if row.read_at else DELIVERED
    return SIGNS[State(row.state)]


def _arrived(row: MessageRow) -> str:
    parts = [
        _("delivered {time}", time=render.moment(row.delivered_at)) if row.delivered_at else "",
        _("read {time}", time=render.moment(row.read_at)) if row.read_at else "",
    ]
    return ", ".join(part for part in parts if part)


def masked(address: str) -> str:
    """Return an address as lists show it."""
    return brazil.mask_email(address) if "@" in address else brazil.mask_phone(address)


def view_of(row: MessageRow) -> RowView:
    """Return a message as lists and pages draw it; its address is masked."""
    kind = KINDS.get(Kind(row.kind)) if row.kind in KIND_CODES else None
    state = State(row.state)
    return RowView(
        row=row,
        sign=sign_of(row),
        kind=_(kind.word) if kind else row.kind,
        channel=_(CHANNEL_WORDS[Channel(row.channel)]),
        why=_(REASON_WORDS[row.reason]) if row.reason in REASON_WORDS else "",
        arrived=_arrived(row),
        to=masked(row.address) if row.address else "",
        repeatable=state in REPEATABLE and row.address is not None,
        again=state in REPEATABLE and row.reason != "told_by_channel",
    )


def asked_of(query: Any) -> Asked:
    """Return what an address asks."""
    return Asked(
        view=query.get("view", "all") if query.get("view") in VIEWS else "all",
        q=web.said(query, "q")[:200].strip(),
        kind=query.get("kind", "") if query.get("kind") in KIND_CODES else "",
        since=maybe_day(query.get("since")),
        until=maybe_day(query.get("until")),
        after=query.get("after", "")[:500],
    )


async def _wanted(tx: Tx, asked: Asked, scope: tuple[int, ...] | None) -> LogWanted:
    since, until = listing.day_bounds(asked.since, asked.until, ZoneInfo(i18n.current_zone()))
    return LogWanted(
        states=VIEWS[asked.view][1],
        ids=tuple(row.id for row in await reads.untold(tx, scope=scope)) if asked.view == "untold" else None,
        kind=Kind(asked.kind) if asked.kind else None,
        orders=tuple(await finding.find(tx, asked.q)) if asked.q else None,
        since=since,
        until=until,
        scope=scope,
    )


def _after(cursor: str) -> tuple[datetime, UUID] | None:
    try:
        found = paging.position(cursor, LISTING, (datetime, UUID))
    except paging.BadCursor:
        return None
    return None if found is None else (found[0], found[1])


@get("/messages", opt={"permission": "orders:read"})
async def message_log(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the log."""
    asked = asked_of(request.query_params)
    scope = shell.scope_of(web.caller_of(request))
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "messages")
        wanted = await _wanted(tx, asked, scope)
        found = await reads.log(tx, wanted, after=_after(asked.after), limit=PAGE_SIZE + 1)
        # Whoever sees some locations only is not told how much there is elsewhere.
        counts = await reads.counts(tx) if scope is None else {}
        untold = len(await reads.untold(tx, scope=scope))
    page = paging.page_of(found, PAGE_SIZE, LISTING, lambda row: (row.created_at, row.id))
    tabs = [
        (
            view,
            _(word),
            asked.address(view=view),
            untold if view == "untold" else sum(counts.get(s, 0) for s in states or State) if counts else None,
        )
        for view, (word, states) in VIEWS.items()
    ]
    return render.html(
        "messages/page.html",
        shell=around,
        may=around.may,
        asked=asked,
        views=tabs,
        kinds=[(kind.value, _(facts.word)) for kind, facts in KINDS.items()],
        rows=[view_of(row) for row in page.items],
        next=asked.address(after=page.next) if page.next else "",
        first=asked.address(after="") if asked.after else "",
        exports=export.choices(asked.address, "/messages/export"),
        filtered=bool(asked.q or asked.kind or asked.since or asked.until),
    )


def _cells(row: MessageRow) -> list[Any]:
    view = view_of(row)
    return [
        row.created_at, row.done_at, row.order_number, row.buyer_name, view.kind, view.channel, _(view.sign.word),
        view.why, row.answer, row.attempts,
    ]  # fmt: skip


@get(export.paths("/messages/export"), opt={"permission": "orders:read"})
async def message_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the filtered log as a file."""
    asked, scope = asked_of(request.query_params), shell.scope_of(web.caller_of(request))
    async with web.reading(request) as tx:
        wanted = await _wanted(tx, asked, scope)

    async def pages() -> AsyncIterator[list[MessageRow]]:
        place, more = None, True
        while more:
            async with web.reading(request) as tx:
                rows = await reads.log(tx, wanted, after=place, limit=export.BATCH)
            yield rows
            more = len(rows) == export.BATCH
            place = (rows[-1].created_at, rows[-1].id) if rows else None

    return export.send(request, f"messages-{asked.view}", COLUMNS, pages(), _cells)


async def _seen(tx: Tx, message_id: UUID, scope: tuple[int, ...] | None) -> MessageRow:
    row = await reads.one(tx, message_id)
    if row is None or (scope is not None and not await orders.is_at(tx, row.order_id, scope)):
        raise MessageNotFound(key=message_id)
    return row


@get("/messages/{message_id:uuid}", opt={"permission": "orders:read"})
async def message_show(request: Request[Any, Any, Any], message_id: FromPath[UUID]) -> Response[str]:
    """Show a message: what was said, how it ended, what can be done.

    Raises:
        MessageNotFound: there is none, or none the asker may see.
    """
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "messages")
        row = await _seen(tx, message_id, shell.scope_of(web.caller_of(request)))
        silent = await reads.suppressed(tx, Channel(row.channel), row.address) if row.address else None
    return render.html(
        "messages/message.html",
        shell=around,
        may=around.may,
        message=view_of(row),
        silent=silent is not None,
        bounceable=State(row.state) in {State.SENT, State.UNCERTAIN} and row.address is not None,
    )


async def _act(request: Request[Any, Any, Any], message_id: UUID, act: Any, notice: str) -> Response[bytes]:
    async with web.writing(request) as tx:
        await _seen(tx, message_id, shell.scope_of(web.caller_of(request)))
        await act(tx, message_id)
    return web.see_other(f"/messages/{message_id}", notice=notice)


@post("/messages/{message_id:uuid}/send", opt={"permission": "orders:write"}, status_code=303)
async def message_send(request: Request[Any, Any, Any], message_id: FromPath[UUID]) -> Response[bytes]:
    """Have a message sent again, to another address if one is given.

    Who chooses the address gets what the message says: the pickup code, and the link to the order's page.

    Raises:
        Forbidden: to another address, by somebody who may not see the customer's data in full.
        Invalid: the address is none.
        MessageOnItsWay, MessageForgotten, AddressSilent: it cannot be sent again.
    """
    address = str((await request.form()).get("address", ""))[:254]
    if address.strip() and not web.caller_of(request).may(REVEAL):
        raise Forbidden(permission=REVEAL)

    async def act(tx: Tx, id_: UUID) -> None:
        await notifications.send_again(tx, id_, address or None)
        await telling.send_soon(tx)

    return await _act(request, message_id, act, _("The message is sent again within seconds."))


@post("/messages/{message_id:uuid}/bounced", opt={"permission": "orders:write"}, status_code=303)
async def message_bounced(request: Request[Any, Any, Any], message_id: FromPath[UUID]) -> Response[bytes]:
    """Write down that a message came back."""

    async def act(tx: Tx, id_: UUID) -> None:
        await notifications.mark_bounced(tx, id_, await telling.means_now(tx))

    return await _act(request, message_id, act, _("Nothing more is sent to this address."))


@post("/messages/{message_id:uuid}/lift", opt={"permission": "orders:write"}, status_code=303)
async def message_lift(request: Request[Any, Any, Any], message_id: FromPath[UUID]) -> Response[bytes]:
    """Let an address take messages again."""
    return await _act(request, message_id, notifications.lift_suppression, _("Messages may go to this address again."))


@post("/messages/again", opt={"permission": "orders:write"}, status_code=303)
async def messages_again(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have the chosen messages sent again, each in a transaction of its own: one refusal leaves the others alone."""
    form = await request.form()
    scope = shell.scope_of(web.caller_of(request))
    done, refused = 0, 0
    for said in list(dict.fromkeys(form.getall("message", [])))[:BULK_MOST]:
        try:
            async with web.writing(request) as tx:
                message_id = _uuid(str(said))
                await _seen(tx, message_id, scope)
                await notifications.send_again(tx, message_id)
            done += 1
        except MalhaError:
            refused += 1
    notice = n_("{n} message is sent again", "{n} messages are sent again", done)
    if refused:
        notice += ", " + n_("{n} refused", "{n} refused", refused)
    back = web.safe_address(str(form.get("next", "")), "/messages")
    return web.see_other(back, notice=notice)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise MessageNotFound(key=text[:40]) from None


HANDLERS = [
    message_log,
    message_export,
    message_show,
    message_send,
    message_bounced,
    message_lift,
    messages_again,
]
