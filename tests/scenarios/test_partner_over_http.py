"""The same partner by signed webhooks, and both kinds of partner through the API that people and scripts use."""

import warnings
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.partner_world import CODE, Partner, partnered
from tests.peer_shop import sign
from tests.sftp_host import PASSWORD, USER
from tests.webhook_sink import Sent, webhook_sink

from malha.app import create_app
from malha.channels.connecting import receiving, service
from malha.channels.connecting.errors import NotProved, WebhookUnreadable
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import RawRequest
from malha.channels.partners import service as partners
from malha.channels.signatures import is_standard
from malha.flows import partner_stock
from malha.identity import service as identity
from malha.identity.model import PERMISSIONS
from malha.platform.clock import now
from malha.platform.db import Database
from malha.platform.settings import Settings

OURS, THEIRS = "our-signing-secret-4711", "their-webhook-secret-0815"


async def _say(partner: Partner, message: Any, *, secret: str = THEIRS) -> int:
    sent = sign(message, secret=secret)
    receiver = receiving.Receiver(partner.database, partner.runtime.keys)
    return await receiver.receive("http", RawRequest("POST", "/in/http", sent.headers, sent.body))


async def test_a_partner_without_sftp_is_asked_and_answers_by_signed_webhooks(
    database: Database, tmp_path: Path
) -> None:
    async with webhook_sink() as sink, partnered(database, tmp_path) as partner:
        draft = ConnectionDraft(
            code="http",
            name="HTTP",
            connector="partner_http",
            config={"base_url": sink.url, "stock_source": "wms"},
            secrets={"signing_secret": OURS, "webhook_secret": THEIRS},
        )
        partner.settings = Settings(
            database_url=database.url, data_dir=tmp_path, outward_allow=(f"127.0.0.1:{sink.port}",)
        )
        partner.runtime = Runtime(database, partner.settings, take_stock=partner_stock.take_stock)
        async with database.transaction() as tx:
            await service.add_connection(tx, draft, partner.runtime.keys)
            await service.resume(tx, "http")
            await partners.set_locations(tx, CODE, {})
            await partners.set_locations(tx, "http", {"DC": "ARM-1"})
        lost = [True]

        def answer(_sent: Sent) -> tuple[int, dict[str, str], bytes]:
            return (502, {}, b"") if lost and lost.pop() else (200, {}, b'{"id": "W1"}')

        sink.answer = answer
        order = await partner.order(A=2)
        await partner.go()
        asked, again = sink.sent
        assert (asked.id, asked.body) == (again.id, again.body)  # it may have arrived: the same message once more
        assert is_standard(
            [OURS],
            id_=asked.id,
            timestamp=asked.headers["webhook-timestamp"],
            body=asked.body,
            said=asked.headers["webhook-signature"],
            now=now(),
        )
        request = asked.json["request"]
        assert [(line["sku"], line["quantity"]) for line in asked.json["lines"]] == [("A", 2)]
        shipped = {
            "type": "shipment",
            "request": request,
            "parcels": [{"lines": [{"sku": "A", "quantity": 2}], "tracking": "T1", "carrier": "Jadlog"}],
        }
        with pytest.raises(NotProved):
            await _say(partner, shipped, secret="somebody-else-s-secret")
        short = [{"sku": "A", "quantity": 1, "reason": "vanished"}]
        with pytest.raises(WebhookUnreadable, match="none of"):
            await _say(partner, {"type": "shipment", "request": request, "short": short})
        assert (
            await _say(partner, {"messages": [{"type": "answer", "request": request, "accepted": True}, shipped]}) == 2
        )
        assert await _say(partner, shipped) == 0
        stock = {
            "type": "stock",
            "as_of": now().isoformat(),
            "lines": [
                {"location": "ARM-1", "sku": "A", "quantity": 38},
                {"location": "ARM-1", "sku": "B", "quantity": 30},
            ],
        }
        assert await _say(partner, stock) == 1
        await partner.go()
        assert await partner.states(order) == {"shipped": 2}
        assert (await partner.on_hand("A"), await partner.on_hand("B")) == (38, 30)
        assert [row[0::2][:2] for row in await partner.files()] == [("stock", "done")]


