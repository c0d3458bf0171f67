"""Connections to channels, on screen: how each is, what waits for a person and why, what words mean, the last calls."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.channels.connecting import failures, mapping_reads, reads, registry, rules, service, stuck_reads
from malha.channels.connecting.model import ConnectionDraft, Linked, Status
from malha.channels.connecting.reads import Dead, Standing, Stuck
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import Capability, Connector
from malha.console import connection_config, export, filling, meanwhile, render, shell, web
from malha.console.connection_ways import tasks_of
from malha.console.filling import Filled
from malha.console.words import TENDER, Sign
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.payments.model import TenderKind
from malha.platform.i18n import N_, _
from malha.platform.ids import id_in
from malha.platform.sheets import Column, Kind
from malha.platform.text import whole_in

SEE, CHANGE = "network:read", "network:write"
DECLARE = "settings:manage"  # whoever says where orders come from decides what is believed to be paid
CHECK_S = 10.0
SHOWN = 50
SIGNS = {
    Status.ACTIVE: Sign(N_("Active"), "done", "done"),
    Status.PAUSED: Sign(N_("Paused"), "wait", "dash"),
    Status.BROKEN: Sign(N_("Broken"), "fail", "fail"),
}
NOT_ANSWERING = Sign(N_("Does not answer"), "fail", "fail")
# Of what was not told: the channel would not have it, and said why.
REFUSED = frozenset({"invalid", "missing", "conflict"})
CAUSES = {
    "unknown_request": N_("Of a request we know nothing of"),
    "unknown_notice": N_("Of goods we know nothing of"),
    "unknown_location": N_("Of a location that is not the partner's"),
    "unknown_sku": N_("Of a SKU that we do not have"),
    "not_asked": N_("More than was asked for"),
    "receipt_differs": N_("Otherwise than its receipt said before"),
    "no_source": N_("No stock source"),
    "unknown_outcome": N_("Nobody knows whether it arrived"),
    "invalid": N_("The channel refuses it, or it cannot be read"),
    "missing": N_("The channel does not have it"),
    "conflict": N_("Changed at the channel meanwhile"),
    "auth": N_("The channel does not know us"),
    "exhausted": N_("Failed too often"),
    "defect": N_("Defect of the connector"),
    "unknown_status": N_("Unknown status"),
    "changed": N_("Changed at the channel after it was taken"),
    "refused": N_("Cannot be taken as it is"),
    "field": N_("A field rule fails"),
    "left": N_("Cancelled after it left"),
    "payment": N_("The payment does not fit"),
    "awaits_sale": N_("The ERP does not have the sale yet"),
    "no_capability": N_("The connector cannot tell it"),
    "unread": N_("Product of its catalogue that cannot be read"),
    "unmapped": N_("Words without a meaning"),
}
KINDS = {
    "push_shipment": N_("Parcel that left"),
    "cancel": N_("Cancellation"),
    "refund": N_("Refund"),
    "set_price": N_("Price"),
    "put_listing": N_("Listing"),
    "post_document": N_("Sales document"),
    "ask": N_("Request to a logistics partner"),
}
STREAMS = {
    "files": N_("Files looked for"),
    "orders": N_("Orders read until"),
    "products": N_("Products read until"),
    "stock_look": N_("Stock compared"),
    "stock_source": N_("Stock read that it states"),
}
REACHED = frozenset({"host", "user", "port"})  # of a server with files
TIERS = {
    "A": N_("proved on the real product"),
    "B": N_("proved on the vendor's own artefacts"),
    "C": N_("proved on a simulator"),
    "D": N_("written from documentation, not proved"),
}
# Names of our own connectors that are words; those of others are shown as they are.
OWN_NAMES = (
    N_("Partner by files (SFTP)"),
    N_("ERP by files (SFTP)"),
    N_("Partner by webhooks (JSON)"),
    N_("JSON over HTTP"),
)
COLUMNS = (
    Column(N_("Code")), Column(N_("Name"), width=28), Column(N_("Sales channel")), Column(N_("Connector")),
    Column(N_("State")), Column(N_("Waiting in"), Kind.WHOLE), Column(N_("Waiting out"), Kind.WHOLE),
    Column(N_("For a person"), Kind.WHOLE), Column(N_("In, last hour"), Kind.WHOLE),
    Column(N_("Out, last hour"), Kind.WHOLE), Column(N_("Forged"), Kind.WHOLE),
)  # fmt: skip


class Row(NamedTuple):
    """A connection in the list."""

    row: Standing
    sign: Sign
    person: int
    oldest: datetime | None


class Item(NamedTuple):
    """A thing that waits for a person."""

    key: str
    what: str
    entity: str
    cause: str
    error: str
    mend: str
    at: datetime


def _person(row: Standing) -> int:
    return row.inbox_parked + row.inbox_unmapped + row.ops_dead


def _row(row: Standing) -> Row:
    oldest = min((at for at in (row.inbox_oldest, row.ops_oldest) if at is not None), default=None)
    return Row(row, _sign(row), _person(row), oldest)


def _sign(row: Standing) -> Sign:
    """Return how a connection stands: in use is not enough where its peer does not answer."""
    resting = row.status == Status.ACTIVE and service.is_resting(row)
    return NOT_ANSWERING if resting else SIGNS[Status(row.status)]


@get("/connections", opt={"permission": SEE})
async def connections(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the connections, those that need somebody first."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        refuse_limited(tx)
        found = [_row(row) for row in await reads.health(tx)]
    rows = sorted(found, key=lambda r: (r.row.status != Status.BROKEN, r.sign is not NOT_ANSWERING, not r.person))
    exports = export.choices(str, "/connections:export")
    return render.html("connections/list.html", shell=around, may=around.may, rows=rows, exports=exports, able=_able())


def _able() -> list[tuple[str, str, str]]:
    found = sorted(registry.connectors().values(), key=lambda c: c.name)
    return [(c.key, c.name, _tier(c)) for c in found]


def _tier(connector: Connector) -> str:
    return f"{connector.evidence.value}: {_(TIERS[connector.evidence.value])}"


@get(export.paths("/connections:export"), opt={"permission": SEE})
async def connections_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list as a file."""
    async with web.reading(request) as tx:
        refuse_limited(tx)
        found = await reads.health(tx)

    def cells(row: Standing) -> list[Any]:
        return [
            row.code, row.name, row.channel, row.connector, _(_sign(row).word), row.inbox_waiting,
            row.ops_waiting, _person(row), row.in_last_hour, row.out_last_hour, row.refused,
        ]  # fmt: skip

    return export.send_all(request, "connections", COLUMNS, found, cells)


