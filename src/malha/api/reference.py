"""The API's own description: OpenAPI 3.1 as JSON, the same as a page to read, and the list of problem codes.

All of it comes from what the operations declare and from the very msgspec types that decode and encode, so it cannot
differ from what the API does. Made at the first request for it, not at start.

`python -m malha.api.reference openapi > docs/reference/openapi.json` and `... errors > docs/reference/errors.md` write
the files that the contract tests compare.
"""

import asyncio
import html
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any, cast

import msgspec
import psycopg
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from psycopg_pool import PoolTimeout

import malha
from malha.api.access import identify
from malha.api.problem import MEDIA_TYPE, Problem
from malha.api.replies import Raw
from malha.api.work import Operation
from malha.identity.model import PERMISSIONS, PUBLIC, ROLE_NAMES, ROLES, SIGNED_IN, Role
from malha.platform.errors import MalhaError
from malha.platform.i18n import LANGUAGES, _, current_language, speaking

PREFIX = "/v1"
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
NAMES = {"pt-BR": "Português (Brasil)", "en": "English"}
# Parts of the names of modules that say nothing of what is in them.
_NO_NAMES = {"malha", "api", "model", "reads", "rules", "state"}
_OPEN = {"permission": PUBLIC}
_HEADERS = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}

_ABOUT = """\
Orders, stock, locations, customers and the work between them, for programs.

**Signing in.** Send an API key as `Authorization: Bearer <key>`. A key has permissions and sees all locations or some.

**Money** is in minor units (centavos) of the order's currency. **Times** are RFC 3339 with a zone. **Identifiers** are
UUIDs; what people read are codes, SKUs and order numbers.

**Repeating a request is safe.** Send an `Idempotency-Key` with every POST: the same key with the same body is carried
out once and answered again (`Idempotent-Replayed: true`) for 48 hours. Orders are also recognised by their channel and
external id.

**Changing what others change too.** Send the `ETag` you read as `If-Match`; 412 `stale_version` tells that someone was
faster, 428 `version_required` that it must be said. `If-Match: *` changes what is there, whoever changed it last.

**Lists** come in pages: send `next` of one page as `cursor` for the following one; it is null on the last.

**Problems** are `application/problem+json` in the language of `Accept-Language` (pt-BR, en). Decide by `code`, show
`detail` and `mend`; `errors` names each field by JSON pointer. A revoked key may still work for five seconds.

**Addresses** (path and query) hold up to 65,000 bytes; a longer one is answered 414 without a body.

**Time**: an answer of success says in `Server-Timing` how many milliseconds the server took for it."""


def operations() -> list[tuple[str, Operation]]:
    """Return every operation of the API with its full path, in the order of tags, paths and methods."""
    import malha.api  # noqa: PLC0415 -- this module is part of it

    found: list[tuple[str, Operation]] = []
    for module in pkgutil.iter_modules(malha.api.__path__):
        if module.name != "reference":
            loaded = importlib.import_module(f"malha.api.{module.name}")
            found += list(_declared(getattr(loaded, "handlers", [])))
    order = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return sorted(found, key=lambda pair: (pair[1].tag, pair[0], order.index(pair[1].method)))


def _declared(handlers: Iterable[HTTPRouteHandler]) -> Iterator[tuple[str, Operation]]:
    for handler in handlers:
        operation = handler.opt.get("operation")
        if operation is not None:
            yield PREFIX + operation.path, operation


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    known = operations()
    types = [kind for _path, operation in known for kind in _types(operation)]
    schemas, components = msgspec.json.schema_components(
        [*types, Problem], ref_template="#/components/schemas/{name}", schema_hook=_schema_of
    )
    described = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for path, operation in known:
        shapes = {key: next(described) for key in _slots(operation)}
        paths.setdefault(PARAMETER.sub(r"{\1}", path), {})[operation.method.lower()] = _entry(path, operation, shapes)
    problem = {"$ref": "#/components/schemas/Problem"}
    return _for_generators(
        {
            "openapi": "3.1.0",
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "info": {
                "title": "Malha",
                "version": malha.__version__,
                "summary": "Omnichannel order management",
                "description": _ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"key": []}, {"session": []}],
            "tags": [{"name": tag} for tag in sorted({operation.tag for _path, operation in known})],
            "paths": paths,
            "components": {
                "schemas": components,
                "responses": {
                    "Problem": {
                        "description": "Why it was not done.",
                        "headers": _HEADERS,
                        "content": {MEDIA_TYPE: {"schema": problem}},
                    }
                },
                "parameters": {
                    "IdempotencyKey": {
                        "name": "Idempotency-Key",
                        "in": "header",
                        "required": False,
                        "description": "Names this request: sent again with the same body, it is not done again.",
                        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
                    },
                    "IfMatch": _if_match(required=False),
                    "IfMatchRequired": _if_match(required=True),
                },
                "headers": {
                    "RequestId": {
                        "description": "Names this request in the log: the `X-Request-Id` that was sent, or a new one.",
                        "required": True,
                        "schema": {"type": "string", "minLength": 8, "maxLength": 80},
                    }
                },
                "securitySchemes": {
                    "key": {"type": "http", "scheme": "bearer", "description": "An API key."},
                    "session": {
                        "type": "apiKey",
                        "in": "cookie",
                        "name": "malha",
                        "description": "A signed-in browser; `__Host-malha` over https.",
                    },
                },
            },
        }
    )


