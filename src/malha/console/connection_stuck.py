"""What of a connection waits for a person: searched, by cause, one by one or together, and what each says."""

import json
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels.connecting import reads, service, stuck_reads
from malha.channels.connecting.errors import UnknownEntry
from malha.channels.connecting.model import Linked
from malha.channels.connecting.reads import Dead, Stuck
from malha.console import export, filling, forms, render, shell, web
from malha.console.connections import CAUSES, CHANGE, SEE, came_item, gone_item
from malha.network.service import refuse_limited
from malha.platform.db import Tx
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import id_in
from malha.platform.sheets import Column, Kind
from malha.platform.text import whole_in

PAGE = 50
REVEAL = "customers:reveal"  # what a channel sent names people
MOST_SHOWN = 60_000  # characters of what came
WAYS = {"in": N_("What came in"), "out": N_("What could not be told")}
COLUMNS = (
    Column(N_("What")), Column(N_("Record"), width=24), Column(N_("Cause"), width=32), Column(N_("Error"), width=60),
    Column(N_("What to do"), width=60), Column(N_("Attempts"), Kind.WHOLE), Column(N_("Since"), Kind.MOMENT),
)  # fmt: skip
OUTCOMES = {
    "ok": N_("arrived"),
    "pending": N_("taken, not done yet"),
    "waits": N_("put off"),
    "not sent": N_("not sent to the channel"),
}


class Terms(msgspec.Struct, frozen=True):
    """What the list is narrowed to."""

    way: str
    cause: str
    q: str


def _asked(request: Request[Any, Any, Any]) -> tuple[Terms, int]:
    query = request.query_params
    way = "out" if query.get("way") == "out" else "in"
    after = query.get("after", "")
    last = whole_in(after, 18) or 0
    return Terms(way, web.said(query, "cause")[:40], web.said(query, "q").strip()[:120]), last


async def _rows(tx: Tx, connection: Linked, terms: Terms, after: int, most: int) -> list[Stuck] | list[Dead]:
    if terms.way == "in":
        return await stuck_reads.came(tx, connection.id, cause=terms.cause, text=terms.q, after=after, most=most)
    return await stuck_reads.gone(tx, connection.id, cause=terms.cause, text=terms.q, after=after, most=most)


def _place(row: Stuck | Dead) -> int:
    return row.id if isinstance(row, Stuck) else row.number


def _item(row: Stuck | Dead) -> Any:
    return came_item(row) if isinstance(row, Stuck) else gone_item(row)


