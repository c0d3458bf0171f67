"""Customers from a table, one row each, and back. Who is there already is changed, not doubled (`rules.best_match`)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

import msgspec

from malha.customers import reads, rules, service
from malha.customers.model import Customer, CustomerDraft
from malha.platform.address import Address
from malha.platform.brazil import normalise_document
from malha.platform.db import Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.imports import IN_USE, TOUCHED, Left, Outcome, Trace, combine
from malha.platform.tabular import BadCell, Column, Row, parse_cep, parse_state


def parse_document(text: str) -> str:
    """Read a CPF or CNPJ, also one whose leading zeros a spreadsheet took away.

    Raises:
        BadCell: it is neither.
    """
    found = normalise_document(text, restore_zeros=True)
    if found is None:
        raise BadCell(
            N_("{value} is neither a CPF nor a CNPJ."),
            N_("Compare it with the customer's papers: its last two digits prove the others."),
        )
    return found


_ADDRESS = ("postal_code", "street", "number", "complement", "district", "city", "state")

COLUMNS = (
    Column("name", ("nome", "cliente", "nome completo", "razão social", "customer name"), required=True),
    Column("document", ("cpf", "cnpj", "cpf/cnpj", "cpf ou cnpj", "documento"), parse=parse_document),
    Column("email", ("e-mail", "mail")),
    Column("phone", ("telefone", "celular", "fone", "whatsapp")),
    Column("postal_code", ("cep", "código postal", "zip"), parse=parse_cep),
    Column("street", ("rua", "logradouro", "endereço", "address")),
    Column("number", ("número", "nº")),
    Column("complement", ("complemento",)),
    Column("district", ("bairro",)),
    Column("city", ("cidade", "município")),
    Column("state", ("uf", "estado"), parse=parse_state),
)


class CustomerImport:
    """Rows of customers; a `malha.platform.imports.Target`."""

    entity = "customer"
    columns = COLUMNS
    families: Mapping[str, Sequence[str]] = {}
    passes = 1

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:  # noqa: ARG002
        """Check or write a chunk."""
        outcome = Outcome()
        good: list[tuple[Row, CustomerDraft]] = []
        for row in rows:
            draft = rules.tidy_customer(_draft(row))
            flaws = [Flaw(f.at.split("/")[-1], f.says, f.mend, f.facts) for f in rules.check_customer(draft)]
            if flaws:
                combine(outcome, row.line, flaws)
                continue
            if not (draft.document or draft.email or draft.phone):
                says = N_("Nothing identifies this customer: a repeated import would add them again.")
                combine(outcome, row.line, [Flaw("", says, N_("Give a document, e-mail or telephone."))], warning=True)
            good.append((row, draft))
        done = await service.merge_customers(tx, [draft for _, draft in good], apply=apply)
        outcome.created, outcome.changed, outcome.unchanged = done.created, done.changed, done.unchanged
        outcome.traces = [
            Trace(
                key=str(after.id),
                label=f"#{after.number}",
                before=None if before is None else msgspec.to_builtins(before),
                after={"version": after.version},
            )
            for before, after in done.written
        ]
        return outcome

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:
        """Put profiles back that nobody changed since; those that were not there go, unless they have orders."""
        wanted = {
            UUID(t.key): (t.after["version"], None if t.before is None else msgspec.convert(t.before, Customer))
            for t in traces
        }
        touched, clashing = await service.take_back(tx, wanted, {UUID(key) for key in in_use})
        says = N_("Another profile has its CPF, CNPJ or e-mail by now.")
        clash = Flaw("", says, N_("Put the two profiles together, or correct one of them."))
        left: Left = {str(id_): TOUCHED for id_ in touched} | {str(id_): clash for id_ in clashing}
        rests = {t.key for t in traces if t.before is None and t.key in in_use}
        return left | {key: IN_USE for key in rests if key not in left}


def _draft(row: Row) -> CustomerDraft:
    values = row.values
    address = Address(**{part: values[part] for part in _ADDRESS if part in values})
    return CustomerDraft(
        name=values["name"],
        document=values.get("document"),
        email=values.get("email"),
        phone=values.get("phone"),
        address=address,
    )


async def customer_pages(
    database: Database,
    walk: Callable[[Tx, int], Awaitable[list[Customer]]] = lambda tx, after: reads.walk(tx, after=after),
) -> AsyncIterator[list[list[object]]]:
    """Yield all customers, or those of another `walk`, header first, as rows that `CustomerImport` reads, in pages.

    They hold personal data in full: edges ask for `customers:reveal` and write down who took them.
    """
    yield [[c.name for c in COLUMNS]]
    after = 0
    while True:
        async with database.transaction() as tx:
            customers = await walk(tx, after)
        if not customers:
            return
        after = customers[-1].number
        yield [
            [c.name, rules.shown_document(c.document), c.email, c.phone, *(getattr(c.address, a) for a in _ADDRESS)]
            for c in customers
        ]
