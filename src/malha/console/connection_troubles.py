"""What of connections needs attention: those that do not work, what waits for a person by cause, partners, stock."""

from typing import Any, NamedTuple

from litestar import Request, post
from litestar.response import Response

from malha.channels.connecting import failures, reads, rules, service, stock_reads
from malha.channels.connecting import troubles as not_working
from malha.channels.partners import list_reads
from malha.console import filling, render, web
from malha.console.connections import CAUSES, STREAMS
from malha.platform.db import Tx
from malha.platform.i18n import _, n_

# Trying again is no remedy for these: a person says first what happened, or what a word means.
LOOKED_AT = frozenset({"unknown_outcome", "unmapped"})


class Trouble(NamedTuple):
    """One thing of a connection. `cause` is empty where trying again is no remedy."""

    connection: str
    way: str
    cause: str
    units: int
    title: str
    says: str
    href: str


async def stopped(tx: Tx) -> list[Trouble]:
    """Return the connections that do not work: broken ones, silent ones, those that cannot be read."""
    found = [
        Trouble(b.code, "", "", 0, _("{connection} is broken", connection=b.name), _broken(b.why), _address(b.code))
        for b in await reads.broken(tx)
    ]
    found += [_silent(s) for s in await not_working.silent(tx)]
    return found + [_unread(u) for u in await not_working.unread(tx)]


async def troubles(tx: Tx) -> list[Trouble]:
    """Return what of connections waits for a person: what stopped all of one first, then the oldest."""
    found = await stopped(tx)
    found += [_waiting(t) for t in await reads.all_causes(tx)]
    found += [_overdue(o) for o in await list_reads.overdue(tx)]
    names = {c.code: c.name for c in await reads.all_linked(tx)}
    for code, (_at, count) in sorted((await stock_reads.standing(tx)).items()):
        if count:
            title = n_(
                "{connection} shows another quantity of {n} listing",
                "{connection} shows other quantities of {n} listings",
                count,
                connection=names[code],
            )
            says = _("It differed at two readings: look at the causes, and tell it again.")
            found.append(Trouble(code, "", "", count, title, says, f"{_address(code)}/stock"))
    return found


def _overdue(o: list_reads.Overdue) -> Trouble:
    title = n_(
        "{connection}: {n} request to the partner is overdue",
        "{connection}: {n} requests to the partner are overdue",
        o.requests,
        connection=o.name,
    )
    if o.late:
        what = n_("Of {n} the goods should have left by now.", "Of {n} the goods should have left by now.", o.late)
    else:
        what = _("There was no answer in time.")
    mend = _("Ask the partner. Send it again if they do not have it, or let another location take it.")
    return Trouble(
        o.connection, "", "", o.requests, title, f"{what} {mend}", f"{_address(o.connection)}/partner?view=overdue"
    )


def _address(code: str) -> str:
    return f"/connections/{code}"


def _broken(why: str) -> str:
    mend = _("Nothing is asked or sent, what comes in is kept. Test it, enter its secrets again, and let it go on.")
    return f"{failures.shown(why)[:200]} · {mend}" if why else mend


def _silent(s: not_working.Silent) -> Trouble:
    if s.since:
        title = _("{connection} has not answered since {time}", connection=s.name, time=render.moment(s.since))
    else:
        title = _("{connection} does not answer", connection=s.name)
    mend = _("What it is to be told waits, and is sent once it answers: it is asked every ten minutes at the latest.")
    says = f"{failures.shown(s.says)[:200]} · {mend}" if s.says else mend
    return Trouble(s.code, "", "", 0, title, says, _address(s.code))


def _unread(u: not_working.Unread) -> Trouble:
    stream = _(STREAMS[u.stream]) if u.stream in STREAMS else u.stream
    title = _("{connection} cannot be read: {stream}", connection=u.name, stream=stream)
    mend = _("It is tried again by itself. Test the connection, and look at its last calls.")
    says = f"{failures.shown(u.says)[:200]} · {mend}" if u.says else mend
    return Trouble(u.code, "", "", 0, title, says, _address(u.code))


def _waiting(t: reads.Trouble) -> Trouble:
    cause = t.cause or ""
    word = _(CAUSES[cause]) if cause in CAUSES else cause
    if t.way == "in":
        title = n_("{connection}: {n} message waits", "{connection}: {n} messages wait", t.count, connection=t.name)
    else:
        title = n_(
            "{connection}: {n} thing was not told", "{connection}: {n} things were not told", t.count, connection=t.name
        )
    mend = _(rules.FIXES[cause]) if cause in rules.FIXES else ""
    says = ". ".join(part for part in (word, mend) if part)
    href = f"{_address(t.connection)}/stuck?way={t.way}&cause={cause}"
    return Trouble(t.connection, t.way, "" if cause in LOOKED_AT else cause, t.count, title, says, href)


@post("/attention/connections", opt={"permission": "network:write"}, status_code=303)
async def replay_cause(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have all of a connection that stopped for a cause tried again.

    Raises:
        UnknownEntry: nothing of it waits any more.
    """
    read = filling.filled(await request.form())
    way = "in" if read.text("way") == "in" else "out"
    async with web.writing(request) as tx:
        count = await service.replay_cause(tx, read.text("connection", 80), way, read.text("cause", 40))
    return web.see_other("/attention", notice=n_("{n} is tried again.", "{n} are tried again.", count))


HANDLERS = [replay_cause]
