"""The spec gate of the conformance kit: what a connector sends and reads, held against the vendor's own document.

    gate = SpecGate(
        OpenApi(json.loads(Path("acme-openapi.json").read_text()), prefix="/api/v2"),
        controls=[Control("no quantity", stock_push, lambda e: replace_body(e, quantity=None)), ...],
        waivers=Path("acme-waivers.toml"),
    )

    class TestAcme(ConnectorContract):
        connector = Acme()
        spec = gate

Then every request of every test of the kit, and every answer that its peer gives, must be as the document says. A gate
that lets everything through proves nothing, so at least `LEAST_CONTROLS` controls are demanded: an exchange that is
right, and a way to spoil it that must be refused. What the document says wrongly is waived in one file, each with a
reason somebody can review:

    [[waiver]]
    operation = "GET /orders/{id}"
    flaw = "answer/created_at"
    reason = "The document says date, the product has always said a time (measured on 3.2.1)."

Documents: OpenAPI 3.0 and 3.1, Swagger 2.0, GraphQL as SDL or as an introspection result. Needs `jsonschema-rs`, for
GraphQL `graphql-core`.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

LEAST_CONTROLS = 3
METHODS = ("get", "post", "put", "patch", "delete")
_URN = "urn:malha:spec"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what was answered; status 0 where no whole answer came. Names of headers are lower case."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    status: int = 0
    answer: bytes = b""


class Flaw(msgspec.Struct, frozen=True):
    """What does not fit: at which operation of the document, and where."""

    operation: str
    says: str  # begins with the place: "body/quantity: ..."

    def __str__(self) -> str:
        return f"{self.operation}: {self.says}"


class Spec(Protocol):
    """A document that exchanges are held against."""

    def flaws_of(self, exchange: Exchange) -> list[Flaw]:
        """Return what does not fit; nothing where all does."""
        ...


class Control(msgspec.Struct, frozen=True):
    """An exchange that is right, and how to spoil it: the gate must take the one and refuse the other."""

    name: str
    good: Exchange
    spoil: Callable[[Exchange], Exchange]


class Waiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A flaw of the document, not of the connector. `flaw` is how it begins."""

    operation: str
    flaw: str
    reason: str

    def covers(self, found: Flaw) -> bool:
        """Tell whether this flaw is meant."""
        return self.operation == found.operation and found.says.startswith(self.flaw)


class _Waivers(msgspec.Struct, forbid_unknown_fields=True):
    waiver: list[Waiver] = []


def waivers_of(path: Path) -> list[Waiver]:
    """Return the waivers of a file.

    Raises:
        ValueError: one has no reason, or waives everything.
    """
    found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Waivers).waiver
    for waiver in found:
        if len(waiver.reason.split()) < 3:
            raise ValueError(f"{path.name}: say why {waiver.operation} {waiver.flaw!r} is waived")
        if not waiver.flaw.partition("/")[0].strip(": "):
            raise ValueError(f"{path.name}: say which flaw of {waiver.operation} is waived")
    return found


class SpecGate:
    """A document, the controls that show that it refuses something, and what of it is waived."""

    def __init__(self, spec: Spec, controls: Sequence[Control], waivers: Path | None = None) -> None:
        self._spec = spec
        self._controls = list(controls)
        self._waivers = waivers_of(waivers) if waivers is not None else []
        self._used: set[Waiver] = set()
        self.checked = 0

    @property
    def unused(self) -> list[Waiver]:
        """Waivers that covered nothing so far."""
        return [waiver for waiver in self._waivers if waiver not in self._used]

    def check(self, exchange: Exchange) -> list[str]:
        """Return what of an exchange does not fit and is not waived."""
        self.checked += 1
        left = []
        for flaw in self._spec.flaws_of(exchange):
            covering = [waiver for waiver in self._waivers if waiver.covers(flaw)]
            self._used.update(covering)
            if not covering:
                left.append(str(flaw))
        return left

    def prove(self) -> list[str]:
        """Return why this gate proves nothing; nothing where it takes what is right and refuses what is spoilt."""
        problems = []
        if len({control.name for control in self._controls}) < LEAST_CONTROLS:
            problems.append(f"{len(self._controls)} controls; at least {LEAST_CONTROLS} are needed")
        for control in self._controls:
            if flaws := self.check(control.good):
                problems.append(f"{control.name}: what is right is refused: {'; '.join(flaws)}")
            if not self.check(control.spoil(control.good)):
                problems.append(f"{control.name}: what is spoilt is taken")
        return problems


def replace_body(exchange: Exchange, **fields: Any) -> Exchange:
    """Return an exchange whose JSON body has other fields; a field of None is left out."""
    return msgspec.structs.replace(exchange, body=_with(exchange.body or b"{}", fields))


