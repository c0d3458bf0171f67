"""`malha owner`: make an owner of all locations, for who runs the server and has nobody who could let them in.

    malha owner ana@loja.com.br

It prints a link by which the person chooses a password. The audit trail says that it was done here.
"""

import asyncio
from typing import Annotated

import typer

from malha.cli.runtime import runtime
from malha.identity import links, recovery
from malha.identity.recovery import Restored
from malha.platform import signing
from malha.platform.db import Actor, Database
from malha.platform.i18n import _
from malha.platform.settings import Settings


def command(
    email: Annotated[str, typer.Argument(help="Whose access it is; nobody has it yet: the person is added.")],
    name: Annotated[str, typer.Option(help="What somebody new is called.")] = "",
    without_second_factor: Annotated[
        bool, typer.Option("--without-second-factor", help="Take their second factor away: phone and codes are lost.")
    ] = False,
    let_passwords_in: Annotated[
        bool, typer.Option("--let-passwords-in", help="End that people log in by a provider only.")
    ] = False,
) -> None:
    """Make somebody an active owner of all locations, and print a link to choose a password by."""
    with runtime() as settings:
        done = asyncio.run(_restore(settings, email, name, without_second_factor, let_passwords_in))
        print(told(settings, done))


async def _restore(settings: Settings, email: str, name: str, without_factor: bool, passwords: bool) -> Restored:
    actor = Actor(kind="system", name="malha owner")
    async with (
        Database(settings.database_url or "", settings.retailer, max_size=1) as database,
        database.transaction(actor) as tx,
    ):
        return await recovery.restore_owner(
            tx,
            signing.keys_of(settings),
            email=email,
            name=name,
            let_passwords_in=passwords,
            without_second_factor=without_factor,
        )


def told(settings: Settings, done: Restored) -> str:
    """Return what the operator reads: who owns, the link, and what may still keep them out."""
    lines = [
        _("{name} ({email}) is an active owner of all locations.", name=done.name, email=done.email),
        _("Whoever opens this link chooses the password, once, until {time}:", time=done.link.expires_at),
        links.address_of(settings, done.link.token),
    ]
    if done.provider_only:
        lines.append(_("Passwords let in owners with a second factor only; --let-passwords-in lets everybody's in."))
    if done.second_factor:
        lines.append(_("The log-in also asks for their second factor; --without-second-factor takes it away."))
    return "\n".join(lines)
