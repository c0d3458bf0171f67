"""Both connectors of logistics partners keep the contract; careless ones are found out."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.folder_rig import FolderRig
from tests.peer_shop import sign

from malha.channels.connectors.partner_files import PartnerFiles
from malha.channels.connectors.partner_http import PartnerHttp
from malha.channels.contract import RawRequest
from malha.testing.connectors import ConnectorContract, Fault, Operation
from malha.testing.peers import Asked, FailingPeer, failing_peer

OURS, THEIRS = "our-signing-secret-4711", "their-webhook-secret-0815"


class HttpRig:
    """A partner that is posted to, and posts."""

    page = 1
    webhook_secret = THEIRS

    def __init__(self, peer: FailingPeer, messages: list[str]) -> None:
        self.peer = peer
        self.config = {"base_url": f"{peer.url}/asks"}
        self.secrets = {"signing_secret": OURS, "webhook_secret": THEIRS}
        self.allowed = [peer.allowed]
        self._messages = messages
        self._requests: dict[str, int] = {}

    def fail(self, operation: Operation, fault: Fault) -> None:
        assert operation is Operation.ASK
        self.peer.fail("POST /asks", fault)

    async def asked(self) -> Sequence[str]:
        return self._messages

    async def add_order(self, **_: Any) -> str:
        id_ = f"F{len(self._requests) + 1}"
        self._requests[id_] = 1
        return id_

    async def change_order(self, id_: str) -> None:
        self._requests[id_] += 1

    def webhook(self, id_: str, *, secret: str, at: datetime) -> RawRequest:
        name = f"{id_}-{self._requests[id_]}"
        said = sign({"type": "answer", "request": id_, "accepted": True}, secret=secret, at=at, id_=name)
        return RawRequest("POST", "/in/kit", said.headers, said.body)

    def ping(self) -> RawRequest:
        said = sign({"type": "ping"}, secret=THEIRS)
        return RawRequest("POST", "/in/kit", said.headers, said.body)


def taking(messages: list[str], *, knows_names: bool = True) -> Any:
    """A partner that takes each message, once by its name where it knows them."""

    def answer(asked: Asked) -> tuple[int, Any]:
        if asked.headers["webhook-signature"].split(",")[0] != "v1":
            return 403, {}
        name = asked.headers["webhook-id"]
        if asked.body["type"] != "ping" and not (knows_names and name in messages):
            messages.append(name)
        return 200, {"id": f"W-{name}"}

    return answer


class FilesRig(FolderRig):
    """A partner whose files are in a folder."""

    faults = frozenset({Operation.ASK})

    async def asked(self) -> Sequence[str]:
        return self.files.written

    async def answer_by_file(self, rows: Sequence[tuple[str, str, str]]) -> str:
        lines = ["request;sku;quantity", *(";".join(row) for row in rows)]
        (self.root / "in" / "SHIP-1.csv").write_text("\r\n".join(lines), "utf-8")
        return "SHIP-1.csv"


class TestPartnerHttp(ConnectorContract):
    """What the kit asks of a partner by webhooks."""

    connector = PartnerHttp()

    @pytest.fixture
    async def rig(self) -> AsyncIterator[HttpRig]:
        messages: list[str] = []
        async with failing_peer(taking(messages)) as peer:
            yield HttpRig(peer, messages)

    async def test_a_check_says_yes_and_with_wrong_secrets_no(self, rig: Any) -> None:
        pytest.skip("a partner proves what we sign for itself: nobody here can say that a secret is wrong")


class TestPartnerFiles(ConnectorContract):
    """What the kit asks of a partner by files."""

    connector = PartnerFiles()

    @pytest.fixture
    def rig(self, tmp_path: Path) -> FilesRig:
        return FilesRig(tmp_path)

    async def test_a_check_says_yes_and_with_wrong_secrets_no(self, rig: Any) -> None:
        pytest.skip("the folder asks for no password; a real server does in the scenarios")


# --- each way to be careless fails a test of the kit ---


class Renaming(PartnerHttp):
    """It gives the same message another name each time."""

    def __init__(self) -> None:
        self._n = 0

    async def ask(self, ctx: Any, ask: Any, key: str) -> Any:
        self._n += 1
        return await super().ask(ctx, ask, f"{key}-{self._n}")


class Nameless(PartnerFiles):
    """Its files bear nothing by which two of them are told apart."""

    async def ask(self, ctx: Any, ask: Any, key: str) -> Any:
        del key
        return await super().ask(ctx, ask, "always")


class Forgetful(PartnerFiles):
    """It says that nothing arrived, and writes the next under another name."""

    _n = 0

    async def find_ask(self, ctx: Any, ask: Any, key: str) -> Any:
        del ctx, ask, key

    async def ask(self, ctx: Any, ask: Any, key: str) -> Any:
        self._n += 1
        return await super().ask(ctx, ask, f"{self._n:012d}{key}")


class Sunny(PartnerFiles):
    """It passes over rows that it cannot read, and says nothing."""

    def understand(self, config: Any, name: str, body: Any, modified: datetime) -> Any:
        return msgspec.structs.replace(super().understand(config, name, body, modified), flaws=[])


class Miscounting(PartnerFiles):
    """It counts rows from behind the header."""

    def understand(self, config: Any, name: str, body: Any, modified: datetime) -> Any:
        told = super().understand(config, name, body, modified)
        return msgspec.structs.replace(told, flaws=[msgspec.structs.replace(f, row=f.row - 1) for f in told.flaws])


class Returning(PartnerFiles):
    """It sends the whole file back as what is to be mended."""

    def error_file(self, config: Any, body: Any, errors: Any) -> bytes:
        del config
        return body.getvalue() + "".join(errors.values()).encode()


class Messy(PartnerFiles):
    """It leaves files where they were."""

    async def put_away(self, ctx: Any, name: str, number: int, errors: Any) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("careless", "test", "given"),
    [
        (Renaming, "test_whatever_breaks_a_partner_is_asked_once", {"kind": "pick", "fault": Fault.LOST}),
        (Nameless, "test_two_that_ask_the_same_for_two_reasons_are_two", {}),
        (Forgetful, "test_whatever_breaks_a_partner_is_asked_once", {"kind": "pick", "fault": Fault.LOST}),
        (Sunny, "test_what_a_file_says_is_told_row_by_row_and_a_bad_row_harms_no_other", {}),
        (Miscounting, "test_what_a_file_says_is_told_row_by_row_and_a_bad_row_harms_no_other", {}),
        (Returning, "test_the_rows_to_mend_go_back_with_why_and_only_they", {}),
        (Messy, "test_a_file_that_was_put_away_is_not_read_again", {}),
    ],
)
async def test_the_kit_finds_out_which_partner_is_careless(
    careless: Any, test: str, given: dict[str, Any], tmp_path: Path
) -> None:
    class Contract(ConnectorContract):
        connector = careless()

    messages: list[str] = []
    async with failing_peer(taking(messages)) as peer:
        rig = HttpRig(peer, messages) if isinstance(Contract.connector, PartnerHttp) else FilesRig(tmp_path)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            await getattr(Contract(), test)(rig=rig, **given)
