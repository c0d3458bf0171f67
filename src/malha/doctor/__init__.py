"""The doctor: compares what is stored twice, and says what waits. One snapshot, set-based, changes nothing.

`examine` runs every check of `checks.CHECKS` in one REPEATABLE READ transaction. A finding of a check that `drifts`
means that two things that must agree do not, or that an event was not digested: `malha doctor` then exits non-zero.
"""

from collections.abc import Callable, Sequence
from time import monotonic

import msgspec

from malha.doctor.checks import CHECKS, Check, Finding
from malha.platform.db import Database, Tx

__all__ = ["CAP", "CHECKS", "Check", "Finding", "Report", "examine", "examine_in"]

CAP = 20  # rows named per check
Progress = Callable[[str, int, int], None]  # which check is at hand, how many are done, of how many


class Report(msgspec.Struct, frozen=True):
    """What the doctor found; a check without a finding is healthy."""

    drift: int  # rows that disagree, over all checks
    notices: int  # rows worth knowing that disagree with nothing
    findings: list[Finding]
    milliseconds: int

    @property
    def healthy(self) -> bool:
        """Tell whether nothing drifts."""
        return not self.drift


def _silent(_check: str, _done: int, _of: int) -> None:
    pass


async def examine(
    db: Database, *, cap: int = CAP, checks: Sequence[Check] = CHECKS, progress: Progress = _silent
) -> Report:
    """Run all checks in one snapshot; at most `cap` rows are named per check, all are counted."""
    async with db.snapshot() as tx:
        return await examine_in(tx, cap=cap, checks=checks, progress=progress)


async def examine_in(
    tx: Tx, *, cap: int = CAP, checks: Sequence[Check] = CHECKS, progress: Progress = _silent
) -> Report:
    """As `examine`, in the caller's snapshot."""
    begun = monotonic()
    findings = []
    for done, check in enumerate(checks):
        progress(check.name, done, len(checks))
        finding = await check.run(tx, cap)
        if finding.total:
            findings.append(finding)
    return Report(
        drift=sum(f.total for f in findings if f.drifts),
        notices=sum(f.total for f in findings if not f.drifts),
        findings=findings,
        milliseconds=int((monotonic() - begun) * 1000),
    )
