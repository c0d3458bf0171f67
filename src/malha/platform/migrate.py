"""Forward-only numbered SQL migrations into one retailer's schema."""

from importlib.resources import files

from psycopg import AsyncConnection, sql

from malha.platform.db import EXTENSIONS_SCHEMA


async def migrate(url: str, retailer: str) -> list[str]:
    """Apply what is missing; return the names applied."""
    applied = []
    async with await AsyncConnection.connect(url, autocommit=True) as conn, conn.transaction():
        await conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(EXTENSIONS_SCHEMA)))
        await conn.execute(
            sql.SQL("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA {}").format(sql.Identifier(EXTENSIONS_SCHEMA))
        )
        await conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(retailer)))
        await conn.execute(
            sql.SQL("SET LOCAL search_path TO {}, {}").format(
                sql.Identifier(retailer), sql.Identifier(EXTENSIONS_SCHEMA)
            )
        )
        await conn.execute("CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, at timestamptz DEFAULT now())")
        done = {row[0] for row in await (await conn.execute("SELECT name FROM migration")).fetchall()}
        for path in sorted(files("malha.migrations").iterdir(), key=lambda p: p.name):
            if path.name.endswith(".sql") and path.name[:4].isdigit() and path.name not in done:
                await conn.execute(path.read_text().encode())
                await conn.execute("INSERT INTO migration (name) VALUES (%s)", (path.name,))
                applied.append(path.name)
    return applied
