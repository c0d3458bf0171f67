"""Write the generated half of the Python client from the OpenAPI document: its types and its operations.

`python tools/client_code.py` writes `clients/python/src/malha_client/{models,operations}.py`, which are not kept in the
repository. Our own, because what we know of our API is what makes a client good: which lists have pages, what may be
repeated, which changes need a version, that a new word in an answer must not break who does not know it.
"""

import json
import keyword
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "reference" / "openapi.json"
TARGET = ROOT / "clients" / "python" / "src" / "malha_client"
JSON = "application/json"
HEAD = '"""{what} Generated from the OpenAPI document by tools/client_code.py: do not edit."""\n\n'
_FORMATS = {"uuid": "UUID", "date-time": "datetime", "date": "date", "time": "time", "binary": "bytes"}
_PLAIN = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "str",
    "null": "None",
    "object": "dict[str, Any]",
}
_METHODS = ("get", "post", "put", "patch", "delete")


def name_of(schema: str) -> str:
    """Return the class of a schema: `Page_OrderRow_` is `PageOrderRow`, `malha.x.reads.Row` is `XRow`."""
    parts = [
        part for part in re.split(r"[^0-9A-Za-z]+", schema) if part not in {"", "malha", "reads", "model", "service"}
    ]
    return "".join(part[0].upper() + part[1:] for part in parts)


def field_of(name: str) -> str:
    """Return a name that Python takes."""
    plain = re.sub(r"\W", "_", name)
    return f"{plain}_" if keyword.iskeyword(plain) else plain


class Types:
    """Says schemas as Python types. `answers` are the schemas that answers hold: there a word may be a new one."""

    def __init__(self, schemas: dict[str, Any], answers: set[str]) -> None:
        self.schemas = schemas
        self.answers = answers

    def of(self, schema: Any, *, answer: bool) -> str:
        """Return the type of a schema."""
        if not schema or schema is True:
            return "Any"
        if "$ref" in schema:
            target = schema["$ref"].rpartition("/")[2]
            found = self.schemas[target]
            return name_of(target) if found.get("properties") is not None else self.of(found, answer=answer)
        parts = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(schema.get("type"), list):
            parts = [{**schema, "type": one} for one in schema["type"]]
        if parts:
            return self._union([self.of(part, answer=answer) for part in parts])
        words = [schema["const"]] if "const" in schema else schema.get("enum")
        return self._words(words, answer=answer) if words else self._plain(schema, answer=answer)

    def _plain(self, schema: dict[str, Any], *, answer: bool) -> str:
        kind, more = schema.get("type"), schema.get("additionalProperties")
        if kind == "array" and "prefixItems" in schema:
            return f"tuple[{', '.join(self.of(part, answer=answer) for part in schema['prefixItems'])}]"
        if kind == "array":
            return f"list[{self.of(schema.get('items'), answer=answer)}]"
        if kind == "object" and more is not None and more is not False:
            return f"dict[str, {self.of(more, answer=answer)}]"
        return (_FORMATS.get(schema.get("format", "")) if kind == "string" else None) or _PLAIN.get(str(kind), "Any")

    @staticmethod
    def _words(values: list[Any], *, answer: bool) -> str:
        if answer and all(isinstance(value, str) for value in values):
            return "str"
        if all(isinstance(value, str | int) for value in values):
            return f"Literal[{', '.join(repr(value) for value in values)}]"
        return "Any"

    @staticmethod
    def _union(parts: list[str]) -> str:
        distinct = list(dict.fromkeys(parts))
        texts = [p for p in distinct if p in {"str", *_FORMATS.values()} or p.startswith("Literal['")]
        others = [p for p in distinct if p[0].isupper() and p not in texts and p not in {"Any", "None"}]
        arrays = [p for p in distinct if p.startswith(("list[", "tuple["))]
        maps = [p for p in distinct if p.startswith("dict[")]
        # Where the decoder could not tell them apart, nothing is promised.
        if "Any" in distinct or len(texts) > 1 or len(others) + len(maps) > 1 or len(arrays) > 1:
            return "Any"
        return " | ".join(sorted(distinct, key="None".__eq__))


