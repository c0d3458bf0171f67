"""`malha simulate`: past orders decided again in a network changed on paper, for people or as JSON."""

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from malha.cli.runtime import runtime
from malha.network import reads as network
from malha.platform.clock import now
from malha.platform.db import Database
from malha.platform.flaws import refuse
from malha.platform.i18n import money
from malha.platform.settings import Settings
from malha.simulation import reads, service, trying
from malha.simulation.gap_rules import MOST_LINES, Compared, captured, ratio, whole
from malha.simulation.model import (
    TAKEN_OFF,
    At,
    Beyond,
    Bill,
    Costed,
    Draft,
    Freight,
    Gap,
    NoBound,
    Opening,
    Result,
    Scenario,
    Sums,
    Together,
    Unknown,
)

FREIGHT = re.compile(r"(?P<from>[A-Z]{2}|\*):(?P<to>[A-Z]{2}|\*)=(?P<percent>\d{1,4})")
OPENING = re.compile(r"(?P<name>[^:]+):(?P<state>[A-Z]{2})=(?P<share>\d{1,3})%(?P<source>.+)")


def command(
    *,
    days: Annotated[int, typer.Option(min=1, max=800, help="Orders of the last days, today included.")] = 30,
    channel: Annotated[str | None, typer.Option(help="Only orders of this channel.")] = None,
    close: Annotated[list[str] | None, typer.Option(help="A location that takes no orders; may be repeated.")] = None,
    keep: Annotated[list[str] | None, typer.Option(help="Units of every SKU kept back, as STORE=2.")] = None,
    capacity: Annotated[list[str] | None, typer.Option(help="Orders a day, as STORE=40.")] = None,
    freight: Annotated[
        list[str] | None, typer.Option(help="Percent of the carriage by states, as SP:RJ=120 or *:BA=90.")
    ] = None,
    open_: Annotated[
        list[str] | None,
        typer.Option("--open", help="A location not there, as NAME:PE=20%CD1: a share of CD1's stock."),
    ] = None,
    split_penalty: Annotated[int, typer.Option(min=0, help="Centavos each further parcel counts in choosing.")] = 0,
    scenario: Annotated[Path | None, typer.Option(help="A file with the whole scenario as JSON (- for stdin).")] = None,
    rules: Annotated[
        int | None,
        typer.Option(help="Id of a draft of the routing rules, or of a published set, that decides on paper."),
    ] = None,
    costs: Annotated[
        int | None, typer.Option(help="Id of a draft of the costs of routing by which plans are compared on paper.")
    ] = None,
    gap: Annotated[
        bool, typer.Option(help="Compare each day with its hindsight bound, in a process of its own.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, on the last line.")] = False,
) -> None:
    """Decide past orders again in a network changed on paper. Nothing real changes, nothing is stored."""
    if scenario is None:
        wanted = _scenario(close or [], keep or [], capacity or [], freight or [], open_ or [], split_penalty)
    else:
        text = sys.stdin.read() if str(scenario) == "-" else scenario.read_text("utf-8")
        try:
            wanted = msgspec.json.decode(text, type=Scenario)
        except msgspec.MsgspecError as error:
            raise typer.BadParameter(f"the scenario cannot be read: {error}") from None
    draft_of = partial(
        Draft,
        name="malha simulate",
        channel=channel,
        scenario=wanted,
        rule_set=rules,
        cost_draft=costs,
    )
    with runtime() as settings:
        asyncio.run(_simulate(settings, draft_of, days, gap=gap, as_json=as_json))


def _scenario(
    close: list[str], keep: list[str], capacity: list[str], freight: list[str], opened: list[str], penalty: int
) -> Scenario:
    units, limits = _numbers("keep", keep), _numbers("capacity", capacity)
    codes = dict.fromkeys([*close, *units, *limits])
    return Scenario(
        locations=[
            At(location=code, closed=code in close, keep=units.get(code, 0), capacity=limits.get(code))
            for code in codes
        ],
        freight=[_freight(said) for said in freight],
        opened=[_opening(said) for said in opened],
        split_penalty=penalty,
    )


