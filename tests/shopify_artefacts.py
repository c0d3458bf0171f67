"""Shopify's own schemas, as `make peers` fetches them: its Admin API of each version, and the messages it sends."""

import gzip
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, build_client_schema

HOME = Path(__file__).parent / "peers" / "shopify" / "artefacts"
WEBHOOK_VERSIONS = ("2026-04", "2026-07")


def need_artefacts() -> None:
    """Skip where the schemas are not here; in CI they must be."""
    if not (HOME / ".malha-artefacts").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("Shopify's schemas are missing: make peers")
        pytest.skip("Shopify's schemas are not here: make peers")


@cache
def admin_schema(version: str) -> GraphQLSchema:
    """The Admin API as its introspection says. One for all tests: its scalars are made strict by `shopify_shop`."""
    with gzip.open(HOME / "dist" / "data" / f"admin_{version}.json.gz") as file:
        said = json.load(file)
    return build_client_schema(said.get("data", said), assume_valid=True)


def webhook_schema(version: str, topic: str) -> dict[str, Any]:
    """The schema of the messages of a topic."""
    found: dict[str, Any] = json.loads((HOME / "schemas" / version / f"{topic}.json").read_text(encoding="utf-8"))
    return found


def webhook_example(version: str, topic: str) -> dict[str, Any]:
    """The example that Shopify's documentation gives of the messages of a topic."""
    said = json.loads((HOME / "metadatas" / version / f"{topic}.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = said["response"]
    return found