def _for_generators(made: dict[str, Any]) -> dict[str, Any]:
    """Return the document in the words that generators of clients understand; it says the same.

    Types that share a name with one of another module get a name of their own, which is their title as well: by it
    classes are named, and two of one title cannot both be made. `items` is a schema, never false or left out; how many
    there are is said by `minItems` and `maxItems`.
    """
    schemas = made["components"]["schemas"]
    names = {name: plain_name(name) for name in schemas}
    if len(set(names.values())) != len(names):
        raise LookupError(sorted(names.values()))
    renamed = {f"#/components/schemas/{name}": f"#/components/schemas/{short}" for name, short in names.items()}

    def told(value: Any) -> Any:
        if isinstance(value, list):
            return [told(one) for one in value]
        if not isinstance(value, dict):
            return value
        said = {key: told(one) for key, one in value.items() if key != "items" or one is not False}
        if isinstance(said.get("$ref"), str):
            said["$ref"] = renamed.get(said["$ref"], said["$ref"])
        if said.get("type") == "array" and not said.keys() & {"items", "prefixItems"}:
            said["items"] = {}
        return said

    document = told(made)
    document["components"]["schemas"] = {
        short: told(schemas[name]) | ({} if short == name else {"title": short})
        for name, short in sorted(names.items(), key=lambda pair: pair[1])
    }
    return cast("dict[str, Any]", document)


def plain_name(name: str) -> str:
    """Return what a type is called in the document: `NetworkMethod` is that of `malha.network.model`."""
    *modules, last = name.split(".")
    words = [word for module in modules for word in module.split("_") if word not in _NO_NAMES]
    return "".join(word.capitalize() for word in words) + last


def _if_match(*, required: bool) -> dict[str, Any]:
    return {
        "name": "If-Match",
        "in": "header",
        "required": required,
        "description": "The `ETag` this change was made on.",
        "schema": {"type": "string"},
    }


def _slots(operation: Operation) -> list[str]:
    """Return the places of an operation that have a type, in the order of `_types`."""
    slots = [f"parameter:{name}" for name in operation.parameters]
    slots += ["body"] if operation.body not in {None, bytes} else []
    slots += ["reply"] if operation.reply not in {None, type(None), bytes} else []
    return slots


def _types(operation: Operation) -> list[Any]:
    of = {f"parameter:{name}": parameter.annotation for name, parameter in operation.parameters.items()}
    of |= {"body": operation.body, "reply": operation.reply}
    return [of[slot] for slot in _slots(operation)]


def _schema_of(kind: type) -> dict[str, Any]:
    """Return the schema of what msgspec does not describe: nothing but raw JSON."""
    if kind is msgspec.Raw:
        return {}
    raise NotImplementedError


def _entry(path: str, operation: Operation, shapes: dict[str, Any]) -> dict[str, Any]:
    in_path = set(PARAMETER.findall(path))
    entry: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "x-permission": operation.permission,
    }
    if operation.description:
        entry["description"] = operation.description
    if operation.permission == PUBLIC:
        entry["security"] = []
    parameters: list[dict[str, Any]] = [
        _parameter(name, parameter, shapes[f"parameter:{name}"], in_path)
        for name, parameter in operation.parameters.items()
    ]
    if operation.idempotent_key:
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if operation.versioned:
        named = "IfMatchRequired" if operation.versioned == "required" else "IfMatch"
        parameters.append({"$ref": f"#/components/parameters/{named}"})
    if parameters:
        entry["parameters"] = parameters
    if operation.body is not None:
        content = {kind: {"schema": shapes.get("body", _bytes_of(kind))} for kind in operation.media_types}
        entry["requestBody"] = {"required": True, "content": content}
    entry["responses"] = _responses(operation, shapes, bool(in_path))
    return entry


def _parameter(name: str, parameter: inspect.Parameter, schema: Any, in_path: set[str]) -> dict[str, Any]:
    described = dict(schema)
    text = described.pop("description", None)
    if parameter.default is not inspect.Parameter.empty and parameter.default is not None:
        described["default"] = msgspec.to_builtins(parameter.default)
    entry = {
        "name": name,
        "in": "path" if name in in_path else "query",
        "required": name in in_path or parameter.default is inspect.Parameter.empty,
        "schema": described,
    }
    text = text or _COMMON.get(name)
    return {**entry, "description": text} if text else entry