def _numbers(option: str, said: list[str]) -> dict[str, int]:
    found = {}
    for text in said:
        code, _, number = text.rpartition("=")
        if not code or not number.isdigit():
            raise typer.BadParameter(f"--{option} {text}: write it as LOCATION=NUMBER")
        found[code] = int(number)
    return found


def _freight(said: str) -> Freight:
    found = FREIGHT.fullmatch(said)
    if found is None:
        raise typer.BadParameter(f"--freight {said}: write it as FROM:TO=PERCENT, with * for any state")
    origin, target = (None if found[end] == "*" else found[end] for end in ("from", "to"))
    return Freight(percent=int(found["percent"]), from_state=origin, to_state=target)


def _opening(said: str) -> Opening:
    found = OPENING.fullmatch(said)
    if found is None:
        raise typer.BadParameter(f"--open {said}: write it as NAME:STATE=SHARE%LOCATION")
    return Opening(name=found["name"], state=found["state"], stock_from=found["source"], share=int(found["share"]))


async def _simulate(settings: Settings, draft_of: Callable[..., Draft], days: int, *, gap: bool, as_json: bool) -> None:
    console = Console(stderr=as_json)
    async with Database(settings.database_url or "", settings.retailer, max_size=2) as database:
        async with database.transaction() as tx:
            known = await network.snapshot(tx)
            today = now().astimezone(ZoneInfo(await service.zone_of(tx))).date()
            draft = draft_of(since=today - timedelta(days=days - 1), until=today)
            refuse(service.flaws_of(draft, known))
            span = await service.span_of(tx, draft, known)
            by_day = await reads.count_by_day(tx, span)
            tried = await trying.tried_of(tx, draft.rule_set)
            _, drafted = await trying.costs_tried_of(tx, draft.cost_draft)
            replay = await trying.replay_of(tx, draft.scenario, known, *tried, drafted)
        compared = Compared(by_day)
        began = time.monotonic()
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("orders", total=sum(by_day.values()))
            async for piece in service.pieces(database, span):
                if replay.asks_goods or replay.asks_kinds:
                    async with database.transaction() as tx:
                        await trying.learn(tx, replay, piece)
                service.take(replay, piece, compared)
                progress.advance(bar, len(piece))
            result = replay.finish()
            result.seconds = round(time.monotonic() - began, 2)
            if gap:
                bounds = progress.add_task("bounds by day", total=sum(bool(d.compared) for d in compared.days.values()))

                async def going(done: int) -> bool:
                    progress.update(bounds, completed=done)
                    return True

                result.gap = await service.gap_or_why(database, span, compared, going)
    if as_json:
        print(msgspec.json.encode(result).decode())
    else:
        _tell(console, result, draft.since, draft.until)