# --- one ---


@get("/connections/{code:str}", opt={"permission": SEE})
async def connection(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show how a connection is, what waits for a person, what its words mean, and its last calls."""
    services: Any = request.app.state.services
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        found = await service.connection_of(tx, code)
        (row,) = await reads.health(tx, code)
        came = [came_item(each) for each in await stuck_reads.came(tx, found.id, most=SHOWN)]
        gone = [gone_item(each) for each in await stuck_reads.gone(tx, found.id, most=SHOWN)]
        methods = await reads.methods(tx, found.id)
        ways = [(s.code, s.name) for s in await network.services(tx)]
        places = [(p.code, p.name) for p in await network.locations(tx)]
        calls = await reads.calls(tx, found.id, most=SHOWN)
        compared = await reads.compared(tx, found.id, 14)
        cursors = await reads.cursors(tx, found.id)
        variants = await mapping_reads.counts(tx, found.id)
    budget, resting = service.budget_of(row)
    connector = registry.connectors().get(found.connector)
    return render.html(
        "connections/show.html",
        shell=around,
        may=around.may,
        c=found,
        row=row,
        sign_=_sign(row),
        person=_person(row),
        tier=_tier(connector) if connector else _("not installed"),
        tasks=tasks_of(found, connector, variants["open"], around.may),
        connector=connector.name if connector else found.connector,
        config=list(connection_config.said(connector, found.config)),
        webhook=f"{services.settings.address}/in/{code}",
        budget=budget,
        resting=resting,
        came=came,
        gone=gone,
        came_all=row.inbox_parked + row.inbox_unmapped,
        gone_all=row.ops_dead,
        methods=methods,
        kinds={
            "payment": [(kind.value, _(TENDER[kind][0])) for kind in TenderKind],
            "shipping": ways,
            "location": places,
        },
        calls=calls,
        compared=compared,
        cursors=[(_(STREAMS[c.stream]) if c.stream in STREAMS else c.stream, c) for c in cursors],
    )


def _cause(cause: str | None) -> tuple[str, str]:
    word = _(CAUSES[cause]) if cause in CAUSES else (cause or "")
    return word, _(rules.FIXES[cause]) if cause in rules.FIXES else ""


def came_item(row: Stuck) -> Item:
    """Return what came in and waits, in the reader's words."""
    word, mend = _cause(row.cause)
    if row.wants:
        words = [w.partition(":")[2] for w in row.wants if not w.startswith("listing:")]
        variants = [w.partition(":")[2] for w in row.wants if w.startswith("listing:")]
        mends = [_("Say below what they mean: {words}", words=", ".join(words))] if words else []
        if variants:
            mends.append(_("Say in the mapping which SKU this is: {variants}", variants=", ".join(variants)))
        mend = " ".join(mends)
    return Item(str(row.id), _("Message"), row.entity, word, failures.shown(row.error), mend, row.received_at)


def gone_item(row: Dead) -> Item:
    """Return what could not be told, in the reader's words."""
    word, mend = _cause(row.cause)
    what = _(KINDS.get(row.kind, row.kind))
    error = row.error or ""
    says = failures.told(error) if row.cause in REFUSED else failures.shown(error)
    return Item(str(row.key), what, row.entity, word, says, mend, row.created_at)


# --- what people do ---


@post("/connections/{code:str}/act", opt={"permission": CHANGE}, status_code=200)
async def connection_act(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Pause, resume or test a connection (`act`)."""
    read = filling.filled(await request.form())
    act, address = read.text("act"), f"/connections/{code}"
    if act == "test":
        services: Any = request.app.state.services
        runtime = Runtime(web.database_of(request), services.settings, timeout_s=CHECK_S)
        health = await service.test(runtime, web.actor_of(request), code)
        says = _("The channel answers: {says}", says=failures.shown(health.says)[:200] or "OK")
        if not health.ok:
            says = _("It does not work: {why}", why=failures.shown(health.says)[:200])
        return web.go_on(request, address, says)
    async with web.writing(request) as tx:
        await (service.pause if act == "pause" else service.resume)(tx, code)
    return web.go_on(request, address, _("Paused") if act == "pause" else _("It goes on"))


@post("/connections/{code:str}/settle", opt={"permission": CHANGE}, status_code=200)
async def connection_settle(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Replay, drop or mark as done what was chosen (`act`, `pick`)."""
    form = await request.form()
    read = filling.filled(form)
    act = read.text("act")
    picked = [str(key)[:40] for key in form.getall("pick", [])]
    came = [n for key in picked if (n := whole_in(key, 18)) is not None]
    ops = [key for key in map(id_in, picked) if key is not None]
    if not came and not ops:
        read.wrong("pick", N_("Nothing was chosen."), N_("Choose at least one entry."))
    read.refuse()
    async with web.writing(request) as tx:
        if act == "done":
            count = await service.mark_done(tx, code, ops)
        else:
            count = await (service.drop if act == "drop" else service.replay)(tx, code, came=came, ops=ops)
    back = f"/connections/{code}"
    if read.text("back") == "stuck":
        back = f"{back}/stuck?way={'out' if read.text('way') == 'out' else 'in'}"
    return web.go_on(request, back, _("{n} settled", n=count))


@post("/connections/{code:str}/method", opt={"permission": CHANGE}, status_code=200)
async def connection_method(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Say what a word of the channel means."""
    read = filling.filled(await request.form())
    kind = read.text("kind")
    kind = kind if kind in {"shipping", "location"} else "payment"
    async with web.writing(request) as tx:
        woken = await service.put_method(tx, code, kind, read.text("theirs", 200), read.text("ours", 80))
    return web.go_on(request, f"/connections/{code}#words", _("Saved; {n} waiting orders go on", n=woken))


# --- the form ---


@get("/connections:new", opt={"permission": DECLARE})
async def connection_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the form of a new connection, for a connector (`connector`)."""
    key = request.query_params.get("connector", "")[:80] or next(iter(registry.connectors()))
    return await _form(request, registry.connector_of(key), None)


@get("/connections/{code:str}/edit", opt={"permission": DECLARE})
async def connection_edit(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show the form of a connection."""
    async with web.reading(request) as tx:
        found = await service.connection_of(tx, code)
    return await _form(request, registry.connector_of(found.connector), found)


async def _form(request: Request[Any, Any, Any], connector: Connector, found: Linked | None) -> Response[str]:
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        refuse_limited(tx)
        channels = [(c.code, c.name) for c in await network.channels(tx) if c.active]
    return render.html(
        "connections/form.html",
        shell=around,
        may=around.may,
        c=found,
        connector=connector,
        tier=_tier(connector),
        channels=channels if registry.is_selling(connector) else None,
        panels=_panels(connector, connection_config.fields(connector, found.config if found else {})),
        secrets=[(name, _(text)) for name, text in connector.secrets.items()],
        action=f"/connections/{found.code}/edit" if found else "/connections:new",
        back=f"/connections/{found.code}" if found else "/connections",
    )


def _panels(
    connector: Connector, fields: Sequence[connection_config.Shown]
) -> list[tuple[str, str, list[connection_config.Shown]]]:
    """Return the fields of the form by panel; of who speaks by files, the way there and the files stand apart."""
    if Capability.FILES not in connector.capabilities:
        return [("config", _("How it is reached"), [*fields])]
    way = [field for field in fields if field.name in REACHED]
    files = [field for field in fields if field.name not in REACHED]
    return [("config", _("How it is reached"), way), ("files", _("Its files"), files)]


@post("/connections:new", opt={"permission": DECLARE}, status_code=200)
async def connection_make(request: Request[Any, Any, Any]) -> Response[Any]:
    """Make a connection; it is paused."""
    read = filling.filled(await request.form())
    draft = _draft(read, read.text("code", 40), registry.connector_of(read.text("connector", 80)), {})
    services: Any = request.app.state.services
    async with web.writing(request) as tx:
        await service.add_connection(tx, draft, services.signing, allowed=services.settings.outward_allow)
    return web.go_on(request, f"/connections/{draft.code}", _("Connection made: test it, then let it go on"))


@post("/connections/{code:str}/edit", opt={"permission": DECLARE}, status_code=200)
async def connection_change(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """Change a connection. Secrets that are left empty stay."""
    read = filling.filled(await request.form())
    services: Any = request.app.state.services
    address = f"/connections/{code}"
    async with meanwhile.told(request, address, "connection", code, {"change"}), web.writing(request) as tx:
        found = await service.connection_of(tx, code)
        draft = _draft(read, code, registry.connector_of(found.connector), found.config)
        await service.change_connection(
            tx, draft, read.version(), services.signing, allowed=services.settings.outward_allow
        )
    return web.go_on(request, f"/connections/{code}", _("Saved"))


def _draft(read: Filled, code: str, connector: Connector, kept: Mapping[str, Any]) -> ConnectionDraft:
    secrets = {name: read.text(f"secrets/{name}", 4_000) for name in connector.secrets}
    name = read.text("name", 200)
    for at, value in (("code", code), ("name", name)):
        if not value:
            read.wrong(at, N_("This field is empty."), N_("Fill it in."))
    if not all(c.isascii() and (c.isalnum() or c in "._-") for c in code):
        read.wrong("code", N_("Only letters, digits, dots, dashes and underscores."))
    config = connection_config.read(read, connector, kept)
    read.refuse()
    return ConnectionDraft(
        code=code,
        name=name,
        connector=connector.key,
        channel=read.text("channel", 80),
        config=config,
        secrets={name: secret for name, secret in secrets.items() if secret},
    )


HANDLERS = [
    connections,
    connections_export,
    connection_new,
    connection,
    connection_edit,
    connection_make,
    connection_change,
    connection_act,
    connection_settle,
    connection_method,
]
