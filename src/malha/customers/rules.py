"""What a valid profile is, in which form it is stored, who is the same person. Pure.

Identity, strongest first: the CPF or CNPJ; e-mail and telephone together; the e-mail; telephone and name together.
Two different documents are two customers, whatever else agrees.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

import msgspec

from malha.customers.model import Buyer, Customer, CustomerDraft, CustomerKind
from malha.platform.address import Address, check_parts, tidied
from malha.platform.brazil import (
    format_document,
    format_phone,
    is_company,
    normalise_cep,
    normalise_cnpj,
    normalise_document,
    normalise_email,
    normalise_phone,
)
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.text import fold

BUCKETS = 128
NAMELESS = Flaw("name", N_("This field is empty."), N_("Fill it in."))


def kind_of(document: str | None) -> CustomerKind:
    """Return what a profile with this document is of."""
    return CustomerKind.COMPANY if document and is_company(document) else CustomerKind.PERSON


def asks_whose(before: Customer, draft: CustomerDraft) -> bool:
    """Tell whether a change of a profile asks if a document, or an e-mail, is somebody else's.

    E-mails are compared where neither profile has a document.
    """
    if draft.document != before.document:
        return True
    return not draft.document and draft.email is not None and draft.email != before.email


def folded_customer(name: str, document: str | None, email: str | None, phone: str | None) -> str:
    """Return the text a customer is found by."""
    return fold(" ".join(filter(None, (name, document, email, phone))))


def search_words(query: str) -> list[str]:
    """Return the words to look for; punctuation inside numbers (of a CPF, a telephone) is taken away."""
    words = []
    for word in fold(query).split():
        digits = "".join(c for c in word if c.isalnum())
        is_number = digits and sum(c.isdigit() for c in word) * 2 >= len(word) and "@" not in word
        words.append(digits if is_number or normalise_cnpj(word) else word)
    return words


def tidy_buyer(buyer: Buyer) -> Buyer:
    """Return what is usable of a buyer, in stored form; what is not valid is left out, the order still has it."""
    return Buyer(
        name=_line(buyer.name),
        document=normalise_document(buyer.document) if buyer.document else None,
        email=normalise_email(buyer.email) if buyer.email else None,
        phone=normalise_phone(buyer.phone) if buyer.phone else None,
        address=buyer.address,
    )


def tidy_customer(draft: CustomerDraft) -> CustomerDraft:
    """Return the draft in stored form; what is not valid stays as it is, for `check_customer` to name."""
    address = tidied(draft.address)
    return msgspec.structs.replace(
        draft,
        name=_line(draft.name),
        document=(normalise_document(draft.document) or draft.document) if draft.document else None,
        email=(normalise_email(draft.email) or draft.email) if draft.email else None,
        phone=(normalise_phone(draft.phone) or draft.phone) if draft.phone else None,
        address=msgspec.structs.replace(
            address,
            postal_code=normalise_cep(address.postal_code) or address.postal_code.strip(),
            state=address.state.strip().upper(),
        ),
    )


def check_customer(draft: CustomerDraft) -> Iterator[Flaw]:
    """Yield what is wrong with a tidied profile."""
    if not draft.name:
        yield NAMELESS
    elif len(draft.name) > 200:
        facts = {"length": len(draft.name), "longest": 200}
        yield Flaw("name", N_("The text has {length} characters."), N_("Use at most {longest}."), facts)
    if draft.document and normalise_document(draft.document) is None:
        says = N_("{value} is neither a CPF nor a CNPJ.")
        mend = N_("Compare it with the customer's papers: its last two digits prove the others.")
        yield Flaw("document", says, mend, {"value": draft.document})
    if draft.email and normalise_email(draft.email) is None:
        says, mend = N_("{value} is no e-mail address."), N_("Correct it, or leave it empty.")
        yield Flaw("email", says, mend, {"value": draft.email})
    if draft.phone and normalise_phone(draft.phone) is None:
        says, mend = N_("{value} is no telephone number."), N_("Use area code and number, or + and the country's code.")
        yield Flaw("phone", says, mend, {"value": draft.phone})
    yield from check_parts(draft.address)
    cep = draft.address.postal_code
    if cep and draft.address.country == "BR" and normalise_cep(cep) is None:
        yield Flaw("address/postal_code", N_("{value} is no CEP."), N_("A CEP has eight digits."), {"value": cep})


def _line(text: str) -> str:
    return " ".join(text.replace("\x00", "").split())


def buckets_of(buyers: Iterable[Buyer | CustomerDraft | Customer]) -> list[int]:
    """Return the lock buckets of everything that identifies these people, in order and once each.

    Two transactions that speak of one person share a bucket, so they come one after the other. The number of buckets
    bounds the locks of a large import.
    """
    identities = {value for b in buyers for value in (b.document, b.email, b.phone) if value}
    return sorted({_bucket(value) for value in identities})


def is_one_identity(one: Customer, other: Customer) -> bool:
    """Return whether two profiles may not stand beside one another: a document, or an e-mail without documents."""
    if one.document or other.document:
        return one.document == other.document
    return one.email is not None and one.email == other.email


def best_match(buyer: Buyer | CustomerDraft, candidates: Sequence[Customer]) -> Customer | None:
    """Return who of the candidates the buyer is, or None.

    Equal matches go to the profile with just these identities, or else to the older one (smaller number); of those with
    the same document to the older one.
    """

    def strength(customer: Customer) -> int:
        if buyer.document and customer.document:
            return 4 if buyer.document == customer.document else 0
        same_phone = bool(buyer.phone) and buyer.phone == customer.phone
        if buyer.email and buyer.email == customer.email:
            # A document that is new must not be given to a profile that another telephone speaks against.
            contradicted = bool(buyer.document and buyer.phone and customer.phone and not same_phone)
            return 0 if contradicted else 3 if same_phone else 2
        same_name = bool(buyer.name) and fold(buyer.name) == fold(customer.name)
        no_other_email = not (buyer.email and customer.email)
        return 1 if same_phone and same_name and no_other_email else 0

    said = buyer.document, buyer.email, buyer.phone

    def rank(customer: Customer) -> tuple[int, bool, int]:
        found = strength(customer)
        return found, found < 4 and (customer.document, customer.email, customer.phone) == said, -customer.number

    best = max(candidates, key=rank, default=None)
    return best if best is not None and strength(best) else None


def aliases_of(customer: Buyer | CustomerDraft | Customer) -> list[str]:
    """Return by what a profile is found after it went: document, e-mail, and its telephone together with its name.

    A telephone alone is the whole family's. `bucket_of_alias` names the lock that all who speak of one take.
    """
    said = [value for value in (customer.document, customer.email) if value]
    return [*said, f"{customer.phone} {fold(customer.name)}"] if customer.phone and customer.name else said


def bucket_of_alias(value: str) -> int:
    """Return the lock bucket of an alias: its document's, e-mail's or telephone's."""
    return _bucket(value.partition(" ")[0])


