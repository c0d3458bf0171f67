"""Time. UTC inside; a location's zone only on screen and in cut-offs. Rules receive instants, never ask for them."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return this instant in UTC. Where rows are compared with time, use the database's clock (`Tx.now`) instead."""
    return datetime.now(UTC)
