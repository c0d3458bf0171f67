"""What the trail notes has a word for those who read it."""

import re
from pathlib import Path

from malha.console import audit_words

SOURCES = Path(audit_words.__file__).parents[1]
NOTED = re.compile(r"audit\.record(?:_many)?\((.*?)\)\n", re.DOTALL)


def named(what: str) -> set[str]:
    """Return the literal names that calls give to `action` or `entity`."""
    calls = (call for path in SOURCES.rglob("*.py") for call in NOTED.findall(path.read_text("utf-8")))
    return {name for call in calls for name in re.findall(rf'\b{what}="([a-z_.]+)"', call)}


def test_every_action_and_every_kind_of_record_of_the_trail_has_a_word() -> None:
    actions, entities = named("action"), named("entity")
    assert len(actions) > 40
    assert len(entities) > 25
    assert actions - set(audit_words.ACTIONS) == set()
    assert entities - set(audit_words.ENTITIES) == set()
