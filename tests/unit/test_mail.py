"""Mail: addresses and servers that are taken or refused, messages that cannot be bent, and what a real server said."""

from pathlib import Path

import pytest

from mail_server import PASSWORD, mail_server
from malha.platform import mail
from malha.platform.mail import (
    MailAddressWrong,
    MailNotConfigured,
    MailPostponed,
    MailRefused,
    MailUnanswered,
    MailUnreachable,
    compose,
    parse_server,
)
from malha.platform.settings import Settings, SettingsError, load

SENDER = "Loja Azul <pedidos@loja.example>"


def a_message(to: str = "ana@example.com", **changes):
    return compose(
        **{"sender": SENDER, "to": to, "subject": "Olá, Ana", "text": "Pedido recebido. Obrigado!"} | changes
    )


# --- where it goes out ---


def test_the_address_of_a_server_says_how_it_is_spoken_to() -> None:
    found = parse_server("smtp://loja%40azul:p%2Fw%3A1@smtp.example.com")
    assert (found.host, found.port, found.security) == ("smtp.example.com", 587, "starttls")
    assert (found.user, found.password) == ("loja@azul", "p/w:1")
    assert parse_server("smtps://smtp.example.com").port == 465
    assert parse_server("smtp://[::1]:2525?tls=none").security == "none"


@pytest.mark.parametrize(
    "url",
    [
        "http://smtp.example.com",
        "smtp://",
        "smtp://smtp.example.com:99999",
        "smtp://smtp.example.com?tls=none",  # not this machine
        "smtp://10.0.0.5?tls=none",
        "smtps://127.0.0.1?tls=none",
        "smtp://127.0.0.1?tls=maybe",
        "smtp://127.0.0.1?verify=no",
        "smtp://u:p%0d%0aRSET@smtp.example.com",
        "smtp://smtp.example.com?ca=/no/such/file.pem",
    ],
)
def test_a_wrong_or_unsafe_server_stops_the_start_without_repeating_the_password(url: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load({"MALHA_SMTP_URL": url})
    assert "MALHA_SMTP_URL is (not shown)" in str(refusal.value)


def test_a_sender_must_have_an_address() -> None:
    assert load({"MALHA_MAIL_FROM": SENDER}).mail_from == SENDER
    with pytest.raises(SettingsError, match="Write it like Loja Azul <"):
        load({"MALHA_MAIL_FROM": "Loja Azul"})


def test_without_a_server_or_a_sender_nothing_pretends_to_send(tmp_path: Path) -> None:
    with pytest.raises(MailNotConfigured, match="MALHA_SMTP_URL"):
        mail.server_of(Settings(data_dir=tmp_path))
    with pytest.raises(MailNotConfigured, match="MALHA_MAIL_FROM"):
        mail.server_of(Settings(data_dir=tmp_path, smtp_url="smtp://smtp.example.com"))


def test_a_servers_repr_has_no_password() -> None:
    assert "hunter2" not in repr(parse_server("smtp://u:hunter2@smtp.example.com"))


# --- messages ---


@pytest.mark.parametrize(
    "address",
    ["", "ana", "ana@", "@example.com", "ana@localhost", "a b@example.com", "ana@example.com\r\nBcc: x@example.com",
     "ana@example.com,eva@example.com", "Ana <ana@example.com>", '"ana"@example.com', "ana..b@example.com",
     "josé@example.com", "a" * 65 + "@example.com", "ana@-x.com"],
)  # fmt: skip
def test_what_is_no_plain_address_gets_no_mail(address: str) -> None:
    with pytest.raises(MailAddressWrong):
        a_message(address)


def test_a_domain_with_accents_is_written_as_the_wire_wants_it() -> None:
    assert mail.clean_address(" Ana.Silva@Pão.com.br ") == "Ana.Silva@xn--po-sia.com.br"


def test_no_value_can_add_a_header_or_a_recipient() -> None:
    evil = "Oi\r\nBcc: todos@example.com\r\n\r\n<script>"
    message = a_message(subject=evil, to_name=evil, headers={"X-Order": evil})
    assert message["Bcc"] is None
    head, _, _ = message.as_bytes().partition(b"\r\n\r\n")
    assert not any(line.lower().startswith(b"bcc") for line in head.split(b"\r\n"))
    with pytest.raises(ValueError, match="cannot be set"):
        a_message(headers={"To": "eva@example.com"})


def test_a_message_with_a_page_offers_both_and_keeps_its_accents() -> None:
    message = a_message(html="<p>Olá, <b>Ana</b></p>", text="Olá, Ana\n" + "ção " * 300)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert "ção" in message.get_body(("plain",)).get_content()
    assert max(len(line) for line in message.as_bytes().split(b"\r\n")) < 998


# --- a real server ---


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
async def test_a_message_goes_out_encrypted_and_logged_in(tmp_path: Path, security: str) -> None:
    async with mail_server(tmp_path, security) as box:
        answer = await mail.send(parse_server(box.url), a_message(html="<p>Olá</p>"))
    assert answer.endswith("queued as 1")
    assert box.envelopes == [("pedidos@loja.example", ["ana@example.com"])]
    assert box.inbox[0]["Subject"] == "Olá, Ana"
    assert box.inbox[0]["From"] == SENDER
    assert box.logins == ([] if security == "none" else ["malha"])


async def test_a_refusal_for_good_is_told_from_one_for_now(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as box:
        box.answer_to = {
            "gone@example.com": "550 5.1.1 no such user",
            "full@example.com": "452 4.2.2 mailbox full",
        }
        box.answer_data = ["451 4.7.1 greylisted, come back", "554 5.7.1 spam"]
        async with mail.connect(parse_server(box.url)) as connection:
            with pytest.raises(MailRefused, match=r"550 5.1.1 no such user") as refused:
                await connection.send(a_message("gone@example.com"))
            assert refused.value.recipient
            with pytest.raises(MailPostponed, match=r"452 4.2.2 mailbox full"):
                await connection.send(a_message("full@example.com"))
            with pytest.raises(MailPostponed, match="greylisted"):
                await connection.send(a_message())
            with pytest.raises(MailRefused, match="spam") as refused:
                await connection.send(a_message())
            assert not refused.value.recipient
            # One message's refusal is not the next one's.
            assert await connection.send(a_message())
        assert len(box.inbox) == 1


async def test_no_server_no_log_in_and_a_strange_certificate_are_one_thing_nothing_got_through(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as box:
        url = box.url
        for wrong in (url.replace("malha:", "other:"), url.partition("?")[0], url.replace("smtp://", "smtps://")):
            with pytest.raises(MailUnreachable) as failure:
                await mail.send(parse_server(wrong), a_message(), timeout_s=5)
            assert PASSWORD not in str(failure.value)
        assert box.inbox == []
    with pytest.raises(MailUnreachable):
        await mail.send(parse_server(url), a_message(), timeout_s=5)


async def test_a_server_that_offers_no_encryption_gets_neither_password_nor_message(tmp_path: Path) -> None:
    async with mail_server(tmp_path, "none") as box:
        with pytest.raises(MailUnreachable):
            await mail.send(parse_server(f"smtp://malha:pw@127.0.0.1:{box.port}"), a_message())
        assert (box.logins, box.inbox) == ([], [])


async def test_a_connection_lost_after_the_message_leaves_the_question_open(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as box:
        box.drop_after_data = True
        with pytest.raises(MailUnanswered):
            await mail.send(parse_server(box.url), a_message())
        assert len(box.inbox) == 1
