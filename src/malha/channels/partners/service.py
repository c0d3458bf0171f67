"""Use cases of partners: which locations they fulfil, whose key is trusted, and sending something again."""

from collections.abc import Mapping, Sequence

import msgspec

from malha.channels.connecting import queueing, registry
from malha.channels.connecting.model import Linked, NewOp, OpKind
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.service import connection_of
from malha.channels.contract import Capability, FileServer, FileSource
from malha.channels.partners import asking, list_reads, reads, writes
from malha.channels.partners.errors import (
    HostKeyChanged,
    LocationTaken,
    NoFiles,
    NotAPartner,
    NothingSent,
    UnknownFile,
)
from malha.channels.partners.list_reads import FileKept
from malha.channels.partners.model import HostKey
from malha.network import reads as network
from malha.platform import audit
from malha.platform.db import Actor, Tx
from malha.platform.errors import Forbidden
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

REVEAL = "customers:reveal"
# Kinds of files that name no buyer. What else there is may: orders, requests to pick, rows to mend, what nobody knows.
NAMELESS = frozenset(
    {
        "acknowledgements",
        "shipments",
        "adjustments",
        "receipts",
        "stock",
        "products",
        "prices",
        "cancel",
        "asn",
        "shipment",
        "cancellation",
        "refund",
    }
)


async def partner_of(tx: Tx, code: str) -> Linked:
    """Return a connection to who fulfils for us, or speaks by files.

    Raises:
        SharedByAll, UnknownConnection: as `connection_of`.
        NotAPartner: what it connects is neither.
    """
    return await _able(tx, code, {Capability.FULFILMENT, Capability.FILES})


async def _able(tx: Tx, code: str, either: set[Capability]) -> Linked:
    found = await connection_of(tx, code)
    connector = registry.connectors().get(found.connector)
    if connector is None or not either & connector.capabilities:
        raise NotAPartner(key=code)
    return found


async def set_locations(tx: Tx, code: str, theirs: Mapping[str, str]) -> None:
    """Say which locations a partner fulfils, each with the partner's name of it; what is open there is asked for now.

    Work of a location that is taken away stays with the partner until somebody places it elsewhere.

    Raises:
        SharedByAll, UnknownConnection, NotAPartner: as `partner_of`.
        Invalid: a location does not exist, or a name is empty or stands twice.
        LocationTaken: another partner fulfils it.
    """
    connection = await _able(tx, code, {Capability.FULFILMENT})
    found = await network.locations_by_code(tx, sorted(theirs))
    names = {location: (name.strip() or location) for location, name in theirs.items()}
    flaws = [
        Flaw("locations", N_("There is no location {location}."), facts={"location": location})
        for location in sorted(theirs)
        if location not in found
    ]
    twice = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    says, mend = N_("The partner calls two locations {name}."), N_("Give each a name of its own.")
    flaws += [Flaw("locations", says, mend, {"name": name}) for name in twice]
    refuse(flaws)
    was = {p.code: p.theirs for p in await reads.locations(tx, connection.id)}
    ids = {found[location].id: name for location, name in names.items()}
    taken = await tx.tuples(reads.TAKEN, {"locations": sorted(ids), "connection_id": connection.id})
    if taken:
        raise LocationTaken(location=taken[0][0], other=taken[0][1])
    await tx.values(writes.DROP_LOCATIONS, {"connection_id": connection.id})
    places = sorted(ids)
    row = {"connection_id": connection.id, "locations": places, "theirs": [ids[place] for place in places]}
    added = await tx.values(writes.ADD_LOCATIONS, row)
    if len(added) < len(places):  # somebody else was quicker
        taken = await tx.tuples(reads.TAKEN, {"locations": places, "connection_id": connection.id})
        raise LocationTaken(location=taken[0][0], other=taken[0][1])
    await audit.record(tx, action="change", entity="partner_locations", entity_id=code, before=was, after=names)
    await asking.ask_for_orders(tx, await tx.values(reads.OPEN_ORDERS_AT, {"locations": places}))
    coming = await tx.tuples(reads.INCOMING_AT, {"locations": places})
    for kind in ("purchase", "transfer"):
        await asking.announce(tx, kind, [id_ for k, id_ in coming if k == kind])


