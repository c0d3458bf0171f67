"""Tables in and out: bring a file, say what its columns mean, see what would happen, import; take the same out again.

A file is read as it arrives and never held in memory. Checking and importing run in the background; the page asks every
second how far they are.
"""

from typing import Any, NamedTuple

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, render, shell, uploads, web
from malha.console import table_words as words
from malha.exchange import kinds, reads, service, undoing
from malha.exchange.errors import ImportNotFound
from malha.exchange.kinds import target_of
from malha.exchange.model import BUSY, EVERYWHERE, KEEP_DAYS, KINDS, Kind, Run, State
from malha.identity.model import Caller
from malha.platform import audit, i18n
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column
from malha.platform.sheets import Kind as SheetKind

SEE = "catalog:read"
SHOWN_FLAWS = 50
SAMPLES = 3
STEPS = (N_("File"), N_("Columns"), N_("Check"), N_("Import"))
_STEP_OF = {
    State.MAPPING: 1,
    State.CHECKING: 2,
    State.CHECKED: 2,
    State.APPLYING: 3,
    State.FAILED: 3,
    State.STOPPED: 3,
    State.UNDOING: 4,
}


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of table a person may bring or take."""

    kind: Kind
    word: str
    brings: bool
    takes: bool


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """One heading of the file: what stands below it, and what it is taken for."""

    at: int
    name: str
    samples: list[str]
    chosen: str
    fixed: str  # a heading like `option:Cor` says itself what it is


class Trouble(NamedTuple):
    """One row that was refused, or looks odd."""

    line: int
    refused: bool
    says: str


def choices(caller: Caller) -> list[Choice]:
    """Return the kinds a person may bring or take."""
    every = [
        Choice(
            kind=kind,
            word=rules.word,
            brings=caller.may(rules.write) and (caller.locations is None or kind not in EVERYWHERE),
            takes=caller.may(rules.read),
        )
        for kind, rules in KINDS.items()
    ]
    return [choice for choice in every if choice.brings or choice.takes]


# --- pages ---


@get("/imports", opt={"permission": SEE})
async def overview(request: Request[Any, Any, Any]) -> Response[str]:
    """Show where to bring and take tables, and what was brought lately."""
    offered = choices(web.caller_of(request))
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "imports")
        runs = await reads.runs(tx, [choice.kind.value for choice in offered if choice.brings])
    limit = request.app.state.services.settings.import_limit_mb
    brings = [choice for choice in offered if choice.brings]
    asked = request.query_params.get("kind", "")
    return render.html(
        "imports/page.html",
        shell=around,
        may=around.may,
        brings=brings,
        takes=[choice for choice in offered if choice.takes],
        chosen=asked if asked in {c.kind for c in brings} else (brings[0].kind.value if brings else ""),
        runs=runs,
        kinds=KINDS,
        signs=words.STATES,
        busy=any(run.state in BUSY for run in runs),
        limit=i18n.number(limit),
        exports=export.choices(str, "/imports:export"),
    )


RUN_COLUMNS = (
    Column(N_("Import"), SheetKind.WHOLE), Column(N_("File"), width=32), Column(N_("Table"), width=20),
    Column(N_("State"), width=20), Column(N_("Rows"), SheetKind.WHOLE), Column(N_("New"), SheetKind.WHOLE),
    Column(N_("Changed"), SheetKind.WHOLE), Column(N_("Unchanged"), SheetKind.WHOLE),
    Column(N_("Refused"), SheetKind.WHOLE), Column(N_("Taken back"), SheetKind.WHOLE), Column(N_("Who"), width=24),
    Column(N_("Uploaded"), SheetKind.MOMENT), Column(N_("Ended"), SheetKind.MOMENT),
)  # fmt: skip


@get(export.paths("/imports:export"), opt={"permission": SEE})
async def run_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the list of imports as a file, older ones than the page shows too."""
    brought = [choice.kind.value for choice in choices(web.caller_of(request)) if choice.brings]

    pages = export.pages(
        request, lambda tx, before: reads.runs(tx, brought, before=before, limit=export.BATCH), lambda row: row.number
    )

    def cells(run: Run) -> list[Any]:
        return [
            run.number, run.name, _(KINDS[run.kind].word), _(words.STATES[run.state].word), run.seen or run.total,
            run.created, run.changed, run.unchanged, run.bad, run.undone, run.person, run.uploaded_at, run.ended_at,
        ]  # fmt: skip

    return export.send(request, "imports", RUN_COLUMNS, pages, cells)


