"""The `malha` command. Only the command that was asked for is imported, so that help and `serve` start at once.

A command is a module of `malha.cli` with either a function `command` (its options are the command's) or a Typer `app`
(a group of subcommands). What goes wrong for a known reason ends with one sentence on standard error and exit code 2,
or that of `TRIED_AGAIN`.
"""

import importlib
import importlib.util
import os
import sys
import traceback
from typing import Annotated

import typer

# name: (module, help). A module that is not installed is not offered.
COMMANDS = {
    "demo": ("malha.cli.demo", "Run a synthetic retailer: from nothing to a console with live orders."),
    "serve": (
        "malha.cli.serve",
        "Serve the API and the console, with the worker and, if need be, a database beside them.",
    ),
    "worker": ("malha.cli.worker", "Run the worker alone: events and background jobs."),
    "migrate": ("malha.cli.migrate", "Bring the database to this version's schema."),
    "import": ("malha.cli.imports", "Import products, stock, customers and other kinds of records from files."),
    "export": ("malha.cli.exports", "Export the same as tables that import back unchanged."),
    "simulate": ("malha.cli.simulate", "Decide past orders again in a network changed on paper: what if."),
    "bench": ("malha.cli.bench", "Measure this machine: orders a second, latency, memory."),
    "backup": (
        "malha.cli.backup",
        "Back up the database, the key and the configuration, while orders are being taken.",
    ),
    "restore": ("malha.cli.restore", "Restore a backup, and prove that all of it is there."),
    "upgrade-database": (
        "malha.cli.upgrade_database",
        "Upgrade the embedded database to the PostgreSQL that Malha brings.",
    ),
    "mail": ("malha.cli.mail", "Take mail that came back, so that customers are told another way."),
    "owner": ("malha.cli.owner", "Make an owner of all locations, where nobody can let anybody in any more."),
    "reseal": ("malha.cli.reseal", "Seal stored secrets with the present secret key, after it was changed."),
    "connector": ("malha.cli.connector", "List connectors to channels, and try a connection against its channel."),
    "doctor": ("malha.cli.doctor", "Check every balance, order and payment against its ledger."),
}
STAYING = {"serve", "worker"}
USAGE_ERROR = 2
TRIED_AGAIN = {"mail": 75}  # run by mail servers: EX_TEMPFAIL keeps the mail; returned, it would be lost for good


def build(wanted: str | None) -> typer.Typer:
    """Return the command line with one command loaded; the others are known by name and help only."""
    root = typer.Typer(
        name="malha",
        help="Malha: omnichannel order management. One truth of stock, one order desk, every channel.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    root.callback()(_root)
    for name, (module, text) in COMMANDS.items():
        if importlib.util.find_spec(module) is None:
            continue
        if name != wanted:
            root.command(name, help=text)(_not_loaded)
            continue
        loaded = importlib.import_module(module)
        if hasattr(loaded, "command"):
            root.command(name, help=text)(loaded.command)
        else:
            root.add_typer(loaded.app, name=name, help=text)
    return root


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit with its code."""
    # Before NumPy is imported: a thread of its linear algebra for each core costs memory, and nothing here uses it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = sys.argv[1:] if arguments is None else arguments
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    try:
        if wanted not in STAYING or not _stay(wanted, arguments):
            build(wanted)(arguments, prog_name="malha")
    except typer.Exit as ended:
        raise SystemExit(ended.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        _speak()  # it may have ended before it knew its settings
        sentence = _sentence(error)
        if sentence is None and wanted not in TRIED_AGAIN:
            raise
        sys.stderr.write(f"malha: {sentence}\n" if sentence else traceback.format_exc())
        raise SystemExit(TRIED_AGAIN.get(wanted or "", USAGE_ERROR)) from None


def _speak() -> None:
    """Speak the language of the terminal."""
    from malha.platform import i18n  # noqa: PLC0415 -- after the command ran

    i18n.use(i18n.of_terminal(os.environ))


def _stay(wanted: str, arguments: list[str]) -> bool:
    """Run a command whose process stays with as little in memory as it needs; False: Typer has to read its options."""
    from malha.cli import sparing  # noqa: PLC0415 -- only for these

    sparing.share_one_arena()
    if not sys.stderr.isatty():
        sparing.import_plainly()
    command = importlib.import_module(COMMANDS[wanted][0]).command
    options = sparing.options_of(command, arguments[1:]) if arguments[0] == wanted else None
    if options is None:
        return False
    command(**options)
    return True


def _sentence(error: BaseException) -> str | None:
    """Return what to tell a person about an error with a known reason; None: it is a defect, show it all."""
    from malha.platform.db import refusal_of  # noqa: PLC0415 -- after the command ran
    from malha.platform.embedded import EmbeddedError  # noqa: PLC0415
    from malha.platform.errors import DiskFull, MalhaError  # noqa: PLC0415
    from malha.platform.i18n import current_language, translate  # noqa: PLC0415
    from malha.platform.settings import SettingsError  # noqa: PLC0415

    error = refusal_of(error) or error
    if not getattr(error, "filename", None):  # where a file is named, that says more
        error = DiskFull.told_by(error) or error
    if isinstance(error, BaseExceptionGroup):
        sentences = [_sentence(inner) for inner in error.exceptions]
        return sentences[0] if all(sentences) else None
    if isinstance(error, MalhaError):
        said = [(text, error.facts) for text in (error.says, error.mend) if text]
        for problem in error.facts.get("problems", ()):
            said += [(text, problem.get("facts", {})) for text in (problem["says"], problem.get("mend")) if text]
        return " ".join(translate(current_language(), text, **facts) for text, facts in said)
    if isinstance(error, SettingsError | EmbeddedError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    if type(error).__module__.startswith("psycopg") and type(error).__name__ in {"OperationalError", "PoolTimeout"}:
        why = str(error).strip()
        return f"The database cannot be reached: {why}{'' if why[-1:] in {'.', '?'} else '.'} Check DATABASE_URL."
    return None


def _not_loaded() -> None:
    """Stand for a command that was not asked for."""


def _version(asked: bool) -> None:
    if asked:
        from malha import __version__  # noqa: PLC0415

        typer.echo(__version__)
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version


if __name__ == "__main__":
    main()