_COMMON = {
    "cursor": "`next` of the page before; leave it out for the first.",
    "limit": "Items per page, 50 if left out, at most 200.",
}


def _bytes_of(media_type: str) -> dict[str, Any]:
    """Return the schema of what is no JSON: a text, or bytes."""
    return {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}


def _responses(operation: Operation, shapes: dict[str, Any], has_path: bool) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done.", "headers": _HEADERS}
    if operation.reply is bytes:
        done["content"] = {kind: {"schema": _bytes_of(kind)} for kind in operation.reply_media_types}
    elif "reply" in shapes:
        done["content"] = {kind: {"schema": shapes["reply"]} for kind in operation.reply_media_types}
    status = operation.status if "content" in done else 204
    refusals = {
        "401": operation.permission != PUBLIC,
        "403": operation.permission not in {PUBLIC, SIGNED_IN},
        "404": has_path,
        "409": operation.method != "GET",
        "412": bool(operation.versioned),
        "422": bool(operation.parameters or operation.body is not None),
        "428": operation.versioned == "required",
    }
    return {
        **({"200": {**done, "description": "It was done before."}} if operation.repeated else {}),
        str(status): done,
        **{code: {"$ref": "#/components/responses/Problem"} for code, applies in refusals.items() if applies},
        "default": {"$ref": "#/components/responses/Problem"},
    }


# --- problem codes ----------------------------------------------------------------------------------------------------