def _bucket(identity: str) -> int:
    return crc32(identity.encode()) % BUCKETS


def has_something(value: object) -> bool:
    """Return whether a field of a profile says anything."""
    return bool(value) and value != Address()


def put_together(kept: Customer, gone: Customer, taken: Collection[str]) -> Customer:
    """Return a profile with what it lacked of another one, and of the fields in `taken` what the other one has."""

    def chosen(name: str) -> Any:
        mine, other = getattr(kept, name), getattr(gone, name)
        return other if has_something(other) and (name in taken or not has_something(mine)) else mine

    document = kept.document or gone.document
    fields = {name: chosen(name) for name in ("name", "email", "phone", "address")}
    return msgspec.structs.replace(kept, document=document, kind=kind_of(document), **fields)


def taken_apart(now: Customer, before: Customer, gone: Customer) -> Customer:
    """Return a profile without what it had from another one; what was changed since they were put together stays."""
    back = {}
    for name in ("name", "document", "email", "phone", "address"):
        mine = getattr(now, name)
        from_other = mine == getattr(gone, name) and mine != getattr(before, name)
        back[name] = getattr(before, name) if from_other else mine
    return msgspec.structs.replace(now, kind=kind_of(back["document"]), **back)


def shown_document(document: str | None) -> str:
    """Return a document with its punctuation for screens, empty when there is none."""
    return format_document(document) if document else ""


def shown_phone(phone: str | None) -> str:
    """Return a telephone number for screens, empty when there is none."""
    return format_phone(phone) if phone else ""
