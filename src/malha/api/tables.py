"""Imports and exports of tables: products, prices, stock, locations, customers. The body of an import is the file.

Small files are imported while the caller waits (`/v1/products:import`); large ones are uploaded, checked and applied in
the background (`/v1/imports`). What either wrote is listed there, and can be undone.
"""

import io
from typing import Any, cast

import msgspec

from malha.api.replies import Pieces, Raw
from malha.api.work import Work, command, query
from malha.exchange import kinds, reads, service, undoing
from malha.exchange.at_once import Asked, import_at_once
from malha.exchange.model import EVERYWHERE, KINDS, Kind, Run, State
from malha.identity.model import SIGNED_IN
from malha.platform import audit, idempotency
from malha.platform.i18n import N_, _, current_language
from malha.platform.ids import UUID
from malha.platform.imports import Mode, Report
from malha.platform.sheets import Format
from malha.platform.tabular import as_csv

TABLES = ("text/csv", Format.XLSX.media_type)
_encode = msgspec.json.Encoder().encode


class RowProblem(msgspec.Struct, frozen=True):
    """One thing wrong with a row; a warning does not keep it out."""

    line: int
    column: str
    value: str
    says: str
    warning: bool


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did; with `mode=preview`, or when `applied` is false, what it would do.

    `other_sheets` of a workbook are filled and were not read: only the first one is. `oddities` say what of its sheet
    is read otherwise than it is seen, such as hidden rows and merged cells.
    """

    applied: bool
    rows: int
    bad: int
    created: int
    changed: int
    unchanged: int
    warned: int
    last_line: int
    encoding: str
    delimiter: str
    ignored_columns: list[str]
    other_sheets: list[str]
    oddities: list[str]
    problems: list[RowProblem]
    more_problems: int


def report_of(report: Report, language: str) -> ImportReport:
    """Return a report in a language."""
    fields: dict[str, Any] = {
        name: getattr(report, name) for name in ImportReport.__struct_fields__ if name not in {"problems", "oddities"}
    }
    problems = [RowProblem(p.line, p.column, p.value, p.text(language), p.warning) for p in report.problems]
    oddities = [odd.text(language) for odd in report.oddities]
    return ImportReport(**fields, problems=problems, oddities=oddities)


async def _import(work: Work, kind: Kind, data: bytes, mode: Mode, name: str) -> ImportReport:
    """Import a table, once for each Idempotency-Key where it is written; what a crash cut off goes on where it was."""
    asked = None
    key = work.request.headers.get("idempotency-key")
    if key is not None and mode is not Mode.PREVIEW:
        command = idempotency.command(work.actor.label, key, f"POST {work.request.url.path} {mode}", data)
        async with work.transaction() as tx:
            kept = await idempotency.begin(tx, command)
        if kept is not None and kept.status != idempotency.UNDER_WAY:
            return cast("ImportReport", Raw(kept.body, kept.status, {"idempotent-replayed": "true"}))
        language = work.language
        asked = Asked(command, lambda report: _kept(report_of(report, language)))
    allowed = work.services.settings.outward_allow
    report = await import_at_once(
        work.database,
        kind,
        io.BytesIO(data),
        mode=mode,
        actor=work.actor,
        name=name,
        allowed=allowed,
        asked=asked,
    )
    return report_of(report, work.language)


def _kept(report: ImportReport) -> idempotency.Reply:
    """Return a report without what its rows said, which may be of people; how many were wrong stays."""
    more = report.more_problems + len(report.problems)
    return idempotency.Reply(200, {}, _encode(msgspec.structs.replace(report, problems=[], more_problems=more)))


@command(
    "/products:import", permission="catalog:write", transaction=False, reads_key=True, media_type=TABLES, tag="catalog"
)
async def import_products(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import products from a table, one row per SKU.

    `mode=preview` checks every row and writes nothing, `all` writes all rows or none, `valid` writes the good ones. The
    file is CSV, or an Excel workbook (XLSX) of which the first sheet is read. Headers may be English or Portuguese, the
    delimiter `;`, `,`, tab or `|`, the encoding UTF-8, UTF-16, Windows-1252 or Cp850. Empty cells leave what is there.
    `option:Cor` and `attribute:Tecido` name options and attributes; a category may be a path like `Moda > Camisetas`;
    `components` makes a kit: `SKU-1:2 | SKU-2:1`.

    The catalogue concerns all locations, so it is not for those who are limited to some.
    """
    return await _import(work, Kind.PRODUCTS, data, mode, name)


