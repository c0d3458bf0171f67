"""Waves: held orders planned together again and again, and moved where that saves enough before their release.

The planning runs in a process of its own, which writes nothing. Each group it proposes moves in a transaction of its
own, which checks everything again.
"""

import asyncio

import msgspec
import structlog
from psycopg import OperationalError
from psycopg.errors import DeadlockDetected
from psycopg_pool import PoolTimeout

from malha.intake.moving import MoveRefused, Outcome, move_together
from malha.platform.db import Database, takes_nothing
from malha.platform.errors import Busy
from malha.platform.rounds import Rounds
from malha.platform.sequencer import rest
from malha.routing import wave_reads, waves
from malha.routing.solving import ask
from malha.routing.wave_model import Proposed

log = structlog.get_logger(__name__)

EVERY_S = 120.0
FIRST_S = 90.0  # after the start: other things come first
PATIENCE_S = 60.0
MODULE = "malha.routing.pricing.wave"
MOST_SAID = 500  # characters of what failed
LATER_S = 5.0  # nothing to plan without orders that are held for longer

_decode = msgspec.json.Decoder(Proposed).decode


async def run_waves(db: Database, stop: asyncio.Event, *, wanted: bool, least: int) -> None:
    """Plan and move what is held every `EVERY_S` seconds until `stop` is set; nothing where it is not wanted."""
    if not wanted:
        return
    await rest(stop, FIRST_S)
    rounds = Rounds(log, waits="wave_waits", failed="wave_failed")
    while not stop.is_set():
        with rounds:  # orders stay where they are
            if await _worth_it(db):
                await make_wave(db, least, stop)
        await rest(stop, EVERY_S)


async def _worth_it(db: Database) -> bool:
    """Return whether anything is held, and no other worker has just looked."""
    async with db.transaction() as tx:
        if await wave_reads.begun_within(tx, EVERY_S / 2):
            return False
        return bool(await wave_reads.held(tx, most=1, lines=99, margin_s=LATER_S))


async def make_wave(
    db: Database,
    least: int,
    stop: asyncio.Event | None = None,
    *,
    patience_s: float = PATIENCE_S,
    module: str = MODULE,
) -> Outcome:
    """Plan what is held once, and move what saves `least` centavos an order; return what that came to.

    What failed of it that nobody foresaw is kept with the wave; where it could not go on at all, it is raised then.
    """
    async with db.transaction() as tx:
        wave = await waves.begin(tx)
    try:
        return await _make(db, wave, least, stop, patience_s, module)
    except Exception as error:
        if _is_away(error):  # there is nothing to write to
            raise
        async with db.transaction() as tx:
            await waves.end(tx, wave, None, failure=_said(error))
        raise


async def _make(
    db: Database, wave: int, least: int, stop: asyncio.Event | None, patience_s: float, module: str
) -> Outcome:
    answer = await ask(module, db, stop, patience_s=patience_s, arguments=[str(least)])
    if answer.why is not None:
        if not answer.stopped:
            log.warning("wave_not_planned", said=answer.why)
        async with db.transaction() as tx:
            await waves.end(tx, wave, None, failure=answer.why)
        return Outcome(0, 0)
    proposed = _decode(answer.output)
    failed: list[Exception] = []
    done = await carry_out(db, wave, proposed, least, stop, failed)
    failure = f"{len(failed)} of {len(proposed.groups)} groups: {_said(failed[0])}" if failed else None
    async with db.transaction() as tx:
        await waves.end(tx, wave, proposed, moved=done.moved, saved=done.saved, failure=failure)
    if done.moved:
        log.info("wave_moved", orders=proposed.orders, moved=done.moved, saved=done.saved)
    return done


async def carry_out(
    db: Database,
    wave: int,
    proposed: Proposed,
    least: int,
    stop: asyncio.Event | None = None,
    failed: list[Exception] | None = None,
) -> Outcome:
    """Move what a wave proposed, as far as it is still so; a group that somebody has in hand is left.

    So is one that fails as nobody foresaw, which `failed` takes: the others have nothing to do with it.
    """
    moved = saved = 0
    for group in proposed.groups:
        if stop is not None and stop.is_set():
            break
        try:
            async with db.transaction() as tx:
                done = await move_together(tx, wave, group, least)
        except (MoveRefused, Busy, DeadlockDetected) as error:
            log.info("wave_left_orders", orders=len(group), why=str(error))
            continue
        except Exception as error:
            if _is_away(error):  # for the others, too
                raise
            log.exception("wave_group_failed", wave=wave, orders=len(group))
            if failed is not None:
                failed.append(error)
            continue
        moved += done.moved
        saved += done.saved
    return Outcome(moved, saved)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:MOST_SAID]


def _is_away(error: Exception) -> bool:
    """Tell whether it is the database that is gone (by no state of its own, or that of a server that ends) or full."""
    if takes_nothing(error):
        return True
    if isinstance(error, OperationalError):
        return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
    return isinstance(error, PoolTimeout)
