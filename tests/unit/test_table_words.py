"""Whatever a table may hold has a name on screen."""

from malha.console.table_words import COLUMNS
from malha.exchange.kinds import PAGES, TARGETS, target_of
from malha.exchange.model import KINDS, Kind


def test_every_kind_has_rows_in_and_out_and_names_for_its_columns():
    assert set(TARGETS) == set(PAGES) == set(KINDS) == set(Kind)
    nameless = {column.name for kind in Kind for column in target_of(kind).columns if column.name not in COLUMNS}
    assert nameless == set()