@query("/products:export", permission="catalog:read", transaction=False, media_type=TABLES, tag="catalog")
async def export_all_products(work: Work, format: Format = Format.CSV) -> bytes:  # noqa: A002 -- the parameter's name
    """Export the catalogue as a table that imports back unchanged."""
    return _export(work, Kind.PRODUCTS, format)


@command(
    "/prices:import", permission="catalog:write", transaction=False, reads_key=True, media_type=TABLES, tag="catalog"
)
async def import_prices(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import prices from a table of SKUs and prices; a SKU that is not there is refused, never made.

    They concern all locations, so it is not for those who are limited to some.
    """
    return await _import(work, Kind.PRICES, data, mode, name)


@query("/prices:export", permission="catalog:read", transaction=False, media_type=TABLES, tag="catalog")
async def export_all_prices(work: Work, format: Format = Format.CSV) -> bytes:  # noqa: A002
    """Export all prices as a table that imports back unchanged."""
    return _export(work, Kind.PRICES, format)


@command("/stock:import", permission="stock:write", transaction=False, reads_key=True, media_type=TABLES, tag="stock")
async def import_stock(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import what is physically there, one row per SKU and location; the ledger gets the differences."""
    return await _import(work, Kind.STOCK, data, mode, name)


@query("/stock:export", permission="stock:read", transaction=False, media_type=TABLES, tag="stock")
async def export_all_stock(work: Work, format: Format = Format.CSV) -> bytes:  # noqa: A002
    """Export the stock of the caller's locations as a table that imports back unchanged."""
    return _export(work, Kind.STOCK, format)


@command(
    "/allotments:import",
    permission="stock:write",
    everywhere=True,
    transaction=False,
    reads_key=True,
    media_type=TABLES,
    tag="allotments",
)
async def import_fence_rows(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import rows of fences: allotment, SKU, location and the units to set apart; rows that are not there stay.

    They concern all locations, so it is not for those who are limited to some.
    """
    return await _import(work, Kind.ALLOTMENTS, data, mode, name)


@query("/allotments:export", permission="stock:read", transaction=False, media_type=TABLES, tag="allotments")
async def export_fence_rows(work: Work, format: Format = Format.CSV) -> bytes:  # noqa: A002
    """Export the rows of fences that run or will, at the caller's locations, as a table that imports back unchanged."""
    return _export(work, Kind.ALLOTMENTS, format)


@command(
    "/safety-rules:import",
    permission="stock:write",
    everywhere=True,
    transaction=False,
    reads_key=True,
    media_type=TABLES,
    tag="safety",
)
async def import_safety_rules(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import safety rules: a row states one rule whole; rules that are not there stay.

    They concern all locations, so it is not for those who are limited to some.
    """
    return await _import(work, Kind.SAFETY_RULES, data, mode, name)


@query("/safety-rules:export", permission="stock:read", transaction=False, media_type=TABLES, tag="safety")
async def export_safety_rules(work: Work, format: Format = Format.CSV) -> bytes:  # noqa: A002
    """Export the safety rules as a table that imports back unchanged."""
    return _export(work, Kind.SAFETY_RULES, format)


@command(
    "/ahead-policies:import",
    permission="catalog:write",
    transaction=False,
    reads_key=True,
    media_type=TABLES,
    tag="selling ahead",
)
async def import_ahead_policies(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import policies of selling ahead: a row states one whole, of a product or SKU and a channel or all.

    Policies that are not there stay; a row of mode `none` says that nothing is sold ahead. Who waits goes on waiting.
    They concern all locations, so it is not for those who are limited to some.
    """
    return await _import(work, Kind.AHEAD_POLICIES, data, mode, name)


@query("/ahead-policies:export", permission="catalog:read", transaction=False, media_type=TABLES, tag="selling ahead")
async def export_ahead_policies(work: Work, format: Format = Format.CSV) -> bytes:  # noqa: A002
    """Export the policies of selling ahead as a table that imports back unchanged."""
    return _export(work, Kind.AHEAD_POLICIES, format)


@command(
    "/listings:import",
    permission="network:write",
    everywhere=True,
    transaction=False,
    reads_key=True,
    media_type=TABLES,
    tag="connections",
)
async def import_listings(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import what is said of listings: a row says one field of a SKU on a connection otherwise, or what it costs there.

    A field without a value takes back what was said; an empty `price` leaves it, `none` has the catalogue's count.
    Fields that are not there stay as they are. What is published follows.
    """
    return await _import(work, Kind.LISTINGS, data, mode, name)


@query("/listings:export", permission="network:read", transaction=False, media_type=TABLES, tag="connections")
async def export_listings(work: Work, format: Format = Format.CSV) -> bytes:  # noqa: A002
    """Export what is said of the listings of all connections as a table that imports back unchanged."""
    return _export(work, Kind.LISTINGS, format)


@command(
    "/locations:import", permission="network:write", transaction=False, reads_key=True, media_type=TABLES, tag="network"
)
async def import_locations(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import locations from a table; a row that gives a CNPJ makes its establishment too."""
    return await _import(work, Kind.LOCATIONS, data, mode, name)


@query("/locations:export", permission="network:read", transaction=False, media_type=TABLES, tag="network")
async def export_all_locations(work: Work, format: Format = Format.CSV) -> bytes:  # noqa: A002
    """Export all locations, or those the caller is limited to, as a table that imports back unchanged."""
    return _export(work, Kind.LOCATIONS, format)


@command(
    "/customers:import",
    permission="customers:write",
    everywhere=True,
    transaction=False,
    reads_key=True,
    media_type=TABLES,
    tag="customers",
)
async def import_customers(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import customers from a table; who is there already is changed, not doubled.

    An address changes part by part: an empty cell, or a column that is not there, leaves what is stored. A row that
    says something else of a customer than an earlier one is refused.

    It may change anybody's profile, so it is not for those who are limited to locations.
    """
    return await _import(work, Kind.CUSTOMERS, data, mode, name)


@query("/customers:export", permission="customers:reveal", transaction=False, media_type=TABLES, tag="customers")
async def export_all_customers(work: Work, format: Format = Format.CSV) -> bytes:  # noqa: A002
    """Export all customers with their personal data; who took it is written down.

    Whoever is limited to locations gets the customers who have an order there.
    """
    async with work.transaction() as tx:
        await audit.record(
            tx, action="export", entity="customer", entity_id="all" if work.actor.locations is None else "own"
        )
    return _export(work, Kind.CUSTOMERS, format)


def _export(work: Work, kind: Kind, format_: Format) -> bytes:
    """Answer with a file that is made while it is sent."""
    name = {"content-disposition": f'attachment; filename="{kind.value}.{format_.value}"'}
    pieces = kinds.export(kind, format_, work.database, work.actor)
    return cast("bytes", Pieces(pieces, format_.media_type, name))


# --- large files ---


class ImportStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Where an import is. `percent` of the rows is read; `mapping` says what each heading means, "" for nothing.

    Once it is `undone`, `undone` records are as they were before, and `kept` ones were changed since and stay.
    `other_sheets` of a workbook are filled and not read: only the first one is. `oddities` say what of its sheet is
    read otherwise than it is seen, such as hidden rows and merged cells.
    """

    id: UUID
    number: int
    kind: Kind
    name: str
    state: State
    percent: int
    rows: int
    created: int
    changed: int
    unchanged: int
    bad: int
    warned: int
    undone: int
    kept: int
    mapping: dict[str, str]
    other_sheets: list[str]
    oddities: list[str]
    error: str | None


class BeginImport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What headings mean, where it is not what was guessed: the column's name, or "" for nothing."""

    mapping: dict[str, str] | None = None


async def _standing(work: Work, run_id: UUID) -> ImportStanding:
    return _told(await reads.run(work.tx, run_id))


def _told(run: Run) -> ImportStanding:
    error = run.error
    return ImportStanding(
        id=run.id,
        number=run.number,
        kind=run.kind,
        name=run.name,
        state=run.state,
        percent=run.share,
        rows=run.seen,
        created=run.created,
        changed=run.changed,
        unchanged=run.unchanged,
        bad=run.bad,
        warned=run.warned,
        undone=run.undone,
        kept=run.kept,
        mapping=run.mapping,
        other_sheets=run.other_sheets,
        oddities=[odd.text(current_language()) for odd in run.oddities],
        error=None if error is None else _(error["says"], **error["facts"]),
    )


def _upload(kind: Kind) -> Any:
    rules = KINDS[kind]

    async def upload(work: Work, name: str = "") -> ImportStanding:
        body = work.request.stream()
        limit = work.services.settings.import_limit_mb
        run_id = await service.take_in(work.database, work.actor, kind, name, body, limit_mb=limit)
        work.created(f"/v1/imports/{run_id}")
        async with work.transaction() as tx:
            return _told(await reads.run(tx, run_id))

    upload.__name__ = f"upload_{kind.value}"
    upload.__qualname__ = upload.__name__
    upload.__doc__ = f"""Upload a table of {kind.value}, however large, to be checked and applied in the background.

    The body is the file, CSV or XLSX, up to the setting `import_limit_mb`. The answer says what its headings are taken
    for; `check` and `apply` come next.
    """
    return command(
        f"/imports/{kind.value}",
        permission=rules.write,
        everywhere=kind in EVERYWHERE,
        transaction=False,
        status=201,
        media_type=TABLES,
        tag="imports",
        streamed=True,
    )(upload)


uploads = [_upload(kind) for kind in Kind]


@query("/imports", permission=SIGNED_IN, tag="imports")
async def list_imports(work: Work) -> list[ImportStanding]:
    """List the newest fifty imports: the caller's own, or everybody's for who may see the audit trail."""
    kinds_seen = [
        kind.value for kind, rules in KINDS.items() if work.actor.may(rules.write) or work.actor.may(rules.read)
    ]
    return [_told(run) for run in await reads.runs(work.tx, kinds_seen)]


@query("/imports/{import_id:uuid}", permission=SIGNED_IN, tag="imports")
async def get_import(work: Work, import_id: UUID) -> ImportStanding:
    """Return where an import is; ask again while it is `checking` or `applying`."""
    return await _standing(work, import_id)


@command("/imports/{import_id:uuid}/check", permission=SIGNED_IN, tag="imports")
async def check_import(work: Work, import_id: UUID, data: BeginImport) -> ImportStanding:
    """Look at every row in the background, and write nothing."""
    await service.begin(work.tx, import_id, data.mapping, apply=False)
    return await _standing(work, import_id)


@command("/imports/{import_id:uuid}/apply", permission=SIGNED_IN, tag="imports")
async def apply_import(work: Work, import_id: UUID, data: BeginImport) -> ImportStanding:
    """Write every good row in the background; bad ones are kept as a file to mend."""
    await service.begin(work.tx, import_id, data.mapping, apply=True)
    return await _standing(work, import_id)


@command("/imports/{import_id:uuid}/stop", permission=SIGNED_IN, tag="imports")
async def stop_import(work: Work, import_id: UUID) -> ImportStanding:
    """Stop it; what was written stays written."""
    await service.stop(work.tx, import_id)
    return await _standing(work, import_id)


@command("/imports/{import_id:uuid}/resume", permission=SIGNED_IN, tag="imports")
async def resume_import(work: Work, import_id: UUID) -> ImportStanding:
    """Go on with an import that was stopped or failed, from the first row that was not written."""
    await service.resume(work.tx, import_id)
    return await _standing(work, import_id)


@command("/imports/{import_id:uuid}/undo", permission=SIGNED_IN, tag="imports")
async def undo_import(work: Work, import_id: UUID) -> ImportStanding:
    """Put back what it wrote, in the background; records that somebody changed since stay, `kept` counts them."""
    await undoing.undo(work.tx, import_id)
    return await _standing(work, import_id)


@query("/imports/{import_id:uuid}/left", permission=SIGNED_IN, transaction=False, media_type="text/csv", tag="imports")
async def left_records(work: Work, import_id: UUID) -> bytes:
    """Return the records that an undo left as they are, with the reason."""
    async with work.transaction() as tx:
        run = await reads.run(tx, import_id)
    pages = undoing.left_pages(work.database, work.actor, import_id, work.language, (_(RECORD), _(WHY_LEFT)))
    name = {"content-disposition": f'attachment; filename="{run.kind.value}-{run.number}-left.csv"'}
    return cast("bytes", Pieces(as_csv(pages), "text/csv; charset=utf-8", name))


@query(
    "/imports/{import_id:uuid}/refused", permission=SIGNED_IN, transaction=False, media_type="text/csv", tag="imports"
)
async def refused_rows(work: Work, import_id: UUID) -> bytes:
    """Return the refused rows as they were sent, with what is wrong in a last column: mend them and send them again."""
    async with work.transaction() as tx:
        run = await reads.run(tx, import_id)
    pages = service.refused_pages(work.database, work.actor, import_id, work.language, _(ERROR_COLUMN))
    name = {"content-disposition": f'attachment; filename="{run.kind.value}-{run.number}-refused.csv"'}
    return cast("bytes", Pieces(as_csv(pages), "text/csv; charset=utf-8", name))


ERROR_COLUMN = N_("What is wrong")
RECORD, WHY_LEFT = N_("Record"), N_("Why it stays")

handlers = [
    import_products,
    export_all_products,
    import_prices,
    export_all_prices,
    import_stock,
    export_all_stock,
    import_fence_rows,
    export_fence_rows,
    import_safety_rules,
    export_safety_rules,
    import_ahead_policies,
    import_listings,
    export_listings,
    export_ahead_policies,
    import_locations,
    export_all_locations,
    import_customers,
    export_all_customers,
    *uploads,
    list_imports,
    get_import,
    check_import,
    apply_import,
    stop_import,
    resume_import,
    refused_rows,
    undo_import,
    left_records,
]
