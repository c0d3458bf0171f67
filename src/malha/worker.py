"""The worker process: the sequencer, the subscribers, background jobs and chores, beside the web processes.

Everything in it tolerates a second worker on the same database (locks decide who runs what) and a database that goes
away and comes back. It steps back in the queue for the processor (`worker_nice`), so that taking orders comes first.
"""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial

import msgspec
import structlog

from malha.catalog.pictures import service as pictures
from malha.channels import pushing, sending
from malha.channels.connecting import (
    following,
    housekeeping,
    inbox,
    operating,
    products,
    pulling,
    reconciling,
    samples,
    stock_looks,
    troubles,
)
from malha.channels.connecting.runtime import Runtime
from malha.channels.feeds import service as feeds
from malha.channels.listings import service as listings
from malha.exchange import at_once
from malha.exchange import service as exchange
from malha.flows import (
    order_to_cash,
    order_waves,
    partner_stock,
    promises_slip,  # noqa: F401 -- declares its job
    retrying,
    stock_from_channels,
    stock_sync,  # noqa: F401 -- declares its job
    telling,
)
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import (
    bulk,  # noqa: F401 -- declares its job
    learning_days,
    learning_risks,
    slipping,
)
from malha.identity import links  # noqa: F401 -- declares its job
from malha.identity import service as identity
from malha.intake.gate import Gate
from malha.inventory import service as inventory
from malha.inventory.allotments import service as allotments
from malha.inventory.closing import care_for_ledger
from malha.inventory.counts import suspicions
from malha.inventory.safety import service as safety
from malha.inventory.sync import applying
from malha.network import service as network
from malha.ordering import lateness
from malha.payments import (
    claims,
    giving_back,  # noqa: F401 -- declares its job
)
from malha.platform import i18n, idempotency, jobs, measures, sequencer, subscribers
from malha.platform.db import Database, Tx
from malha.platform.rounds import Rounds
from malha.platform.sequencer import rest
from malha.platform.settings import Settings
from malha.platform.supervision import end_soon
from malha.privacy import searching  # noqa: F401 -- declares its job
from malha.routing import aging, price_process
from malha.simulation import service as simulation
from malha.simulation import shadowing
from malha.webhooks import sending as webhooks

log = structlog.get_logger(__name__)


PATIENCE_S = 30.0  # with what it is at when it is told to stop


APART_S = 0.1  # between the first turns of two chores: all at once would want a connection and a plan each


RESTS = 4.0  # times as long as a step of a long chore took: it has a fifth of one processor, the rest is for customers


class Chore(msgspec.Struct, frozen=True):
    """Something done again and again, in transactions of its own; doing it twice at once must be harmless.

    What may take long is done step by step: `do` yields after each, outside of a transaction.
    """

    name: str
    every_s: float
    do: Callable[[Database], Awaitable[object] | AsyncGenerator[object, None]]
    first_s: float = 0.0  # after the start; what reads a lot is not to make a restart in a busy hour slow


def _in_one(do: Callable[[Tx], Awaitable[object]]) -> Callable[[Database], Awaitable[object]]:
    """Return what is done in one transaction as a chore does it."""

    async def work(db: Database) -> None:
        async with db.transaction() as tx:
            await do(tx)

    return work


