"""What others are told stays what it was: a field may be added, and nothing else changes within a version."""

import json
from pathlib import Path
from typing import Any

import pytest

from malha.webhooks import catalogue

KEPT = Path(__file__).with_name("public_events.json")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"


def present() -> dict[str, dict[str, str]]:
    """Each type and version with its fields, as their JSON Schema without the words."""

    def shape(schema: dict[str, Any], parts: dict[str, Any]) -> Any:
        if "$ref" in schema:
            found = parts[schema["$ref"].rpartition("/")[2]]
            return {name: shape(inner, parts) for name, inner in found["properties"].items()}
        if "anyOf" in schema:
            return [shape(part, parts) for part in schema["anyOf"]]
        if schema.get("type") == "array":
            return ["each", shape(schema.get("items", {}), parts)]
        return schema.get("format") or schema.get("type")

    found = {}
    for type_, public in catalogue.PUBLIC.items():
        schema = catalogue.schema_of(type_)
        data = schema["$defs"][public.data.__name__]["properties"]
        found[f"{type_}@{public.version}"] = {
            name: json.dumps(shape(inner, schema["$defs"])) for name, inner in data.items()
        }
    return found


def test_within_a_version_no_public_field_is_lost_or_becomes_something_else(tmp_path: Path) -> None:
    kept, now = json.loads(KEPT.read_text()), present()
    broken = [
        f"{type_}: {name} was {was}, is {now[type_].get(name)}"
        for type_, fields in kept.items()
        if type_ in now
        for name, was in fields.items()
        if now[type_].get(name) != was
    ]
    assert not broken, "Others read these fields: give the event a new VERSION.\n" + "\n".join(broken)
    lost = {type_.partition("@")[0] for type_ in kept} - set(catalogue.PUBLIC)
    assert not lost, f"Others are told of these: {lost}"
    if now != kept:
        fresh = tmp_path / "public_events.json"
        fresh.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
        pytest.fail(
            f"Types, versions or fields were added. Read the difference of {fresh} to {KEPT}, and move it there."
        )


def test_every_public_event_is_in_the_reference() -> None:
    page = PAGE.read_text("utf-8")
    assert [name for name in catalogue.PUBLIC if f"| `{name}` | {catalogue.PUBLIC[name].version} |" not in page] == []
