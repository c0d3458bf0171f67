"""The decision table of a rule set on screen: a grid to fill in, what each row took, and the table as a file.

Rows move and go without anything being written: the grid is sent and drawn again. It is saved as a whole, under the
draft's version, and what is wrong stands in the cell it is about.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, grids, render, shell, uploads, web
from malha.console import routing_rule_words as words
from malha.console import rule_table_cells as cells
from malha.console.filling import Filled
from malha.console.grids import Cell, Texts
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, Invalid
from malha.platform.i18n import N_, Word, _, n_
from malha.platform.tabular import BadCell
from malha.routing.ruling import service
from malha.routing.ruling.errors import RuleSetPublished
from malha.routing.ruling.model import MAX_ROWS, Content, Hit, Row, RuleSet, Status, Table, Then, When
from malha.routing.ruling.tables import Hits
from malha.simulation import reads as simulations

FORM_ROWS = 150  # shown in a form; larger tables go by file
USUAL = ("channels", "states", "value", "run", "prefer", "max_packages")
HITS = {Hit.FIRST: N_("The first row that fits"), Hit.COLLECT: N_("All rows that fit, the earlier one first")}
Asking = Request[Any, Any, Any]


class RowView(NamedTuple):
    """A row in words, with what it took in the last replay (None: nobody replayed it) and why it never counts."""

    number: int
    name: str
    when: list[str]
    then: list[str]
    taken: int | None
    never: str


class TableView(NamedTuple):
    """A table in words. `simulation` is the replay that `taken` is of."""

    hit: str
    rows: list[RowView]
    simulation: str
    at: str


async def view(tx: Tx, found: RuleSet, names: words.Names) -> TableView | None:
    """Return a rule set's table as it is drawn; None: it has none."""
    table = found.content.table
    if not table.rows:
        return None
    taken, name, at = await _taken(tx, found)
    never = await _never(table)
    rows = [
        RowView(
            number=n + 1,
            name=row.name,
            when=words.when_says(row.when, names) or [_("every order")],
            then=words.then_says(row.then, names) or [_("as the runs say")],
            taken=None if taken is None else taken.get(str(n + 1), 0),
            never=never.get(n, ""),
        )
        for n, row in enumerate(table.rows)
    ]
    return TableView(_(HITS[table.hit]), rows, name, at)


async def _taken(tx: Tx, found: RuleSet) -> tuple[dict[str, int] | None, str, str]:
    """Return how many orders each row took in the last replay of this very table."""
    last = await simulations.last_of(tx, found.id)
    if last is None or last.rules is None:
        return None, "", ""
    same = last.rules.version == found.version or (
        found.number is not None and last.rules.number is None and last.rules.version == found.version - 1
    )  # publishing a draft changes its version, not its table
    result = await simulations.result(tx, last.id) if same else None
    if result is None or result.ruled is None:
        return None, "", ""
    return result.ruled.rows, last.name, f"/simulations/{last.id}"


async def _never(table: Table) -> dict[int, str]:
    """Return, of rows that no order can reach, why."""
    found = await asyncio.to_thread(lambda: Hits(table).never())
    return {
        n: n_(
            "Never reached: row {rows} takes all of it.",
            "Never reached: rows {rows} take all of it.",
            len(before),
            rows=", ".join(str(m + 1) for m in before),
        )
        for n, before in found
    }


# --- the grid ---


async def _grid(
    tx: Tx, request: Asking, found: RuleSet, rows: Sequence[Texts], hit: Hit, ticked: set[str], focus: str = ""
) -> dict[str, Any]:
    around = await shell.around(tx, request, "routing_rules")
    shown = cells.used(rows) | set(USUAL) | ticked
    runs = [(run.name, run.name) for run in found.content.runs]

    def options(cell: Cell) -> list[tuple[str, str]] | None:
        if cell.name == "run":
            return runs
        return grids.options(cell)

    def heads(among: Sequence[Cell]) -> list[dict[str, Any]]:
        return [grids.head(cell, options(cell)) for cell in among if cell.name in shown]

    taken, _name, _at = await _taken(tx, found)
    never = await _never(found.content.table)
    as_saved = [row.name for row in found.content.table.rows]
    return {
        "shell": around,
        "may": around.may,
        "s": found,
        "at": f"/routing-rules/{found.id}/table",
        "rows": list(rows),
        "when": heads(cells.WHEN),
        "then": heads(cells.THEN),
        "columns": [(c.name, _(c.head), c.name in shown) for c in (*cells.WHEN, *cells.THEN)],
        "hit": hit.value,
        "hits": list(filling.options(HITS)),
        "taken": taken if len(as_saved) == len([row for row in rows if not cells.is_empty(row)]) else None,
        "never": never,
        "focus": focus,
        "channels": [(c.code, c.name) for c in await network.channels(tx)],
        "groups": [(g.code, g.name) for g in await network.location_groups(tx)],
        "most": FORM_ROWS,
        "exports": export.choices(str, f"/routing-rules/{found.id}/table:export"),
    }


async def _draft(tx: Tx, id_: int) -> RuleSet:
    refuse_limited(tx)
    found = await service.show(tx, id_)
    if found.status is not Status.DRAFT:
        raise RuleSetPublished(number=found.number)
    return found


