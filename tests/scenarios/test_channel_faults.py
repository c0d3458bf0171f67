"""Orders over a connection while everything breaks and the worker is killed: nothing lost, nothing doubled, no difference."""

import httpx
import pytest
from tests.ports import free_port

from malha.bench.channels.faults import counted, faults
from malha.bench.channels.shop import CHANCES, Failure, shops


def test_orders_survive_what_breaks_and_a_worker_that_is_killed() -> None:
    # One in five fails. What answers nothing for a whole time-out is left out here: `malha bench channels` has it.
    chances = {failure: 2 * chance for failure, chance in CHANCES.items()} | {Failure.SILENT: 0.0}
    found = faults(80, free_port(), lambda _what: None, kills=1, chances=chances)
    assert found["fault_failures"] > 20
    assert found["fault_kills"] == 1
    assert (found["fault_shipped"], found["fault_cancelled"]) == (64, 16)
    wrong = {name: found[f"fault_{name}"] for name in ("lost", "doubled", "for_a_person", "hints_refused", "drift")}
    assert wrong == dict.fromkeys(wrong, 0)
    assert found["differences"] == 0


def test_what_is_lost_and_what_comes_twice_is_counted() -> None:
    assert counted(["1", "2"], ["2", "1"]) == (0, 0)
    assert counted(["1", "2", "3"], ["1", "1", "4"]) == (2, 2)


@pytest.mark.parametrize(
    ("failure", "heard", "says"),
    [
        (Failure.CUT, False, None),
        (Failure.LOST, True, None),
        (Failure.TRUNCATED, True, None),
        (Failure.BROKEN, False, 500),
        (Failure.CRASHED, True, 500),
        (Failure.GATEWAY, True, 502),
        (Failure.AWAY, False, 503),
        (Failure.LIMITED, False, 429),
    ],
)
def test_the_channel_fails_as_it_says(failure: Failure, heard: bool, says: int | None) -> None:
    with (
        shops(1, {failure: 1.0}) as (port,),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        http.post("/bench/sold", json=[{"id": "1", "version": 1, "status": "open", "total": 5}])
        try:
            status = http.post("/shipments", json={"order": "1"}, headers={"Idempotency-Key": "k"}).status_code
        except httpx.HTTPError:
            status = None
        assert status == says
        assert http.get("/bench/told").json()["shipments"] == ["1"] * heard
