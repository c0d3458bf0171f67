"""A label begins a sentence, or stands within one; what begins with an acronym keeps it."""

import pytest

from malha.platform.text import begun, within


@pytest.mark.parametrize(
    ("label", "first", "inside"),
    [
        ("On hold", "On hold", "on hold"),
        ("CEP de outro estado", "CEP de outro estado", "CEP de outro estado"),
        ("SKU identified", "SKU identified", "SKU identified"),
        ("link sent by e-mail", "Link sent by e-mail", "link sent by e-mail"),
        ("Órgão", "Órgão", "órgão"),
        ("", "", ""),
    ],
)
def test_a_label_begins_a_sentence_or_stands_within_one(label: str, first: str, inside: str) -> None:
    assert (begun(label), within(label)) == (first, inside)