def replace_answer(exchange: Exchange, **fields: Any) -> Exchange:
    """Return an exchange whose JSON answer has other fields; a field of None is left out."""
    return msgspec.structs.replace(exchange, answer=_with(exchange.answer or b"{}", fields))


def _with(body: bytes, fields: Mapping[str, Any]) -> bytes:
    kept = {name: value for name, value in msgspec.json.decode(body).items() if name not in fields}
    return msgspec.json.encode(kept | {name: value for name, value in fields.items() if value is not None})


# --- OpenAPI and Swagger ---


class _Route(msgspec.Struct):
    method: str
    path: str
    pattern: re.Pattern[str]
    names: list[str]
    operation: dict[str, Any]
    common: list[Any]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"


class OpenApi:
    """An OpenAPI 3 or Swagger 2 document. `prefix` is what stands before its paths in the connector's addresses.

    A request may say nothing that the document does not know: a misspelt field is a flaw. An answer may: products grow.
    """

    def __init__(self, document: Mapping[str, Any], prefix: str = "") -> None:
        import jsonschema_rs  # noqa: PLC0415 -- only where a document is checked

        self._document: dict[str, Any] = _modern(document)
        self._is_swagger = str(document.get("swagger", "")).startswith("2")
        self._validator = jsonschema_rs.Draft202012Validator
        self._registry = jsonschema_rs.Registry([(_URN, {"$schema": _DIALECT, **self._document})])
        self._routes: list[_Route] = []
        for path, item in self._document["paths"].items():
            pieces = re.split(r"(\{[^}]+\})", prefix + path)
            source = "".join("([^/]+)" if piece.startswith("{") else re.escape(piece) for piece in pieces)
            names = [piece[1:-1] for piece in pieces if piece.startswith("{")]
            for method in METHODS:
                if method in item:
                    common = item.get("parameters", [])
                    self._routes.append(_Route(method, path, re.compile(source), names, item[method], common))
        self._routes.sort(key=lambda route: len(route.names))  # a path without a variable is meant first

    def flaws_of(self, exchange: Exchange) -> list[Flaw]:
        """Return what does not fit; see `Spec`."""
        parts = urlsplit(exchange.url)
        for route in self._routes:
            found = route.pattern.fullmatch(parts.path)
            if found and route.method == exchange.method.lower():
                break
        else:
            return [Flaw(f"{exchange.method} {parts.path}", "operation: the document has none")]
        parameters = [self._followed(each) for each in [*route.common, *route.operation.get("parameters", [])]]
        says = self._parameters(parameters, route, found.groups(), parts.query, exchange)
        says += self._body(parameters, route.operation, exchange)
        says += self._answer(route.operation, exchange)
        return [Flaw(route.name, each) for each in says]

    def _parameters(
        self, parameters: list[Any], route: _Route, values: Sequence[str], query: str, exchange: Exchange
    ) -> list[str]:
        asked = dict(parse_qsl(query, keep_blank_values=True))
        says = []
        for parameter in parameters:
            place, name = parameter["in"], parameter["name"]
            if place == "path":
                value: str | None = unquote(values[route.names.index(name)]) if name in route.names else None
            elif place == "query":
                value = asked.get(name)
            elif place == "header":
                value = exchange.headers.get(name.lower())
            else:
                continue
            if value is None:
                says += [f"{place}/{name}: it is required"] if parameter.get("required") else []
                continue
            schema = parameter.get("schema") or {k: v for k, v in parameter.items() if k in _SIMPLE}
            says += self._wrong(schema, _typed(value, self._followed(schema)), f"{place}/{name}")
        known = {each["name"].partition("[")[0] for each in parameters if each["in"] == "query"}
        says += [f"query/{name}: the document has none" for name in asked if name.partition("[")[0] not in known]
        return says

    def _body(self, parameters: list[Any], operation: Mapping[str, Any], exchange: Exchange) -> list[str]:
        if self._is_swagger:
            stated = next((each for each in parameters if each["in"] == "body"), None)
            schema, required = (stated["schema"], stated.get("required", False)) if stated else (None, False)
        else:
            stated = self._followed(operation.get("requestBody") or {})
            schema, required = _json_schema(stated.get("content", {})), stated.get("required", False)
        if not exchange.body:
            return ["body: it is required"] if required else []
        if schema is None:
            return ["body: the document has none"]
        try:
            value = msgspec.json.decode(exchange.body)
        except msgspec.DecodeError:
            return ["body: it is no JSON"]
        return self._wrong(schema, value, "body", strict=True)

    def _answer(self, operation: Mapping[str, Any], exchange: Exchange) -> list[str]:
        # What a proxy or a server in trouble says is nobody's document.
        if exchange.status == 0 or exchange.status >= 500 or exchange.status == 429:
            return []
        responses = operation.get("responses", {})
        status = str(exchange.status)
        stated = responses.get(status) or responses.get(f"{status[0]}XX") or responses.get("default")
        if stated is None:
            return [f"status/{status}: the document has none"] if exchange.status < 400 else []
        stated = self._followed(stated)
        schema = stated.get("schema") if self._is_swagger else _json_schema(stated.get("content", {}))
        if schema is None or not exchange.answer:
            return []
        try:
            value = msgspec.json.decode(exchange.answer)
        except msgspec.DecodeError:
            return []  # cut off on the way: the connector takes it for that
        return self._wrong(schema, value, "answer")

    def _wrong(self, schema: Any, value: Any, where: str, *, strict: bool = False) -> list[str]:
        whole: dict[str, Any] = _absolute(schema)
        found = list(self._validator(whole, registry=self._registry).iter_errors(value))
        # By itself and afterwards: a part that does not fit has no fields that count as known.
        if not found and strict and isinstance(value, dict) and self._is_closed(schema):
            closed = {"allOf": [whole], "unevaluatedProperties": False}
            found = list(self._validator(closed, registry=self._registry).iter_errors(value))
        return [f"{'/'.join([where, *map(str, each.instance_path)])}: {str(each.message)[:160]}" for each in found]

    def _is_closed(self, schema: Any) -> bool:
        """Tell whether a schema names its fields, and so forbids others."""
        found = self._followed(schema)
        return bool(found.get("properties")) or any(self._is_closed(each) for each in found.get("allOf", ()))

    def _followed(self, value: Any) -> Any:
        while isinstance(value, dict) and "$ref" in value:
            at: Any = self._document
            for step in value["$ref"].partition("#/")[2].split("/"):
                at = at[unquote(step.replace("~1", "/").replace("~0", "~"))]
            value = at
        return value


