"""What is to be told to peers, noted down: each thing once by its key. A subscriber of the event log calls it.

Nothing here asks a peer, and nothing here runs in the transaction of what happened.
"""

from collections.abc import Sequence

import msgspec

from malha.channels.connecting import rules, writes
from malha.channels.connecting.model import NEWEST_WINS, NewOp
from malha.platform.db import Tx
from malha.platform.ids import UUID

_encode = msgspec.json.Encoder().encode


def key_of(op: NewOp) -> UUID:
    """Return the key of an operation."""
    return rules.op_key(op.connection_id, op.kind.value, op.name, op.version)


async def add(tx: Tx, ops: Sequence[NewOp], *, in_order: bool = False) -> int:
    """Note what is to be told; return how much of it is new. Of what only the newest counts of, older ones go.

    `in_order`: things of one entity are told in the order given. Only for who alone queues such things.
    """
    if not ops:
        return 0
    # In the order of keys: two callers with the same ones wait for one another instead of for ever.
    keyed = [(key_of(op), n) for n, op in enumerate(ops)]
    if not in_order:
        keyed.sort()
    rows = [(key, ops[n]) for key, n in keyed]
    found = await tx.values(
        writes.ADD_OPS,
        {
            "keys": [key for key, _ in rows],
            "connections": [op.connection_id for _, op in rows],
            "kinds": [op.kind.value for _, op in rows],
            "entities": [op.entity for _, op in rows],
            "versions": [op.version for _, op in rows],
            "payloads": [_encode(op.payload).decode() for _, op in rows],
        },
    )
    newest = [op for _, op in rows if op.kind in NEWEST_WINS]
    if newest:
        columns = {"connections": [op.connection_id for op in newest], "entities": [op.entity for op in newest]}
        await tx.execute(writes.SUPERSEDE, columns)
    return len(found)
