"""Who buys, and where it goes."""

import re
from typing import Any

import msgspec

from malha.channels.connectors.tryton.asking import ask, fields_of, search
from malha.channels.contract import Ctx, Document, ExtAddress, Invalid, Rejected


class Party(msgspec.Struct, frozen=True):
    """Who buys, and the address of an order."""

    id: int
    address: int


async def party_of(ctx: Ctx, document: Document) -> Party | Rejected:
    """Return who buys, found by CPF or CNPJ or made, with the address of the order."""
    number = re.sub(r"[^0-9A-Z]", "", (document.party.document or "").upper())
    if not number:
        code = ctx.config.anonymous_party
        if not code:
            return Rejected("no_document", "the buyer has no CPF or CNPJ, and no party is set for such buyers", "party")
        found = await search(ctx, "party.party", [["code", "=", code]], ["id"])
        if not found:
            return Rejected("unknown_party", f"Tryton has no party with the code {code}", "party")
        return await _addressed(ctx, found[0]["id"], document)
    kind = {11: "br_cpf", 14: "br_vat"}.get(len(number))  # as Tryton calls the CNPJ
    # The code is unique in Tryton: two orders of a new buyer at one moment make one party.
    code = f"BR-{number}"
    written = [["identifiers.code_compact", "=", number], ["code", "=", code]]
    found = await search(ctx, "party.party", ["OR", *written], ["id"])
    if found:
        return await _addressed(ctx, found[0]["id"], document)
    made: dict[str, Any] = {"name": document.party.name or number, "code": code}
    if kind:
        made["identifiers"] = [["create", [{"type": kind, "code": number}]]]
    if document.party.email:
        made["contact_mechanisms"] = [["create", [{"type": "email", "value": document.party.email}]]]
    try:
        new = await ask(ctx, "POST", "party.party", query=fields_of(["id"]), body=made, operation="make_party")
    except Invalid:
        found = await search(ctx, "party.party", [["code", "=", code]], ["id"])
        if not found:
            raise
        return await _addressed(ctx, found[0]["id"], document)
    return await _addressed(ctx, new.body["id"], document)


async def _addressed(ctx: Ctx, party: int, document: Document) -> Party:
    wanted = _address(document.ship_to)
    fields = ["street", "postal_code", "city"]
    there = await search(ctx, "party.address", [["party", "=", party]], fields)
    for each in there:
        if not wanted or all((each[f] or "") == wanted[f] for f in fields):
            return Party(party, each["id"])
    body = {"party": party, "party_name": document.party.name, **wanted}
    made = await ask(ctx, "POST", "party.address", query=fields_of(["id"]), body=body, operation="make_address")
    return Party(party, made.body["id"])


def _address(said: ExtAddress | None) -> dict[str, str]:
    if said is None:
        return {}
    street = ", ".join(part for part in (said.street, said.number, said.complement, said.district) if part)
    city = f"{said.city}/{said.state}" if said.state else said.city
    return {"street": street, "postal_code": said.postal_code, "city": city}
