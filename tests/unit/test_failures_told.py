"""Failures that are kept as text: found again with their facts, and shown in the reader's language."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from malha.channels import connectors
from malha.channels.connecting import failures as ours
from malha.channels.connecting import refusals
from malha.channels.connectors.shopify.webhooks import PERSON
from malha.platform import failures, i18n, messages, shapes
from malha.platform.outward import OutwardRefused, OutwardUnreachable

KEPT = [
    (
        "127.0.0.1 cannot be reached: All connection attempts failed",
        "Não foi possível alcançar 127.0.0.1: nenhuma tentativa de conexão teve êxito",
    ),
    (
        str(OutwardRefused(address="http://10.0.0.1", why="it leads into a network that is not public")),
        "http://10.0.0.1 não é consultado: leva a uma rede que não é pública.",
    ),
    (ours.NO_SECRET.format(name="api_key"), "o segredo api_key não foi informado"),
    (
        ours.MISFIT.format(field="locations", what="This must be an object."),
        "a configuração não serve: locations: Deve ser um objeto.",
    ),
    (
        ours.LOGIN_REFUSED.format(host="sftp.example:22", why="Permission denied"),
        "sftp.example:22 recusa o acesso: Permission denied",
    ),
]


@pytest.mark.parametrize(("kept", "told"), KEPT)
def test_what_was_kept_in_english_is_told_in_portuguese_with_its_facts(kept: str, told: str) -> None:
    with i18n.speaking("pt-BR"):
        assert ours.shown(kept) == told
    with i18n.speaking("en"):
        assert ours.shown(kept) == kept


@pytest.mark.parametrize("words", ["HTTP 502", "Sold out", "", "{host} cannot", "x" * 5_000, "no {such} fact"])
def test_the_words_of_others_are_told_as_they_are(words: str) -> None:
    with i18n.speaking("pt-BR"):
        assert ours.shown(words) == words
    assert ours.shown(None) == ""


def test_an_answer_that_nobody_foresaw_stays_in_its_sentence() -> None:
    kept = str(OutwardUnreachable(host="a.example", answer="certificate verify failed: {odd}"))
    with i18n.speaking("pt-BR"):
        assert failures.shown(kept) == "Não foi possível alcançar a.example: certificate verify failed: {odd}"


def test_one_look_finds_what_a_look_for_each_sentence_finds() -> None:
    sentences = {*failures.OUTWARD, *shapes.SENTENCES, *ours.OURS, *ours.CHECKS, *refusals.SAID}
    know = failures.Failures(*sentences)
    own = {msgid: re.sub(r"\{[a-z_]+\}", "", msgid) for msgid in sentences}
    ordered = sorted(sentences, key=lambda msgid: (-len(own[msgid]), msgid))
    forms = {m: re.compile(re.sub(r"\\\{([a-z_]+)\\\}", r"(?P<\1>.+?)", re.escape(m)), re.DOTALL) for m in ordered}

    def one_by_one(text: str) -> tuple[str, dict[str, str]] | None:
        found = ((m, match.groupdict()) for m, form in forms.items() if (match := form.fullmatch(text)))
        return next(found, None)

    names = re.compile(r"\{([a-z_]+)\}")
    filled = [names.sub(fact, m) for m in ordered for fact in ("A-1", "the first of two: 2 of them", "a\nb", "{odd}")]
    for text in [*filled, *ordered, *(f"{text}." for text in filled), *(f"x {text}" for text in filled)]:
        found = know.found(text)
        told = found and (found.msgid, {name: str(fact) for name, fact in found.facts.items()})
        assert told == one_by_one(text)


def test_what_was_found_of_a_text_is_kept_for_the_next_row_that_failed_alike() -> None:
    text = "127.0.0.1 cannot be reached: All connection attempts failed"
    know = failures.Failures(*failures.OUTWARD)
    assert know.found(text) is know.found(str(text))
    for n in range(2 * failures.KEPT):
        know.found(f"{n} cannot be reached: no address")
    again = know.found(text)
    assert again is not None
    assert str(again) == text


def test_every_sentence_that_is_kept_can_be_found_again() -> None:
    # A sentence that is written down here and not in the list would stay English for ever.
    tree = ast.parse(Path(ours.__file__).read_text("utf-8"))
    named = {
        t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
    }
    sentences = {value for name in named if isinstance(value := getattr(ours, name), str)} - {ours.UNREACHABLE}
    assert sentences == set(ours.OURS)
    know = failures.Failures(*failures.OUTWARD, *ours.OURS)
    for msgid in (*failures.OUTWARD, *ours.OURS):
        facts = {name: f"<{name}>" for name in messages.PLACEHOLDER.findall(msgid)}
        found = know.found(msgid.format_map(facts))
        assert found is not None, msgid
        assert (found.msgid, found.facts) == (msgid, facts)


# What may be said of a thing, and which argument says it.
SAYING = {
    "Rejected": 1, "Unknown": 0, "Invalid": 0, "Missing": 0, "Conflicting": 0, "Unsure": 0, "Retryable": 0,
    "RateLimited": 0, "AuthExpired": 0,
}  # fmt: skip
BY_CODE = {"partner_tables.py", "filed_stock.py"}  # files that cannot be read: the console knows their codes


def test_whatever_a_connector_of_ours_says_of_a_refusal_has_a_translation() -> None:
    said = {
        text
        for path in sorted(Path(connectors.__file__).parent.rglob("*.py"))
        if path.name not in BY_CODE
        for text in _said(ast.parse(path.read_text("utf-8")))
    }
    assert len(said) > 60, said
    know = failures.Failures(*refusals.SAID)
    unknown = [text for text in sorted(said) if know.found(text) is None]
    assert unknown == [], "add them to refusals.SAID"
    said |= set(PERSON.values())
    needless = [m for m in refusals.SAID if not any((f := know.found(t)) and f.msgid == m for t in said)]
    assert needless == [], "nobody says this any more"


def test_a_refusal_is_told_with_its_code_and_field_after_it_and_a_channels_own_words_as_its_own() -> None:
    with i18n.speaking("pt-BR"):
        assert ours.told("currency currency the shop sells in EUR") == "a loja vende em EUR (currency currency)"
        assert ours.told("the shop sells in EUR") == "a loja vende em EUR"
        assert ours.told("E1 price Too dear for us") == "o canal diz: “E1 price Too dear for us”"
        assert ours.told("") == ""
    with i18n.speaking("en"):
        assert ours.told("the shop sells in EUR") == "the shop sells in EUR"
        assert ours.told("Too dear for us") == "the channel says: “Too dear for us”"


def _said(tree: ast.Module) -> Iterator[str]:
    """Texts of ours in results and errors: literals, what is filled in is `x1`."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for scope in [*functions, *(n for n in tree.body if isinstance(n, ast.Assign))]:
        named: dict[str, list[ast.expr]] = {}
        for node in [*tree.body, *ast.walk(scope)]:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                named.setdefault(node.targets[0].id, []).append(node.value)
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYING:
                for says in node.args[SAYING[node.func.id] : SAYING[node.func.id] + 1]:
                    for text in _texts(says, named):
                        # A code, a status of HTTP and `code: message` are no words of ours.
                        if " " in text and text not in {"HTTP x1", "status x1", "x1 x1"} and text != "x1: x1":
                            yield text


def _texts(says: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[str]:
    match says:
        case ast.Constant(str(text)):
            yield text
        case ast.JoinedStr(values):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "x1" for p in values)
        case ast.Subscript(value):
            yield from _texts(value, named)
        case ast.BoolOp(_, values):
            for each in values:
                yield from _texts(each, named)
        case ast.IfExp(_, body, orelse):
            yield from _texts(body, named)
            yield from _texts(orelse, named)
        case ast.Name(name):
            for each in named.get(name, ()):
                if not isinstance(each, ast.Name | ast.Subscript):
                    yield from _texts(each, named)
