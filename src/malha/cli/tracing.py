"""Whether this process traces. Off by default: then nothing is imported, nothing is wrapped, nothing costs anything."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

from malha.platform.settings import Settings, SettingsError

PACKAGES = ("opentelemetry", "opentelemetry.exporter.otlp.proto.http")


def require_tracing(settings: Settings) -> None:
    """Refuse to start with an endpoint and without the packages that speak to it.

    Raises:
        SettingsError: the extra is not installed.
    """
    if settings.otlp_endpoint and not _installed():
        raise SettingsError(
            "MALHA_OTLP_ENDPOINT is set, and OpenTelemetry is not installed. Run: pip install 'malha[otel]', or remove "
            "the setting."
        )


def _installed() -> bool:
    try:
        return all(importlib.util.find_spec(package) is not None for package in PACKAGES)
    except ModuleNotFoundError:  # a parent of one is missing
        return False


@contextlib.contextmanager
def tracing(settings: Settings, role: str) -> Iterator[Callable[[Any], Any]]:
    """Trace this process while the block runs, if the settings say so; give what wraps the application."""
    if not settings.otlp_endpoint:
        yield lambda app: app
        return
    from malha.cli import instruments  # noqa: PLC0415 -- brings OpenTelemetry

    with instruments.tracing(settings, role) as wrap:
        yield wrap
