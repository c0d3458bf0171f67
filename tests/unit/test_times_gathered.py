"""Times of requests are gathered for a moment; what arrives in the histogram is what each alone would have made."""

import asyncio
import random
from typing import Any, cast

from prometheus_client import REGISTRY, CollectorRegistry, Histogram

from malha.api import observe

NAME = "malha_http_request_seconds"
LABELS = {"method": "GET", "route": "/of-this-test", "status": "2xx"}
BOUNDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


def note(counts: observe.Counts, seconds: float) -> None:
    counts("GET", "/of-this-test", 200, seconds, cast("Any", {}))


async def test_every_time_is_in_the_bucket_where_it_belongs() -> None:
    chance = random.Random(3)
    times = [*BOUNDS, 0.0, 10.0001, 3_600.0, *(chance.expovariate(20) for _ in range(500))]
    alone = CollectorRegistry()
    plain = Histogram("plain", "One by one.", buckets=BOUNDS, registry=alone)
    counts = observe.Counts()
    for at in range(0, len(times), 100):
        for seconds in times[at : at + 100]:
            note(counts, seconds)
            plain.observe(seconds)
        counts.flush()
    for bound in (*map(str, BOUNDS), "+Inf"):
        taken = REGISTRY.get_sample_value(f"{NAME}_bucket", {**LABELS, "le": bound})
        assert taken == alone.get_sample_value("plain_bucket", {"le": bound}), bound
    assert REGISTRY.get_sample_value(f"{NAME}_count", LABELS) == len(times)
    assert round(REGISTRY.get_sample_value(f"{NAME}_sum", LABELS) or 0, 6) == round(sum(times), 6)


async def test_what_was_gathered_is_written_without_another_request() -> None:
    counts = observe.Counts()
    before = REGISTRY.get_sample_value(f"{NAME}_count", LABELS) or 0
    note(counts, 0.1)
    async with asyncio.timeout(30):
        while REGISTRY.get_sample_value(f"{NAME}_count", LABELS) != before + 1:
            await asyncio.sleep(0.01)
