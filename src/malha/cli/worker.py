"""`malha worker`: the worker process alone, for a machine of its own or a second one."""

import asyncio
import os
from typing import Annotated

import typer
import uvloop

from malha.cli.runtime import runtime
from malha.cli.tracing import require_tracing, tracing
from malha.platform.migrate import require


def command(
    nice: Annotated[int | None, typer.Option(help="How far to step back when processors are busy, 0 to 19.")] = None,
    migrate: Annotated[
        bool, typer.Option(help="Bring the database to this version's schema first, both phases of it.")
    ] = True,
) -> None:
    """Run the worker alone: events and background jobs."""
    with runtime(role="worker", serves=True, migrate=migrate, worker_nice=nice) as settings:
        if not migrate:
            asyncio.run(require(settings.database_url or "", settings.retailer))
        from malha.worker import run_until_signalled  # noqa: PLC0415 -- after settings were found to be right

        os.nice(settings.worker_nice)
        require_tracing(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, tracing(settings, "worker"):
            runner.run(run_until_signalled(settings))
