"""`malha connector`: which connectors there are, and whether a connection works.

malha connector list
malha connector doctor LOJA        # exit code 1 when something does not work
malha connector doctor LOJA --json # the same with keys that stay, whatever language the sentences are in
"""

import asyncio
from typing import Annotated, Any

import msgspec
import typer

from malha.channels.connecting import doctor, registry
from malha.channels.connecting.runtime import Runtime
from malha.cli.runtime import runtime
from malha.platform import migrate
from malha.platform.db import Database
from malha.platform.i18n import _, current_language
from malha.platform.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Connectors to channels, and whether their connections work.")


@app.callback()
def _group() -> None:
    """Connectors to channels."""


@app.command("list")
def list_() -> None:
    """List the connectors that are installed, each with its tier: A is proved on the real product, D on nothing."""
    for connector in sorted(registry.connectors().values(), key=lambda c: c.key):
        able = ", ".join(sorted(capability.value for capability in connector.capabilities))
        typer.echo(f"{connector.key:<16} {connector.evidence.value}  {connector.name}: {able}")


@app.command("doctor")
def examine(
    connection: Annotated[str, typer.Argument(help="Code of the connection.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Try a connection against its channel: secrets, orders, and what waits. Changes nothing there."""
    with runtime(migrate=False) as settings:
        asyncio.run(migrate.require(settings.database_url or "", settings.retailer))
        findings = asyncio.run(_examine(settings, connection))
    typer.echo(msgspec.json.encode(to_json(findings)).decode() if as_json else told(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def told(findings: list[doctor.Finding]) -> str:
    """Return findings as lines in the current language, the verdict first in each."""
    language = current_language()
    verdicts = {True: _("ok"), False: _("FAIL")}
    width = max(map(len, verdicts.values()))
    return "\n".join(f"{verdicts[f.ok]:<{width}}  {f.name(language)}: {f.text(language)}" for f in findings)


def to_json(findings: list[doctor.Finding]) -> dict[str, Any]:
    """Return findings with sentences in the current language next to the bare facts."""
    language = current_language()
    return {
        "healthy": all(finding.ok for finding in findings),
        "findings": [
            {
                "check": finding.check,
                "of": finding.of or None,
                "ok": finding.ok,
                "name": finding.name(language),
                "says": finding.text(language),
                "facts": finding.facts,
            }
            for finding in findings
        ],
    }


async def _examine(settings: Settings, code: str) -> list[doctor.Finding]:
    async with Database(settings.database_url or "", settings.retailer, max_size=4) as db:
        return await doctor.examine(Runtime(db, settings), code)
