"""Many buyers over five channels want the last units, by every way orders come in, an import among them, on one and on two web processes."""

from tests.ports import free_port

from malha.bench.stock_race import races


def test_every_unit_is_sold_once_and_nobody_meets_anything_but_a_refusal() -> None:
    found = races(free_port(), lambda _what: None, buyers=80)
    for prefix in ("", "one_process_"):
        assert found[f"{prefix}errors"] == 0, found.get(f"{prefix}race_first_error")
        assert found[f"{prefix}oversold"] == 0
        assert found[f"{prefix}race_units_sold"] <= found[f"{prefix}race_units"]
        assert found[f"{prefix}refused"] > 0
        assert found[f"{prefix}imported"] > 0
        assert found[f"{prefix}import_refused"] > 0
        assert found[f"{prefix}import_duplicates"] > 0
        assert found[f"{prefix}race_drift"] == 0
