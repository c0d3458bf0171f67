"""Who may enter the demo: its owner and a key for its channels, the same as long as its data directory is there."""

import os
import secrets
from pathlib import Path

import msgspec
from psycopg import AsyncConnection, sql

from malha.identity import reads as identity_reads
from malha.identity import service as identity
from malha.identity.model import ROLES, Role
from malha.identity.service import Keys, PersonDraft
from malha.platform.db import Database, Tx
from malha.platform.flaws import Invalid

# What a program of the retailer may do: submit orders, read what it needs to, and follow them to their end.
PERMISSIONS = ROLES[Role.INTEGRATOR]
FILE = "demo.json"
# Whether anything was ever sold here.
ANY_ORDER = """
SELECT EXISTS (SELECT FROM sales_order)
"""


class Access(msgspec.Struct, frozen=True):
    """The password of the demo's owner, and an API key."""

    password: str
    key: str


def remembered(directory: Path) -> Access | None:
    """Return what `remember` wrote into a data directory; None where there is nothing that can be read."""
    try:
        return msgspec.json.decode((directory / FILE).read_bytes(), type=Access)
    except (OSError, msgspec.MsgspecError):
        return None


def remember(directory: Path, access: Access) -> None:
    """Write down what the next run shall print again; only the user who runs the demo can read it."""
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f"{FILE}.{os.getpid()}"
    with open(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:  # noqa: PTH123 -- mode at creation
        file.write(msgspec.json.encode(access))
    fresh.replace(directory / FILE)


async def is_built(db: Database) -> bool:
    """Tell whether the demo's orders are there."""
    async with db.snapshot() as tx:
        return bool(await tx.value(ANY_ORDER))


async def wipe(url: str, retailer: str) -> None:
    """Remove the demo's schema with everything in it, whatever version made it."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(retailer)))


async def admit(db: Database, email: str, known: Access | None, *, password: str | None = None) -> Access:
    """Let the owner in, making them if need be; return the password and a key that work.

    Those that are known stay, and nobody's session ends, as long as they work; `password` replaces the known one.
    """
    chosen = password or (secrets.token_urlsafe(9) if known is None else known.password)
    async with db.transaction() as tx:
        await _owner(tx, email, chosen)
    if known is not None:
        caller = await Keys(db).caller_of(known.key)
        if caller is not None and caller.permissions >= PERMISSIONS:
            return Access(chosen, known.key)
    async with db.transaction() as tx:
        return Access(chosen, (await identity.create_key(tx, name="demo", permissions=PERMISSIONS)).secret)


async def _owner(tx: Tx, email: str, password: str) -> None:
    person = next((p.id for p in await identity_reads.people(tx, 500) if p.email == email), None)
    if person is None:
        draft = PersonDraft(name="Ana Prates", email=email, role=Role.OWNER)
        await identity.create_person(tx, draft, password=password)
        return
    try:
        await identity.check_password(tx, person, password)
    except Invalid:
        await identity.set_password(tx, person, password)