@get("/imports/{number:int}", opt={"permission": SEE})
async def show(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[str]:
    """Show one import: its columns, its check, how far it is, what became of it."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "imports")
        run = await _found(tx, number)
        flaws = await reads.flaws(tx, run.id, limit=SHOWN_FLAWS)
        left = await reads.left(tx, run.id, limit=SHOWN_FLAWS) if run.kept else []
        has_file = await reads.has_file(tx, run.id)
        at = await tx.now()
    editing = run.state is State.MAPPING or (run.state is State.CHECKED and "columns" in request.query_params)
    return render.html(
        "imports/run.html",
        shell=around,
        may=around.may,
        run=run,
        rules=KINDS[run.kind],
        state_sign=words.STATES[run.state],
        encoding=words.ENCODINGS.get(run.encoding, run.encoding),
        delimiter=_(words.DELIMITERS.get(run.delimiter, run.delimiter)) if run.encoding != "xlsx" else "",
        size=_size(run.bytes),
        steps=STEPS,
        step=1 if editing else _STEP_OF.get(run.state, len(STEPS)),
        editing=editing,
        headings=_headings(run),
        columns=_columns(run.kind),
        required=[c.name for c in target_of(run.kind).columns if c.required],
        troubles=[Trouble(f.line, f.refused, service.said(f, i18n.current_language(), run.mapping)) for f in flaws],
        trouble_count=run.bad + run.warned,
        error=_(run.error["says"], **_facts(run.error)) if run.error else "",
        mend=_(run.error["mend"], **_facts(run.error)) if run.error and run.error["mend"] else "",
        busy=run.state in BUSY,
        goes_on=has_file and run.state in {State.STOPPED, State.FAILED},
        undo=_(KINDS[run.kind].undo, days=KEEP_DAYS),
        may_undo=run.undoable(at)
        and around.may(KINDS[run.kind].write)
        and not (web.caller_of(request).locations is not None and run.kind in EVERYWHERE),
        left=[(record.label, undoing.why_left(record, i18n.current_language())) for record in left],
    )


def _facts(error: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of why a file cannot be read, with columns by their names on screen."""
    facts: dict[str, Any] = error["facts"]
    if "columns" not in facts:
        return facts
    return facts | {"columns": ", ".join(_(words.COLUMNS.get(name, name)) for name in facts["columns"].split(", "))}


async def _found(tx: Tx, number: int) -> Run:
    found = await tx.value(reads.ID_OF, {"number": number})
    if found is None:
        raise ImportNotFound(key=number)
    return await reads.run(tx, found)


def _headings(run: Run) -> list[Heading]:
    return [
        Heading(
            at=at,
            name=name,
            samples=[cell for row in run.sample if at < len(row) and (cell := row[at].strip())][:SAMPLES],
            chosen=run.mapping.get(name, ""),
            fixed=run.mapping[name].partition(":")[2] if ":" in run.mapping.get(name, "") else "",
        )
        for at, name in enumerate(run.header)
        if name
    ]


def _columns(kind: Kind) -> list[tuple[str, str]]:
    """Return the columns of a kind as a person chooses among them, by their names on screen."""
    return [(c.name, _(words.COLUMNS[c.name])) for c in target_of(kind).columns]


def _size(count: int) -> str:
    if count < 1 << 20:
        return f"{i18n.number(max(count / 1024, 0.1), decimals=1)} kB"
    return f"{i18n.number(count / (1 << 20), decimals=1)} MB"


# --- bringing a file ---


def _upload(kind: Kind) -> Any:
    @post(
        f"/imports/{kind.value}",
        opt={"permission": KINDS[kind].write, "everywhere": kind in EVERYWHERE},
        status_code=200,
        request_max_body_size=None,
        name=f"console-import-{kind.value}",
    )
    async def run(request: Request[Any, Any, Any]) -> Response[Any]:
        sent = await uploads.file_of(request)
        limit = request.app.state.services.settings.import_limit_mb
        database, actor = web.database_of(request), web.actor_of(request)
        run_id = await service.take_in(database, actor, kind, sent.name, sent.body, limit_mb=limit)
        async with web.reading(request) as tx:
            number = (await reads.run(tx, run_id)).number
        address = f"/imports/{number}"
        if web.by_htmx(request):
            return Response(b"", status_code=200, headers={"HX-Redirect": address})
        return web.see_other(address)

    return run


# --- what a person does with it ---


def _mapping(form: Any, run: Run) -> dict[str, str] | None:
    chosen = {name: str(form[f"c{at}"]) for at, name in enumerate(run.header) if name and f"c{at}" in form}
    return chosen or None


def _act(act: str) -> Any:
    @post(f"/imports/{{number:int}}/{act}", opt={"permission": SEE}, status_code=200, name=f"console-import-{act}")
    async def run(request: Request[Any, Any, Any], number: FromPath[int]) -> Response[Any]:
        form = await request.form()
        async with web.writing(request) as tx:
            found = await _found(tx, number)
            match act:
                case "check" | "apply":
                    await service.begin(tx, found.id, _mapping(form, found), apply=act == "apply")
                case "stop":
                    await service.stop(tx, found.id)
                case "undo":
                    await undoing.undo(tx, found.id)
                case _:
                    await service.resume(tx, found.id)
        address = f"/imports/{number}"
        if web.by_htmx(request):
            return Response(b"", status_code=200, headers={"HX-Redirect": address})
        return web.see_other(address)

    return run


# --- taking out ---


@get(export.paths("/imports/{number:int}/refused"), opt={"permission": SEE})
async def refused(request: Request[Any, Any, Any], number: FromPath[int]) -> Stream:
    """Send the refused rows as they were, with what is wrong in a last column."""
    async with web.reading(request) as tx:
        run = await _found(tx, number)
    language = i18n.current_language()
    pages = service.refused_pages(
        web.database_of(request), web.actor_of(request), run.id, language, _(N_("What is wrong"))
    )
    format_ = export.format_of(request)
    return export.file(f"{run.kind.value}-{run.number}-refused", format_, kinds.file_of(format_, pages))


@get(export.paths("/imports/{number:int}/left"), opt={"permission": SEE})
async def left_as_they_are(request: Request[Any, Any, Any], number: FromPath[int]) -> Stream:
    """Send what an undo left as it is, with the reason."""
    async with web.reading(request) as tx:
        run = await _found(tx, number)
    titles = (_(N_("Record")), _(N_("Why it stays")))
    language = i18n.current_language()
    pages = undoing.left_pages(web.database_of(request), web.actor_of(request), run.id, language, titles)
    format_ = export.format_of(request)
    return export.file(f"{run.kind.value}-{run.number}-left", format_, kinds.file_of(format_, pages))


def _export(kind: Kind) -> Any:
    @get(
        export.paths(f"/exports/{kind.value}"),
        opt={"permission": KINDS[kind].read},
        name=f"console-export-{kind.value}",
    )
    async def run(request: Request[Any, Any, Any]) -> Stream:
        format_ = export.format_of(request)
        if kind is Kind.CUSTOMERS:  # personal data: who took them is written down
            async with web.writing(request) as tx:
                await audit.record(tx, action="export", entity="customer", entity_id="all")
        pieces = kinds.export(kind, format_, web.database_of(request), web.actor_of(request))
        return export.file(kind.value, format_, pieces)

    return run


HANDLERS = [
    overview,
    run_export,
    show,
    refused,
    left_as_they_are,
    *(_upload(kind) for kind in Kind),
    *(_act(act) for act in ("check", "apply", "stop", "resume", "undo")),
    *(_export(kind) for kind in Kind),
]
