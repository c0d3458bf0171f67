"""Descriptions of well-known gateways, to begin with.

Written from what they publish; not tried against the services, which need an account. An administrator fills in what is
in <angle brackets> and the secret, and sends a test.
"""

from malha.notifications.gateways import Gateway, Header, Meaning, Receipts
from malha.notifications.model import Channel

_BEARER = Header("Authorization", "Bearer {secret}")

# By its name in forms: for which means, and the description.
PRESETS: dict[str, tuple[Channel, Gateway]] = {
    "whatsapp-cloud": (
        Channel.WHATSAPP,
        Gateway(
            name="WhatsApp Cloud API",
            url="https://graph.facebook.com/v21.0/<phone-number-id>/messages",
            headers=(_BEARER,),
            body="""{
  "messaging_product": "whatsapp",
  "to": "{to_digits}",
  "type": "template",
  "template": {
    "name": "{template}",
    "language": {"code": "{template_language}"},
    "components": [{"type": "body", "parameters": "{parameters_meta}"}]
  },
  "biz_opaque_callback_data": "{id}"
}""",
            needs_consent=True,
            meaning=Meaning(
                refused="400-407,410-424",
                id_path="messages.0.id",
                error_path="error.code",
                bad_address=("131026",),
            ),
            receipts=Receipts(
                proof="hmac-sha256",
                header="X-Hub-Signature-256",
                prefix="sha256=",
                items_path="entry.*.changes.*.value.statuses.*",
                id_path="id",
                status_path="status",
                words_path="errors.0.code",
                at_path="timestamp",
                bounced=("failed",),
                bad_address=("131026",),
            ),
        ),
    ),
    "twilio-sms": (
        Channel.SMS,
        Gateway(
            name="Twilio",
            url="https://api.twilio.com/2010-04-01/Accounts/<account-sid>/Messages.json",
            headers=(Header("Authorization", "Basic {secret_base64}"),),
            format="form",
            body="To={to}\nFrom=<sender>\nBody={text}\nStatusCallback={receipt_address}",
            meaning=Meaning(id_path="sid", error_path="code", bad_address=("21211", "21614", "21610")),
            receipts=Receipts(
                id_path="MessageSid",
                status_path="MessageStatus",
                words_path="ErrorCode",
                bounced=("undelivered", "failed"),
                bad_address=("30003", "30005", "30006"),
            ),
        ),
    ),
    "twilio-whatsapp": (
        Channel.WHATSAPP,
        Gateway(
            name="Twilio",
            url="https://api.twilio.com/2010-04-01/Accounts/<account-sid>/Messages.json",
            headers=(Header("Authorization", "Basic {secret_base64}"),),
            format="form",
            body="To=whatsapp:{to}\nFrom=whatsapp:<sender>\nContentSid={template}\n"
            "ContentVariables={parameters_numbered}\nStatusCallback={receipt_address}",
            needs_consent=True,
            meaning=Meaning(id_path="sid", error_path="code", bad_address=("21211", "63003")),
            receipts=Receipts(
                id_path="MessageSid",
                status_path="MessageStatus",
                words_path="ErrorCode",
                bounced=("undelivered", "failed"),
            ),
        ),
    ),
    "zenvia-sms": (
        Channel.SMS,
        Gateway(
            name="Zenvia",
            url="https://api.zenvia.com/v2/channels/sms/messages",
            headers=(Header("X-API-TOKEN", "{secret}"),),
            body="""{
  "from": "<sender>",
  "to": "{to_digits}",
  "externalId": "{id}",
  "contents": [{"type": "text", "text": "{text}"}]
}""",
            meaning=Meaning(id_path="id", error_path="code"),
            receipts=Receipts(
                id_path="messageId",
                status_path="messageStatus.code",
                words_path="messageStatus.cause",
                at_path="messageStatus.timestamp",
                delivered=("DELIVERED",),
                read=("READ",),
                bounced=("NOT_DELIVERED", "REJECTED"),
            ),
        ),
    ),
    "plain-json": (
        Channel.SMS,
        Gateway(
            name="",
            url="https://",
            headers=(_BEARER,),
            body='{"to": "{to}", "text": "{text}", "id": "{id}"}',
            meaning=Meaning(id_path="id", error_path="error"),
        ),
    ),
}
