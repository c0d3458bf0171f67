"""Write the generated pages of docs/reference from the code: settings, API, refusals, events, the command line.

`python tools/reference.py` writes them; `--check` writes nothing and exits 1, naming the pages that differ.
"""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec
import observed
import protocol
import typer.main

import malha
from malha.api import reference as api
from malha.cli.main import COMMANDS, build
from malha.platform import settings
from malha.platform.outbox import Event
from malha.webhooks import catalogue

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"
GENERATED = "This page is generated from the code: `make docs` writes it anew."


def load_all() -> None:
    """Import every `events` module, so that all subclasses are known."""
    for module in pkgutil.walk_packages(malha.__path__, "malha."):
        if module.name.rsplit(".", 1)[1] == "events":
            importlib.import_module(module.name)


def descendants(base: type) -> Iterator[type]:
    """Yield every subclass of the project, at any depth."""
    for child in base.__subclasses__():
        if child.__module__.startswith("malha."):
            yield child
        yield from descendants(child)


def cell(text: str) -> str:
    """Return text as one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def first_paragraph(what: object) -> str:
    """Return the first paragraph of a docstring as one line."""
    return " ".join(cleandoc(getattr(what, "__doc__", "") or "").split("\n\n")[0].split())


def events_page() -> str:
    """Return docs/reference/events.md: the public catalogue with examples, then what only the log knows."""
    lines = [
        "# Events",
        "",
        "What others are told by [webhooks and the feed](../how-to/receive-events.md), and what the log keeps.",
        "`GET /v1/event-types` gives the same with a JSON Schema for each type.",
        GENERATED,
        "",
        "## Public events",
        "",
        "Every event has one envelope: `id` (the same however often it is sent), `type`, `version`, `timestamp`,",
        "`subject` and `sequence` (events of one subject come in this order), `actor`, `cursor` (its place in the log)",
        "and `data`. Data hold codes, quantities and identifiers, no personal data. Fields may be added to a version;",
        "a changed meaning is a new version.",
        "",
        "| type | version | when | permission | data |",
        "|---|---|---|---|---|",
    ]
    for name, public in sorted(catalogue.PUBLIC.items()):
        fields = ", ".join(f"`{field.name}`" for field in public.fields)
        lines.append(f"| `{name}` | {public.version} | {cell(public.when)} | `{public.permission}` | {fields} |")
    lines += ["", "## Examples", ""]
    for name in sorted(catalogue.PUBLIC):
        example = catalogue.example_of(name)
        if name == "order.placed":
            whole = msgspec.json.format(msgspec.json.encode(example), indent=2).decode()
            lines += ["A whole body:", "", "```json", whole, "```", "", "The `data` of each type:", ""]
            break
    for name in sorted(catalogue.PUBLIC):
        data = msgspec.json.encode(catalogue.example_of(name)["data"]).decode()
        lines += [f"- `{name}`: `{data}`"]
    lines += [
        "",
        "## The log",
        "",
        "As subscribers of the program see it: `id` is the aggregate, `seq` its version; ids are of the database. See",
        "[decision 0008](../adr/0008-events-through-a-sequenced-log.md).",
        "",
        "| type | version | aggregate | means | carries |",
        "|---|---|---|---|---|",
    ]
    kinds = {kind.TYPE: kind for kind in descendants(Event) if "TYPE" in vars(kind) and "." in kind.TYPE}
    for name, kind in sorted(kinds.items()):
        fields = ", ".join(f"`{f.name}`" for f in msgspec.structs.fields(kind) if f.name not in {"id", "seq"})
        lines.append(f"| `{name}` | {kind.VERSION} | {kind.KIND} | {cell(first_paragraph(kind))} | {fields} |")
    return "\n".join(lines) + "\n"


def command_lines(command: Any, path: str) -> list[str]:
    """Return the section of one command, and of its own commands."""
    lines = ["", f"## {path}", "", cleandoc(command.help or "").replace("\b\n", "")]
    inner = getattr(command, "commands", {})
    parameters = [p for p in command.params if not getattr(p, "hidden", False)]
    if parameters:
        lines += ["", "| argument or option | default | meaning |", "|---|---|---|"]
    for parameter in parameters:
        flags = [*parameter.opts, *parameter.secondary_opts]
        name = " / ".join(flags) if parameter.param_type_name == "option" else parameter.name.upper()
        shown = "" if parameter.default in {None, False} or callable(parameter.default) else f"`{parameter.default}`"
        lines.append(f"| `{name}` | {shown} | {cell(getattr(parameter, 'help', '') or '')} |")
    for name, child in sorted(inner.items()):
        if not child.hidden:
            lines += command_lines(child, f"{path} {name}")
    return lines


def command_page() -> str:
    """Return docs/reference/command-line.md: every command with its options."""
    lines = [
        "# Command line",
        "",
        f"`malha --help` lists the commands, `malha COMMAND --help` says the same as here. {GENERATED}",
        "",
        "Help is English. What a command reports is said in the language of the setting `language`.",
        "What is wrong with a setting is said in English: until the settings are read no language is known. So is what",
        "the database that Malha brings along and the processes of `malha serve` have to say of themselves.",
    ]
    for name in sorted(COMMANDS):
        group = typer.main.get_group(build(name))
        if name in group.commands:
            lines += command_lines(group.commands[name], f"malha {name}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def main() -> None:
    """Write or check all pages."""
    arguments = argparse.ArgumentParser(description="Write the generated pages of docs/reference.")
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    load_all()
    pages = {
        "settings.md": settings.reference_page(),
        "errors.md": api.errors_page(),
        "openapi.json": api.openapi_json().decode(),
        "events.md": events_page(),
        "command-line.md": command_page(),
        "metrics.md": observed.metrics_page(GENERATED),
        "logs.md": observed.logs_page(GENERATED),
        "channel-protocol.md": protocol.page(GENERATED),
    }
    stale = [name for name, text in pages.items() if not same(PAGES / name, text)]
    if check and stale:
        sys.exit(f"docs/reference: {', '.join(stale)} differ from the code. Mend: make docs")
    for name in stale:
        (PAGES / name).write_text(pages[name], encoding="utf-8")
        print(f"docs: {name}")


def same(path: Path, text: str) -> bool:
    """Tell whether a page already reads like this."""
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    main()
