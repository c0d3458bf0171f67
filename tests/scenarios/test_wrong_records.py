"""Shops whose records are wrong, lived through by the product itself: the proof behind `stock_cancels_per_10k`."""

from malha.bench.stock_shelves import ACCURACY, FULL, QUICK, Size, plan, shelves


def test_records_are_as_wrong_as_is_said_and_the_same_every_time() -> None:
    for size in (QUICK, FULL):
        drawn = plan(size)
        assert drawn == plan(size)
        assert size.days * size.orders == sum(len(part.orders) for day in drawn.days for part in day)
        for shop, accuracy in enumerate(drawn.accuracy, 1):
            assert ACCURACY[0] <= accuracy <= ACCURACY[1]
            mine = [key for key in drawn.records if key[1] == shop]
            wrong = [key for key in mine if drawn.shelves[key] != drawn.records[key]]
            assert abs(len(wrong) - (1 - accuracy) * len(mine)) <= 1
    assert FULL.days * FULL.orders == 10_000


def test_every_order_is_refused_sent_or_cancelled_for_stock_and_nothing_drifts() -> None:
    found = shelves(Size(shops=4, days=3, orders=24), lambda _what: None)
    for run in ("before", "after"):
        assert found["stock_accepted_orders"][run] + found["stock_refused_orders"][run] == 72
        assert found["stock_cancelled_orders"][run] <= found["stock_short_picks"][run]
        assert found["stock_refused_though_there"][run] <= found["stock_refused_orders"][run]
    assert found["stock_short_picks"]["before"] > 0  # records are wrong: somebody must have met that
    assert found["stock_suspected"]["before"] == 0
    assert found["shelves_drift"] == 0
