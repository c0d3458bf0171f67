"""Every check of the doctor is explained."""

import re
from pathlib import Path

from malha.doctor import CHECKS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "doctor.md"


def test_every_check_is_explained_under_its_heading_and_no_other_is():
    drift, notices = PAGE.read_text("utf-8").split("## Notices")
    rows = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
    assert rows.findall(drift) == [check.name for check in CHECKS if check.drifts]
    assert rows.findall(notices) == [check.name for check in CHECKS if not check.drifts]
