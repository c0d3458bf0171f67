"""`malha bench channels`: its parts, and what they say together."""

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from malha.bench import feeds, stock_push
from malha.bench.channels.faults import faults
from malha.bench.channels.pushes import pushes
from malha.bench.channels.webhooks import webhooks

Say = Callable[[str], None]
# What the goals are about, before all the rest.
FIRST = (
    "lost",
    "doubled",
    "commit_to_send_p99_ms",
    "webhook_orders_per_s",
    "inbox_p99_ms",
    "feed_rows_per_s",
    "feed_peak_mb",
)


class Size(msgspec.Struct, frozen=True):
    """How much of everything."""

    seconds: float
    orders: int
    listings: int


QUICK = Size(5.0, 300, 20_000)
FULL = Size(30.0, 10_000, 1_000_000)


def _pushes(size: Size, port: int, say: Say) -> dict[str, Any]:
    """Ten connections over HTTP, and in the same run without connectors: what the machine gives at the moment."""
    found = pushes(size.seconds, port, say)
    say("The same without connectors")
    bare = stock_push.push(size.seconds, say)
    ratio = found["commit_to_send_p99_ms"] / max(bare["commit_to_send_p99_ms"], 0.1)
    return {
        **found,
        "push_bare_p99_ms": bare["commit_to_send_p99_ms"],
        "push_ratio": round(ratio, 2),
        "push_lost": found["push_missed"],
    }


def _webhooks(size: Size, port: int, say: Say) -> dict[str, Any]:
    return webhooks(size.seconds, port, say)


def _faults(size: Size, port: int, say: Say) -> dict[str, Any]:
    return faults(size.orders, port, say)


def _feeds(size: Size, _port: int, say: Say) -> dict[str, Any]:
    """In a process of its own: its memory is told apart from what the other parts left."""
    spawn = multiprocessing.get_context("spawn")
    hear, tell = spawn.Pipe(duplex=False)
    with spawn.Pool(1, _tell_by, (tell,)) as pool:
        measured = pool.apply_async(_measured_feeds, (size.listings,))
        while not measured.ready():
            if hear.poll(0.2):
                say(hear.recv())
        return measured.get()


_told: list[Connection] = []


def _tell_by(tell: Connection) -> None:
    _told.append(tell)


def _measured_feeds(listings: int) -> dict[str, Any]:
    (tell,) = _told
    return msgspec.structs.asdict(feeds.measure(listings, tell.send))


PARTS = {"pushes": _pushes, "webhooks": _webhooks, "faults": _faults, "feeds": _feeds}


def run(size: Size, only: Sequence[str], port: int, say: Say) -> dict[str, Any]:
    """Run the parts that are wanted (all without a wish); return their figures, and all that is lost or doubled.

    Raises:
        KeyError: there is no part of that name.
    """
    wanted = [name.strip() for name in only if name.strip()] or list(PARTS)
    found: dict[str, Any] = {"parts": ",".join(wanted), "lost": 0, "doubled": 0}
    for name in wanted:
        found |= PARTS[name](size, port, say)
    for what in ("lost", "doubled"):
        found[what] = sum(figure for name, figure in found.items() if name.endswith(f"_{what}"))
    return {name: found[name] for name in FIRST if name in found} | found


def is_right(figures: dict[str, Any]) -> bool:
    """Tell whether nothing is lost, doubled, different, drifting or left over."""
    wrong = ("lost", "doubled", "differences", "webhook_drift", "fault_drift", "fault_for_a_person", "feed_wrong")
    return not any(figures.get(name) for name in wrong) and figures.get("webhook_settled", True)
