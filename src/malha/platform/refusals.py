"""Refusals that are kept, to be said later to whoever asks, in their language."""

from typing import Any

import msgspec

from malha.platform.errors import MalhaError
from malha.platform.i18n import translate
from malha.platform.money import Money

_encode = msgspec.json.Encoder().encode


def kept(error: MalhaError) -> str:
    """Return a refusal as JSON: its sentences, not yet translated, and its facts."""
    facts = {name: fact if isinstance(fact, Money | int) else str(fact) for name, fact in error.facts.items()}
    return _encode({"says": error.says, "mend": error.mend, "facts": facts}).decode()


def said(why: dict[str, Any], language: str) -> str:
    """Return a refusal that was kept, in a language."""
    facts = {
        name: msgspec.convert(fact, Money) if isinstance(fact, dict) else fact for name, fact in why["facts"].items()
    }
    says, mend = (translate(language, why[part], **facts) for part in ("says", "mend"))
    return f"{says} {mend}".strip()
