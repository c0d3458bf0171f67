"""What the worker measures. A capability that counts something of its own declares it in its own module.

Import after `metrics.share` (see there): importing this decides where values are kept.
"""

import msgspec
from prometheus_client import Counter, Gauge, Histogram

from malha.platform import clocks
from malha.platform.db import Tx

EVENT_POSITION = Gauge("malha_event_position", "Last position of the event log.", multiprocess_mode="livemostrecent")
OUTBOX_WAITING = Gauge(
    "malha_outbox_waiting", "Committed events that are not in the log yet.", multiprocess_mode="livemostrecent"
)
SUBSCRIBER_LAG = Gauge(
    "malha_subscriber_lag", "Events a subscriber has yet to read.", ["subscriber"], multiprocess_mode="livemostrecent"
)
PARKED_KEYS = Gauge(
    "malha_parked_keys", "Aggregates whose events need attention.", ["subscriber"], multiprocess_mode="livemostrecent"
)
CLOCK_AHEAD = Gauge(
    "malha_clock_ahead_seconds",
    "How far the worker's clock is ahead of the database's.",
    multiprocess_mode="livemostrecent",
)
JOBS = Counter("malha_jobs", "Background jobs ended.", ["task", "outcome"])
JOB_SECONDS = Histogram("malha_job_seconds", "Time a background job took.", ["task"])

# One row and a table that is empty most of the time.
MEASURE_LOG = "SELECT position, (SELECT count(*) FROM outbox)::int AS waiting FROM sequencer"
# A handful of rows; parked keys are few or somebody has been told.
MEASURE_SUBSCRIBERS = """
SELECT s.name, (q.position - s.position) AS lag,
       (SELECT count(*) FROM parked_key p WHERE p.subscriber = s.name)::int AS parked
FROM subscriber s CROSS JOIN sequencer q
"""


class _Log(msgspec.Struct, frozen=True):
    position: int
    waiting: int


class _Subscriber(msgspec.Struct, frozen=True):
    name: str
    lag: int
    parked: int


async def measure_events(tx: Tx) -> None:
    """Set the gauges of the event log, of everybody who reads it, and of the clock."""
    CLOCK_AHEAD.set(await clocks.ahead_s(tx))
    log = await tx.one(_Log, MEASURE_LOG)
    EVENT_POSITION.set(log.position)
    OUTBOX_WAITING.set(log.waiting)
    for subscriber in await tx.all(_Subscriber, MEASURE_SUBSCRIBERS):
        SUBSCRIBER_LAG.labels(subscriber.name).set(subscriber.lag)
        PARKED_KEYS.labels(subscriber.name).set(subscriber.parked)
