"""A test through a gateway as it is saved, for whoever describes it; nothing about an order is sent."""

from malha.flows import telling
from malha.network.service import refuse_limited
from malha.notifications import means
from malha.notifications.contract import Answer, Letter
from malha.notifications.errors import GatewayNotReady, TooManyTests
from malha.notifications.http_carrier import HttpCarrier
from malha.notifications.model import CHANNEL_WORDS, Channel, Rendered
from malha.platform import audit, signing
from malha.platform.db import Actor, Database, Tx
from malha.platform.i18n import N_, Word, translate
from malha.platform.ids import new_id
from malha.platform.outward import Outward
from malha.platform.settings import Settings

MOST_TESTS = 10  # a minute, through one gateway
TRY_WORDS = N_("Test of {retailer}: this is how our messages reach you.")


async def trial_of(tx: Tx, language: str, template: str = "") -> Rendered:
    """Return what a test says; with the name of an approved text, `name` or `name:its_language`, by that one."""
    look = await telling.look_of(tx)
    words = translate(language, TRY_WORDS, retailer=look.retailer)
    name, _colon, tongue = template.partition(":")
    return Rendered("", words, "", name, tongue or "pt_BR", (words,) if name else ())


async def send_trial(
    db: Database, actor: Actor, settings: Settings, channel: Channel, phone: str, language: str, rendered: Rendered
) -> Answer:
    """Send a test through a saved gateway and return what its answer means. No transaction is open meanwhile.

    The address is judged as it is when customers are told: `Answer` says refused where this server does not ask it.

    Raises:
        SharedByAll: the actor is limited to some locations.
        GatewayNotReady: the gateway is not described.
        TooManyTests: there were `MOST_TESTS` within a minute.
        SealBroken: its secrets were sealed with another key.
    """
    async with db.transaction(actor) as tx:
        refuse_limited(tx)
        opened = await means.open_gateway(tx, signing.keys_of(settings), channel)
        if opened is None or not opened.gateway.url:
            raise GatewayNotReady(means=Word(CHANNEL_WORDS[channel]))
        seconds = await audit.wait_for(
            tx, action="try", entity="message_gateway", entity_id=channel.value, most=MOST_TESTS, seconds=60
        )
        if seconds:
            raise TooManyTests(seconds=seconds, retry_after=seconds)
        await audit.record(tx, action="try", entity="message_gateway", entity_id=channel.value)
    carrier = HttpCarrier(opened, Outward(settings.outward_allow), telling.receipt_address(settings, opened))
    letter = Letter(
        id=new_id(),
        address=phone,
        language=language,
        text=rendered.text,
        template=rendered.template,
        template_language=rendered.template_language,
        parameters=rendered.parameters,
    )
    return await carrier.send(letter)
