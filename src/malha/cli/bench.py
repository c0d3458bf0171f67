"""`malha bench`: benchmarks as ratios measured in one run; with `--json` the last line is machine-readable."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Measure this machine's Malha.")


def _show(title: str, report: msgspec.Struct, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(report).decode())
        return
    table = Table(title=title, show_header=False)
    for name in report.__struct_fields__:
        table.add_row(name, str(getattr(report, name)))
    Console().print(table)


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

    console = Console(stderr=True)
    try:
        with console.status("Starting") as status:

            def say(text: str) -> None:
                status.update(text)
                if not console.is_terminal:
                    console.print(text)

            run = bench.run_hot if hot else bench.run
            report = run(seconds=seconds, connections=connections, web_workers=web_workers, port=port, say=say)
    except LoadMissing as missing:
        console.print(str(missing), style="red")
        raise typer.Exit(2) from None
    _show("Intake on one SKU" if hot else "Intake", report, as_json=as_json)
    if report.oversold or report.drift:
        raise typer.Exit(1)


@app.command()
def loop(
    orders: Annotated[int, typer.Option(min=1, help="Orders of each size.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """For how long very large orders keep a web process from answering anybody else."""
    from malha.bench.loop import measure  # noqa: PLC0415 - heavy, and only here

    _show("Event loop under large orders", measure(orders=orders), as_json=as_json)


@app.command()
def imports(
    rows: Annotated[int, typer.Option(min=1_000, help="Rows of the table.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on the last line.")] = False,
) -> None:
    """A very large table of stock, uploaded, checked and applied: rows a second, and the memory it takes."""
    from malha.bench.imports import measure  # noqa: PLC0415 - heavy, and only here

    console = Console(stderr=True)
    with console.status("Starting") as status:
        report = measure(rows, status.update)
    _show("Imports", report, as_json=as_json)
    if report.drift:
        raise typer.Exit(1)