_SIMPLE = frozenset({"type", "pattern", "enum", "minLength", "maxLength", "minimum", "maximum"})


def _json_schema(content: Mapping[str, Any]) -> Any:
    for kind, stated in content.items():
        if kind.partition(";")[0].strip() == "application/json" or kind.partition(";")[0].endswith("+json"):
            return stated.get("schema")
    return None


def _typed(value: str, schema: Mapping[str, Any]) -> Any:
    """Return a parameter as its schema means it: an address holds text only."""
    kinds = schema.get("type", "string")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind == "integer" and re.fullmatch(r"-?\d{1,18}", value):
            return int(value)
        if kind == "number" and re.fullmatch(r"-?\d{1,18}(\.\d{1,18})?", value):
            return float(value)
        if kind == "boolean" and value in {"true", "false"}:
            return value == "true"
        if kind == "array":
            return value.split(",")
    return value


def _modern(value: Any) -> Any:
    """Return a document of any version with schemas as JSON Schema 2020-12 has them."""
    if isinstance(value, list):
        return [_modern(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    made = {name: _modern(each) for name, each in value.items() if name not in {"example", "examples"}}
    if made.pop("nullable", None) is True or made.pop("x-nullable", None) is True:
        if isinstance(made.get("type"), str):
            made["type"] = [made["type"], "null"]
            if "enum" in made:
                made["enum"] = [*made["enum"], None]
        else:
            made = {"anyOf": [made, {"type": "null"}]}
    for bound, name in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(made.get(name), bool) and made.pop(name) and bound in made:
            made[name] = made.pop(bound)
    return made


def _absolute(value: Any) -> Any:
    """Return a schema whose references lead into the whole document."""
    if isinstance(value, list):
        return [_absolute(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: _URN + each if name == "$ref" and isinstance(each, str) and each.startswith("#") else _absolute(each)
        for name, each in value.items()
    }


# --- GraphQL ---


class GraphQl:
    """A GraphQL schema, as SDL or as the result of an introspection."""

    def __init__(self, schema: str | Mapping[str, Any]) -> None:
        import graphql  # noqa: PLC0415 -- only where a schema is checked

        self._graphql = graphql
        if isinstance(schema, str):
            self._schema = graphql.build_schema(schema)
        else:
            told: Any = schema.get("data", schema)
            self._schema = graphql.build_client_schema(told)

    def flaws_of(self, exchange: Exchange) -> list[Flaw]:
        """Return what does not fit; see `Spec`."""
        try:
            asked = msgspec.json.decode(exchange.body or b"", type=_Asked)
        except msgspec.DecodeError as error:
            return [Flaw(exchange.method, f"body: it is no GraphQL request: {error}")]
        try:
            document = self._graphql.parse(asked.query)
        except self._graphql.GraphQLError as error:
            return [Flaw(exchange.method, f"query: {error.message}")]
        operation = self._graphql.get_operation_ast(document, asked.operation_name)
        if operation is None:
            return [Flaw(exchange.method, "query: it holds no one operation")]
        name = _name_of(operation)
        flaws = [Flaw(name, f"query: {error.message}") for error in self._graphql.validate(self._schema, document)]
        if flaws:
            return flaws
        values = self._graphql.execution.values.get_variable_values(
            self._schema, operation.variable_definitions or (), asked.variables or {}
        )
        if isinstance(values, list):
            return [Flaw(name, f"variables: {error.message}") for error in values]
        declared = {each.variable.name.value for each in operation.variable_definitions or ()}
        flaws += [
            Flaw(name, f"variables/{each}: nobody asks") for each in asked.variables or {} if each not in declared
        ]
        return flaws + [Flaw(name, says) for says in self._answer(document, operation, exchange)]

    def _answer(self, document: Any, operation: Any, exchange: Exchange) -> list[str]:
        if exchange.status != 200 or not exchange.answer:
            return []
        try:
            said = msgspec.json.decode(exchange.answer)
        except msgspec.DecodeError:
            return []  # cut off on the way
        if not isinstance(said, dict) or said.get("errors") or said.get("data") is None:
            return [] if isinstance(said, dict) and said.get("errors") else ["answer: neither data nor errors"]
        fragments = {
            each.name.value: each
            for each in document.definitions
            if isinstance(each, self._graphql.FragmentDefinitionNode)
        }
        root = self._schema.get_root_type(operation.operation)
        return list(self._selected(root, operation.selection_set, said["data"], fragments, "answer"))

    def _selected(self, kind: Any, selections: Any, value: Any, fragments: Any, where: str) -> list[str]:
        """Return what of an object does not fit the fields that were asked for, those of its own type."""
        if not isinstance(value, dict):
            return [f"{where}: it is no object"]
        name = value.get("__typename", kind.name if self._graphql.is_object_type(kind) else None)
        own = self._schema.type_map.get(name, kind) if name else kind
        if name and not self._graphql.is_object_type(own):
            return [f"{where}/__typename: {name} is no type"]
        if self._graphql.is_abstract_type(kind) and own is not kind and not self._schema.is_sub_type(kind, own):
            return [f"{where}/__typename: {name} is no {kind.name}"]
        says: list[str] = []
        for selection in selections.selections:
            if isinstance(selection, self._graphql.FieldNode):
                says += self._field(own, selection, value, fragments, where)
                continue
            inner = selection
            if isinstance(selection, self._graphql.FragmentSpreadNode):
                inner = fragments[selection.name.value]
            wanted = self._schema.type_map[inner.type_condition.name.value] if inner.type_condition else own
            if own is wanted or (self._graphql.is_abstract_type(wanted) and self._schema.is_sub_type(wanted, own)):
                says += self._selected(own, inner.selection_set, value, fragments, where)
        return says

    def _field(self, own: Any, selection: Any, value: Mapping[str, Any], fragments: Any, where: str) -> list[str]:
        key = (selection.alias or selection.name).value
        if selection.name.value == "__typename" or not hasattr(own, "fields"):
            return []
        field = own.fields.get(selection.name.value)
        if field is None:
            return []
        if key not in value:
            return [f"{where}/{key}: it was asked for and is not there"]
        return self._value(field.type, selection.selection_set, value[key], fragments, f"{where}/{key}")

    def _value(self, kind: Any, selections: Any, value: Any, fragments: Any, where: str) -> list[str]:
        if self._graphql.is_non_null_type(kind):
            if value is None:
                return [f"{where}: it is null"]
            kind = kind.of_type
        if value is None:
            return []
        if self._graphql.is_list_type(kind):
            if not isinstance(value, list):
                return [f"{where}: it is no list"]
            return [
                flaw
                for n, each in enumerate(value)
                for flaw in self._value(kind.of_type, selections, each, fragments, f"{where}/{n}")
            ]
        if self._graphql.is_leaf_type(kind):
            return _leaf(kind, value, where)
        return self._selected(kind, selections, value, fragments, where)


class _Asked(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")


_BUILT_IN: Mapping[str, tuple[type, ...]] = {
    "Int": (int,),
    "Float": (int, float),
    "String": (str,),
    "Boolean": (bool,),
    "ID": (str, int),
}


def _leaf(kind: Any, value: Any, where: str) -> list[str]:
    if hasattr(kind, "values"):
        return [] if value in kind.values else [f"{where}: {value!r} is no {kind.name}"]
    expected = _BUILT_IN.get(kind.name)
    if expected is None:  # a scalar of the vendor's own
        return []
    wrong = not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected)
    return [f"{where}: {value!r} is no {kind.name}"] if wrong else []


def _name_of(operation: Any) -> str:
    fields = [each.name.value for each in operation.selection_set.selections if hasattr(each, "name")]
    return f"{operation.operation.value} {','.join(fields)}"
