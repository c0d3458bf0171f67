"""Limits to guessing: failures are counted per subject, and after a few of them each next try has to wait longer.

A subject is `kind:what`; its kind says how many failures cost nothing (`rules.FREE_TRIES`). A try is counted before its
outcome is known, under the row's lock, so that guesses made side by side are guesses made one after the other.

    tries = await guessing.begin(tx, "account:1f3a...", "source:10.0.0.7")
    if tries.wait: ...                            # refuse; nothing was counted
    await guessing.failed(tx, tries)              # or
    await guessing.succeeded(tx, tries, "account:1f3a...")

Commit in every case: a refusal that is rolled back was never counted.
"""

import msgspec

from malha.identity import rules, writes
from malha.platform.db import Tx
from malha.platform.sources import neighbourhood


class Tries(msgspec.Struct, frozen=True):
    """Tries that were counted, with this one: failures by subject, and seconds to wait first (0: go on)."""

    failures: dict[str, int]
    wait: int


def source_subject(source: str | None, kind: str = "source") -> str:
    """Return the row that counts tries from a network address, or from all that its user can choose from."""
    return f"{kind}:{neighbourhood(source) if source else 'unknown'}"


async def begin(tx: Tx, *subjects: str) -> Tries:
    """Count a try of every subject; while one of them has to wait, the try does not count and must be refused."""
    rows = await tx.tuples(writes.COUNT_TRY, {"subjects": sorted(subjects), "forget": rules.FORGET_AFTER})
    return Tries(
        {subject: failures for subject, failures, _ in rows}, max(seconds or 0 for _subject, _failures, seconds in rows)
    )


async def failed(tx: Tx, tries: Tries) -> None:
    """Have the next try wait, where the failures are beyond what costs nothing."""
    waits = [rules.wait_after(failures, subject.partition(":")[0]) for subject, failures in tries.failures.items()]
    if any(waits):
        await tx.execute(writes.BLOCK, {"subjects": list(tries.failures), "waits": waits})


async def forget(tx: Tx, subject: str) -> None:
    """Forget the failures of a subject."""
    await tx.execute(writes.CLEAR_TRIES, {"account": subject, "subjects": [subject]})


async def succeeded(tx: Tx, tries: Tries, subject: str) -> None:
    """Forget the failures of one subject, and take this try back from the others, who may still be guessing."""
    await tx.execute(writes.CLEAR_TRIES, {"account": subject, "subjects": list(tries.failures)})