def every_refusal() -> list[type[MalhaError]]:
    """Return every class of refusal of the product; importing all of it first."""
    for module in pkgutil.walk_packages(malha.__path__, "malha."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return [kind for kind in _below(MalhaError) if kind.__module__.startswith("malha.")]


def refusals() -> list[type[MalhaError]]:
    """Return one class per code and sentence, in the order of codes: one problem may be told in several ways."""
    told: dict[tuple[str, str], type[MalhaError]] = {}
    for kind in every_refusal():
        told.setdefault((kind.code, kind.says), kind)
    return [told[key] for key in sorted(told)]


def _below(kind: type[MalhaError]) -> Iterator[type[MalhaError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _below(child)


def errors_page() -> str:
    """Return docs/reference/errors.md: one row per problem code."""
    lines = [
        "# Problems",
        "",
        "Every refusal is `application/problem+json` with one of these codes, in the language of `Accept-Language`.",
        "`{facts}` are filled in. This page is generated:",
        "`python -m malha.api.reference errors > docs/reference/errors.md`.",
        "",
        "| code | status | what it says | how to mend it |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{kind.code}` | {kind.status} | {_cell(kind.says)} | {_cell(kind.mend)} |" for kind in refusals()]
    return "\n".join(lines) + "\n"


def roles_page() -> str:
    """Return docs/reference/roles.md: permissions by role."""
    roles = list(Role)
    lines = [
        "# Roles and permissions",
        "",
        "A role is a set of permissions; where they hold is a person's location scope.",
        "[Who may do what](../explanation/access.md) explains both. This page is generated:",
        "`python -m malha.api.reference roles > docs/reference/roles.md`.",
        "",
        "| permission | | " + " | ".join(ROLE_NAMES[role].lower() for role in roles) + " |",
        "|---|---|" + ":-:|" * len(roles),
    ]
    lines += [
        f"| `{name}` | {text} | " + " | ".join("x" if name in ROLES[role] else "" for role in roles) + " |"
        for name, text in PERMISSIONS.items()
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


# --- served -----------------------------------------------------------------------------------------------------------


@cache
def openapi_json() -> bytes:
    """Return the document as it is served and kept in docs/reference/openapi.json."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


@get("/openapi.json", opt=_OPEN, include_in_schema=False)
async def openapi_document() -> ASGIApp:
    """Answer with the OpenAPI document."""
    return Raw(await asyncio.to_thread(openapi_json), 200, {"cache-control": "public, max-age=300"})


@get("/docs.css", opt=_OPEN, include_in_schema=False)
async def docs_style() -> ASGIApp:
    """Answer with the style of the documentation page."""
    style = (files("malha") / "api" / "docs.css").read_bytes()
    return Raw(style, 200, {"cache-control": "public, max-age=3600"}, "text/css; charset=utf-8")


@get("/docs", opt=_OPEN, include_in_schema=False)
async def docs_page(request: Request[Any, Any, Any]) -> ASGIApp:
    """Answer with the page to read: no script, nothing from elsewhere.

    In the language that `?language=` names, else that of the person who is signed in, else the browser's.
    """
    wished = request.query_params.get("language", "")
    if wished not in LANGUAGES:
        wished = await _own_language(request) or current_language()
    with speaking(wished):
        page = await asyncio.to_thread(_page, wished)  # half a second, once per language
    headers = {"cache-control": "private, max-age=300", "vary": "accept-language, cookie"}
    return Raw(page, 200, headers, "text/html; charset=utf-8")


async def _own_language(request: Request[Any, Any, Any]) -> str:
    """Return what a signed-in person reads, empty where nobody is or it cannot be told: the page needs no database."""
    with suppress(psycopg.Error, PoolTimeout):
        caller = await identify(request)
        return caller.language or "" if caller is not None else ""
    return ""


@cache
def _page(language: str) -> bytes:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 -- only for this page
    from markupsafe import Markup  # noqa: PLC0415

    described = document()
    environment = Environment(
        loader=PackageLoader("malha", "api"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["prose"] = lambda text: Markup(_prose(text))  # noqa: S704 -- escaped there
    template = environment.get_template("docs.html")
    by_tag: dict[str, list[dict[str, Any]]] = {}
    for path, methods in described["paths"].items():
        for method, entry in methods.items():
            shown = {**entry, "method": method.upper(), "path": path, "parameters": _shown_parameters(entry, described)}
            by_tag.setdefault(entry["tags"][0], []).append(shown)
    text = template.render(
        _=_,
        language=language,
        others=[(other, NAMES[other]) for other in LANGUAGES if other != language],
        info=described["info"],
        tags=sorted(by_tag.items()),
        schemas=described["components"]["schemas"],
        permissions=PERMISSIONS,
        type_of=_type_words,
        example_of=lambda schema: _example_text(schema, described["components"]["schemas"]),
        name_of=lambda ref: ref.rpartition("/")[2],
    )
    return text.encode()


def _shown_parameters(entry: dict[str, Any], described: dict[str, Any]) -> list[dict[str, Any]]:
    known = described["components"]["parameters"]
    return [
        known[parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter
        for parameter in entry.get("parameters", [])
    ]


def _type_words(schema: dict[str, Any]) -> str:
    """Return a schema in few words, as HTML with links to the named ones."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{html.escape(name)}">{html.escape(name)}</a>'
    if "anyOf" in schema:
        return " | ".join(_type_words(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{html.escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{html.escape(str(schema['const']))}</code>"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type_words(schema.get('items') or {})}"
    words = html.escape(str(schema.get("format") or kind))
    limits = [
        f"{sign} {schema[name]}"
        for name, sign in (("minimum", "≥"), ("maximum", "≤"), ("minLength", "length ≥"), ("maxLength", "length ≤"))
        if name in schema
    ]
    return words + (f' <span class="limits">{html.escape(", ".join(limits))}</span>' if limits else "")


def _example_text(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Return an example of a JSON body, its required fields and a few others; empty for what is no object."""
    shown = example(schema, schemas)
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() if isinstance(shown, dict) else ""


_EXAMPLES = {
    "uuid": "01932c4e-7a10-7c3e-9f52-0a4b8d6e2f11",
    "date-time": "2026-11-23T14:05:00-03:00",
    "date": "2026-11-23",
    "string": "text",
    "boolean": True,
    "number": 1.5,
}


def example(schema: dict[str, Any], schemas: dict[str, Any], depth: int = -1) -> Any:
    """Return an example of a schema: all fields of the outermost object, the required ones below."""
    found: Any
    match schema:
        case {"$ref": ref}:
            found = example(schemas[ref.rpartition("/")[2]], schemas, depth + 1)
        case {"anyOf": [first, *_]}:
            found = example(first, schemas, depth)
        case {"enum": [first, *_]}:
            found = first
        case {"type": "object"} if depth > 4:
            found = {}
        case {"type": "object"}:
            required = set(schema.get("required", ()))
            fields = schema.get("properties", {}).items()
            found = {name: example(shape, schemas, depth) for name, shape in fields if depth < 1 or name in required}
        case {"type": "array"}:
            found = [example(schema.get("items") or {}, schemas, depth)]
        case {"type": "integer"}:
            found = max(1, schema.get("minimum", 1))
        case _:
            found = _EXAMPLES.get(str(schema.get("format") or schema.get("type")))
    return found


def _prose(text: str) -> str:
    """Return our own few marks (`code`, **strong**, blank lines) as HTML; everything else is escaped."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        safe = html.escape(" ".join(paragraph.split()), quote=False)
        safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
        safe = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe)
        paragraphs.append(f"<p>{safe}</p>")
    return "\n".join(paragraphs)


handlers = [openapi_document, docs_style, docs_page]

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["openapi"]:
            sys.stdout.buffer.write(openapi_json())
        case ["roles"]:
            sys.stdout.write(roles_page())
        case ["errors"]:
            sys.stdout.write(errors_page())
        case _:
            sys.exit("python -m malha.api.reference openapi | errors | roles")
