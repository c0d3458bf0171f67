"""The connector of ERPs by files keeps the contract; careless ones are found out."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.folder_rig import FolderRig

from malha.channels.connectors.erp_files import ErpFiles
from malha.channels.contract import FileTold
from malha.testing.connectors import ConnectorContract, Fault, Operation


class ErpRig(FolderRig):
    """An ERP whose files are in a folder."""

    faults = frozenset({Operation.SHIPMENT, Operation.CANCEL, Operation.REFUND})

    async def add_order(self, **_: Any) -> str:
        return "P-1"

    async def told(self, operation: Operation) -> Sequence[str]:
        prefix = {Operation.SHIPMENT: "SHIPMENT", Operation.CANCEL: "CANCELLATION", Operation.REFUND: "REFUND"}
        return [name for name in self.files.written if name.startswith(f"out/{prefix[operation]}_")]

    def _put(self, name: str, lines: Sequence[str]) -> str:
        (self.root / "in" / name).write_text("\r\n".join(lines), "latin-1")
        return name

    async def products_by_file(self, rows: Sequence[tuple[str, str]]) -> str:
        return self._put("PRODUTOS.csv", ["código;descrição;preço", *(f"{sku};Ação;{price},00" for sku, price in rows)])

    async def orders_by_file(self, rows: Sequence[tuple[str, str]]) -> str:
        """The second lines of all orders stand behind the first ones, as some systems write them."""
        first = [f"{number};27/11/2026;A;1;10,00" for number, _ in rows]
        second = [f"{number};27/11/2026;B;{units};2,50" for number, units in rows]
        return self._put("PEDIDOS.csv", ["pedido;data;código;quantidade;preço", *first, *second])


class TestErpFiles(ConnectorContract):
    """What the kit asks of an ERP by files."""

    connector = ErpFiles()

    @pytest.fixture
    def rig(self, tmp_path: Path) -> ErpRig:
        return ErpRig(tmp_path)

    async def test_a_check_says_yes_and_with_wrong_secrets_no(self, rig: Any) -> None:
        pytest.skip("the folder asks for no password; a real server does in the scenarios")

    async def test_what_the_peer_never_takes_is_refused_for_good(self, rig: Any) -> None:
        pytest.skip("a folder takes a file about any order")


# --- each way to be careless fails a test of the kit ---


class Spent(ErpFiles):
    """What a file lists can be asked for once."""

    def understand(self, config: Any, name: str, body: Any, modified: datetime) -> Any:
        told = super().understand(config, name, body, modified)
        return msgspec.structs.replace(told, listed=iter(told.listed or ()))


class Twice(ErpFiles):
    """It tells the first of a file twice."""

    def understand(self, config: Any, name: str, body: Any, modified: datetime) -> Any:
        told = super().understand(config, name, body, modified)
        listed = list(told.listed or ())
        return msgspec.structs.replace(told, listed=[*listed[:1], *listed])


class Silent(ErpFiles):
    """It passes over rows that it cannot read."""

    def understand(self, config: Any, name: str, body: Any, modified: datetime) -> Any:
        return msgspec.structs.replace(super().understand(config, name, body, modified), flaws=[])


class Major(ErpFiles):
    """It tells prices in whole units of the currency."""

    def understand(self, config: Any, name: str, body: Any, modified: datetime) -> Any:
        told = super().understand(config, name, body, modified)
        listed = [
            msgspec.structs.replace(each, item=msgspec.structs.replace(each.item, price=each.item.price // 100))
            for each in told.listed or ()
        ]
        return msgspec.structs.replace(told, listed=listed)


class Believing(ErpFiles):
    """It takes whatever comes for an empty table."""

    def understand(self, config: Any, name: str, body: Any, modified: datetime) -> Any:
        if not body.getvalue().startswith(b"c"):
            return FileTold(kind="products", rows=0, listed=[])
        return super().understand(config, name, body, modified)


class Nameless(ErpFiles):
    """Its files bear nothing by which what is told is known again."""

    _n = 0

    async def push_shipment(self, ctx: Any, shipment: Any, key: str) -> Any:
        self._n += 1
        return await super().push_shipment(ctx, shipment, f"{self._n:012d}{key}")


@pytest.mark.parametrize(
    ("careless", "test", "given"),
    [
        (Spent, "test_what_a_file_lists_is_told_once_and_the_same_each_time", {"kind": "products"}),
        (Twice, "test_what_a_file_lists_is_told_once_and_the_same_each_time", {"kind": "orders"}),
        (Silent, "test_a_bad_row_of_a_list_harms_no_other_and_is_named", {"kind": "products"}),
        (Major, "test_money_of_files_is_in_minor_units", {}),
        (Believing, "test_what_is_no_table_is_refused_as_a_whole", {"kind": "products"}),
        (Nameless, "test_whatever_breaks_a_thing_is_told_once", {"operation": Operation.SHIPMENT, "fault": Fault.LOST}),
    ],
)
async def test_the_kit_finds_out_which_erp_is_careless(
    careless: Any, test: str, given: dict[str, Any], tmp_path: Path
) -> None:
    class Contract(ConnectorContract):
        connector = careless()

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await getattr(Contract(), test)(rig=ErpRig(tmp_path), **given)
