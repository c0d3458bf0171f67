"""Everything the product can say, it can say in Portuguese, with the same facts."""

import ast
from pathlib import Path

import malha
from malha.platform import messages as catalogues
from malha.platform.errors import MalhaError
from malha.platform.messages import LOCALES, Message, messages, missing, problems, translations


def test_every_sentence_has_a_portuguese_text_with_the_same_facts() -> None:
    wrong = problems("pt-BR")
    assert not wrong, "python -m malha.platform.messages missing <capability> prints what to add:\n" + "\n".join(wrong)


def test_a_sentence_is_translated_in_one_way() -> None:
    said = {text: {str(told) for _file, told, _fuzzy in entries} for text, entries in translations("pt-BR").items()}
    assert {text: told for text, told in said.items() if len(told) > 1} == {}


def test_english_overrides_keep_their_facts() -> None:
    assert all(not fuzzy for entries in translations("en").values() for _file, _text, fuzzy in entries)


def test_what_is_looked_for_is_found(tmp_path, monkeypatch) -> None:
    known = {message.text for message in messages()}
    assert MalhaError.says in known  # a refusal
    assert "Owner" in known  # N_ in a table
    assert "Permission" in known  # a template
    assert "This is required." in known
    assert not [text for text in known if text != text.strip()]
    monkeypatch.setattr(catalogues, "folder", lambda _language: tmp_path)
    assert len(problems("pt-BR")) == len(known)
    assert f'msgid "{MalhaError.says}"\nmsgstr ""' in missing("pt-BR")


def test_wrong_entries_are_named(tmp_path, monkeypatch) -> None:
    said = [
        Message("There are {n} of {what}.", "a/b.py:1"),
        Message("Plain.", "a/b.py:2"),
        Message("Twice.", "a/b.py:3"),
    ]
    monkeypatch.setattr(catalogues, "messages", lambda _capability=None: said)
    monkeypatch.setattr(catalogues, "folder", lambda _language: tmp_path)
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    (tmp_path / "a.po").write_text(
        head
        + 'msgid "There are {n} of {what}."\nmsgstr "São {n} de {que}."\n\n'
        + '#, fuzzy\nmsgid "Plain."\nmsgstr "Simples."\n\nmsgid "Twice."\nmsgstr "Uma."\n'
    )
    (tmp_path / "b.po").write_text(head + 'msgid "Twice."\nmsgstr "Outra."\n')
    first, second, third = problems("pt-BR")
    assert "has the facts ['n', 'what'], its translation ['n', 'que']" in first
    assert "fuzzy" in second
    assert "differently in ['a.po', 'b.po']" in third


def test_every_language_has_a_folder() -> None:
    assert {path.name for path in LOCALES.iterdir() if path.is_dir()} == {"en", "pt_BR"}


def test_what_somebody_else_changed_is_named_in_the_readers_language() -> None:
    """`Conflict` names a thing as people do: by a message id, not by the name of a table."""
    plain = [
        f"{path.name}:{call.lineno}"
        for path in sorted(Path(malha.__file__).parent.rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Conflict"
        for said in call.keywords
        if said.arg == "what" and isinstance(said.value, ast.Constant)
    ]
    assert plain == []
