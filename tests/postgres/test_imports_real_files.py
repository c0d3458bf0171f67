"""Files as others made them: stores of a Brazilian chain, a shop's product sheet, customers of another country."""

import io
import os
from pathlib import Path

import pytest

from malha.catalog import reads as catalog
from malha.catalog.imports import ProductImport
from malha.customers.imports import CustomerImport
from malha.network import reads as network
from malha.network.imports import LocationImport
from malha.platform.db import Database
from malha.platform.imports import Mode, run_import
from malha.platform.tabular import write_table

pytestmark = pytest.mark.shared
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def the_file(name: str) -> Path:
    path = DATA / name
    if not path.exists() and not os.environ.get("CI"):
        pytest.skip(f"{name} is not on this machine")
    return path


async def test_the_stores_of_a_chain_come_in_with_their_real_cnpjs(database: Database) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(the_file("stores/br_pharmacy_stores_520.parquet"))
    data = b"".join(write_table(table.column_names, zip(*table.to_pydict().values(), strict=True)))
    report = await run_import(database, LocationImport(), io.BytesIO(data), mode=Mode.VALID)
    assert report.rows == 520
    assert report.ignored_columns == ["Estado"]
    # One CNPJ fails its check digits, two CEPs lie in another state than the row says.
    assert [(p.line, p.column) for p in report.problems] == [(34, "CNPJ"), (214, "cep"), (216, "cep")]
    assert report.created == 517
    async with database.transaction() as tx:
        snapshot = await network.snapshot(tx)
    assert len(snapshot.locations) == report.created
    assert len({e.legal_entity_id for e in snapshot.establishments.values()}) < 20
    assert all(x.latitude is not None for x in snapshot.locations.values())
    again = await run_import(database, LocationImport(), io.BytesIO(data), mode=Mode.VALID)
    assert (again.created, again.changed, again.unchanged) == (0, 0, report.created)


async def test_a_shops_sheet_with_pounds_inches_and_pairs_of_options_comes_in_where_it_is_not_contradictory(
    database: Database,
) -> None:
    data = the_file("catalogue/spree/products.csv").read_bytes()
    report = await run_import(database, ProductImport(), io.BytesIO(data), mode=Mode.VALID)
    # The sheet names a SKU twice for two products, and repeats the variants for a second currency: nothing is guessed.
    assert (report.rows, report.created, report.bad) == (211, 121, 90)
    assert [(p.line, p.column) for p in report.problems][:4] == [(96, "sku"), (97, "name"), (98, ""), (126, "sku")]
    assert "currency" in report.ignored_columns
    async with database.transaction() as tx:
        (card,) = await catalog.by_skus(tx, ["AUTOMATIC-ESPRESSO-MACHINE-MATTE-BLACK"])
        product = await catalog.product_by_code(tx, "automatic-espresso-machine")
    assert (card.price, card.weight_grams, card.width_mm) == (87999, 8981, 351)
    assert product
    assert product.options == ["Color"]
    assert card.name == "Automatic Espresso Machine Matte Black"
    again = await run_import(database, ProductImport(), io.BytesIO(data), mode=Mode.VALID)
    assert (again.created, again.changed, again.unchanged) == (0, 0, 121)


async def test_customers_of_another_country_are_told_what_is_missing(database: Database) -> None:
    data = the_file("catalogue/spree/customers.csv").read_bytes().replace(b"first_name", b"name", 1)
    report = await run_import(database, CustomerImport(), io.BytesIO(data), mode=Mode.PREVIEW)
    # Local numbers of seven digits and American postal codes are none here, and say so by line.
    assert {p.column for p in report.problems} <= {"phone", "zip"}
    assert report.bad == len({p.line for p in report.problems})
