"""`malha bench`: benchmarks as ratios measured in one run; with `--json` the last line is machine-readable."""

import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Measure this machine's Malha.")


def _show(title: str, figures: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(figures).decode())
        return
    table = Table(title=title, show_header=False)
    for name, figure in figures.items():
        table.add_row(name, str(figure))
    Console().print(table)


def _end(*_: object) -> None:
    raise KeyboardInterrupt


def _refuse_unknown(only: str, parts: Collection[str]) -> None:
    unknown = [name for name in only.split(",") if name.strip() and name.strip() not in parts]
    if unknown:
        known = ", ".join(parts)
        Console(stderr=True).print(f"There is no part {', '.join(unknown)}. There are: {known}.", style="red")
        raise typer.Exit(2)


@contextmanager
def _saying() -> Iterator[Callable[[str], None]]:
    """Say what is done at the moment: on a terminal in place, elsewhere line by line.

    Meanwhile a request to end is an interruption, so that nothing of a benchmark is left behind.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    console = Console(stderr=True)
    with console.status("Starting") as status:

        def say(text: str) -> None:
            status.update(text)
            if not console.is_terminal:
                console.print(text)

        yield say


@app.command()
def intake(
    seconds: Annotated[int, typer.Option(min=2, help="Seconds per turn; two turns each of orders and TPC-B.")] = 15,
    connections: Annotated[int, typer.Option(min=1, max=1000, help="Concurrent buyers.")] = 64,
    hot: Annotated[bool, typer.Option("--hot", help="All buyers want one SKU.")] = False,
    web_workers: Annotated[int, typer.Option(min=1, max=16, help="Web processes.")] = 2,
    port: Annotated[int, typer.Option(help="Port to serve on meanwhile.")] = 18917,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """Durable orders a second over HTTP, beside pgbench's TPC-B on the same server in the same run."""
    from malha.bench import intake as bench  # noqa: PLC0415 - heavy, and only here
    from malha.bench.load import LoadMissing  # noqa: PLC0415

    try:
        with _saying() as say:
            run = bench.run_hot if hot else bench.run
            report = run(seconds=seconds, connections=connections, web_workers=web_workers, port=port, say=say)
    except LoadMissing as missing:
        Console(stderr=True).print(str(missing), style="red")
        raise typer.Exit(2) from None
    _show("Intake on one SKU" if hot else "Intake", msgspec.structs.asdict(report), as_json=as_json)
    if report.oversold or report.drift:
        raise typer.Exit(1)


