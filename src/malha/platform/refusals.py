"""Refusals that are kept, to be said later to whoever asks, in their language."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from malha.platform.errors import MalhaError
from malha.platform.flaws import first_of
from malha.platform.i18n import Phrase, Word, translate
from malha.platform.money import Money

_encode = msgspec.json.Encoder().encode


def kept(error: MalhaError) -> str:
    """Return a refusal, or the first of its flaws, as JSON: its sentences, not yet translated, and its facts."""
    first = first_of(error)
    return _encode({"says": first.says, "mend": first.mend, **_facts(first.facts)}).decode()


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts as plain values, and beside them the shapes of those that each language writes in its own way."""
    plain = {name: fact if isinstance(fact, Money | int) else str(fact) for name, fact in facts.items()}
    shapes = {name: shape for name, fact in facts.items() if (shape := _shape(fact)) is not None}
    return {"facts": plain, "shapes": shapes} if shapes else {"facts": plain}


def _shape(fact: Any) -> Any:
    match fact:
        case Phrase():
            return {"phrase": fact.msgid, **_facts(fact.facts)}
        case Word():
            return {"word": str(fact)}
        case datetime():
            return {"moment": fact.isoformat()}
        case date():
            return {"day": fact.isoformat()}
        case list() | tuple() | set() | frozenset():
            return {"all": [_shape(one) or {"text": str(one)} for one in fact]}
        case _:
            return None


def said(why: dict[str, Any], language: str) -> str:
    """Return a refusal that was kept, in a language."""
    facts = _told(why)
    says, mend = (translate(language, why[part], **facts) for part in ("says", "mend"))
    return f"{says} {mend}".strip()


def _told(why: Mapping[str, Any]) -> dict[str, Any]:
    plain = {
        name: msgspec.convert(fact, Money) if isinstance(fact, dict) else fact for name, fact in why["facts"].items()
    }
    return plain | {name: _fact(shape) for name, shape in why.get("shapes", {}).items()}


def _fact(shape: Mapping[str, Any]) -> Any:
    if "phrase" in shape:
        return Phrase(shape["phrase"], _told(shape))
    if "word" in shape:
        return Word(shape["word"])
    if "all" in shape:
        return [_fact(one) for one in shape["all"]]
    if "text" in shape:
        return shape["text"]
    return datetime.fromisoformat(shape["moment"]) if "moment" in shape else date.fromisoformat(shape["day"])
