"""What a shop's page says, as a text of people."""

import pytest

from malha.channels.connectors.paragraphs import html_of
from malha.channels.connectors.reading_html import text_of


@pytest.mark.parametrize("text", ["Uma linha", "Uma\noutra", 'Um parágrafo\n\nOutro, 2 < 3 & "aspas"', ""])
def test_what_is_told_as_html_comes_back_as_it_was_written(text: str) -> None:
    assert text_of(html_of(text)) == text


def test_lists_headings_entities_and_what_is_unseen() -> None:
    said = "<h2>Medidas</h2><style>p{}</style><ul><li>30&nbsp;cm</li><li>2&nbsp;kg</li></ul><script>x()</script>"
    assert text_of(said) == "Medidas\n- 30 cm\n- 2 kg"
    assert text_of("sem marcas") == "sem marcas"
