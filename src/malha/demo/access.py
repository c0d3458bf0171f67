"""Who may enter the demo: its owner and a key for its channels."""

from psycopg import AsyncConnection, sql

from malha.identity import reads as identity_reads
from malha.identity import service as identity
from malha.identity.model import Role
from malha.identity.service import PersonDraft
from malha.platform.db import Database

# Whether anything was ever sold here.
ANY_ORDER = """
SELECT EXISTS (SELECT FROM sales_order)
"""


async def is_built(db: Database) -> bool:
    """Tell whether the demo's orders are there."""
    async with db.snapshot() as tx:
        return bool(await tx.value(ANY_ORDER))


async def wipe(url: str, retailer: str) -> None:
    """Remove the demo's schema with everything in it, whatever version made it."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(retailer)))


async def admit(db: Database, email: str, password: str) -> str:
    """Give the owner this password, making them if need be; return a new key that may submit orders."""
    async with db.transaction() as tx:
        person = next((p.id for p in await identity_reads.people(tx, 500) if p.email == email), None)
        if person is None:
            draft = PersonDraft(name="Ana Prates", email=email, role=Role.OWNER)
            await identity.create_person(tx, draft, password=password)
        else:
            await identity.set_password(tx, person, password)
        return (await identity.create_key(tx, name="demo", permissions=["intake:submit"])).secret
