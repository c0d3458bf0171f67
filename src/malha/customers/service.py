"""Use cases of customers: find or create the customer of an order, state profiles, reveal what lists mask.

`link`, `put_customers` and `merge_rows` are set-based and safe under concurrency: they lock the identities they speak
of, so two transactions about one person come one after the other and the second finds what the first made. Call them
once per transaction, first.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from malha.customers import lines, reads, rules, writes
from malha.customers.errors import CustomerEmailExists, CustomerErased, CustomerExists, UnknownCustomer
from malha.customers.lines import Line, Seen
from malha.customers.model import Buyer, Customer, CustomerDraft, Merged, Saved
from malha.identity.errors import NeedsEverywhere
from malha.platform import audit
from malha.platform.address import Address
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID, new_id

B = TypeVar("B", Buyer, CustomerDraft)
_PERSONAL = ("name", "address")


class _People:
    """Profiles that may be meant, found by any identity; new ones join as they are made."""

    def __init__(self, known: Iterable[Customer], aliases: Mapping[str, UUID]) -> None:
        self._aliases = aliases
        self.current: dict[UUID, Customer] = {}
        self.before: dict[UUID, Customer] = {}
        self.new: set[UUID] = set()
        self._by_identity: dict[str, set[UUID]] = defaultdict(set)
        for customer in known:
            self.before[customer.id] = customer
            self.keep(customer)

    def keep(self, customer: Customer) -> None:
        self.current[customer.id] = customer
        for identity in (customer.document, customer.email, customer.phone):
            if identity:
                self._by_identity[identity].add(customer.id)

    def find(self, buyer: Buyer | CustomerDraft) -> Customer | None:
        ids: set[UUID] = set()
        for identity in (buyer.document, buyer.email, buyer.phone):
            if identity:
                ids |= self._by_identity.get(identity, set())
        return rules.best_match(buyer, [self.current[i] for i in ids]) or self._by_alias(buyer)

    def _by_alias(self, buyer: Buyer | CustomerDraft) -> Customer | None:
        """Return the profile that one which is gone was put together with; another document is another person.

        So is another e-mail, where only telephone and name lead to it.
        """
        for value in rules.aliases_of(buyer):
            found = self.current.get(self._aliases[value]) if value in self._aliases else None
            if found is None or (value != buyer.document and buyer.document and found.document):
                continue
            if value in {buyer.document, buyer.email} or not (buyer.email and found.email):
                return found
        return None

    def make(self, buyer: Buyer | CustomerDraft) -> Customer:
        at = now()
        made = Customer(
            id=new_id(),
            number=2**62 + len(self.new),  # younger than every stored one, until the database numbers it
            kind=rules.kind_of(buyer.document),
            name=buyer.name,
            document=buyer.document,
            email=buyer.email,
            phone=buyer.phone,
            address=buyer.address or Address(),
            created_at=at,
            updated_at=at,
            version=1,
        )
        self.new.add(made.id)
        self.keep(made)
        return made

    async def save(self, tx: Tx) -> None:
        await writes.set_all(tx, [c for i, c in self.current.items() if i in self.before and c != self.before[i]])
        await writes.add(tx, [self.current[i] for i in self.new])


async def _people(tx: Tx, buyers: Sequence[B]) -> _People:
    await writes.lock_identities(tx, rules.buckets_of(buyers))
    return await _known(tx, buyers)


async def _known(tx: Tx, buyers: Sequence[B]) -> _People:
    documents: list[str] = sorted({b.document for b in buyers if b.document})
    emails: list[str] = sorted({b.email for b in buyers if b.email})
    phones: list[str] = sorted({b.phone for b in buyers if b.phone})
    found = await reads.candidates(tx, documents=documents, emails=emails, phones=phones)
    aliases = await reads.aliases(tx, sorted({value for b in buyers for value in rules.aliases_of(b)}))
    known = {customer.id for customer in found}
    if more := [id_ for id_ in set(aliases.values()) if id_ not in known]:
        found += (await reads.by_ids(tx, more)).values()
    return _People(found, aliases)


async def who_are(tx: Tx, buyers: Sequence[Buyer]) -> list[UUID | None]:
    """Return which profile each buyer is, in order, as `link` would find it; nothing is made, filled in or locked."""
    tidy = [rules.tidy_buyer(b) for b in buyers]
    people = await _known(tx, tidy)
    found = [people.find(b) if b.document or b.email or b.phone else None for b in tidy]
    return [None if customer is None else customer.id for customer in found]


async def link(tx: Tx, buyers: Sequence[Buyer]) -> list[UUID | None]:
    """Return the customer of each buyer, in order: found or created; None for one without any usable identity.

    A profile that is found gets what it lacked (document, e-mail, telephone, address) and keeps what it has. Buyers
    with a document are served first, so one without finds the profile another of the same call made. Repeating a call
    changes nothing.
    """
    tidy = [rules.tidy_buyer(b) for b in buyers]
    people = await _people(tx, tidy)
    found: list[UUID | None] = [None] * len(tidy)
    for i in sorted(range(len(tidy)), key=lambda i: (tidy[i].document is None, tidy[i].email is None, i)):
        buyer = tidy[i]
        if not (buyer.document or buyer.email or buyer.phone):
            continue
        customer = people.find(buyer)
        if customer is None:
            found[i] = people.make(buyer).id
        else:
            people.keep(_filled(customer, buyer))
            found[i] = customer.id
    await people.save(tx)
    return found


def _filled(customer: Customer, buyer: Buyer) -> Customer:
    """Return the profile with what it lacks taken from the buyer."""
    document = customer.document or buyer.document
    return msgspec.structs.replace(
        customer,
        name=customer.name or buyer.name,
        document=document,
        kind=rules.kind_of(document),
        email=customer.email or buyer.email,
        phone=customer.phone or buyer.phone,
        address=customer.address if customer.address != Address() else buyer.address or Address(),
    )


async def put_customers(tx: Tx, drafts: Sequence[CustomerDraft]) -> list[Saved]:
    """Create profiles, or change those that are the same people: what a draft states replaces what was there.

    Identities a draft leaves empty stay as they are.

    Raises:
        Invalid: one of them is not valid; nothing was changed.
    """
    tidy = [rules.tidy_customer(d) for d in drafts]
    refuse(
        [
            msgspec.structs.replace(flaw, at=f"{i}/{flaw.at}") if len(tidy) > 1 else flaw
            for i, draft in enumerate(tidy)
            for flaw in rules.check_customer(draft)
        ]
    )
    people = await _people(tx, tidy)
    saved = _merge(people, tidy)
    await people.save(tx)
    return saved


def _merge(people: _People, drafts: Sequence[CustomerDraft]) -> list[Saved]:
    saved = []
    for draft in drafts:
        customer = people.find(draft)
        if customer is None:
            saved.append(Saved(people.make(draft).id, created=True))
        else:
            address = draft.address if draft.address != Address() else customer.address
            people.keep(_changed(customer, draft, address))
            saved.append(Saved(customer.id, created=False))
    return saved


async def merge_rows(tx: Tx, rows: Sequence[Line], seen: Seen, *, apply: bool) -> Merged:
    """Create profiles that rows state, or change those that are the same people, or only say what it would do.

    What a row leaves out stays; `lines.merged_address` says what becomes of an address. A row is left out, with its
    flaws, where its address cannot be, where it makes a profile without a name, or where it says something else of a
    customer than an earlier row of the file, which `seen` remembers.
    """
    drafts = [row.draft for row in rows]
    people = await _people(tx, drafts)
    for promised in () if apply else seen.made(drafts):
        people.keep(promised)
    saved: list[Saved] = []
    flaws: dict[int, list[Flaw]] = {}
    warnings: dict[int, list[Flaw]] = {}
    said_by: dict[UUID, int] = {}
    for row in rows:
        known = people.find(row.draft)
        before = known.address if known else Address()
        after = lines.merged_address(before, row.address)
        if found := _flaws(row, known, after, seen):
            flaws[row.line] = found
            continue
        if known is None:
            saved.append(Saved(people.make(msgspec.structs.replace(row.draft, address=after)).id, created=True))
        else:
            people.keep(_changed(known, row.draft, after))
            saved.append(Saved(known.id, created=False))
        seen.note(saved[-1].id, row)
        said_by[saved[-1].id] = row.line
        if odd := list(lines.warn_merged(before, after, row.address)):
            warnings[row.line] = odd
    created = sum(s.created for s in saved)
    changed = len({s.id for s in saved if s.id in people.before and people.current[s.id] != people.before[s.id]})
    written: list[tuple[Customer | None, Customer]] = []
    if apply:
        await people.save(tx)
        ids = [i for i, c in people.current.items() if i in people.new or c != people.before[i]]
        stored = await reads.by_ids(tx, ids)
        written = [(people.before.get(id_), stored[id_]) for id_ in ids]
    else:
        seen.keep(c for i, c in people.current.items() if i not in people.before)
    unchanged = len(saved) - created - changed
    return Merged(
        created=created,
        changed=changed,
        unchanged=unchanged,
        written=written,
        flaws=flaws,
        warnings=warnings,
        lines=said_by,
    )


def _flaws(row: Line, known: Customer | None, address: Address, seen: Seen) -> list[Flaw]:
    """Return why a row is left out."""
    before = known.address if known else Address()
    found = list(lines.check_merged(before, address, row.address))
    if known is None and not row.draft.name:
        found.append(rules.NAMELESS)
    if known is not None and not found and (otherwise := seen.contradicted(known.id, row)):
        found.append(otherwise)
    return found


async def note_customers(
    tx: Tx, written: Sequence[tuple[Customer | None, Customer | None]], lines: Mapping[UUID, int] | None = None
) -> None:
    """Write into the audit trail what became of profiles (before, after), without personal data.

    None before is one that is new, None after one that is gone; `lines` are those of the file that says so.
    """
    some: dict[str, list[tuple[UUID, Customer | None, Customer | None]]] = {"create": [], "change": [], "delete": []}
    for before, after in written:
        if after is not None:
            some["create" if before is None else "change"].append((after.id, before, after))
        elif before is not None:
            some["delete"].append((before.id, before, None))
    for action, changes in some.items():
        told = None if lines is None else [{"line": lines[id_]} for id_, _before, _after in changes]
        await audit.record_many(tx, action=action, entity="customer", changes=changes, personal=_PERSONAL, told=told)


async def take_back(
    tx: Tx, wanted: Mapping[UUID, tuple[int, Customer | None]], in_use: Collection[UUID]
) -> tuple[set[UUID], set[UUID]]:
    """Put profiles back to what they were, each as long as it still has a version; None is one that was not there.

    Returns:
        Those that changed since or are gone, and those whose identity another profile has by now. Both stay, and so
        does who was not there but is `in_use`.
    """
    before = [old for _version, old in wanted.values() if old is not None]
    now = await reads.by_ids(tx, list(wanted))
    await writes.lock_identities(tx, rules.buckets_of([*before, *now.values()]))
    await tx.tuples(writes.LOCK_CUSTOMERS, {"ids": sorted(wanted)})
    now = await reads.by_ids(tx, list(wanted))
    touched = {id_ for id_, (version, _old) in wanted.items() if id_ not in now or now[id_].version != version}
    gone = [id_ for id_, (_v, old) in wanted.items() if old is None and id_ not in touched and id_ not in in_use]
    back = [old for id_, (_v, old) in wanted.items() if old is not None and id_ not in touched]
    others = await reads.candidates(
        tx,
        documents=sorted({c.document for c in back if c.document}),
        emails=sorted({c.email for c in back if c.email}),
    )
    known = {c.id for c in back} | set(gone)
    clashing = {c.id for c in back if any(o.id not in known and rules.is_one_identity(c, o) for o in others)}
    await tx.execute(writes.REMOVE_CUSTOMERS, {"ids": gone})
    put = [c for c in back if c.id not in clashing]
    await writes.set_all(tx, put)
    stand = await reads.by_ids(tx, [*gone, *(c.id for c in put)])
    await note_customers(tx, [(now[id_], stand.get(id_)) for id_ in [*gone, *(c.id for c in put)]])
    return touched, clashing


def _changed(customer: Customer, draft: CustomerDraft, address: Address) -> Customer:
    """Return a profile with what a draft states and with an address; what the draft leaves empty stays."""
    document = draft.document or customer.document
    return msgspec.structs.replace(
        customer,
        name=draft.name or customer.name,
        document=document,
        kind=rules.kind_of(document),
        email=draft.email or customer.email,
        phone=draft.phone or customer.phone,
        address=address,
    )


async def create_customer(tx: Tx, draft: CustomerDraft) -> Customer:
    """Create one profile.

    Raises:
        Invalid: a value is not valid.
        CustomerExists: another profile has the document, or the e-mail and neither has a document.
    """
    draft = rules.tidy_customer(draft)
    refuse(list(rules.check_customer(draft)))
    people = await _people(tx, [draft])
    _refuse_clash(people, draft, None)
    made = people.make(draft)
    await people.save(tx)
    created = await customer_of(tx, made.id)
    await audit.record(tx, action="create", entity="customer", entity_id=created.id, after=created, personal=_PERSONAL)
    return created


async def lock_customer(tx: Tx, customer_id: UUID, draft: CustomerDraft) -> int:
    """Lock one profile, and the identities it shall have, for a change; return its version.

    Raises:
        UnknownCustomer: there is none.
    """
    await writes.lock_identities(tx, rules.buckets_of([rules.tidy_customer(draft)]))
    version: int | None = await tx.value(writes.LOCK_CUSTOMER, {"id": customer_id})
    if version is None:
        raise UnknownCustomer(key=customer_id)
    return version


async def update_customer(tx: Tx, customer_id: UUID, draft: CustomerDraft, version: int) -> Customer:
    """Change one profile that still has `version`: everything is as the draft says, empty identities included.

    Only the municipality's code, which people do not know, stays with its city where the draft has none.

    Raises:
        UnknownCustomer: there is no such profile.
        CustomerErased: its data were erased for good.
        Conflict: it has moved on.
        Invalid: a value is not valid.
        NeedsEverywhere: the actor is limited to locations, and the answer would tell whether somebody has an identity.
        CustomerExists: another profile has the document, or the e-mail and neither has a document.
    """
    draft = rules.tidy_customer(draft)
    refuse(list(rules.check_customer(draft)))
    people = await _people(tx, [draft])
    current = await lock_customer(tx, customer_id, draft)
    before = await customer_of(tx, customer_id)
    if before.erased_at is not None:
        raise CustomerErased(number=before.number)
    if current != version:
        raise Conflict(what=Word(N_("Customer")), key=before.number)
    if tx.actor.locations is not None and rules.asks_whose(before, draft):
        raise NeedsEverywhere
    _refuse_clash(people, draft, customer_id)
    fields = {name: getattr(draft, name) for name in draft.__struct_fields__}
    fields["address"] = lines.stated_address(before.address, draft.address)
    after = msgspec.structs.replace(before, kind=rules.kind_of(draft.document), **fields)
    await writes.set_all(tx, [after])
    stored = await customer_of(tx, customer_id)
    await audit.record(
        tx,
        action="change",
        entity="customer",
        entity_id=customer_id,
        before=before,
        after=stored,
        personal=_PERSONAL,
    )
    return stored


def _refuse_clash(people: _People, draft: CustomerDraft, own: UUID | None) -> None:
    for other in people.current.values():
        if other.id == own:
            continue
        if draft.document and draft.document == other.document:
            raise CustomerExists(what="customer", key=other.number)
        if draft.email and draft.email == other.email and not draft.document and not other.document:
            raise CustomerEmailExists(what="customer", key=other.number)


async def customer_of(tx: Tx, customer_id: UUID) -> Customer:
    """Return one profile.

    Raises:
        UnknownCustomer: there is none.
    """
    found = (await reads.by_ids(tx, [customer_id])).get(customer_id)
    if found is None:
        raise UnknownCustomer(key=customer_id)
    return found


async def reveal(tx: Tx, customer_id: UUID, why: str) -> Customer:
    """Return one profile with its identities readable, and write down who looked and why.

    Raises:
        UnknownCustomer: there is none.
        Invalid: no reason is given.
    """
    found = await customer_of(tx, customer_id)
    await audit.record_reveal(tx, "customer", customer_id, why)
    return found