@app.command()
def loop(
    orders: Annotated[int, typer.Option(min=1, help="Orders of each size.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """For how long very large orders keep a web process from answering anybody else."""
    from malha.bench.loop import measure  # noqa: PLC0415 - heavy, and only here

    _show("Event loop under large orders", msgspec.structs.asdict(measure(orders=orders)), as_json=as_json)


@app.command()
def replay(
    orders: Annotated[int, typer.Option(min=1_000, max=10_000_000, help="Stored decisions.")] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """Stored decisions, read and decided again by one process, each compared byte for byte."""
    from malha.bench.replaying import measure  # noqa: PLC0415 - heavy, and only here

    with _saying() as say:
        report = measure(orders, say)
    _show("Replay", msgspec.structs.asdict(report), as_json=as_json)
    if report.differ:
        raise typer.Exit(1)


@app.command()
def imports(
    rows: Annotated[int, typer.Option(min=1_000, help="Rows of the table.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """A very large table of stock, uploaded, checked and applied: rows a second, and the memory it takes."""
    from malha.bench.imports import measure  # noqa: PLC0415 - heavy, and only here

    with _saying() as say:
        report = measure(rows, say)
    _show("Imports", msgspec.structs.asdict(report), as_json=as_json)
    if report.drift:
        raise typer.Exit(1)


@app.command()
def feeds(
    listings: Annotated[
        int | None, typer.Option(min=1_000, max=10_000_000, help="Listings; 20,000 if not said.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="The published size: a million listings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """A channel's whole catalogue as a feed, and what changed in it: rows a second, and the memory it takes."""
    from malha.bench import feeds as bench  # noqa: PLC0415 - heavy, and only here

    with _saying() as say:
        report = bench.measure(listings or (bench.FULL if full else bench.QUICK), say)
    _show("Feeds", msgspec.structs.asdict(report), as_json=as_json)
    if report.feed_wrong:
        raise typer.Exit(1)


@app.command()
def reads(
    orders: Annotated[
        int, typer.Option(min=1_000, max=100_000_000, help="Orders; ten rows of the ledger for each.")
    ] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=10, max=100_000, help="Times each thing is asked.")] = 200,
    only: Annotated[str, typer.Option(help="Ask only what has this in its name.")] = "",
    home: Annotated[Path | None, typer.Option(help="Keep the data in this directory, and use what is there.")] = None,
    port: Annotated[int, typer.Option(help="Port to serve on meanwhile.")] = 18918,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """How long pages, lists, searches and availability take over a retailer with years behind it."""
    from malha.bench import reading as bench  # noqa: PLC0415 - heavy, and only here

    with _saying() as say:
        report = bench.run(orders=orders, rounds=rounds, port=port, home=home, only=only, say=say)
    _show("Reads", report.flat() if as_json else report.lines(), as_json=as_json)
    if report.missed:
        raise typer.Exit(1)


@app.command()
def stock(
    full: Annotated[
        bool, typer.Option("--full", help="The published size, and all of it again in front of a ledger of years.")
    ] = False,
    ledger_rows: Annotated[
        int | None,
        typer.Option(min=0, help="With --full: rows of that ledger; 100,000,000 if not said, 0 for none."),
    ] = None,
    only: Annotated[str, typer.Option(help="Only these parts, like `snapshot,deltas`.")] = "",
    port: Annotated[int, typer.Option(help="Port to serve on meanwhile.")] = 18919,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """What stock costs: races for last units, snapshots, changes, availability, the push to channels."""
    from malha.bench import stock as bench  # noqa: PLC0415 - heavy, and only here

    _refuse_unknown(only, bench.PARTS)
    with _saying() as say:
        size = bench.FULL if full else bench.QUICK
        if full and ledger_rows is not None:
            size = msgspec.structs.replace(size, ledger_rows=ledger_rows)
        figures = bench.run(size, only.split(","), port, say)
    _show("Stock", figures, as_json=as_json)
    if any(figures.get(name) for name in figures if name.endswith("_drift")):
        raise typer.Exit(1)


@app.command()
def hooks(
    seconds: Annotated[float, typer.Option(min=1, max=60, help="Seconds of events at an even rate.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """Webhooks to a server of this machine: events a second, the way from commit to arrival, lost, doubled."""
    from malha.bench import hooks as bench  # noqa: PLC0415 - heavy, and only here

    with _saying() as say:
        figures = bench.hooks(seconds, say)
    _show("Webhooks", figures, as_json=as_json)
    if figures["hooks_lost"]:
        raise typer.Exit(1)


@app.command()
def channels(
    seconds: Annotated[
        float | None, typer.Option(min=2, max=600, help="Seconds of stock changes and of webhooks; 5 if not said.")
    ] = None,
    orders: Annotated[
        int | None, typer.Option(min=10, max=1_000_000, help="Orders through the faults; 300 if not said.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="The published size: 30 s, 10,000 orders, a feed of a million listings.")
    ] = False,
    only: Annotated[str, typer.Option(help="Only these parts: pushes, webhooks, faults, feeds.")] = "",
    port: Annotated[int, typer.Option(help="Port to serve on meanwhile.")] = 18921,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """Connections to channels: stock out, orders in, and all that breaks; what is lost, doubled and different."""
    from malha.bench.channels import run as bench  # noqa: PLC0415 - heavy, and only here

    _refuse_unknown(only, bench.PARTS)
    size = bench.FULL if full else bench.QUICK
    size = msgspec.structs.replace(size, seconds=seconds or size.seconds, orders=orders or size.orders)
    with _saying() as say:
        figures = bench.run(size, only.split(","), port, say)
    _show("Channels", figures, as_json=as_json)
    if not bench.is_right(figures):
        raise typer.Exit(1)


@app.command()
def promise(
    train: Annotated[Path, typer.Option(help="Folder of the Olist dataset, parquet or CSV, to learn from.")],
    test: Annotated[
        Path | None, typer.Option(help="Folder with later orders to promise; else the last quarter of --train.")
    ] = None,
    level: Annotated[
        float | None, typer.Option(min=0.8, max=0.99, help="Share of promises to keep; else as many as Olist kept.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """Promised dates over the orders of Olist, day after day, against the dates that Olist gave. Takes minutes."""
    try:
        from malha.bench import promise as bench  # noqa: PLC0415 - heavy, and only here
    except ModuleNotFoundError as missing:
        if missing.name != "lightgbm":
            raise
        says = "LightGBM is not installed, and this benchmark learns with it. Run: pip install 'malha[learn]'"
        Console(stderr=True).print(says, style="red", markup=False)
        raise typer.Exit(2) from None
    try:
        with _saying() as say:
            report = bench.run(train, test, level, say)
    except bench.DataMissing as missing:
        Console(stderr=True).print(str(missing), style="red")
        raise typer.Exit(2) from None
    _show("Promises", msgspec.to_builtins(report), as_json=as_json)


@app.command(name="promise-page")
def promise_page(
    seconds: Annotated[int, typer.Option(min=2, help="Seconds it is asked.")] = 20,
    connections: Annotated[int, typer.Option(min=1, max=1000, help="Pages asked for at the same time.")] = 64,
    web_workers: Annotated[int, typer.Option(min=1, max=16, help="Web processes.")] = 2,
    changes: Annotated[int, typer.Option(min=1, help="Balances changed a second meanwhile.")] = 1_000,
    port: Annotated[int, typer.Option(help="Port to serve on meanwhile.")] = 18919,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """Promises of product pages over HTTP while stock moves: how long they take, and whether any is stale."""
    from malha.bench import promise_page as bench  # noqa: PLC0415 - heavy, and only here
    from malha.bench.load import LoadMissing  # noqa: PLC0415

    try:
        with _saying() as say:
            report = bench.run(
                seconds=seconds, connections=connections, web_workers=web_workers, port=port, changes=changes, say=say
            )
    except LoadMissing as missing:
        Console(stderr=True).print(str(missing), style="red")
        raise typer.Exit(2) from None
    _show("Product pages", report.figures(), as_json=as_json)
    if report.stale or report.differ or report.failed:
        raise typer.Exit(1)


@app.command()
def routing(
    family: Annotated[
        str, typer.Option(help="js-small, oms-fast... (`all` lists them); decisions: how long one takes.")
    ] = "js-small",
    instances: Annotated[int, typer.Option(min=1, max=1000, help="How many of them.")] = 3,
    seed: Annotated[int, typer.Option(help="What they are made from.")] = 2026,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Instances played at the same time.")] = 1,
    data: Annotated[Path, typer.Option(help="Directory with the lists of cities and centres.", file_okay=False)] = Path(
        "../shared/prototypes/routing/data"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """How near routing comes to the mathematical optimum, and what simpler rules cost."""
    from malha.bench.routing.families import FAMILIES, PlacesMissing  # noqa: PLC0415 - heavy, and only here
    from malha.bench.routing.run import run  # noqa: PLC0415

    if family == "decisions":
        from malha.bench.routing.decisions import time_decisions  # noqa: PLC0415

        with _saying() as say:
            timed = time_decisions(say, seed=seed)
        _show("Routing", msgspec.to_builtins(timed), as_json=as_json)
        return
    if family not in FAMILIES:
        known = "; ".join(f"{name}: {found.says}" for name, found in FAMILIES.items())
        Console(stderr=True).print(f"There is no family {family}. There are {known}.", style="red")
        raise typer.Exit(2)
    try:
        with _saying() as say:
            found = run(family, data, instances=instances, seed=seed, processes=processes, say=say)
    except PlacesMissing as missing:
        Console(stderr=True).print(str(missing), style="red")
        raise typer.Exit(2) from None
    _show("Routing", found, as_json=as_json)