class _Api:
    def __init__(self, http: httpx.AsyncClient, secret: str) -> None:
        self._http = http
        self._secret = secret

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        given = {"authorization": f"Bearer {self._secret}", "accept-language": "pt-BR"}
        return await self._http.request(method, f"/v1/connections/{CODE}{path}", json=body, headers=given)

    async def told(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.ask(method, path, body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None


async def test_the_api_shows_what_a_partner_holds_its_files_their_errors_and_the_way_to_trust_it(
    database: Database, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        partner = await stack.enter_async_context(partnered(database, tmp_path, answer_hours=1))
        async with database.transaction() as tx:
            key = await identity.create_key(tx, name="story", permissions=list(PERMISSIONS))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\[paths='/(?!v1/)")  # how pages declare their parameters
            app = create_app(partner.settings)
        await stack.enter_async_context(app.lifespan())
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test")
        api = _Api(await stack.enter_async_context(client), key.secret)

        shown = await api.told("POST", "/partner/host-key/look", {})
        assert shown["fingerprint"].startswith("SHA256:")
        refused = await api.ask("PUT", "/partner/host-key", {"fingerprint": "SHA256:other"})
        assert (refused.status_code, refused.json()["code"]) == (409, "host_key_changed")
        await api.told("PUT", "/partner/host-key", {"fingerprint": shown["fingerprint"]})
        await api.told("PUT", "/partner/locations", {"locations": {"DC": "CD SP"}})
        assert (await api.ask("PUT", "/partner/locations", {"locations": {"NOWHERE": ""}})).status_code == 422

        first, second = await partner.order(A=1), await partner.order(B=1)
        await partner.go()
        assert [file[0]["location"] for file in partner.asked()] == ["CD SP", "CD SP"]
        requests = (await api.told("GET", "/partner/requests"))["items"]
        assert [(r["state"], r["told"], r["overdue"]) for r in requests] == [("asked", "done", False)] * 2
        await partner.rows("UPDATE channel_op SET done_at = now() - interval '2 hours' RETURNING 1")
        late = await api.told("GET", "/partner")
        assert (late["open"], late["unanswered"], late["overdue"], late["held_files"]) == (2, 2, 2, 0)
        name = requests[0]["name"]
        assert [r["name"] for r in (await api.told("GET", f"/partner/requests?q={name}"))["items"]] == [name]
        assert await api.told("POST", "/partner/send-again", {"names": [name]}) == {"count": 1}
        assert (await api.ask("POST", "/partner/send-again", {"names": ["F0"]})).json()["code"] == "nothing_sent"

        said = f"request;sku;quantity\n{name};A;um\n{requests[1]['name']};Z;1\n"
        partner.host.put("SHIP_1.csv", said)
        await partner.go()
        (held,) = (await api.told("GET", "/partner/files?way=in&held=true"))["items"]
        assert (held["name"], held["state"], held["rows"], held["held"]) == ("SHIP_1.csv", "held", 2, 2)
        flaws = await api.told("GET", f"/partner/files/{held['number']}/flaws")
        assert [f["row"] for f in flaws] == [2, 3]
        assert "não é um número inteiro" in flaws[0]["says"]
        answer = await api.ask("GET", f"/partner/files/{held['number']}/content")
        assert (answer.text, "SHIP_1.csv" in answer.headers["content-disposition"]) == (said, True)
        assert (await api.ask("GET", "/partner/files/999/content")).json()["code"] == "unknown_partner_file"
        out = (await api.told("GET", "/partner/files?way=out"))["items"]
        assert sorted({f["kind"] for f in out}) == ["errors", "pick"]
        assert len([f for f in out if f["kind"] == "pick"]) == 3  # one of them once more
        assert (await api.told("GET", "/partner/notices"))["items"] == []
        assert {str(first), str(second)}
        assert PASSWORD not in str(await api.told("GET", ""))
        assert USER
