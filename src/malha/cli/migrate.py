"""`malha migrate`: bring the database to this version's schema, or say what is missing."""

import asyncio
import json
import sys
from enum import StrEnum
from typing import Annotated

import typer

from malha.cli.runtime import runtime
from malha.platform import jobs, migrate
from malha.platform.settings import Settings


class Phase(StrEnum):
    """Which files: those before new code starts, those after the last old process has gone, or both."""

    pre = "pre"
    post = "post"
    all = "all"


def command(
    phase: Annotated[
        Phase, typer.Option(help="pre: before new code starts; post: after old code has gone.")
    ] = Phase.all,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if something is pending.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Bring the database to this version's schema."""
    with runtime(migrate=False) as settings:
        found = asyncio.run(_pending(settings) if check else _apply(settings, phase.value))
    key = "pending" if check else "applied"
    if as_json:
        sys.stdout.write(json.dumps({key: found}) + "\n")
    else:
        sys.stdout.write("".join(f"{key}: {name}\n" for name in found) or "The schema is up to date.\n")
    if check and found:
        raise typer.Exit(1)


async def _pending(settings: Settings) -> list[str]:
    return (await migrate.status(settings.database_url or "", settings.retailer)).pending


async def _apply(settings: Settings, phase: migrate.Phase) -> list[str]:
    url = settings.database_url or ""
    applied = await migrate.migrate(url, settings.retailer, phase)
    return [*applied, *(f"jobs: {name}" for name in await jobs.install(url))]
