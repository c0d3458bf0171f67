"""Letters over HTTP: one request for each, as the gateway's description says, and what its answer means."""

import msgspec

from malha.notifications import gateways
from malha.notifications.contract import Answer, End, Letter
from malha.notifications.means import Opened
from malha.notifications.model import Channel
from malha.notifications.segments import plain
from malha.platform.outward import Outward, OutwardRefused, OutwardUnanswered, OutwardUnreachable


class HttpCarrier:
    """Meets `contract.Carrier` for a gateway that an administrator described."""

    def __init__(self, opened: Opened, outward: Outward, receipt_address: str = "") -> None:
        self.channel: Channel = opened.channel
        self._opened = opened
        self._outward = outward
        self._receipt_address = receipt_address

    async def send(self, letter: Letter) -> Answer:
        """Send one letter. A time-out, a lost connection and an answer without a meaning are unknown ends."""
        gateway, secret = self._opened.gateway, self._opened.secret
        if self.channel is Channel.SMS and gateway.plain_letters:
            letter = msgspec.structs.replace(letter, text=plain(letter.text))
        try:
            request = gateways.request_of(gateway, letter, secret=secret, receipt_address=self._receipt_address)
            answer = await self._outward.send(request.method, request.url, headers=request.headers, body=request.body)
        except OutwardUnreachable as away:
            return Answer(End.LATER, words=str(away.facts["answer"]), unreachable=True)
        except OutwardUnanswered as unsaid:
            unknown = gateways.unknown(gateway.meaning, str(unsaid.facts["answer"]))
            return msgspec.structs.replace(unknown, unreachable=unknown.end is End.LATER)
        except (OutwardRefused, ValueError) as wrong:
            return Answer(End.REFUSED, words=str(wrong)[: gateways.WORDS])
        hide = (secret, self._opened.receipt_secret, letter.text)
        return gateways.answer_of(gateway.meaning, answer.status, answer.headers, answer.body, hide=hide)

    async def close(self) -> None:
        """Nothing stays open between letters."""
