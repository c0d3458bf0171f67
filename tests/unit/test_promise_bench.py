"""The benchmark of promises: what it refuses, and that a test in a folder of its own is read with its training."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from malha.bench import promise


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


def test_without_lightgbm_the_benchmark_says_what_to_install(tmp_path: Path) -> None:
    run = "import sys; sys.modules['lightgbm'] = None; from malha.cli.main import main; main()"
    command = [sys.executable, "-c", run, "bench", "promise", "--train", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "pip install 'malha[learn]'" in " ".join(done.stderr.split())
