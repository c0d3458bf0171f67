"""A server that stays reads plain options itself, and leaves everything else to the whole command line."""

from typing import Annotated

import pytest
import typer

from malha.cli import serve, worker
from malha.cli.sparing import options_of


def command(
    host: Annotated[str | None, typer.Option()] = None,
    port: Annotated[int | None, typer.Option()] = None,
    web_workers: Annotated[int | None, typer.Option("--web-workers")] = None,
    migrate: Annotated[bool, typer.Option()] = True,
) -> None:
    """Stand for a command."""


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["--port", "80"], {"port": 80}),
        (["--port=80", "--host", "0.0.0.0"], {"port": 80, "host": "0.0.0.0"}),
        (["--web-workers", "3", "--no-migrate"], {"web_workers": 3, "migrate": False}),
        (["--no-migrate", "--migrate"], {"migrate": True}),
        (["--host="], {"host": ""}),
    ],
)
def test_plain_options_are_read(arguments: list[str], options: dict[str, object]):
    assert options_of(command, arguments) == options


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--port"],
        ["--port", "eighty"],
        ["--port", "--host"],
        ["--migrate=no"],
        ["--nothing"],
        ["more"],
        ["--"],
    ],
)
def test_what_needs_an_answer_is_left_to_the_whole_command_line(arguments: list[str]):
    assert options_of(command, arguments) is None


@pytest.mark.parametrize("what", [serve.command, worker.command])
def test_the_commands_that_stay_have_plain_options_only(what: object):
    assert options_of(what, []) == {}


def test_a_command_with_other_options_is_left_alone():
    def other(days: Annotated[float, typer.Option()] = 1.5) -> None:
        del days

    assert options_of(other, []) is None