def _tell(console: Console, result: Result, since: date, until: date) -> None:
    before, after = result.before.total, result.after.total
    console.print(f"{before.orders} orders from {since} to {until}, {result.moved} would have gone another way.")
    if not before.orders:
        console.print("No order of these days has a stored decision.")
        return
    table = Table("", "as it was", "on paper", "difference")
    for name, was, would, shown in (
        ("cost", before.cost, after.cost, money),
        ("cost an order", before.cost // before.orders, after.cost // after.orders, money),
        ("parcels", before.packages, after.packages, str),
        ("orders in several parcels", before.split, after.split, str),
        ("units without a location", before.unplaced, after.unplaced, str),
    ):
        table.add_row(name, shown(was), shown(would), shown(would - was))
    table.add_row("business days on the way", *(f"{days:.2f}" for days in _transits(before, after)))
    console.print(table)
    if result.costed is not None:
        console.print(_costed(result.costed))
    if result.ruled is not None:
        runs = Table("run of the rules on paper", "orders")
        for name, orders in result.ruled.runs.items():
            runs.add_row(name, str(orders))
        runs.add_row("(none)", str(result.ruled.none))
        console.print(runs)
        rows = ", ".join(
            f"{n}: {orders}" for n, orders in sorted(result.ruled.rows.items(), key=lambda row: int(row[0]))
        )
        if rows:
            console.print(f"Orders that fitted each row of the table: {rows}.")
    _tell_together(console, result.together)
    _tell_gap(console, result.gap)
    places = Table("location", "orders", "on paper", "most in a day", "on paper")
    for code in sorted({*result.before.locations, *result.after.locations}):
        was_load, load = result.before.locations.get(code), result.after.locations.get(code)
        places.add_row(
            code,
            str(was_load.orders if was_load else 0),
            str(load.orders if load else 0),
            str(was_load.peak if was_load else 0),
            str(load.peak if load else 0),
        )
    console.print(places)


def _tell_gap(console: Console, gap: Gap | None) -> None:
    if gap is None:
        return
    if gap.days:
        console.print(_gap(gap))
    for said in _without(gap):
        console.print(said)


UNTOLD = {
    Unknown.PLACE: "the place was not there yet",
    Unknown.CARRIAGE: "the carriage was not looked at",
    Unknown.STOCK: "stock elsewhere was not looked at",
    Unknown.NETWORK: "the network or its costs changed since",
    Unknown.TERMS: "taxes or distances elsewhere were not looked at",
    Unknown.NEXT: "what the next rule asked is not kept",
}


def _tell_together(console: Console, together: Together | None) -> None:
    if together is None:
        return
    console.print(f"Goods came together in {together.before} orders, on paper in {together.after}.")
    if together.today:
        console.print(f"Orders decided in another network, with today's ways between locations: {together.today}.")
    for why, orders in together.unknown.items():
        numbers = ", ".join(kept.number for kept in together.kept if kept.why is why)
        console.print(f"Orders that stay as they were, because {UNTOLD[why]}: {orders} ({numbers}).")


def _costed(costed: Costed) -> Table:
    """Return each term of the costs tried: of the real plans then, of the same plans, and of those on paper."""
    table = Table("term", "as decided", "the same plans, costs on paper", "plans on paper")
    for name in (*Bill.__struct_fields__, "total"):
        amounts = [getattr(bill, name) for bill in (costed.then, costed.kept, costed.after)]
        if any(amounts):
            sign = -1 if name in TAKEN_OFF else 1
            table.add_row(name, *(money(sign * amount) for amount in amounts))
    return table


def _gap(gap: Gap) -> Table:
    """Return each day beside what hindsight would have let it cost."""
    table = Table("day", "orders", "compared", "cost over bound", "on paper", "certificate", "gap captured")
    rows = [(day, found) for day, found in gap.days.items()]
    for day, found in [*rows, ("all", whole(gap.days.values()))]:
        shares = (ratio(found.live, found.bound), ratio(found.draft, found.bound))
        gained = captured(found)
        table.add_row(
            day,
            str(found.orders),
            str(found.compared),
            *("" if share is None else f"{share:.4f}" for share in shares),
            f"{found.certificate:.2%}",
            "" if gained is None else f"{gained:.1%}",
        )
    return table


WHY = {
    NoBound.TIME: "for lack of time",
    NoBound.DEFECT: "for a defect",
    NoBound.ENDED: "because their process ended (the log has it)",
    NoBound.MOVED: "because orders were decided meanwhile",
}
BEYOND = {
    Beyond.AGED: "credit for aged stock",
    Beyond.NOWHERE: "without a location",
    Beyond.KIT: "kits",
    Beyond.LINES: f"more than {MOST_LINES} lines",
    Beyond.SHORT: "not placed in full",
    Beyond.PARTED: "a line from several locations",
}


def _without(gap: Gap) -> Iterator[str]:
    """Yield what the bounds do not say, and why."""
    if not gap.days and not gap.left:
        yield "No order of these days can be compared with a bound of hindsight."
    elif not gap.days:
        yield "No bound of hindsight could be worked out."
    for why, days in gap.why.items():
        said = f" ({gap.said}; the log has it)" if why is NoBound.DEFECT else ""
        yield f"Days without a bound {WHY[why]}{said}: {days}."
    if gap.beyond:
        orders = ", ".join(f"{BEYOND[why]} {n}" for why, n in sorted(gap.beyond.items()))
        yield f"Orders left out of the comparison: {orders}."
    if gap.busy:
        yield f"Paid for places on busy days, which the bounds count as nothing: {money(gap.busy)}."


def _transits(before: Sums, after: Sums) -> tuple[float, float, float]:
    was, would = (sums.transit / sums.timed if sums.timed else 0.0 for sums in (before, after))
    return was, would, would - was