CHORES = (
    Chore("measure", 5, _in_one(measures.measure_events)),
    Chore("retire_holds", 15, _in_one(inventory.retire_expired)),
    Chore("watch_pickups", 30, order_to_cash.watch_pickups),
    Chore("watch_payments", 10, order_to_cash.watch_payments),
    Chore("follow_slots", 15, order_to_cash.follow_slots),
    Chore("watch_names", 15, order_to_cash.watch_names),
    Chore("watch_rules", 60, order_to_cash.watch_rules),
    Chore("resume_locations", 15, _in_one(network.resume_due)),
    Chore("find_late", 30, _in_one(lateness.find_late)),
    Chore("fill_payment_claims", 300, claims.fill),
    Chore("care_for_messages", 15, telling.care_for_messages),
    Chore("build_feeds", 15, feeds.build_due),
    Chore("forget_replies", 60, _in_one(idempotency.forget_expired)),
    Chore("forget_sessions", 600, _in_one(identity.forget_expired)),
    Chore("forget_imports", 3600, _in_one(exchange.forget)),
    Chore("end_killed_imports", 15, _in_one(at_once.end_killed)),
    Chore("forget_pictures", 3600, _in_one(pictures.forget)),
    Chore("forget_simulations", 3600, _in_one(simulation.forget_old)),
    Chore("forget_shadows", 3600, _in_one(shadowing.forget_old)),
    Chore("decide_shadows", 2, shadowing.sweep),
    Chore("keep_stock_statements", 60, applying.keep_house),
    Chore("drop_old_events", 3600, _in_one(sequencer.drop_partitions)),
    Chore("care_for_allotments", 15, allotments.care),
    Chore("sweep_safety", 20, safety.sweep),
    Chore("suspect_stock", 6 * 3600, suspicions.look_everywhere, first_s=600),
    Chore("forget_deliveries", 60, webhooks.forget),
    Chore("care_for_ledger", 3600, care_for_ledger),
    Chore("offer_prices", 20, following.offer_prices),
    Chore("offer_listings", 20, listings.offer),
    Chore("sample_connections", 60, _in_one(samples.sample)),
    Chore("measure_connections", 30, _in_one(troubles.measure)),
    Chore("forget_connections", 3600, _in_one(housekeeping.forget_old)),
    Chore("learn_routing_risks", 600, learning_risks.renew, first_s=120),
    Chore("work_out_stock_ages", 600, aging.renew, first_s=180),
)


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Run everything that runs beside the web processes until `stop` is set."""
    if settings.database_url is None:
        raise ValueError("the worker needs a database URL")
    i18n.settle(settings.timezone)
    size = settings.worker_pool_size
    async with (
        Database(settings.database_url, settings.retailer, min_size=2, max_size=size) as database,
        Runtime(database, settings, take_stock=partner_stock.take_stock, keep=True) as runtime,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(sequencer.run_sequencer(database, stop))
        tasks.create_task(subscribers.run_subscribers(database, SUBSCRIPTIONS, stop))
        tasks.create_task(jobs.run_jobs(database, stop, concurrency=settings.worker_jobs, settings=settings))
        tasks.create_task(order_to_cash.run_release(database, stop))
        tasks.create_task(pushing.run_pushes(database, sending.senders(runtime), stop))
        tasks.create_task(_run_connections(runtime, stop))
        tasks.create_task(webhooks.run_sending(database, webhooks.sending_of(settings), stop))
        tasks.create_task(price_process.run_prices(database, stop, wanted=settings.stock_prices))
        tasks.create_task(order_waves.run_waves(database, stop, wanted=settings.waves, least=settings.wave_saving))
        days = partial(learning_days.renew, wanted=settings.learned_promises)
        slips = partial(
            slipping.watch,
            mode=settings.repromise,
            most=settings.repromise_most,
            quiet_hours=settings.repromise_hours,
        )
        more = (
            Chore("try_waiting_orders", 10, retrying.Retries().sweep, first_s=30),
            Chore("learn_promise_days", 600, days, first_s=90),
            Chore("watch_promises", 600, slips, first_s=180),
        )
        for place, chore in enumerate((*CHORES, *more)):
            tasks.create_task(_repeat(database, chore, stop, place * APART_S))


async def _run_connections(runtime: Runtime, stop: asyncio.Event) -> None:
    """Read from channels, handle what they told, tell them what is queued and compare, until `stop` is set."""
    gate = Gate(runtime.db)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pulling.run(runtime, stop))
            tasks.create_task(inbox.run(runtime, gate, stop))
            tasks.create_task(operating.run(runtime, stop))
            tasks.create_task(reconciling.run(runtime, stop))
            tasks.create_task(stock_looks.run(runtime, stop))
            tasks.create_task(products.run(runtime, stop))
            tasks.create_task(stock_from_channels.run(runtime, stop))
    finally:
        await gate.close()


async def _repeat(db: Database, chore: Chore, stop: asyncio.Event, later_s: float = 0.0) -> None:
    await rest(stop, chore.first_s + later_s)
    rounds = Rounds(log, waits="chore_waits", failed="chore_failed", chore=chore.name)
    while not stop.is_set():
        with rounds:
            await do_once(db, chore, stop)
        await rest(stop, chore.every_s)


async def do_once(db: Database, chore: Chore, stop: asyncio.Event) -> None:
    """Do a chore; between the steps of a long one rest `RESTS` times as long as the last one took."""
    doing = chore.do(db)
    if not isinstance(doing, AsyncGenerator):
        await doing
        return
    async with aclosing(doing):
        began = time.monotonic()
        async for _step in doing:
            await rest(stop, RESTS * (time.monotonic() - began))
            if stop.is_set():
                return
            began = time.monotonic()


async def run_until_signalled(settings: Settings) -> None:
    """Run the worker until SIGTERM or SIGINT; what it is at is finished first."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        stop.set()
        end_soon(loop, PATIENCE_S)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    log.info("worker_started")
    await run_worker(settings, stop)
    log.info("worker_stopped")