@get("/routing-rules/{id:int}/table", opt={"permission": "network:write"})
async def table_edit(request: Asking, id: FromPath[int]) -> Response[str]:  # noqa: A002
    """Show the grid of a draft's table."""
    async with web.reading(request) as tx:
        found = await _draft(tx, id)
        rows = grids.with_spare([cells.texts_of(row) for row in found.content.table.rows])
        grid = await _grid(tx, request, found, rows[:FORM_ROWS], found.content.table.hit, set())
    if len(found.content.table.rows) > FORM_ROWS:
        grid["rows"] = []
    return render.html("routing_rules/table.html", **grid)


@post("/routing-rules/{id:int}/table:arrange", opt={"permission": "network:write"}, status_code=200)
async def table_arrange(request: Asking, id: FromPath[int]) -> Response[str]:  # noqa: A002
    """Draw the grid as it was filled in, with a row moved, copied, added or gone; nothing is written."""
    read = filling.filled(await request.form())
    rows = _texts(read)
    focus = grids.arrange(rows, read.text("do", 20), "name")
    ticked = {str(value) for value in read.form.getall("cols", [])}
    async with web.reading(request) as tx:
        found = await _draft(tx, id)
        grid = await _grid(tx, request, found, rows[:FORM_ROWS], _hit(read), ticked, focus)
    return render.html("routing_rules/table.html", **grid)


@post("/routing-rules/{id:int}/table", opt={"permission": "network:write"}, status_code=200)
async def table_save(request: Asking, id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Save a draft's table as it is filled in; empty rows are left out."""
    read = filling.filled(await request.form())
    rows: list[Row] = []
    places: list[int] = []
    for n, texts in enumerate(_texts(read)):
        if cells.is_empty(texts):
            continue

        def wrong(column: str, bad: BadCell, n: int = n) -> None:
            read.wrong(f"rows/{n}/{column}", bad.says, bad.mend, **bad.facts)

        rows.append(cells.read_row(texts, wrong))
        places.append(n)
    read.refuse()
    async with web.writing(request) as tx:
        found = await _draft(tx, id)
        await _save(tx, found, read.version(), Table(hit=_hit(read), rows=rows), places)
    return web.go_on(
        request, f"/routing-rules/{id}", n_("Table of {n} row saved", "Table of {n} rows saved", len(rows))
    )


async def _save(tx: Tx, found: RuleSet, version: int, table: Table, places: Sequence[int]) -> None:
    """Save a table; what is wrong with a row is told by the cell of the form, or the line of the file."""
    if found.version != version:
        raise Conflict(what=Word(N_("Routing rules")), key=str(found.id))
    try:
        content: Content = msgspec.structs.replace(found.content, table=table)
        await service.save_draft(tx, found.id, content, version)
    except Invalid as refused:
        raise Invalid([_at_cell(flaw, places) for flaw in refused.flaws]) from refused


def _at_cell(flaw: Flaw, places: Sequence[int]) -> Flaw:
    at = cells.cell_of(flaw.at)
    return flaw if at is None else msgspec.structs.replace(flaw, at=f"rows/{places[at[0]]}/{at[1]}")


def _texts(read: Filled) -> list[Texts]:
    return grids.texts(read, cells.EVERY, FORM_ROWS, 4_000)


def _hit(read: Filled) -> Hit:
    return Hit.COLLECT if read.text("hit", 20) == Hit.COLLECT.value else Hit.FIRST


# --- the table as a file ---

COLUMNS = grids.sheet(cells.EVERY, 20)


@get(export.paths("/routing-rules/{id:int}/table:export"), opt={"permission": "network:read"})
async def table_export(request: Asking, id: FromPath[int]) -> Stream:  # noqa: A002
    """Send the table as a file, as the import takes it."""
    async with web.reading(request) as tx:
        refuse_limited(tx)
        found = await service.show(tx, id)

    def line(row: Row) -> list[Any]:
        texts = cells.texts_of(row)
        return [texts.get(cell.name, "") for cell in cells.EVERY]

    return export.send_all(request, f"decision-table-{id}", COLUMNS, found.content.table.rows, line)


@post("/routing-rules/{id:int}/table:import", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def table_import(request: Asking, id: FromPath[int]) -> Response[Any]:  # noqa: A002
    """Replace the rows of a draft's table by a file's, if nothing in it is wrong."""
    read = filling.filled(await request.form())
    raw = await read.file()
    said, lines = grids.read_file(raw, cells.EVERY, MAX_ROWS, N_("Split the table."))
    rows = [_row(values) for values in said]
    async with web.writing(request) as tx:
        found = await _draft(tx, id)
        try:
            table = msgspec.structs.replace(found.content.table, rows=rows)
            await _save(tx, found, read.version(), table, range(len(rows)))
        except Invalid as refused:
            raise Invalid([_at_line(flaw, lines) for flaw in refused.flaws[: grids.MOST_PROBLEMS]]) from refused
    notice = n_("Table of {n} row saved", "Table of {n} rows saved", len(rows))
    return web.go_on(request, f"/routing-rules/{id}", await uploads.told(notice, raw))


def _row(values: Mapping[str, Any]) -> Row:
    def fields(among: Sequence[Cell]) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for cell in among:
            said |= values.get(cell.name) or {}
        return said

    when, then = When(**fields(cells.WHEN)), Then(**fields(cells.THEN))
    return Row(name=fields((cells.NAME,)).get("name", ""), when=when, then=then)


def _at_line(flaw: Flaw, lines: Sequence[int]) -> Flaw:
    parts = flaw.at.split("/")
    facts = {**flaw.facts, "line": lines[int(parts[1])]} if parts[0] == "rows" else flaw.facts
    return msgspec.structs.replace(flaw, at="file", facts=facts)


HANDLERS = [table_edit, table_arrange, table_save, table_export, table_import]
