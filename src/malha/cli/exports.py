"""`malha export`: what the database holds as tables that `malha import` reads back unchanged."""

import asyncio
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from malha.cli.runtime import runtime
from malha.exchange import kinds
from malha.exchange.model import Kind
from malha.platform import audit
from malha.platform.db import Actor, Database
from malha.platform.settings import Settings
from malha.platform.sheets import Format


def command(
    kind: Annotated[Kind, typer.Argument(help="What to export.")],
    file: Annotated[
        Path, typer.Argument(help="Where to write it, ending in .csv or .xlsx; - is standard output (CSV).")
    ],
) -> None:
    """Export products, stock, customers or another kind of record as a table that imports back unchanged."""
    ending = file.suffix.lstrip(".").lower()
    if str(file) != "-" and ending not in set(Format):
        raise typer.BadParameter("the file must end in .csv or .xlsx")
    format_ = Format.CSV if str(file) == "-" else Format(ending)
    with runtime() as settings:
        asyncio.run(_export(settings, kind, format_, file))


async def _export(settings: Settings, kind: Kind, format_: Format, path: Path) -> None:
    actor = Actor(kind="system", name="malha export")
    with _written(path) as out:
        async with Database(settings.database_url or "", settings.retailer, max_size=2) as database:
            if kind is Kind.CUSTOMERS:  # personal data: who took them is written down
                async with database.transaction(actor) as tx:
                    await audit.record(tx, action="export", entity="customer", entity_id="all")
            async for piece in kinds.export(kind, format_, database, actor):
                await asyncio.to_thread(out.write, piece)


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """Give the file to write; it has its name once it is whole: one that was cut off would look like any other."""
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        out = part.open("wb")
    except OSError as error:  # of the name that was asked for
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with out:
            yield out
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
