"""Rounds that fail: an absence of the database is told once and calmly, a defect each time and with its trace."""

import asyncio
from typing import Any

import pytest
from psycopg import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

from malha.platform.rounds import Rounds, is_away, tell


class Told:
    """What a log was told: level, event, facts."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **facts: self.lines.append((level, event, facts))


def go(rounds: Rounds, *errors: Exception | None) -> None:
    for error in errors:
        with rounds:
            if error is not None:
                raise error


def test_an_absence_is_one_line_however_long_it_is_and_one_more_at_its_end() -> None:
    log = Told()
    rounds = Rounds(log, waits="pushes_wait", failed="pushes_failed", channel="site")
    away = PoolTimeout("the database is away")
    go(rounds, None, OperationalError("gone"), away, away, InterfaceError("closed"), away, None, None, away)
    assert [(level, event) for level, event, _ in log.lines] == [
        ("warning", "pushes_wait"),
        ("info", "goes_on"),
        ("warning", "pushes_wait"),
    ]
    assert log.lines[0][2] == {"error": "gone", "channel": "site"}
    assert log.lines[1][2]["after"] == "pushes_wait"


def test_a_defect_is_told_each_time_with_its_trace_and_ends_no_loop() -> None:
    log = Told()
    defect = ValueError("a defect")
    go(Rounds(log, waits="pushes_wait", failed="pushes_failed"), defect, defect)
    assert log.lines == [("error", "pushes_failed", {"exc_info": defect})] * 2


@pytest.mark.parametrize("ends", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()])
def test_what_ends_the_loop_is_let_through(ends: BaseException) -> None:
    log = Told()
    with pytest.raises(type(ends)), Rounds(log, waits="w", failed="f"):
        raise ends
    assert not log.lines


def test_a_group_is_an_absence_when_all_in_it_are() -> None:
    gone, defect = OperationalError("gone"), ValueError("a defect")
    assert is_away(ExceptionGroup("both", [gone, ExceptionGroup("one", [gone])]))
    assert not is_away(ExceptionGroup("both", [gone, defect]))


def test_what_fails_once_is_told_with_a_trace_only_where_it_is_a_defect() -> None:
    log = Told()
    gone, defect = OperationalError("gone"), ValueError("a defect")
    tell(log, "not_recorded", gone, channel="site")
    tell(log, "not_recorded", defect, channel="site")
    assert log.lines == [
        ("warning", "not_recorded", {"error": "gone", "channel": "site"}),
        ("error", "not_recorded", {"exc_info": defect, "channel": "site"}),
    ]
