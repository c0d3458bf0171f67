"""Documents of an ERP."""

import asyncio
from datetime import date

from malha.channels.contract import Capability, DocumentKind, DocumentLine, ExtBuyer, Ok, Rejected
from malha.testing.connectors.asked import document_of
from malha.testing.connectors.base import Kit
from malha.testing.connectors.rig import Operation, Rig, context


class DocumentChecks(Kit):
    """Documents are posted whole, to the cent, or not at all."""

    async def test_a_document_is_posted_to_the_cent_and_what_is_taken_back_with_it(self, rig: Rig) -> None:
        """Discounts and freight are in the total, and of a sale and its credit what is left is summed."""
        self.needs(Capability.DOCUMENTS)
        ctx = context(self.connector, rig, self.spec)
        before = await self.connector.summarise_documents(ctx, date(2026, 11, 27), "America/Sao_Paulo")
        sale = await self.connector.post_document(ctx, document_of(), "8d8a1c8e-2e0e-5d0a-8a80-1b3e7f1c9f01")
        assert isinstance(sale, Ok)
        back = [DocumentLine(sku="A", code="A", quantity=-1, unit_price=999)]
        changes = {"kind": DocumentKind.CREDIT, "number": "1001-2", "lines": back, "freight": 0, "adjustment": 100}
        credit = document_of(-899, sale=sale.ref, day="2026-11-28", **changes)
        assert isinstance(await self.connector.post_document(ctx, credit, "8d8a1c8e-2e0e-5d0a-8a80-1b3e7f1c9f02"), Ok)
        after = await self.connector.summarise_documents(ctx, date(2026, 11, 27), "America/Sao_Paulo")
        assert after.total - before.total == 2_690 - 899
        assert "1001" in (after.ids or ())

    async def test_a_document_with_an_unknown_sku_is_refused_and_nothing_of_it_posted(self, rig: Rig) -> None:
        """Nor is one for a total that its parts do not come to."""
        self.needs(Capability.DOCUMENTS)
        ctx = context(self.connector, rig, self.spec)
        before = await rig.told(Operation.DOCUMENT)
        odd = document_of(lines=[DocumentLine(sku="NONE", code="NONE", quantity=2, unit_price=999)])
        for n, document in enumerate((odd, document_of(2_691))):
            key = f"8d8a1c8e-2e0e-5d0a-8a80-1b3e7f1c9f1{n}"
            assert isinstance(await self.connector.post_document(ctx, document, key), Rejected)
            assert await self.connector.find_document(ctx, document, key) is None
        assert await rig.told(Operation.DOCUMENT) == before

    async def test_the_same_buyer_is_found_again(self, rig: Rig) -> None:
        """Two documents of one new buyer at the same moment are both posted."""
        self.needs(Capability.DOCUMENTS)
        ctx = context(self.connector, rig, self.spec)
        party = ExtBuyer(name="Loja Nova", document="11222333000181")
        keys = [f"8d8a1c8e-2e0e-5d0a-8a80-1b3e7f1c9f2{n}" for n in range(3)]
        ended = await asyncio.gather(*(self.connector.post_document(ctx, document_of(party=party), k) for k in keys))
        assert all(isinstance(each, Ok) for each in ended)
        assert len({each.ref for each in ended}) == len(keys)
