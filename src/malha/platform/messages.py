"""Message catalogues: which sentences the product can say, where their translations are, and their compiled form.

Every .po file in `locale/<language>/LC_MESSAGES/` counts; each capability keeps its own (`ordering.po`), so engineers
do not meet in one file. They are merged into one `malha.mo` beside them, which names the hash of its sources: a
checkout or a wheel is compiled at first use and again after any change, and a directory that cannot be written is
served from memory.

`python -m malha.platform.messages missing [capability]` prints what lacks a translation, ready to paste; `compile`
compiles all.
"""

import ast
import hashlib
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

PACKAGE = Path(__file__).resolve().parent.parent
LOCALES = PACKAGE / "locale"
PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_CALLS = {"_": 0, "N_": 0, "n_": 0, "translate": 1}
CONNECTORS = ("channels/connectors/", "channels/contract/")
SOURCES = "sources of this catalogue"  # a message whose "translation" is their hash


class Message(msgspec.Struct, frozen=True):
    """A sentence the product can say: its English text (and plural), and where it is said first."""

    text: str
    where: str
    plural: str | None = None

    @property
    def capability(self) -> str:
        """Return the package that says it, which is the name of the .po file it belongs in."""
        return self.where.split("/")[0].removesuffix(".py")


def folder(language: str) -> Path:
    """Return the directory of a language's catalogues."""
    return LOCALES / language.replace("-", "_") / "LC_MESSAGES"


def open_catalogue(language: str) -> BinaryIO | None:
    """Return the compiled catalogue of a language, compiling it first if its sources changed; None if it has none."""
    sources = sorted(folder(language).glob("*.po"))
    if not sources:
        return None
    texts = [path.read_bytes() for path in sources]
    wanted = hashlib.sha256(b"\0".join(texts)).hexdigest()
    compiled = folder(language) / "malha.mo"
    try:
        kept = compiled.read_bytes()
    except OSError:
        kept = b""
    if wanted.encode() in kept:
        return io.BytesIO(kept)
    fresh = _compile(language, texts, wanted)
    _keep(compiled, fresh)
    return io.BytesIO(fresh)


def _compile(language: str, texts: Iterable[bytes], digest: str) -> bytes:
    from babel.messages.catalog import Catalog  # noqa: PLC0415 -- only needed after a change
    from babel.messages.mofile import write_mo  # noqa: PLC0415
    from babel.messages.pofile import read_po  # noqa: PLC0415

    merged = Catalog(locale=language.replace("-", "_"), project="malha", charset="utf-8")
    for text in texts:
        for message in read_po(io.BytesIO(text), locale=language.replace("-", "_"), abort_invalid=True):
            if message.id and message.string and not message.fuzzy:
                merged.add(message.id, message.string)
    merged.add(SOURCES, digest)
    out = io.BytesIO()
    write_mo(out, merged)
    return out.getvalue()


def _keep(path: Path, content: bytes) -> None:
    """Store the compiled form; a read-only installation does without."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)


def translations(language: str) -> dict[str, list[tuple[str, Any, bool]]]:
    """Return, per English sentence, its translations as (file name, text or plural forms, fuzzy)."""
    from babel.messages.pofile import read_po  # noqa: PLC0415

    found: dict[str, list[tuple[str, Any, bool]]] = {}
    for path in sorted(folder(language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language.replace("-", "_"), abort_invalid=True):
                if message.id:
                    key = message.id if isinstance(message.id, str) else message.id[0]
                    found.setdefault(key, []).append((path.name, message.string, message.fuzzy))
    return found


def messages(capability: str | None = None) -> list[Message]:
    """Return every sentence of the product, or of one capability.

    These are `_`, `N_`, `n_` and `translate` in Python and templates, `says` and `mend` of refusals, and what
    connectors, which see only their contract, say of their configuration and secrets.
    """
    found: dict[str, Message] = {}
    root = PACKAGE / (capability or "")
    if not root.is_dir():
        root = PACKAGE
    for path in sorted(root.rglob("*.py")):
        where = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        for line, text, plural in _in_python(tree):
            found.setdefault(text, Message(text, f"{where}:{line}", plural))
        if where.startswith(CONNECTORS):
            for line, text in _of_connectors(tree):
                found.setdefault(text, Message(text, f"{where}:{line}"))
    for path in sorted(p for kind in ("*.html", "*.xml", "*.txt", "*.jinja") for p in root.rglob(kind)):
        where = path.relative_to(PACKAGE).as_posix()
        if "/static/" not in where:
            for line, text, plural in _in_template(path.read_text("utf-8")):
                found.setdefault(text, Message(text, f"{where}:{line}", plural))
    return list(found.values())


def _in_python(tree: ast.Module) -> Iterator[tuple[int, str, str | None]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            at = _CALLS.get(name or "")
            if at is None or len(node.args) <= at:
                continue
            text = _constant(node.args[at])
            plural = _constant(node.args[1]) if name == "n_" and len(node.args) > 1 else None
            if text:
                yield node.lineno, text, plural
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                target, value = _assigned(part)
                if target in {"says", "mend"} and value is not None and (text := _constant(value)):
                    yield part.lineno, text, None


def _of_connectors(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield titles, descriptions and words of choices of fields that have a title, what secrets are, and misfits."""
    for node in ast.walk(tree):
        values: list[ast.expr] = []
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Meta":
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            if "title" in given:
                values = [given[name] for name in ("title", "description") if name in given]
                values += [word for each in _values(given.get("extra_json_schema")) for word in _values(each)]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Misfit":
            values = node.args[1:3]
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                target, value = _assigned(part)
                values += _values(value) if target == "secrets" else []
        for each in values:
            if text := _constant(each):
                yield each.lineno, text