async def look_at_host(runtime: Runtime, actor: Actor, code: str) -> HostKey:
    """Return the key that a partner's file server shows now. Nobody is logged in, nothing is kept.

    Raises:
        SharedByAll, UnknownConnection: as `connection_of`.
        NoFiles: it has no file server.
        ChannelError: the server cannot be reached.
    """
    async with runtime.db.transaction(actor) as tx:
        found = await connection_of(tx, code)
    from malha.channels.partners import sftp  # noqa: PLC0415 - heavy, see there

    return await sftp.host_key(runtime.outward, _server(found))


def _server(connection: Linked) -> FileServer:
    connector = registry.connector_of(connection.connector)
    if not isinstance(connector, FileSource):
        raise NoFiles(key=connection.code)
    return connector.server(msgspec.convert(connection.config, connector.config_model))


async def trust_host(runtime: Runtime, actor: Actor, code: str, fingerprint: str) -> None:
    """Trust the key that a server shows, if it is the one whose fingerprint a person compared. Others are refused.

    Raises:
        SharedByAll, UnknownConnection, NoFiles, ChannelError: as `look_at_host`.
        HostKeyChanged: the server shows another key.
    """
    shown = await look_at_host(runtime, actor, code)
    if shown.fingerprint != fingerprint.strip():
        raise HostKeyChanged(shown=shown.fingerprint)
    async with runtime.db.transaction(actor) as tx:
        found = await connection_of(tx, code)
        was = await reads.host_key(tx, found.id)
        await tx.execute(
            writes.PUT_HOST_KEY,
            {
                "connection_id": found.id,
                "server": shown.server,
                "public_key": shown.public_key,
                "fingerprint": shown.fingerprint,
                "by": tx.actor.label,
            },
        )
        before = None if was is None else {"server": was.server, "fingerprint": was.fingerprint}
        facts = {"server": shown.server, "fingerprint": shown.fingerprint}
        await audit.record(tx, action="trust", entity="connection", entity_id=code, before=before, after=facts)


async def send_again(tx: Tx, code: str, names: Sequence[str]) -> int:
    """Ask a partner once more for requests or notices that it says it does not have; return how many.

    It goes out under the same name, in a new file: whoever has it already takes it for what it is.

    Raises:
        SharedByAll, UnknownConnection, NotAPartner: as `partner_of`.
        NothingSent: none of the names was asked for, or what was sent is older than is kept.
    """
    connection = await _able(tx, code, {Capability.FULFILMENT})
    sent = await tx.tuples(reads.SENT, {"connection_id": connection.id, "names": list(names)})
    ops = [
        NewOp(
            connection_id=connection.id,
            kind=OpKind.ASK,
            entity=entity,
            name=f"again:{entity}",
            payload=payload,
            version=int(version) + 1,
        )
        for entity, payload, version in sent
    ]
    if not ops:
        raise NothingSent(key=", ".join(names[:3]))
    count = await queueing.add(tx, ops)
    for op in ops:
        row = {"connection_id": connection.id, "name": op.entity.partition(":")[2], "op_key": queueing.key_of(op)}
        await tx.execute(writes.SET_REQUEST_KEY, row)
        await tx.execute(writes.SET_NOTICE_KEY, row)
    await audit.record(
        tx, action="send_again", entity="connection", entity_id=code, after={"names": sorted(names)[:100]}
    )
    return count


async def file_of(tx: Tx, code: str, number: int) -> FileKept:
    """Return a file as it was; of one that may name people, that it was looked at is written down.

    Raises:
        SharedByAll, UnknownConnection, NotAPartner: as `partner_of`.
        UnknownFile: there is no such file.
        Forbidden: it may name people, and the actor may not see personal data in full.
    """
    found = await partner_of(tx, code)
    file = await list_reads.file(tx, found.id, number)
    if file is None:
        raise UnknownFile(key=number)
    if file.kind not in NAMELESS:
        if not tx.actor.may(REVEAL):
            raise Forbidden(permission=REVEAL)
        after = {"files": [number], "name": file.name}
        await audit.record(tx, action="reveal", entity="connection", entity_id=code, after=after)
    return file
