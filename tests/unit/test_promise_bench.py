"""The benchmark of promises: what it refuses, and that a test in a folder of its own is read with its training."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from malha.bench import promise
from malha.bench.promise_live import Roads, _Promised, _Seen


def write(folder, first: int, last: int) -> None:
    """Orders `first` to `last` of a tiny retailer, one an hour, each there four days later."""
    folder.mkdir()
    orders = range(first, last)
    start = datetime(2024, 1, 1)  # noqa: DTZ001 - local times, as the dataset has them
    bought = [start + timedelta(hours=n) for n in orders]
    ids = [f"o{n}" for n in orders]
    table = {
        "order_id": ids,
        "customer_id": [f"c{n}" for n in orders],
        "order_status": ["canceled" if n % 50 == 0 else "delivered" for n in orders],
        "order_purchase_timestamp": bought,
        "order_approved_at": bought,
        "order_delivered_carrier_date": [at + timedelta(days=1) for at in bought],
        "order_delivered_customer_date": [at + timedelta(days=4) for at in bought],
        "order_estimated_delivery_date": [at + timedelta(days=9) for at in bought],
    }
    items = {
        "order_id": ids, "order_item_id": [1] * len(ids), "product_id": ["p"] * len(ids), "seller_id": ["s"] * len(ids),
        "price": [10.0] * len(ids), "freight_value": [5.0] * len(ids),
        "shipping_limit_date": [at + timedelta(days=2) for at in bought],
    }  # fmt: skip
    people = {
        "customer_id": table["customer_id"],
        "customer_zip_code_prefix": ["01310"] * len(ids),
        "customer_state": ["SP"] * len(ids),
    }
    sellers = {"seller_id": ["s"], "seller_zip_code_prefix": ["20040"], "seller_state": ["RJ"]}
    products = {"product_id": ["p"], "product_category_name": ["casa"], "product_weight_g": [300]}
    named = {"orders": table, "order_items": items, "customers": people, "sellers": sellers, "products": products}
    for name, columns in named.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def test_a_folder_without_the_tables_is_refused_with_what_is_missing(tmp_path):
    with pytest.raises(promise.DataMissing, match=r"no table of orders: expected olist_orders_dataset\.parquet"):
        promise.run(tmp_path, None, None, print)


def test_too_few_orders_are_refused(tmp_path):
    write(tmp_path / "few", 0, 300)
    with pytest.raises(promise.DataMissing, match="too few"):
        promise.run(tmp_path / "few", None, None, print)


def test_later_orders_of_another_folder_are_the_test_and_cancelled_ones_are_left_out(tmp_path):
    write(tmp_path / "train", 0, 2_500)
    write(tmp_path / "test", 2_450, 2_700)  # fifty orders are in both: they are no test
    said = []
    report = promise.run(tmp_path / "train", tmp_path / "test", 0.9, said.append)
    assert report.orders == 196
    assert report.trained_on == 2_450
    assert report.test_from == "2024-04-14"
    assert report.mae_days < 0.3
    assert report.on_time == 1.0
    assert report.olist_days == 9.0
    assert report.days_shorter > 3.5
    assert [m.month for m in report.months] == ["2024-04"]
    before = report.before.months
    assert before
    assert {m.month for m in before} < {"2024-01", "2024-02", "2024-03", "2024-04"}
    off = sum(abs(m.on_time - m.said) * 100 * m.orders for m in before) / sum(m.orders for m in before)
    assert report.before.coverage_error == pytest.approx(off, abs=0.001)
    assert report.live is not None
    # Of the first day, which both folders have orders of, all count: there is no test in days learned week by week.
    assert (report.live.orders, report.live.level) == (200, 0.9)
    assert report.live.on_time >= 0.9
    assert report.live.said >= 0.9
    # Two days after the limit, or the next business day.
    assert 4.0 <= report.live.promise_days < 6.0
    assert report.live.days_shorter == pytest.approx(9.0 - report.live.promise_days, abs=0.001)


def roads(days: np.ndarray, delivered: np.ndarray, left: np.ndarray) -> Roads:
    n = len(days)
    sellers = np.zeros(n, np.int64)
    return Roads(days, days + 1, left, delivered, sellers, [("RJ", "SP")] * n, np.full(n, 9.0))


def test_live_days_are_learned_from_what_was_known_when_a_week_began():
    """A parcel that comes tomorrow is on its way today, one that leaves tomorrow waits; both is counted as such."""
    days = np.repeat(np.arange(100, 200), 4)
    left, delivered = days + 2.0, days + 6.0
    now = 150
    seen = _Seen(roads(days, delivered, left))
    known, gone = seen.waited(now), seen.gone(now)
    assert sum(row.parcels for row in known if row.came) == 4 * sum(day + 6 < now for day in range(100, now))
    assert sum(row.parcels for row in known) == 4 * sum(day + 2 < now for day in range(100, now))
    assert sum(row.works for row in gone if row.left) == 4 * sum(day + 2 < now for day in range(100, now))
    assert sum(row.works for row in gone) == 4 * sum(day + 1 < now for day in range(100, now))
    later = _Seen(roads(days, np.where(delivered < now, delivered, np.inf), np.where(left < now, left, np.inf)))
    assert (later.waited(now), later.gone(now)) == (known, gone)


def test_only_promises_that_came_due_correct_the_next_ones():
    days = np.arange(100, 110)
    seen = _Seen(roads(days, days + 6.0, days + 2.0))
    made = [_Promised(row, int(days[row]) + 5, 0.9, 0.9) for row in range(10)]
    found = seen.due(110, made)
    assert [(row.age, row.kept) for row in found] == [(4, False), (3, False), (2, False), (1, False), (0, False)]
    assert seen.due(110, [_Promised(0, 106, 0.9, 0.9)])[0].kept


def test_without_lightgbm_the_benchmark_says_what_to_install(tmp_path: Path) -> None:
    run = "import sys; sys.modules['lightgbm'] = None; from malha.cli.main import main; main()"
    command = [sys.executable, "-c", run, "bench", "promise", "--train", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "pip install 'malha[learn]'" in " ".join(done.stderr.split())
