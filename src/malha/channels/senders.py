"""The sender this program brings along: a webhook, signed as Standard Webhooks says.

The receiver checks `webhook-signature`: signatures apart by a blank, of which one fits, each `v1,` and the base64 of
HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`. A secret that begins with `whsec_` signs by the key that
follows and by its own bytes, any other by its own bytes (`signatures.sign_standard`). It answers 2xx when it has stored
the quantities; a JSON body `{"refused": {"CODE": "why"}}` names what it will never take. The status is what
counts: of a body beyond the limit of answers nothing is read. 429 and 503 with `Retry-After` are waited for.
"""

from collections.abc import Sequence

import msgspec

from malha.channels.contract import Handed, NotHanded, StockUpdate
from malha.channels.signatures import sign_standard
from malha.platform import retrying
from malha.platform.clock import now
from malha.platform.errors import MalhaError
from malha.platform.ids import new_id
from malha.platform.outward import Answer, Kept, Outward

_encode = msgspec.json.Encoder().encode
TIMEOUT_S = 10.0
LONGEST_ASKED_S = 3600.0  # a rest that a channel asks for; as `connecting.wire`


class _Reply(msgspec.Struct):
    refused: dict[str, str] = {}


_reply = msgspec.json.Decoder(_Reply).decode


class Webhook:
    """Posts quantities to one address."""

    def __init__(self, outward: Outward | Kept, channel: str, url: str, secret: str) -> None:
        self._outward = outward
        self._channel = channel
        self._url = url
        self._secret = secret

    async def send(self, updates: Sequence[StockUpdate]) -> Handed:
        """Post updates; see `contract.StockSender`."""
        id_, at = f"msg_{new_id().hex}", int(now().timestamp())
        body = _encode({"type": "stock.changed", "channel": self._channel, "items": list(updates)})
        headers = {
            "content-type": "application/json",
            "webhook-id": id_,
            "webhook-timestamp": str(at),
            "webhook-signature": sign_standard(self._secret, id_, at, body),
        }
        try:
            answer = await self._outward.send("POST", self._url, headers=headers, body=body, again=True, cut=True)
        except MalhaError as error:
            raise NotHanded(str(error)) from error
        if answer.status // 100 != 2:
            after = retrying.retry_after(answer.headers.get("retry-after"), now(), longest_s=LONGEST_ASKED_S)
            raise NotHanded(f"HTTP {answer.status}", after=after)
        return Handed(_refused(answer))


def _refused(answer: Answer) -> dict[str, str]:
    try:
        return _reply(answer.body).refused if answer.body else {}
    except msgspec.DecodeError:
        return {}
