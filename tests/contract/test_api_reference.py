"""The API as it is written down is the API as it is."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec

from malha.api import reference
from malha.identity.model import PERMISSIONS, PUBLIC, SIGNED_IN

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def test_the_openapi_document_is_the_one_in_the_docs() -> None:
    kept = REFERENCE / "openapi.json"
    assert kept.read_bytes() == reference.openapi_json(), (
        "python -m malha.api.reference openapi > docs/reference/openapi.json; then read its difference: what programs "
        "rely on must not go away."
    )


def test_every_problem_code_has_its_row_in_the_docs() -> None:
    assert (REFERENCE / "errors.md").read_text() == reference.errors_page(), (
        "python -m malha.api.reference errors > docs/reference/errors.md"
    )


def test_the_roles_in_the_docs_are_the_roles() -> None:
    assert (REFERENCE / "roles.md").read_text() == reference.roles_page(), (
        "python -m malha.api.reference roles > docs/reference/roles.md"
    )


def test_codes_are_unique_words_with_a_status_and_a_way_out() -> None:
    kinds = reference.refusals()
    assert len(kinds) > 40
    for kind in kinds:
        assert kind.code.replace("_", "").isalnum(), kind
        assert kind.code.islower(), kind
        assert 400 <= kind.status < 600, kind
        assert kind.says.endswith((".", "?")) or "{" in kind.says, kind
    by_code: dict[str, set[int]] = {}
    for kind in kinds:
        by_code.setdefault(kind.code, set()).add(kind.status)
    assert not {code: found for code, found in by_code.items() if len(found) > 1}, "one code, one status"


def test_every_operation_is_described_for_who_has_to_use_it() -> None:
    document = reference.document()
    names: list[str] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            names.append(operation["operationId"])
            assert operation["summary"], where
            assert len(operation["summary"]) < 120, where
            assert operation["x-permission"] in {*PERMISSIONS, PUBLIC, SIGNED_IN}, where
            assert "default" in operation["responses"], where
            declared = {p["name"] for p in operation.get("parameters", []) if p.get("in") == "path"}
            assert declared == set(reference.PARAMETER.findall(path)), where
    assert len(names) == len(set(names)), "operation ids must be unique"


def test_generators_of_clients_can_make_every_type_of_the_document() -> None:
    """What openapi-python-client refuses: two types of one title, `items` that is false, arrays of nothing in particular."""
    document = reference.document()
    schemas: dict[str, Any] = document["components"]["schemas"]
    assert [name for name in schemas if "." in name] == [], "a module's name is nobody's business"
    titles = [schema["title"] for schema in schemas.values() if "title" in schema]
    assert sorted(title for title in set(titles) if titles.count(title) > 1) == []
    arrays: list[dict[str, Any]] = []

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for value in node:
                walk(value)
        if isinstance(node, dict):
            if node.get("type") == "array":
                arrays.append(node)
            for value in node.values():
                walk(value)

    walk(document)
    assert len(arrays) > 500
    assert [
        array for array in arrays if not isinstance(array.get("items", array.get("prefixItems")), dict | list)
    ] == []


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = reference.document()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            target = node.get("$ref")
            if isinstance(target, str):
                found: Any = document
                for step in target.removeprefix("#/").split("/"):
                    found = found[step]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    assert msgspec.json.decode(reference.openapi_json())["openapi"] == "3.1.0"


def zoneless(kind: Any, where: str, seen: frozenset[type] = frozenset()) -> Iterator[str]:
    """Yield where a type takes an instant whose zone nobody has to say."""
    if get_origin(kind) is Annotated and any(isinstance(m, msgspec.Meta) and m.tz for m in get_args(kind)[1:]):
        return
    if kind is datetime:
        yield where
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind not in seen:
            for field in msgspec.structs.fields(kind):
                yield from zoneless(field.type, f"{kind.__name__}.{field.encode_name}", seen | {kind})
    else:
        for part in get_args(kind):
            yield from zoneless(part, where, seen)


def test_an_instant_in_a_body_says_its_zone() -> None:
    bodies = [(f"{operation.method} {path}", operation.body) for path, operation in reference.operations()]
    assert not [(where, field) for where, body in bodies if body is not None for field in zoneless(body, where)]