def references(schema: Any) -> Iterator[str]:
    """Yield the names of all schemas that one refers to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def reached(start: set[str], schemas: dict[str, Any]) -> set[str]:
    """Return these schemas and all that they hold."""
    found, left = set(), list(start)
    while left:
        name = left.pop()
        if name in schemas and name not in found:
            found.add(name)
            left += references(schemas[name])
    return found


def wrapped(text: str, indent: str) -> str:
    """Return text as a docstring, its lines as they are."""
    safe = text.strip().replace("\\", "\\\\").replace('"""', "'''")
    lines = safe.splitlines() or [""]
    if len(lines) == 1:
        return f'{indent}"""{lines[0]}"""\n'
    return (
        f'{indent}"""'
        + "\n".join([lines[0], *(f"{indent}{line}" if line else "" for line in lines[1:])])
        + f'\n{indent}"""\n'
    )


def models(document: dict[str, Any], types: Types) -> str:
    """Return the module of types."""
    out = [HEAD.format(what="Types of the API."), "from __future__ import annotations\n\n"]
    out.append("from datetime import date, datetime, time\nfrom typing import Any, Literal\nfrom uuid import UUID\n\n")
    out.append("import msgspec\nfrom msgspec import UNSET, UnsetType\n\n")
    out.append('__all__ = ["Any", "Literal", "UUID", "UnsetType", "date", "datetime", "time"]\n')
    for name, schema in document["components"]["schemas"].items():
        if schema.get("properties") is None:
            continue
        out.append(f"\n\nclass {name_of(name)}(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):\n")
        out.append(wrapped(schema.get("description") or f"{schema.get('title', name)}.", "    ") + "\n")
        required = set(schema.get("required", ()))
        for field, shape in schema["properties"].items():
            kind = types.of(shape, answer=name in types.answers)
            known = field_of(field)
            renamed = f"name={field!r}" if known != field else ""
            default = "" if field in required else _default(shape, kind)
            if default == "UNSET":
                kind = f"{kind} | UnsetType"
            if renamed or default.startswith("factory:"):
                factory = f"default_factory={default.partition(':')[2]}" if default.startswith("factory:") else ""
                plain = f"default={default}" if default and not factory else ""
                default = f"msgspec.field({', '.join(part for part in (factory, plain, renamed) if part)})"
            out.append(f"    {known}: {kind}" + (f" = {default}" if default else "") + "\n")
        if not schema["properties"]:
            out.append("    pass\n")
    return "".join(out)


def _default(shape: dict[str, Any], kind: str) -> str:
    if "default" not in shape:
        return "UNSET"
    value = shape["default"]
    if value == [] and kind.startswith("list["):
        return "factory:list"
    if value == {} and kind.startswith("dict["):
        return "factory:dict"
    if value is None:
        return "None" if "None" in kind.split(" | ") or kind == "Any" else "UNSET"
    if isinstance(value, bool | int | float):
        return repr(value)
    return (
        repr(value)
        if isinstance(value, str) and (kind.startswith("Literal[") or "str" in kind.split(" | "))
        else "UNSET"
    )


