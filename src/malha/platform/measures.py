"""What the platform counts. A capability that counts something of its own declares it in its own module.

Import after `metrics.share` (see there): importing this decides where values are kept.
"""

from prometheus_client import Counter, Gauge, Histogram

_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

REQUESTS = Counter("malha_http_requests", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("malha_http_request_seconds", "Time to answer.", ["route"], buckets=_LATENCY)
EVENTS_SEQUENCED = Gauge("malha_event_position", "Last position of the event log.", multiprocess_mode="livemostrecent")
OUTBOX_WAITING = Gauge(
    "malha_outbox_waiting", "Committed events that are not in the log yet.", multiprocess_mode="livemostrecent"
)
SUBSCRIBER_LAG = Gauge(
    "malha_subscriber_lag", "Events a subscriber has yet to read.", ["subscriber"], multiprocess_mode="livemostrecent"
)
PARKED_KEYS = Gauge(
    "malha_parked_keys", "Aggregates whose events need attention.", ["subscriber"], multiprocess_mode="livemostrecent"
)
JOBS = Counter("malha_jobs", "Background jobs ended.", ["task", "outcome"])
JOB_SECONDS = Histogram("malha_job_seconds", "Time a background job took.", ["task"])
PROCESS_STARTS = Counter("malha_process_starts", "Starts of web processes and workers.", ["role"])
