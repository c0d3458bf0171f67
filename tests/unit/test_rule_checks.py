"""What is wrong with rules is told as far as somebody can mend it at once."""

from malha.platform.flaws import Flaw
from malha.routing.ruling.checks import MOST_FLAWS, flaws_of
from malha.routing.ruling.model import Content, Row, Run, Table, Then, When


def flaws(content: Content, unknown: set[str]) -> list[Flaw]:
    return flaws_of(content, None, {"G"}, unknown)  # type: ignore[arg-type]  # no condition asks the network


def test_a_table_full_of_flaws_tells_the_first_thousand() -> None:
    codes = [f"c{n}" for n in range(500)]
    rows = [Row(when=When(categories=codes), then=Then(groups=["G"])) for _ in range(5)]
    found = flaws(Content(table=Table(rows=rows)), set(codes))
    assert len(found) == MOST_FLAWS
    assert [found[0].at, found[-1].at] == ["table/rows/0/when/categories/0", "table/rows/1/when/categories/499"]


def test_a_row_names_a_run_that_is_there() -> None:
    rows = [Row(then=Then(run="All")), Row(then=Then(run="Nobody"))]
    content = Content(runs=[Run(name="All")], table=Table(rows=rows))
    assert [flaw.at for flaw in flaws(content, set())] == ["table/rows/1/then/run"]
