"""A logistics partner on screen: what it was asked and has not answered, its files and their errors, its key."""

import re
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels.connecting import failures, registry
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import Capability, ChannelError
from malha.channels.partners import filing, list_reads, reads, service
from malha.channels.partners.errors import HostUnreachable, UnknownFile
from malha.channels.partners.list_reads import FileRow, Only, RequestRow
from malha.console import export, filling, render, shell, web
from malha.console.words import Sign
from malha.network import reads as network
from malha.platform import i18n
from malha.platform.i18n import N_, _
from malha.platform.ids import id_in
from malha.platform.sheets import Column, Kind
from malha.platform.text import whole_in

SEE, CHANGE, DECLARE = "network:read", "network:write", "settings:manage"
CHECK_S = 10.0
SHOWN = 50
VIEWS = {
    Only.OVERDUE: N_("Need attention"),
    Only.OPEN: N_("With the partner"),
    Only.ENDED: N_("Not with the partner any more"),
    Only.ALL: N_("All"),
}
OUTCOMES = {
    "shipped": Sign(N_("Shipped"), "done", "done"),
    "refused": Sign(N_("Refused or short"), "fail", "fail"),
    "cancelled": Sign(N_("Cancelled"), "neutral", "x"),
}
WAITS = Sign(N_("Being sent"), "wait", "dash")
ASKED = Sign(N_("Not answered"), "wait", "dash")
TAKEN = Sign(N_("Taken on"), "work", "move")
STUCK = Sign(N_("Not sent"), "fail", "fail")
FILE_SIGNS = {
    "taken": Sign(N_("Being read"), "work", "move"),
    "applied": Sign(N_("Being put away"), "work", "move"),
    "done": Sign(N_("Done"), "done", "done"),
    "held": Sign(N_("Rows to mend"), "fail", "fail"),
}
FILE_KINDS = {
    "acknowledgements": N_("Answers"),
    "shipments": N_("Shipments"),
    "adjustments": N_("Adjustments of stock"),
    "receipts": N_("Goods received"),
    "stock": N_("Stock"),
    "products": N_("Products"),
    "prices": N_("Prices"),
    "orders": N_("Orders"),
    "unknown": N_("Unknown"),
    "pick": N_("Pick request"),
    "cancel": N_("Cancel"),
    "asn": N_("Notice of goods"),
    "shipment": N_("Shipment"),
    "cancellation": N_("Cancellation"),
    "refund": N_("Refund"),
    "errors": N_("Rows to mend"),
}
COLUMNS = (
    Column(N_("Request")), Column(N_("Order"), Kind.WHOLE), Column(N_("Location")), Column(N_("State"), width=20),
    Column(N_("Units asked"), Kind.WHOLE), Column(N_("Units short"), Kind.WHOLE),
    Column(N_("Units cancelled"), Kind.WHOLE), Column(N_("Asked"), Kind.MOMENT), Column(N_("Answered"), Kind.MOMENT),
    Column(N_("Due"), Kind.MOMENT), Column(N_("Ended"), Kind.MOMENT), Column(N_("Note"), width=40),
)  # fmt: skip


class Asked(NamedTuple):
    """A request in the list."""

    row: RequestRow
    sign: Sign
    why: str


class File(NamedTuple):
    """A file in the list."""

    row: FileRow
    kind: str
    sign: Sign
    says: str
    reading: int  # how much of what it lists is taken, while it is read
    names: bool  # it may name people


def _sign(row: RequestRow) -> Sign:
    if row.state == "ended":
        return OUTCOMES[row.outcome or "cancelled"]
    if row.told == "dead":
        return STUCK
    if row.told == "waiting":
        return WAITS
    return TAKEN if row.state == "acknowledged" else ASKED


def _why(row: RequestRow, now: datetime) -> str:
    if not row.overdue:
        return row.note
    if row.told == "dead":
        return row.told_error
    return _("It should have left by now.") if row.due_at < now else _("No answer in time.")


