"""What a file transport asks of the database: the key that was trusted, and a copy of each file before it goes out."""

import gzip

from malha.channels.connecting.model import Linked
from malha.channels.partners import reads, rules, writes
from malha.channels.partners.model import HostKey
from malha.platform.db import Database
from malha.platform.ids import new_id


class Kept:
    """The memory of one connection's file transport."""

    def __init__(self, db: Database, connection: Linked) -> None:
        self._db = db
        self._connection = connection

    async def host_key(self) -> HostKey | None:
        """Return the key that a person trusted."""
        async with self._db.transaction() as tx:
            found = await reads.host_key(tx, self._connection.id)
        return None if found is None else HostKey(found.server, found.public_key, found.fingerprint)

    async def note(self, name: str, body: bytes) -> None:
        """Keep a copy of a file that goes out; the same file is kept once."""
        kind = "errors" if name.endswith(".errors.csv") else name.partition("_")[0].lower()
        row = {
            "id": new_id(),
            "connection_id": self._connection.id,
            "way": "out",
            "kind": kind,
            "name": name,
            "fingerprint": rules.fingerprint(name, body, None),
            "bytes": len(body),
            "content": gzip.compress(body, 5, mtime=0),
            "rows": max(body.count(b"\n") - 1, 0),
            "held": 0,
            "state": "done",
            "stated": None,
            "says": "",
        }
        async with self._db.transaction() as tx:
            await tx.execute(writes.ADD_FILE, row)
