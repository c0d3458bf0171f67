"""A snapshot from a person's file: what it says of itself, the file as it arrives, then the check before it is applied.

It goes the way every snapshot goes (`flows.stock_sync.receive`): the same guards, the same refusals. It differs in one
thing: when something would change, it waits for a person who has seen what.
"""

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, render, shell, uploads, web
from malha.console import sync_words as say
from malha.flows import stock_sync
from malha.inventory.sync import exports, reads, sources
from malha.inventory.sync.errors import SnapshotNotFound
from malha.inventory.sync.model import Scope, State
from malha.inventory.sync.receiving import Statement
from malha.network import reads as network
from malha.platform import i18n
from malha.platform.i18n import N_, _

SEE, CHANGE = "stock:read", "stock:write"
MOST_SEQ = 9_000_000_000_000_000_000
MOST_FIELDS = 2_100  # a tick per location, and the few others


@get("/stock-sync/sources/{code:str}/upload", opt={"permission": CHANGE})
async def upload_form(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show the form: what the file covers, as of when, its place among the source's snapshots."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "stock-sync")
        found = await reads.source(tx, code)
        seen = sources.seen_by(tx.actor, found)
        names = {p.code: p.name for p in await network.locations(tx)}
        now = await tx.now()
    spoken = seen.truths | seen.secondaries
    return render.html(
        "stock_sync/upload.html",
        shell=around,
        may=around.may,
        s=found,
        next_seq=found.last_seq + 1,
        now=render.local_input(now),
        zone=i18n.current_zone(),
        places=[
            (place, names.get(place, place), place in seen.secondaries)
            for place in sorted(spoken, key=lambda p: names.get(p, p))
        ],
        limit=i18n.number(request.app.state.services.settings.import_limit_mb),
    )


@post("/stock-sync/sources/{code:str}/upload", opt={"permission": CHANGE}, status_code=200, request_max_body_size=None)
async def upload(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Take a file in as a snapshot of the source that waits for its confirmation.

    Raises:
        Invalid: a field is missing or cannot be read; nothing of the file is used.
    """
    sent = await uploads.file_of(request, most_fields=MOST_FIELDS)
    read = filling.filled(sent.fields)
    scope = read.choice("scope", Scope)
    as_of = read.instant("as_of", i18n.current_zone())
    if as_of is None and not read.flaws:
        read.wrong("as_of", N_("This field is empty."), N_("Fill it in."))
    text = read.text("seq", 19)
    seq = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= seq <= MOST_SEQ:
        says, mend = N_("This is no sequence."), N_("Use a whole number above that of the last snapshot.")
        read.wrong("seq", says, mend)
    read.refuse()
    assert as_of is not None  # noqa: S101 -- refused above
    ticked = sorted({str(place)[:80] for place in sent.fields.getall("place", [])})
    said = Statement(
        source=code,
        seq=seq,
        as_of=as_of,
        scope=scope,
        locations=ticked if scope is Scope.WHOLE and ticked else None,
        check=True,
        name=sent.name,
        media_type=sent.media_type,
    )
    limit = request.app.state.services.settings.import_limit_mb
    database, actor = web.database_of(request), web.actor_of(request)
    taken = await stock_sync.receive(database, actor, said, sent.body, limit_mb=limit)
    notice = _("Nothing differs: there is nothing to apply") if taken.state is State.APPLIED and not taken.held else ""
    return web.go_on(request, f"/stock-sync/snapshots/{taken.number}", notice)


@get(export.paths("/stock-sync/snapshots/{number:int}/expected"), opt={"permission": SEE})
async def snapshot_expected(request: Request[Any, Any, Any], number: FromPath[int]) -> Stream:
    """Send what a waiting snapshot would change as a file."""
    async with web.reading(request) as tx:
        if number > say.MOST_NUMBER:
            raise SnapshotNotFound(key=number)
        found = await reads.snapshot_by_number(tx, number)
    pages = exports.expected_pages(web.database_of(request), web.actor_of(request), found.id)
    return export.send(request, f"snapshot-{number}-expected", exports.EXPECTED_COLUMNS, pages, _as_it_is)


def _as_it_is(row: Any) -> Any:
    return row


HANDLERS = [upload_form, upload, snapshot_expected]