class Operation:
    """One operation, and how it is called."""

    def __init__(self, path: str, method: str, raw: dict[str, Any], document: dict[str, Any], types: Types) -> None:
        self.id: str = raw["operationId"]
        self.method = method.upper()
        shared = document["components"]["parameters"]
        given = [p if "$ref" not in p else shared[p["$ref"].rpartition("/")[2]] for p in raw.get("parameters", ())]
        self.keyed = any(p["name"] == "Idempotency-Key" for p in given)
        version = next((p for p in given if p["name"] == "If-Match"), None)
        self.arguments: list[str] = []
        self.query: list[tuple[str, str]] = []
        self.path = path
        for p in (p for p in given if p["in"] == "path"):
            self.arguments.append(f"{field_of(p['name'])}: {types.of(p['schema'], answer=False)}")
            self.path = self.path.replace(f"{{{p['name']}}}", f"{{_core.segment({field_of(p['name'])})}}")
        body = raw.get("requestBody", {}).get("content", {})
        self.body = ""
        if JSON in body:
            self.arguments.append(f"data: {types.of(body[JSON]['schema'], answer=False)}")
            self.body = "body=data"
        elif body:
            self.arguments.append("data: bytes")
            self.body = "body=data, content_type=content_type"
        keywords = []
        if body and JSON not in body:
            keywords.append(f"content_type: str = {next(iter(body))!r}")
        if version is not None:
            keywords.append("version: int" + ("" if version["required"] else " | None = None"))
        for p in (p for p in given if p["in"] == "query"):
            kind = types.of(p["schema"], answer=False)
            optional = "None" in kind.split(" | ") or kind == "Any"
            known = field_of(p["name"])
            if p["required"]:
                keywords.insert(0, f"{known}: {kind}")
            else:
                keywords.append(f"{known}: {kind if optional else f'{kind} | None'} = None")
            self.query.append((p["name"], known))
        self.keywords = keywords
        self.versioned = version is not None
        answers = {status: a for status, a in raw["responses"].items() if status.startswith("2") and "content" in a}
        content = next(iter(answers.values()))["content"] if answers else {}
        self.accept = JSON if JSON in content or not content else next(iter(content))
        self.reply = "None"
        if JSON in content:
            self.reply = types.of(content[JSON]["schema"], answer=True)
        elif content:
            self.reply = "bytes"
        said = f"{raw['summary']}.\n\n{raw.get('description', '')}".strip()
        self.says = f"{said}\n\nPermission: `{raw['x-permission']}`."
        self.paged = self._page(content, types)

    def _page(self, content: dict[str, Any], types: Types) -> str:
        """Return the type of a page's items; empty for what has no pages."""
        reference = content.get(JSON, {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        fields = types.schemas.get(reference, {}).get("properties", {})
        if {"items", "next"} == set(fields) and any(name == "cursor" for name, _known in self.query):
            return types.of(fields["items"], answer=True)[len("list[") : -1]
        return ""

    @property
    def repeatable(self) -> bool:
        """Tell whether sending it twice does no more than once."""
        return self.method == "GET" or (self.method == "POST" and self.keyed)

    def code(self, *, asynchronous: bool) -> str:
        """Return its method, and for a list the iterator over all pages."""
        wait, word = ("await ", "async ") if asynchronous else ("", "")
        arguments = ["self", *self.arguments]
        keywords = [*self.keywords, *(["idempotency_key: str | None = None"] if self.keyed else [])]
        signature = ", ".join(arguments + (["*", *keywords] if keywords else []))
        parts = [f'method="{self.method}"', f"path=f{self.path!r}" if "{" in self.path else f"path={self.path!r}"]
        if self.reply != "None":
            parts.append(f"reply={self.reply}")
        if self.query:
            parts.append("query={" + ", ".join(f"{name!r}: {known}" for name, known in self.query) + "}")
        if self.body:
            parts.append(self.body)
        if self.versioned:
            parts.append("version=version")
        if self.repeatable:
            parts.append("repeatable=True")
        if self.accept != JSON:
            parts.append(f"accept={self.accept!r}")
        more = ", idempotency_key=idempotency_key" if self.keyed else ""
        call = f"_core.Call({', '.join(parts)})"
        out = f"\n    {word}def {self.id}({signature}) -> {self.reply}:\n" + wrapped(self.says, "        ")
        if self.reply == "None":
            out += f"        {wait}self.send({call}{more})\n"
        else:
            out += f"        found: {self.reply} = {wait}self.send({call}{more})\n        return found\n"
        return out + (self._pages(asynchronous=asynchronous) if self.paged else "")

    def _pages(self, *, asynchronous: bool) -> str:
        wait, word, kind = ("await ", "async ", "_abc.AsyncIterator") if asynchronous else ("", "", "_abc.Iterator")
        keywords = [k for k in self.keywords if not k.startswith("cursor:")]
        signature = ", ".join(["self", *self.arguments, *(["*", *keywords] if keywords else [])])
        given = [a.partition(":")[0] for a in self.arguments]
        given += [f"{k.partition(':')[0]}={k.partition(':')[0]}" for k in keywords]
        name = f"iter_{self.id.removeprefix('list_')}"
        return (
            f"\n    {word}def {name}({signature}) -> {kind}[{self.paged}]:\n"
            f'        """Yield all of `{self.id}`, page after page."""\n'
            "        cursor: str | None = None\n"
            "        while True:\n"
            f"            page = {wait}self.{self.id}({', '.join([*given, 'cursor=cursor'])})\n"
            "            for item in page.items:\n"
            "                yield item\n"
            "            cursor = page.next\n"
            "            if not cursor:\n"
            "                return\n"
        )


_FOLLOW = '''
    {word}def follow(
        self, *, after: int | None = None, types: _abc.Sequence[str] = (), wait: int = 25, limit: int = 200
    ) -> {kind}[Envelope]:
        """Yield what happens, for ever: after a cursor, or from now on.

        Keep `event.cursor` when an event is dealt with, and begin there the next time: nothing is missed, and what
        was not dealt with comes again. `Gone` and `Conflict` (`events_gone`, `cursor_ahead`) say that the log does not
        hold what comes after the cursor.
        """
        names = ",".join(types) or None
        cursor = after
        if cursor is None:
            cursor = ({wait}self.list_events(types=names)).cursor
        while True:
            told: Events = {wait}self.send(
                _core.Call(
                    method="GET",
                    path="/v1/events",
                    reply=Events,
                    query={{"after": cursor, "types": names, "wait": wait, "limit": limit}},
                    repeatable=True,
                ),
                timeout_s=wait + 30.0,
            )
            for event in told.items:
                yield event
            cursor = told.cursor
'''


def operations(document: dict[str, Any], types: Types) -> str:
    """Return the module of operations."""
    found = [
        Operation(path, method, raw, document, types)
        for path, methods in document["paths"].items()
        for method, raw in methods.items()
        if method in _METHODS
    ]
    found.sort(key=lambda operation: operation.id)
    out = [HEAD.format(what="The operations of the API.")]
    out.append("from collections import abc as _abc\n\n")
    out.append("from malha_client import core as _core\n")
    out.append("from malha_client.models import *  # noqa: F403\n")
    names = sorted({name_of(name) for name, schema in types.schemas.items() if schema.get("properties") is not None})
    out.append("from malha_client.models import (\n" + "".join(f"    {name},\n" for name in names) + ")\n\n")
    for name, core, asynchronous in (("Client", "_core.SyncCore", False), ("AsyncClient", "_core.AsyncCore", True)):
        wait, word, kind = ("await ", "async ", "_abc.AsyncIterator") if asynchronous else ("", "", "_abc.Iterator")
        out.append(f'\nclass {name}({core}):\n    """All operations, by their ids."""\n')
        out += [operation.code(asynchronous=asynchronous) for operation in found]
        out.append(_FOLLOW.format(wait=wait, word=word, kind=kind) + "\n")
    return "".join(out)


def write(source: Path = DOCUMENT, target: Path = TARGET) -> None:
    """Write both modules."""
    document = json.loads(source.read_text("utf-8"))
    schemas: dict[str, Any] = document["components"]["schemas"]
    starts = {
        name
        for methods in document["paths"].values()
        for method, raw in methods.items()
        if method in _METHODS
        for status, answer in raw["responses"].items()
        if status.startswith("2")
        for name in references(answer)
    }
    named = [name_of(name) for name in schemas]
    if len({*named, "Client", "AsyncClient"}) < len(named) + 2:
        raise SystemExit(f"two schemas have one name: {sorted({name for name in named if named.count(name) > 1})}")
    types = Types(schemas, reached(starts, schemas))
    target.mkdir(parents=True, exist_ok=True)
    (target / "models.py").write_text(models(document, types), "utf-8")
    (target / "operations.py").write_text(operations(document, types), "utf-8")


if __name__ == "__main__":
    write(*(Path(argument) for argument in sys.argv[1:]))
