"""Fulfilment by a partner over a real SFTP server: asked, shipped, short, counted, cut off, repeated."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from tests.partner_world import CODE, Partner, partnered
from tests.sftp_host import USER

from malha.channels.connecting import failures, troubles
from malha.channels.connecting import reads as connections
from malha.channels.connecting import service as connecting
from malha.channels.contract import AuthExpired, Invalid
from malha.channels.partners import service as partners
from malha.channels.partners.errors import HostKeyChanged
from malha.channels.partners.sftp import Sftp
from malha.doctor import examine
from malha.fulfillment import service as fulfillment
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import InboundDraft, InboundKind, InboundLineDraft
from malha.ordering.model import CancelWish
from malha.platform import i18n
from malha.platform.db import SYSTEM, Database
from malha.testing.builders import in_days


@pytest.fixture
async def partner(database: Database, tmp_path: Path) -> AsyncIterator[Partner]:
    async with partnered(database, tmp_path) as made:
        yield made
        report = await examine(database)
        drift = [line for f in report.findings if f.drifts for line in (f.check, *f.lines("en"))]
        assert not drift, "\n".join(drift)


async def test_an_order_is_asked_for_shipped_with_its_tracking_and_leaves_the_stock(partner: Partner) -> None:
    order = await partner.order(A=2, B=1)
    await partner.go()
    ((first, second),) = partner.asked()
    assert (first["sku"], first["quantity"], first["location"]) == ("A", "2", "ARM-1")
    assert (second["sku"], second["quantity"], first["state"]) == ("B", "1", "SP")
    name = first["request"]
    partner.host.put("ACK_1.csv", f"request;accepted\n{name};sim\n")
    await partner.go()
    assert await partner.states(order) == {"picking": 3}
    partner.host.put(
        "SHIP_1.csv",
        "requisição;código;quantidade;volume;transportadora;rastreio;peso kg\n"
        f"{name};A;2;1;Jadlog;JD1;1,250\n{name};B;1;2;Jadlog;JD2;0,4\n",
        "latin-1",
    )
    await partner.go()
    assert await partner.states(order) == {"shipped": 3}
    assert await partner.rows("SELECT carrier, tracking_code, weight_grams FROM shipment ORDER BY tracking_code") == [
        ("Jadlog", "JD1", 1250),
        ("Jadlog", "JD2", 400),
    ]
    assert (await partner.on_hand("A"), await partner.on_hand("B")) == (38, 29)
    assert partner.host.names("in") == []
    assert partner.host.names("processed") == ["ACK_1_2.csv", "SHIP_1_3.csv"]
    assert await partner.rows("SELECT state, outcome FROM partner_request") == [("ended", "shipped")]
    assert not await partner.parked()
    assert not await partner.dead()


async def test_what_the_partner_is_short_of_goes_to_another_place_and_is_not_cancelled_there(partner: Partner) -> None:
    order = await partner.order(A=3)
    await partner.go()
    ((asked,),) = partner.asked()
    partner.host.put("SHIP_1.csv", f"request;sku;quantity;short;reason\n{asked['request']};A;1;2;sem estoque\n")
    await partner.go()
    places = await partner.rows(
        "SELECT l.code, u.state, u.quantity FROM order_unit u LEFT JOIN location l ON l.id = u.location_id "
        "WHERE order_id = %s::uuid ORDER BY 1",
        order,
    )
    assert places == [("DC", "shipped", 1), ("S1", "released", 2)]
    assert await partner.on_hand("A") == 0
    assert partner.asked("CANCEL") == []


async def test_a_part_leaves_today_and_the_rest_tomorrow(partner: Partner) -> None:
    order = await partner.order(A=3, B=1)
    await partner.go()
    name = partner.asked()[0][0]["request"]
    partner.host.put("SHIP_1.csv", f"request;sku;quantity;tracking\n{name};A;2;T1\n")
    await partner.go()
    assert await partner.states(order) == {"shipped": 2, "picking": 2}
    assert await partner.on_hand("A") == 38
    assert len(partner.asked()) == 1  # the part is not asked for anew
    partner.host.put("SHIP_2.csv", f"request;sku;quantity;tracking\n{name};A;1;T2\n{name};B;1;T2\n")
    await partner.go()
    assert await partner.states(order) == {"shipped": 4}
    assert not await partner.parked()
    assert partner.asked("CANCEL") == []


async def test_the_same_file_and_the_same_statement_count_once(partner: Partner) -> None:
    order = await partner.order(A=3)
    await partner.go()
    name = partner.asked()[0][0]["request"]
    said = f"request;sku;quantity;tracking\n{name};A;1;T1\n"
    partner.host.put("SHIP_1.csv", said)
    await partner.go()
    partner.host.put("SHIP_1.csv", said)
    partner.host.put("SHIP_9.csv", said)
    await partner.go()
    assert await partner.states(order) == {"shipped": 1, "picking": 2}
    assert await partner.on_hand("A") == 39
    assert partner.host.names("in") == []
    assert [row[1:3] for row in await partner.files()] == [("SHIP_1.csv", "done"), ("SHIP_9.csv", "done")]


async def test_a_refusal_finds_another_place_and_what_it_says_of_stock_counts(partner: Partner) -> None:
    order = await partner.order(A=1)
    await partner.go()
    name = partner.asked()[0][0]["request"]
    partner.host.put("ACK_1.csv", f"request;accepted;reason;note\n{name};não;capacidade;feriado\n")
    await partner.go()
    assert await partner.rows("SELECT outcome, note FROM partner_request") == [("refused", "feriado")]
    assert await partner.on_hand("A") == 40
    ((code,),) = await partner.rows(
        "SELECT l.code FROM order_unit u JOIN location l ON l.id = u.location_id WHERE order_id = %s::uuid", order
    )
    assert code == "S1"
    assert partner.asked("CANCEL") == []


async def test_what_is_cancelled_here_is_to_be_left_there_line_by_line_and_then_all_of_it(partner: Partner) -> None:
    order = await partner.order(A=3, B=1)
    await partner.go()
    async with partner.database.transaction() as tx:
        await fulfillment.cancel(tx, order, wishes=[CancelWish(1, 2)], reason="customer")
    await partner.go()
    ((less,),) = partner.asked("CANCEL")
    assert (less["sku"], less["quantity"], less["whole"]) == ("A", "2", "no")
    async with partner.database.transaction() as tx:
        await fulfillment.cancel(tx, order, reason="customer")
    await partner.go()
    rows = [row for file in partner.asked("CANCEL") for row in file]
    assert sorted((r["sku"], r["quantity"], r["whole"]) for r in rows) == [
        ("A", "1", "yes"),
        ("A", "2", "no"),
        ("B", "1", "yes"),
    ]
    assert await partner.rows("SELECT state, outcome FROM partner_request") == [("ended", "cancelled")]


async def test_what_was_cancelled_after_it_was_picked_by_hand_is_not_left_over_when_the_rest_leaves(
    partner: Partner,
) -> None:
    order = await partner.order(A=3)
    await partner.go()
    ((row,),) = partner.asked()
    async with partner.database.transaction() as tx:
        [work] = await tx.values("SELECT id FROM fulfillment_order")
        await fulfillment.confirm_pick(tx, work)
        await fulfillment.cancel(tx, order, wishes=[CancelWish(1, 1)], reason="customer")
    partner.host.put("SHIP_1.csv", f"request;sku;quantity\n{row['request']};A;2\n")
    await partner.go()
    assert not await partner.parked()
    assert await partner.states(order) == {"shipped": 2, "cancelled": 1}


async def test_a_whole_stock_is_rebased_by_what_left_since_and_leaves_no_drift(partner: Partner) -> None:
    await partner.order(A=2)
    await partner.go()
    name = partner.asked()[0][0]["request"]
    left = datetime.now(UTC) - timedelta(hours=2)
    counted = left + timedelta(hours=1)
    # They count 37 after the two left; we hear of the two after the count was made, and of one that broke by the count.
    partner.host.put("STOCK_1.csv", f"local;sku;saldo;posicao em\nARM-1;A;37;{counted.isoformat()}\nARM-1;B;30;\n")
    partner.host.put("SHIP_1.csv", f"request;sku;quantity;shipped_at\n{name};A;2;{left.isoformat()}\n")
    await partner.go()
    assert not await partner.rows("SELECT kind, state FROM stock_drift WHERE state = 'open'")
    assert (await partner.on_hand("A"), await partner.on_hand("B")) == (37, 30)
    assert (await partner.on_hand("A", "S1")) == 10  # not the partner's


async def test_a_stock_row_that_cannot_be_used_is_given_back_and_empties_no_shelf(partner: Partner) -> None:
    partner.host.put("STOCK_1.csv", "location;sku;quantity\nARM-1;A;trinta\nARM-1;B;25\nARM-1;Z;1\nARM-9;A;3\n")
    await partner.go()
    assert (await partner.on_hand("A"), await partner.on_hand("B")) == (40, 25)
    assert [row[2:] for row in await partner.files()] == [("held", 4, 3)]
    back = partner.host.text("errors", "STOCK_1_1.errors.csv").splitlines()
    assert [line.rpartition(";")[0] for line in back[1:]] == ["ARM-1;A;trinta", "ARM-1;Z;1", "ARM-9;A;3"]
    assert all(line.rpartition(";")[2] for line in back[1:])


async def test_rows_with_errors_come_back_to_be_mended_and_the_others_count(partner: Partner) -> None:
    first, second = await partner.order(A=1), await partner.order(B=1)
    await partner.go()
    names = {row["sku"]: row["request"] for file in partner.asked() for row in file}
    partner.host.put(
        "SHIP_1.csv",
        f"request;sku;quantity;tracking\n{names['A']};A;1;T1\nF999;A;1;T2\n{names['B']};B;um;T3\n{names['B']};NOPE;1;\n",
    )
    await partner.go()
    assert (await partner.states(first), await partner.states(second)) == ({"shipped": 1}, {"released": 1})
    assert [name.partition("_")[0] for name in partner.host.names("errors")] == ["SHIP", "SHIP"]
    back = partner.host.text("errors", partner.host.names("errors")[1])
    assert "F999" in back.splitlines()[1]
    assert "“um”" in back
    # They mend the rows and send the very file back.
    partner.host.put("SHIP_1b.csv", back.replace(";um;", ";1;").replace("NOPE;1;", "B;0;").replace("F999;A;1;T2", ""))
    await partner.go()
    assert partner.host.names("in") == []
    held = await partner.rows(
        "SELECT problem FROM partner_flaw w JOIN partner_file f ON f.id = w.file_id WHERE f.name = 'SHIP_1b.csv'"
    )
    assert ("nothing_said",) in held  # a zero says nothing, and holds its statement
    partner.host.put("SHIP_1c.csv", f"request;sku;quantity;tracking\n{names['B']};B;1;T3\n")
    await partner.go()
    assert await partner.states(second) == {"shipped": 1}


async def test_what_left_beyond_what_was_asked_is_held_and_said_to_the_partner(partner: Partner) -> None:
    order = await partner.order(A=1)
    await partner.go()
    name = partner.asked()[0][0]["request"]
    partner.host.put("SHIP_1.csv", f"request;sku;quantity\n{name};A;5\n")
    await partner.go()
    assert await partner.states(order) == {"released": 1}
    ((cause, why),) = await partner.parked()
    assert (cause, "1 left" in why) == ("not_asked", True)
    assert "A" in partner.host.text("errors", partner.host.names("errors")[1])


@pytest.mark.parametrize("when", ["write", "rename", "renamed"])
async def test_a_server_that_dies_while_we_write_gets_each_request_once(partner: Partner, when: str) -> None:
    await partner.order(A=1)
    partner.host.die_at(when)
    await partner.go(3)
    partner.host.wait()
    taken = [(name, (partner.host.files / "out" / name).unlink()) for name in partner.host.names("out")]
    assert len(taken) == (1 if when == "renamed" else 0)  # the partner's people took the file away at once
    await partner.go(2)  # it is away
    partner.host.start()
    await partner.go()
    assert len(taken) + len(partner.asked()) == 1
    assert not await partner.dead()
    assert await partner.rows("SELECT state FROM channel_op") == [("done",)]


async def test_a_server_that_dies_while_a_file_is_put_away_has_it_read_once(partner: Partner) -> None:
    order = await partner.order(A=2)
    await partner.go()
    name = partner.asked()[0][0]["request"]
    partner.host.put("SHIP_1.csv", f"request;sku;quantity\n{name};A;1\n")
    partner.host.die_at("rename")
    await partner.go(5)
    partner.host.wait()
    await partner.go(2)
    partner.host.start()
    await partner.go()
    assert await partner.states(order) == {"shipped": 1, "picking": 1}
    assert (partner.host.names("in"), len(partner.host.names("processed"))) == ([], 1)
    assert await partner.on_hand("A") == 39


async def test_a_file_that_is_still_written_is_left_alone(partner: Partner) -> None:
    order = await partner.order(A=1)
    await partner.go()
    name = partner.asked()[0][0]["request"]
    incoming = partner.host.files / "in"
    with (incoming / "SHIP_1.csv").open("w") as file:
        file.write("request;sku;quan")
        file.flush()
        await partner.go(1)
        file.write("tity;tracking\n")
        file.flush()
        await partner.go(1)
        assert not await partner.files()
        file.write(f"{name};A;1;T1\n")
    await partner.go()
    assert await partner.states(order) == {"shipped": 1}


async def test_a_folder_that_is_gone_is_told_and_not_taken_for_an_empty_one(partner: Partner) -> None:
    standing = "SELECT failures, error FROM connection_cursor WHERE stream = 'files'"
    first = await partner.order(A=1)
    await partner.go()
    assert await partner.rows(standing) == [(0, None)]  # an empty one is fine
    incoming, renamed = partner.host.files / "in", partner.host.files / "in-2"
    incoming.rename(renamed)
    second = await partner.order(A=1)
    await partner.go()
    await partner.go()
    said = "there is no folder in at the server: make it there again, or correct its name in the connection"
    ((tried, error),) = await partner.rows(standing)
    assert (tried >= 5, error) == (True, said)
    async with partner.database.transaction() as tx:
        assert [(each.code, each.stream, each.says) for each in await troubles.unread(tx)] == [(CODE, "files", said)]
    with i18n.speaking("pt-BR"):
        assert failures.shown(error).startswith("não há a pasta in no servidor")
    # What is asked of the partner goes out all the same.
    requests = [rows[0]["request"] for rows in partner.asked()]
    assert len(requests) == 2
    renamed.rename(incoming)
    for n, request in enumerate(requests):
        partner.host.put(f"SHIP_{n}.csv", f"request;sku;quantity;tracking\n{request};A;1;T{n}\n")
    await partner.go()
    assert await partner.states(first) == await partner.states(second) == {"shipped": 1}
    assert await partner.rows(standing) == [(0, None)]


async def test_a_name_in_another_encoding_keeps_no_file_from_being_read(partner: Partner) -> None:
    """As systems of before UTF-8 write it: `SHIP_SAÍDA.csv` in Latin-1."""
    order = await partner.order(A=2)
    await partner.go()
    name = partner.asked()[0][0]["request"]
    incoming = partner.host.files / "in"
    said = "request;sku;quantity;tracking\n{};A;1;{}\n".format
    (incoming / os.fsdecode(b"SHIP_SA\xcdDA.csv")).write_text(said(name, "T1"))
    (incoming / os.fsdecode(b"RELAT\xd3RIO.csv")).write_text("of nobody here")
    (incoming / "SHIP_2.csv").write_text(said(name, "T2"))
    await partner.go(16)
    assert await partner.states(order) == {"shipped": 2}
    assert partner.host.names("in") == []
    assert sorted(row[1] for row in await partner.files()) == ["RELATÓRIO.csv", "SHIP_2.csv", "SHIP_SAÍDA.csv"]
    assert len(partner.host.names("processed")) == 2


async def test_a_file_with_zeros_in_it_keeps_no_other_from_being_read(partner: Partner) -> None:
    """As a file system leaves one whose machine lost its power."""
    order = await partner.order(A=2)
    await partner.go()
    name = partner.asked()[0][0]["request"]
    said = f"request;sku;quantity;tracking\n{name};A;1;T1\n" + "\n" * 4_096
    partner.host.put("SHIP_1.csv", said + f"{name};A\x00\x00;1;T9\n" + "\x00" * 10_000)
    partner.host.put("SHIP_2.csv", f"request;sku;quantity;tracking\n{name};A;1;T2\n")
    await partner.go(16)
    assert partner.host.names("in") == []
    assert [row[1:3] for row in await partner.files()] == [("SHIP_1.csv", "held"), ("SHIP_2.csv", "done")]
    assert await partner.states(order) == {"shipped": 2}


@pytest.mark.parametrize("refused", ["read", "move"])
async def test_a_file_that_the_server_refuses_keeps_no_other_from_being_read(
    partner: Partner, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await partner.order(A=2)
    await partner.go()
    name = partner.asked()[0][0]["request"]
    does = getattr(Sftp, refused)

    async def refuses(self: Sftp, path: str, *args: Any, **options: Any) -> None:
        if "SHIP_1" in path:
            raise Invalid(f"{path}: Permission denied")
        await does(self, path, *args, **options)

    monkeypatch.setattr(Sftp, refused, refuses)
    said = "request;sku;quantity;tracking\n{};A;1;{}\n".format
    partner.host.put("SHIP_1.csv", said(name, "T1"))
    partner.host.put("SHIP_2.csv", said(name, "T2"))
    await partner.go(16)
    assert await partner.states(order) == ({"shipped": 1, "picking": 1} if refused == "read" else {"shipped": 2})
    assert partner.host.names("in") == ["SHIP_1.csv"]
    ((error,),) = await partner.rows("SELECT error FROM connection_cursor WHERE stream = 'files'")
    assert "SHIP_1.csv: Permission denied" in error
    monkeypatch.undo()
    await partner.go(16)
    assert await partner.states(order) == {"shipped": 2}
    assert partner.host.names("in") == []


async def test_goods_that_come_are_announced_and_received_once_in_their_condition(partner: Partner) -> None:
    async with partner.database.transaction() as tx:
        line = InboundLineDraft(partner.skus["B"], 10, in_days(5))
        place = partner.world.locations["DC"]
        draft = InboundDraft(kind=InboundKind.PURCHASE, supplier="Fornecedor", location_id=place, lines=[line])
        placed = await supply.place_order(tx, draft)
    await partner.go()
    ((asn,),) = partner.asked("ASN")
    assert (asn["notice"], asn["sku"], asn["quantity"], asn["location"]) == (f"PO{placed.number}", "B", "10", "ARM-1")
    said = f"reference;notice;location;sku;quantity;condition\nR1;{asn['notice']};ARM-1;B;6;bom\nR1;{asn['notice']};ARM-1;B;1;avariado\n"
    partner.host.put("RECV_1.csv", said)
    await partner.go()
    partner.host.put("RECV_2.csv", said)
    await partner.go()
    assert await partner.on_hand("B") == 36
    assert await partner.rows("SELECT received, expected FROM inbound_line") == [(7, 3)]
    assert len(partner.asked("ASN")) == 1  # it is not announced anew because some of it came
    # Other goods under the reference of before are for a person, and not tried for ever.
    partner.host.put("RECV_3.csv", said.replace(";6;", ";2;"))
    await partner.go()
    ((cause, why),) = await partner.parked()
    assert (cause, "under the same id" in why) == ("receipt_differs", True)
    assert await partner.on_hand("B") == 36


async def test_adjustments_count_once_by_their_reference(partner: Partner) -> None:
    said = "referência;local;código;quantidade;motivo\nAJ1;ARM-1;A;-3;avaria\nAJ2;ARM-1;A;1.000,00;achado\n"
    partner.host.put("ADJ_1.csv", said)
    await partner.go()
    partner.host.put("ADJ_2.csv", said)
    await partner.go()
    assert await partner.on_hand("A") == 1_037
    assert [row[2:] for row in await partner.files()] == [("done", 2, 0), ("done", 2, 0)]


async def test_work_that_was_open_before_the_partner_came_is_asked_for_and_can_be_sent_again(partner: Partner) -> None:
    async with partner.database.transaction() as tx:
        await partners.set_locations(tx, CODE, {})
    await partner.order(A=1)
    await partner.go()
    assert partner.asked() == []
    async with partner.database.transaction() as tx:
        await partners.set_locations(tx, CODE, {"DC": "ARM-1"})
    await partner.go()
    ((asked,),) = partner.asked()
    async with partner.database.transaction() as tx:
        assert await partners.send_again(tx, CODE, [asked["request"]]) == 1
    await partner.go()
    assert [file[0]["request"] for file in partner.asked()] == [asked["request"]] * 2


async def test_another_host_key_stops_everything_until_a_person_trusts_it(partner: Partner) -> None:
    partner.host.stop()
    partner.host.new_host_key()
    partner.host.start()
    await partner.order(A=1)
    await partner.go(3)
    assert partner.asked() == []
    async with partner.database.transaction() as tx:
        ((standing,)) = await connections.health(tx, CODE)
    assert (standing.status, "another key" in standing.why) == ("broken", True)
    with pytest.raises(HostKeyChanged):
        await partners.trust_host(partner.runtime, SYSTEM, CODE, "SHA256:other")
    shown = await partners.look_at_host(partner.runtime, SYSTEM, CODE)
    await partners.trust_host(partner.runtime, SYSTEM, CODE, shown.fingerprint)
    async with partner.database.transaction() as tx:
        await connecting.resume(tx, CODE)
    await partner.go()
    assert len(partner.asked()) == 1


async def test_a_private_key_opens_the_server_and_a_wrong_password_does_not(database: Database, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    text = key.export_private_key(passphrase="frase").decode()
    secrets = {"private_key": text, "passphrase": "frase"}
    async with partnered(database, tmp_path, secrets=secrets) as partner:
        with pytest.raises(AuthExpired):
            await _list(partner)
        partner.host.trusts(key)
        await _list(partner)


async def _list(partner: Partner) -> None:
    async with partner.database.transaction() as tx:
        line = partner.runtime.line(await connecting.connection_of(tx, CODE))
    try:
        await line.ctx.files.list("in")
    finally:
        await line.close()


async def test_a_server_in_a_private_network_is_not_asked(partner: Partner) -> None:
    partner.runtime = type(partner.runtime)(
        partner.database,
        partner.settings.__class__(database_url=partner.database.url, data_dir=partner.settings.data_dir),
    )
    with pytest.raises(Invalid, match="not public"):
        await partners.look_at_host(partner.runtime, SYSTEM, CODE)
    with pytest.raises(Invalid, match="not public"):
        await _list(partner)
    assert USER


async def test_goods_that_need_a_document_wait_for_it_and_leave_then(database: Database, tmp_path: Path) -> None:
    async with partnered(database, tmp_path, policy="required") as partner:
        order = await partner.order(A=1)
        await partner.go()
        name = partner.asked()[0][0]["request"]
        partner.host.put("SHIP_1.csv", f"request;sku;quantity;tracking\n{name};A;1;T1\n")
        await partner.go()
        assert await partner.states(order) == {"awaiting_document": 1}
        assert partner.host.names("in") == ["SHIP_1.csv"]  # it is not over
        ((note,),) = await partner.rows("SELECT note FROM partner_request")
        assert "document" in note
        # It may wait for days; what the partner says of its stock meanwhile counts, and so does that this unit left.
        partner.host.put("STOCK_1.csv", "location;sku;quantity\nARM-1;A;39\nARM-1;B;7\n")
        await partner.rows("UPDATE channel_inbox SET received_at = received_at - '1 hour'::interval RETURNING 1")
        await partner.go()
        assert (await partner.on_hand("A"), await partner.on_hand("B")) == (40, 7)
        assert await partner.states(order) == {"awaiting_document": 1}
        await partner.rows("UPDATE order_unit SET state = 'packed' WHERE order_id = %s::uuid RETURNING 1", order)
        await partner.go()
        assert await partner.states(order) == {"shipped": 1}
        assert await partner.on_hand("A") == 39
        assert partner.host.names("in") == []
