"""Failures that are kept as text: found again with their facts, and shown in the reader's language."""

import ast
from pathlib import Path

import pytest

from malha.channels.connecting import failures as ours
from malha.platform import failures, i18n, messages
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


def test_every_sentence_that_is_kept_can_be_found_again() -> None:
    # A sentence that is written down here and not in the list would stay English for ever.
    tree = ast.parse(Path(ours.__file__).read_text("utf-8"))
    named = {
        t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
    }
    assert {getattr(ours, name) for name in named - {"OURS", "shown", "UNREACHABLE"}} == set(ours.OURS)
    know = failures.Failures(*failures.OUTWARD, *ours.OURS)
    for msgid in (*failures.OUTWARD, *ours.OURS):
        facts = {name: f"<{name}>" for name in messages.PLACEHOLDER.findall(msgid)}
        found = know.found(msgid.format_map(facts))
        assert found is not None, msgid
        assert (found.msgid, found.facts) == (msgid, facts)