@get("/connections/{code:str}/partner", opt={"permission": SEE})
async def partner(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show what a partner was asked (`view`, `q`, `before`), its files (`files_before`), and how it is trusted."""
    asked = request.query_params
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found = await service.partner_of(tx, code)
        hours = list_reads.hours_of(found.config)
        counts = await list_reads.counts(tx, found.id, hours)
        only = _only(asked.get("view", ""), Only.OVERDUE if counts.overdue else Only.OPEN)
        text = asked.get("q", "").strip()[:80]
        rows = await list_reads.requests(
            tx,
            found.id,
            hours,
            only=Only.ALL if text else only,
            text=text,
            before=id_in(asked.get("before", "")),
            limit=SHOWN + 1,
        )
        files = await list_reads.files(
            tx, found.id, before=whole_in(asked.get("files_before", ""), 17), limit=SHOWN + 1
        )
        locations = await reads.locations(tx, found.id)
        key = await reads.host_key(tx, found.id)
        places = [(place.code, place.name) for place in await network.locations(tx)]
        now = await tx.now()
    connector = registry.connector_of(found.connector)
    fulfils = Capability.FULFILMENT in connector.capabilities
    here = f"/connections/{found.code}/partner"
    return render.html(
        "connections/partner.html",
        shell=around,
        may=around.may,
        c=found,
        here=here,
        counts=counts,
        hours=hours,
        only=only.value,
        views=[(view.value, _(word)) for view, word in VIEWS.items()],
        q=text,
        rows=[Asked(row, _sign(row), _why(row, now)) for row in rows[:SHOWN]],
        further=rows[SHOWN - 1].id if len(rows) > SHOWN else None,
        files=[_file(row) for row in files[:SHOWN]],
        files_further=files[SHOWN - 1].number if len(files) > SHOWN else None,
        locations=locations,
        places=[place for place in places if place[0] not in {p.code for p in locations}],
        key=key,
        shown=asked.get("shown", "")[:200],
        by_files=Capability.FILES in connector.capabilities,
        fulfils=fulfils,
        title=_("What the partner has") if fulfils else _("Files"),
        exports=export.choices(str, f"{here}:export"),
    )


def _only(said: str, usual: Only) -> Only:
    return next((only for only in Only if only.value == said), usual)


def _file(row: FileRow) -> File:
    says = filing.said_of_file(i18n.current_language(), row.says) if row.says else ""
    return File(
        row,
        _(FILE_KINDS.get(row.kind, row.kind)),
        FILE_SIGNS[row.state],
        says,
        row.listed if row.state == "taken" else 0,
        row.kind not in service.NAMELESS,
    )


@get(export.paths("/connections/{code:str}/partner:export"), opt={"permission": SEE})
async def partner_export(request: Request[Any, Any, Any], code: FromPath[str]) -> Stream:
    """Send the newest thousand requests as a file."""
    async with web.reading(request) as tx:
        found = await service.partner_of(tx, code)
        rows = await list_reads.requests(tx, found.id, list_reads.hours_of(found.config), limit=1_000)
        now = await tx.now()

    def cells(row: RequestRow) -> list[Any]:
        return [
            row.name, row.order_number, row.location, _(_sign(row).word), row.asked, row.short, row.cancelled,
            row.told_at, row.answered_at, row.due_at, row.ended_at, _why(row, now),
        ]  # fmt: skip

    return export.send_all(request, f"partner-{found.code}", COLUMNS, rows, cells)


@get("/connections/{code:str}/partner/files/{number:int}", opt={"permission": SEE})
async def partner_file(request: Request[Any, Any, Any], code: FromPath[str], number: FromPath[int]) -> Response[str]:
    """Show what is wrong with a file, row by row."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found = await service.partner_of(tx, code)
        rows = await list_reads.files(tx, found.id, before=number + 1, limit=1)
        if not rows or rows[0].number != number:
            raise UnknownFile(key=number)
        file = await list_reads.file(tx, found.id, number)
        errors = {} if file is None else await filing.errors_of(tx, file.id, i18n.current_language())
    return render.html(
        "connections/partner_file.html",
        shell=around,
        may=around.may,
        c=found,
        here=f"/connections/{found.code}/partner",
        fulfils=list_reads.is_partner(found.connector),
        file=_file(rows[0]),
        errors=sorted(errors.items()),
    )


@get("/connections/{code:str}/partner/files/{number:int}/content", opt={"permission": "orders:read"})
async def partner_file_content(
    request: Request[Any, Any, Any], code: FromPath[str], number: FromPath[int]
) -> Response[bytes]:
    """Send a file as it was; see `service.file_of`."""
    async with web.writing(request) as tx:
        file = await service.file_of(tx, code, number)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", file.name)[:120]
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(file.body(), media_type="application/octet-stream", headers=headers)


# --- what people do ---


@post("/connections/{code:str}/partner/again", opt={"permission": CHANGE}, status_code=200)
async def partner_again(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Send chosen requests once more (`pick`)."""
    form = await request.form()
    read = filling.filled(form)
    names = [str(name)[:80] for name in form.getall("pick", [])][:500]
    if not names:
        read.wrong("pick", N_("Nothing was chosen."), N_("Choose at least one entry."))
    read.refuse()
    async with web.writing(request) as tx:
        count = await service.send_again(tx, code, names)
    return web.go_on(request, f"/connections/{code}/partner", _("{n} will be sent again", n=count))


@post("/connections/{code:str}/partner/locations", opt={"permission": DECLARE}, status_code=200)
async def partner_locations(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Say which locations the partner fulfils (`location` and `theirs` per row; an empty location is none)."""
    form = await request.form()
    ours = [str(each).strip()[:80] for each in form.getall("location", [])]
    names = [str(each).replace("\x00", "").strip()[:80] for each in form.getall("theirs", [])]
    async with web.writing(request) as tx:
        await service.set_locations(tx, code, {o: t for o, t in zip(ours, names, strict=False) if o})
    return web.go_on(request, f"/connections/{code}/partner", _("Saved; what is open there is asked for now"))


@post("/connections/{code:str}/partner/key", opt={"permission": DECLARE}, status_code=200)
async def partner_key(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Look at the key of the file server, or trust the one whose fingerprint was compared (`fingerprint`)."""
    read = filling.filled(await request.form())
    services: Any = request.app.state.services
    runtime = Runtime(web.database_of(request), services.settings, timeout_s=CHECK_S)
    address, fingerprint = f"/connections/{code}/partner", read.text("fingerprint", 200)
    try:
        if fingerprint:
            await service.trust_host(runtime, web.actor_of(request), code, fingerprint)
            return web.go_on(request, address, _("The key is trusted"))
        shown = await service.look_at_host(runtime, web.actor_of(request), code)
    except ChannelError as error:
        raise HostUnreachable(why=failures.shown(error.why)) from None
    notice = _("{server} shows {fingerprint}", server=shown.server, fingerprint=shown.fingerprint)
    return web.go_on(request, f"{address}?shown={quote(shown.fingerprint, safe='')}", notice)


HANDLERS = [
    partner,
    partner_export,
    partner_file,
    partner_file_content,
    partner_again,
    partner_locations,
    partner_key,
]
