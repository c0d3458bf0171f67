"""What the trail notes has a word for those who read it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from malha.console import audit_words

SOURCES = Path(audit_words.__file__).parents[1]
NOTED = re.compile(r"audit\.record(?:_many)?\((.*?)\)\n", re.DOTALL)


def named(what: str) -> set[str]:
    """Return the literal names that calls give to `action` or `entity`."""
    calls = (call for path in SOURCES.rglob("*.py") for call in NOTED.findall(path.read_text("utf-8")))
    return {name for call in calls for name in re.findall(rf'\b{what}="([a-z_.]+)"', call)}


def handed(tree: ast.Module) -> Iterator[str]:
    """Yield the literal actions that functions are called with which write to the trail what they are given."""
    writing = {}
    for made in ast.walk(tree):
        if isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef) and "audit.record" in ast.unparse(made):
            names = [argument.arg for argument in made.args.args]
            if "action" in names:
                writing[made.name] = names.index("action")
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in writing:
            given = call.args[writing[call.func.id] : writing[call.func.id] + 1]
            given += [keyword.value for keyword in call.keywords if keyword.arg == "action"]
            yield from (one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str))


def test_every_action_that_is_handed_on_to_be_noted_has_a_word() -> None:
    trees = [ast.parse(path.read_text("utf-8")) for path in SOURCES.rglob("*.py")]
    found = {action for tree in trees for action in handed(tree)}
    assert {"set", "receive"} <= found  # statements of stock
    assert found - set(audit_words.ACTIONS) == set()


def test_every_action_and_every_kind_of_record_of_the_trail_has_a_word() -> None:
    actions, entities = named("action"), named("entity")
    assert len(actions) > 40
    assert len(entities) > 25
    assert actions - set(audit_words.ACTIONS) == set()
    assert entities - set(audit_words.ENTITIES) == set()
