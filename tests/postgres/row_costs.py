"""How many rows of the database a statement looks at: what it costs however quick the machine is."""

from typing import Any

from malha.platform.db import Tx


def looked_at(plan: dict[str, Any]) -> float:
    """Return how many rows the nodes of a plan handled, those they threw away included."""
    rows = plan["Actual Rows"] + sum(n for name, n in plan.items() if name.startswith("Rows Removed"))
    return rows * plan["Actual Loops"] + sum(looked_at(child) for child in plan.get("Plans", []))


async def cost(tx: Tx, statement: str, params: dict[str, Any]) -> float:
    """Do it, and return how many rows it looked at."""
    (explained,) = await tx.values("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, params)  # type: ignore[arg-type]
    return looked_at(explained[0]["Plan"])


class Counting(Tx):
    """A transaction that says what one of its statements `looked` at, the last time it was asked for all rows."""

    __slots__ = ("looked", "statement")

    def __init__(self, tx: Tx, statement: str) -> None:
        super().__init__(tx.connection, tx.retailer, tx.actor)
        self.statement = statement
        self.looked = 0.0

    async def all(self, row: Any, statement: Any, params: Any = ()) -> list[Any]:
        if statement is self.statement:
            self.looked = await cost(self, statement, params)
        return await super().all(row, statement, params)