def _values(node: ast.expr | None) -> list[ast.expr]:
    return node.values if isinstance(node, ast.Dict) else []


def _assigned(part: ast.stmt) -> tuple[str | None, ast.expr | None]:
    if isinstance(part, ast.Assign) and len(part.targets) == 1:
        return getattr(part.targets[0], "id", None), part.value
    if isinstance(part, ast.AnnAssign):
        return getattr(part.target, "id", None), part.value
    return None, None


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _in_template(source: str) -> Iterator[tuple[int, str, str | None]]:
    from jinja2 import Environment, nodes  # noqa: PLC0415

    tree = Environment(autoescape=True, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"]).parse(source)
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in _CALLS and call.args:
            texts = [arg.value for arg in call.args if isinstance(arg, nodes.Const) and isinstance(arg.value, str)]
            if texts:
                yield call.lineno, texts[0], texts[1] if call.node.name == "n_" and len(texts) > 1 else None


def problems(language: str) -> list[str]:
    """Return what is wrong with a language's catalogues: missing, fuzzy, contradicting, wrong facts."""
    known = translations(language)
    wrong = []
    for message in messages():
        entries = known.get(message.text)
        if not entries or not any(_complete(text) for _file, text, _fuzzy in entries):
            wrong.append(f"{message.where}: no {language} text for {message.text!r}")
            continue
        if len({str(text) for _file, text, _fuzzy in entries}) > 1:
            wrong.append(f"{message.text!r} is translated differently in {sorted(file for file, _t, _f in entries)}")
        if any(fuzzy for _file, _text, fuzzy in entries):
            wrong.append(f"{message.text!r} is fuzzy in {entries[0][0]}")
        facts = set(PLACEHOLDER.findall(message.text)) | set(PLACEHOLDER.findall(message.plural or ""))
        for file, text, _fuzzy in entries:
            forms = [text] if isinstance(text, str) else list(text)
            said = set().union(*(PLACEHOLDER.findall(form) for form in forms))
            if said != facts:
                wrong.append(f"{file}: {message.text!r} has the facts {sorted(facts)}, its translation {sorted(said)}")
    return wrong


def _complete(text: Any) -> bool:
    return bool(text) and (isinstance(text, str) or all(text))


def missing(language: str, capability: str | None = None) -> str:
    """Return PO entries with empty texts for what lacks a translation, to paste into the capability's file."""
    known = translations(language)
    lines = []
    for message in messages(capability):
        if capability not in {None, message.capability}:
            continue
        if any(_complete(text) for _file, text, _fuzzy in known.get(message.text, [])):
            continue
        lines += [f"#: {message.where}", f"msgid {_quoted(message.text)}"]
        if message.plural:
            lines += [f"msgid_plural {_quoted(message.plural)}", 'msgstr[0] ""', 'msgstr[1] ""', ""]
        else:
            lines += ['msgstr ""', ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def main(arguments: list[str]) -> int:
    """Run one of the commands in the module's docstring."""
    from malha.platform.i18n import LANGUAGES  # noqa: PLC0415 -- i18n imports this module at its first use

    match arguments:
        case ["compile"]:
            for language in LANGUAGES:
                open_catalogue(language)
        case ["missing"]:
            sys.stdout.write(missing("pt-BR") + "\n")
        case ["missing", capability]:
            sys.stdout.write(missing("pt-BR", capability) + "\n")
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
