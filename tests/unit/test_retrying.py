"""Back-off, breaker and bucket: pure, so every instant here is a number."""

from datetime import UTC, datetime, timedelta

import pytest

from malha.platform.retrying import Breaker, Bucket, Circuit, retry_after, wait_of

NOW = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)


def most(low: float, high: float) -> float:
    assert low <= high
    return high


def least(low: float, high: float) -> float:
    assert low <= high
    return low


def test_the_longest_wait_doubles_up_to_a_bound() -> None:
    waits = [wait_of(n, first_s=1, longest_s=60, draw=most) for n in (1, 2, 3, 7, 500)]
    assert waits == [1, 2, 4, 60, 60]


def test_a_wait_may_be_anything_from_nothing() -> None:
    assert wait_of(9, draw=least) == 0


def test_what_the_other_side_asked_for_wins_and_is_never_shortened() -> None:
    assert wait_of(1, after=120, draw=least) == 120
    assert wait_of(9, after=120, longest_s=60, draw=most) == 132
    assert wait_of(9, after=-5, draw=most) == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("Fri, 27 Nov 2026 03:01:00 GMT", 60.0),
        ("Fri, 27 Nov 2026 02:00:00 GMT", 0.0),
        ("99999999", 86_400.0),
        ("soon", None),
        ("-3", None),
        ("\u00b2", None),
        ("1 Jan 99999999999999999999999 00:00:00", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


def test_retry_after_counts_from_the_given_instant() -> None:
    assert retry_after("Fri, 27 Nov 2026 03:01:00 GMT", NOW + timedelta(seconds=30)) == 30


def test_a_breaker_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(threshold=3, rest_s=10)
    for now in (0.0, 1.0):
        breaker = breaker.failed(now)
    assert breaker.state(1) is Circuit.CLOSED
    assert breaker.succeeded().failures == 0
    breaker = breaker.failed(2)
    assert breaker.state(2) is Circuit.OPEN
    assert not breaker.allows(11.9)
    assert breaker.allows(12)


def test_one_trial_goes_through_and_closes_the_breaker_or_doubles_its_rest() -> None:
    breaker = Breaker(threshold=1, rest_s=10, longest_s=25).failed(0)
    trying = breaker.tries(10, patience_s=5)
    assert not trying.allows(12), "a second one must wait for the first"
    assert trying.allows(15), "a trial that never came back keeps nobody away for ever"
    again = trying.failed(12)
    assert again.until == 12 + 20
    assert again.failed(33).until == 33 + 25
    closed = trying.succeeded()
    assert closed.state(12) is Circuit.CLOSED
    assert closed.failed(13).until == 13 + 10, "after a success the rest is short again"


def test_what_fails_while_it_is_open_does_not_prolong_the_rest() -> None:
    breaker = Breaker(threshold=1, rest_s=10).failed(0)
    assert breaker.failed(5).until == breaker.until


def test_a_trial_is_none_while_it_is_closed() -> None:
    assert Breaker().tries(5) == Breaker()


def test_a_bucket_lets_a_burst_go_and_spreads_the_rest() -> None:
    bucket = Bucket.full(rate=2, burst=3, now=0)
    waits = []
    for _ in range(5):
        bucket, wait = bucket.take(0)
        waits.append(wait)
    assert waits == [0, 0, 0, 0.5, 1.0]
    assert bucket.level(1) == 0
    assert bucket.level(100) == 3


def test_a_bucket_believes_less_but_not_more() -> None:
    bucket = Bucket.full(rate=1, burst=10, now=0)
    assert bucket.learned(0, 2).level(0) == 2
    assert bucket.learned(0, 2).learned(0, 9).level(0) == 2


def test_a_bucket_that_was_told_to_rest_rests() -> None:
    bucket = Bucket.full(rate=1, burst=10, now=0).blocked(30).blocked(20)
    _, wait = bucket.take(5)
    assert wait == 25


def test_a_bucket_keeps_a_new_pace() -> None:
    bucket = Bucket.full(rate=10, burst=10, now=0).paced(0, 0.5, burst=1)
    bucket, first = bucket.take(0)
    _, second = bucket.take(0)
    assert (first, second) == (0, 2)


def test_a_clock_of_another_worker_that_is_behind_makes_no_tokens() -> None:
    bucket, _ = Bucket.full(rate=1, burst=5, now=10).take(10)
    bucket, _ = bucket.take(8)
    assert bucket.level(10) == 3


@pytest.mark.parametrize("bad", [{"rate": 0, "burst": 1}, {"rate": 1, "burst": 0}])
def test_a_bucket_without_rate_or_burst_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="needs a rate"):
        Bucket.full(**bad, now=0)
    with pytest.raises(ValueError, match="needs a rate"):
        Bucket.full(rate=1, burst=1, now=0).paced(0, **bad)
    with pytest.raises(ValueError, match="never go"):
        Bucket.full(rate=1, burst=1, now=0).take(0, cost=2)
