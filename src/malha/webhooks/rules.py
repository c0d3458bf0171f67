"""Decisions about webhooks: signatures, identifiers, when to try again, what a log may keep of an answer."""

import base64
import binascii
import hashlib
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from malha.channels.signatures import SECRET_PREFIX
from malha.platform.retrying import Breaker
from malha.webhooks.model import APART_AFTER, DISABLE_AFTER

SECRET_BYTES = 32
OVERLAP = timedelta(hours=24)  # how long a former secret signs too

# The longest wait after each failed attempt; the true one is drawn between nothing and it. About two days on average,
# four at most; then the delivery is given up, and can be replayed.
SCHEDULE_S = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 57_600, 86_400, 86_400)
MOST_ATTEMPTS = len(SCHEDULE_S) + 1
LONGEST_REST_S = 86_400.0

# The ring: how long what happened to events is kept.
DELIVERED_KEPT = timedelta(days=3)
FAILED_KEPT = timedelta(days=30)
WAITS_AT_MOST = timedelta(days=30)
MINUTES_KEPT = timedelta(days=8)

BUCKETS_MS = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 350, 500, 750, 1_000, 2_000, 5_000, 10_000)
ANSWER_KEPT = 300
_SECRET = re.compile(
    r"(?i)(bearer\s+|basic\s+|(?:[\w-]*(?:token|secret|password|senha|authorization|api[-_]?key)[\w-]*)[\"']?\s*[:=]\s*[\"']?"
    r"(?:(?:bearer|basic)\s+)?)"
    r"[^\s\"',;&<>]+"
)
_CARD_OR_DOCUMENT = re.compile(r"\b\d[\d .-]{9,}\d\b")
_EMAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+\.[^\s@\"'<>]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def breaker() -> Breaker:
    """Return the breaker of a healthy endpoint."""
    return Breaker(threshold=10, rest_s=15.0, longest_s=3_600.0)


def secret_of(raw: bytes) -> str:
    """Return a secret as people see it."""
    return SECRET_PREFIX + base64.b64encode(raw).decode()


def key_of(secret: str) -> bytes:
    """Return the key that a secret stands for.

    Raises:
        ValueError: it is no secret of webhooks.
    """
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("no secret of webhooks") from error


def id_of(position: int, key: str, sequence: int, type_: str, at: datetime) -> str:
    """Return an event's public identifier: the same whenever and to whomever it is sent.

    Positions are given again after a restore to an earlier moment, so the identifier holds what happened as well.
    """
    facts = f"{position}\n{key}\n{sequence}\n{type_}\n{at.timestamp()}"
    return "evt_" + hashlib.sha256(facts.encode()).hexdigest()[:24]


def wait_after(attempts: int, after: float | None, draw: Callable[[float, float], float]) -> float:
    """Return how many seconds to wait after so many attempts (from 1): full jitter, never less than was asked for."""
    jittered = draw(0.0, SCHEDULE_S[min(max(attempts, 1), len(SCHEDULE_S)) - 1])
    return max(jittered, min(after, LONGEST_REST_S)) if after is not None else jittered


def gives_up(attempts: int, *, resting: bool) -> bool:
    """Tell whether a delivery is given up. While the whole address fails, one that is tried to see is not used up."""
    return attempts >= MOST_ATTEMPTS and not resting


def may_be_apart(since: datetime | None, at: datetime) -> bool:
    """Tell whether a failure at `at` may be too far from the one before it to be of the row that began `since`."""
    return since is not None and at - since > APART_AFTER


def is_disabled_by(failing_since: datetime | None, at: datetime) -> bool:
    """Tell whether an endpoint has failed for so long that it is told nothing more."""
    return failing_since is not None and at - failing_since > DISABLE_AFTER


def is_servers_fault(status: int | None) -> bool:
    """Tell whether an answer (None: none came) says that the server is in trouble, not that it dislikes an event."""
    return status is None or status == 429 or status >= 500


def redacted(body: bytes) -> str:
    """Return how an answer began, fit for a log: without secrets, long numbers and addresses of people."""
    text = _CONTROL.sub(" ", body[: ANSWER_KEPT * 2].decode("utf-8", "replace"))
    text = _SECRET.sub(lambda found: f"{found[1]}…", text)
    text = _EMAIL.sub("…@…", _CARD_OR_DOCUMENT.sub("…", text))
    return text[:ANSWER_KEPT]


def bucket_of(ms: int) -> int:
    """Return which bucket counts an answer that took so long."""
    return min(bisect_left(BUCKETS_MS, ms), len(BUCKETS_MS) - 1)


def percentile(counts: Sequence[int], share: float) -> int | None:
    """Return the milliseconds within which a share of answers came, by the bucket's upper end; None without any."""
    total = sum(counts)
    if not total:
        return None
    seen = 0
    for ms, count in zip(BUCKETS_MS, counts, strict=False):
        seen += count
        if seen >= share * total:
            return ms
    return BUCKETS_MS[-1]