@get("/connections/{code:str}/stuck", opt={"permission": SEE})
async def stuck_list(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show what waits for a person, by cause and by text, in the order it came."""
    terms, after = _asked(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        refuse_limited(tx)
        found = await service.connection_of(tx, code)
        rows = await _rows(tx, found, terms, after, PAGE + 1)
        found_causes = await reads.causes(tx, found.id)
    base, usual = f"/connections/{code}/stuck", {"way": "in"}
    here = web.address(base, terms, {}, usual)
    causes = {way: [cause for cause in found_causes if cause.way == way] for way in WAYS}
    totals = {way: sum(cause.count for cause in each) for way, each in causes.items()}
    return render.html(
        "connections/stuck.html",
        shell=around,
        may=around.may,
        c=found,
        items=[_item(row) for row in rows[:PAGE]],
        following=f"{here}{'&' if '?' in here else '?'}after={_place(rows[PAGE - 1])}" if len(rows) > PAGE else "",
        first=here if after else "",
        views=[
            (_(word), web.address(base, Terms(way, "", ""), {}, usual), way == terms.way, totals[way])
            for way, word in WAYS.items()
        ],
        causes=[(c.cause, _(CAUSES.get(c.cause, c.cause)), c.count) for c in causes[terms.way] if c.cause],
        # All of a cause are settled together only where all of it is what the list shows.
        of_cause=0 if terms.q else sum(c.count for c in causes[terms.way] if c.cause == terms.cause),
        terms=terms,
        exports=export.choices(lambda path: web.address(path, terms, {}, usual), f"{base}:export"),
    )  # fmt: skip


@get(export.paths("/connections/{code:str}/stuck:export"), opt={"permission": SEE})
async def stuck_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send the list as a file, as it is narrowed."""
    terms, _after = _asked(request)
    async with web.reading(request) as tx:
        refuse_limited(tx)
        found = await service.connection_of(tx, code)

    def cells(row: Stuck | Dead) -> list[Any]:
        item = _item(row)
        return [item.what, item.entity, item.cause, item.error, item.mend, row.attempts, item.at]

    async def read(tx: Tx, after: int | None) -> list[Stuck | Dead]:
        return [*await _rows(tx, found, terms, after or 0, export.BATCH)]

    return export.send(request, f"waiting-{code}", COLUMNS, export.pages(request, read, _place), cells)


@post("/connections/{code:str}/stuck", opt={"permission": CHANGE}, status_code=200)
async def stuck_all(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Have all that stopped for a cause tried again, or give all of it up.

    Raises:
        UnknownEntry: nothing of it waits any more, or each needs a word of its own first.
    """
    read = filling.filled(await request.form())
    act, cause, way = read.text("act"), read.text("cause", 40), "out" if read.text("way") == "out" else "in"
    async with web.writing(request) as tx:
        done = await (service.drop_cause if act == "drop" else service.replay_cause)(tx, code, way, cause)
    said = n_("{n} given up", "{n} given up", done) if act == "drop" else n_("{n} tried again", "{n} tried again", done)
    return web.go_on(request, f"/connections/{code}/stuck?way={way}", said)


# --- one ---


@get("/connections/{code:str}/stuck/{key:str}", opt={"permission": SEE})
async def stuck_show(request: Request[Any, Any, Any], code: FromPath[str], key: FromPath[str]) -> Response[str]:
    """Show one thing: why it waits, each attempt, what it was to say, and the order it is about."""
    return await _shown(request, code, key, None)


async def _shown(request: Request[Any, Any, Any], code: str, key: str, content: str | None) -> Response[str]:
    op, number = id_in(key), whole_in(key, 18)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        refuse_limited(tx)
        found = await service.connection_of(tx, code)
        came = await stuck_reads.one_came(tx, found.id, number) if number is not None else None
        gone = await stuck_reads.one_gone(tx, found.id, op) if op else None
        row = came or gone
        if row is None:
            raise UnknownEntry(key=key)
        kind, _colon, theirs = row.entity.partition(":")
        order = await stuck_reads.our_order(tx, found.id, theirs) if kind == "order" else None
        attempts = await reads.attempts(tx, op) if gone and op else []
        waits = came.state in {"parked", "unmapped"} if came else op and await stuck_reads.is_dead(tx, found.id, op)
    return render.html(
        "connections/stuck_one.html",
        shell=around,
        may=around.may,
        c=found,
        i=_item(row),
        way="in" if came else "out",
        waits=waits,
        row=row,
        order=order,
        attempts=[(_outcome(a.outcome), a) for a in attempts],
        told=None if content is None else _pretty(content)[:MOST_SHOWN],
        cut=content is not None and len(content) > MOST_SHOWN,
        reveals=REVEAL,
    )


def _outcome(outcome: str) -> str:
    """Return what became of an attempt: a word of its own, or the cause for which it failed, for good or not."""
    if outcome in OUTCOMES:
        return _(OUTCOMES[outcome])
    cause = outcome.removeprefix("dead: ")
    word = _(CAUSES[cause]) if cause in CAUSES else cause
    return _("{cause}: given to a person", cause=word) if outcome != cause else word


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:  # not JSON: shown as it came
        return text


@post("/connections/{code:str}/stuck/{key:str}/reveal", opt={"permission": REVEAL, "everywhere": True}, status_code=200)
async def stuck_reveal(request: Request[Any, Any, Any], code: FromPath[str], key: FromPath[str]) -> Response[str]:
    """Show what the channel sent or is to be told, which may name people. Who was shown it, when and why is kept.

    Raises:
        UnknownEntry: there is no such entry.
        Invalid: no reason is given.
    """
    why = forms.said(await request.form(), "why", 200)
    entry = id_in(key) or whole_in(key, 18)
    if entry is None:
        raise UnknownEntry(key=key)
    async with web.writing(request) as tx:
        refuse_limited(tx)
        content = await service.reveal(tx, code, entry, why)
    return await _shown(request, code, key, content)


HANDLERS = [stuck_list, stuck_export, stuck_all, stuck_show, stuck_reveal]
