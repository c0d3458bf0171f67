"""`malha reseal`: after the secret key was changed, seal stored secrets with the present one.

    malha reseal

Malha may run meanwhile. It ends with 1 where a secret is left that neither key opens: that one has to be entered again.
"""

import asyncio

import typer

from malha.cli.runtime import runtime
from malha.platform import signing
from malha.platform.db import Actor, Database
from malha.platform.i18n import _, n_
from malha.platform.settings import Settings
from malha.privacy import sealed
from malha.privacy.sealed import Resealed


def command() -> None:
    """Seal stored secrets with the present secret key, so that the former one can go."""
    with runtime() as settings:
        done = asyncio.run(_reseal(settings))
        print(told(done))
    if done.unreadable:
        raise typer.Exit(1)


async def _reseal(settings: Settings) -> Resealed:
    actor = Actor(kind="system", name="malha reseal")
    async with (
        Database(settings.database_url or "", settings.retailer, max_size=1) as database,
        database.transaction(actor) as tx,
    ):
        return await sealed.reseal(tx, signing.keys_of(settings))


def told(done: Resealed) -> str:
    """Return what the operator reads: what was done, and what has to be entered again."""
    lines = [n_("{n} secret was sealed anew.", "{n} secrets were sealed anew.", done.anew)]
    lines += [
        n_(
            "{table}: {n} secret cannot be read with either key; enter it again.",
            "{table}: {n} secrets cannot be read with either key; enter them again.",
            count,
            table=table,
        )
        for table, count in done.unreadable.items()
    ]
    if not done.unreadable:
        lines.append(_("No stored secret needs the former key any more; links made with it may still be out."))
    return "\n".join(lines)
