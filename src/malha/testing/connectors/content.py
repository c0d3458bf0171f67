"""What a product says of itself comes back as it is there: texts, category, attributes, options, pictures."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest
import structlog

from malha.catalog import making as catalog
from malha.catalog import rules
from malha.channels.connecting import master_rules
from malha.channels.connecting.rules import SHORTEST_SECRET
from malha.channels.contract import Capability, ChannelError, Ctx, ExtProduct, TellsFields
from malha.platform.flaws import Flaw
from malha.testing.connectors.base import Kit
from malha.testing.connectors.rig import Fault, Offered, Operation, Rig, Sold, context

FIELDS = {**master_rules.BESIDE, "variant_name": "name", "gtin": "gtin", "price": "price"}
EMPTY: tuple[Any, ...] = ("", 0, (0, 0, 0), {}, [], ())
SAID: tuple[str, ...] = ("name", "description", "brand", "category", "attributes", "pictures")
OF_PRODUCT = ("product_name", "description", "brand", "category", "attributes", "pictures")
PICTURES = 23  # more than a page of any connector's
SHOWN = "https://media.example.com/kit/"


def a_product(code: str, **more: Any) -> Offered:
    """Return a product that has all that a product can say, in two sizes; or what `more` says of it."""
    asked: dict[str, Any] = {
        "code": code,
        "name": f'Manta {code} "lã & linho" 2 < 3',
        "description": "De lã, 30 < 40 cm & macia.\n\nLava à mão.",
        "brand": "Da casa & filhos",
        "category": ("Casa", "Mantas & colchas"),
        "attributes": {"Material": "Lã", "Origem": "Serra"},
        "pictures": (f"{SHOWN}{code}-1.jpg", f"{SHOWN}{code}-2.jpg"),
        "variants": (Sold(f"{code}-P", {"Tamanho": "P"}), Sold(f"{code}-G", {"Tamanho": "G"})),
    }
    return Offered(**{**asked, **more})


ODD: Mapping[str, Mapping[str, Any]] = {
    "markup in its name": {"name": "Manta <b>azul</b> &amp; <script>alert(1)</script>"},
    "a very long name": {"name": "Manta " * 900},
    "a very long text": {"description": "Lã. " * 20_000},
    "signs that no page shows": {"name": "Manta\x0b\x07 azul", "description": "a\x00b\x1bc"},
    "pictures that are none": {
        "pictures": (
            f"{SHOWN}good.jpg",
            "http://media.example.com/plain.jpg",
            "ftp://media.example.com/far.jpg",
            "javascript:alert(1)",
            "https://somebody:a-password@media.example.com/private.jpg",
            "not an address at all",
        )
    },
    "a picture twice": {"pictures": (f"{SHOWN}same.jpg", f"{SHOWN}same.jpg")},
    "the same options twice": {
        "variants": (Sold("ODD-1", {"Tamanho": "P"}), Sold("ODD-2", {"Tamanho": "P"})),
    },
    "an option that only one variant has": {
        "variants": (Sold("ODD-1", {"Tamanho": "P"}), Sold("ODD-2", {"Tamanho": "G", "Cor": "Azul"})),
    },
    "a value of an option that the product does not list": {
        "variants": (Sold("ODD-1", {"Tamanho": "P"}), Sold("ODD-2", {"Tamanho": "Enorme"})),
        "values": {"Tamanho": ("P", "G")},
    },
}


class ContentChecks(Kit):
    """What a product says of itself comes back as it is there. The rig says how it is put there: `offer`."""

    def tells(self) -> frozenset[str]:
        """Return the fields that the connector tells."""
        usual: frozenset[str] = master_rules.USUAL
        return self.connector.product_fields if isinstance(self.connector, TellsFields) else usual

    def speaks(self, rig: Rig) -> None:
        """Skip where the connector tells nothing but names, GTIN and price, or the rig does not know how to offer."""
        self.needs(Capability.CATALOG_SOURCE)
        if not self.tells() - master_rules.USUAL:
            pytest.skip(f"{self.connector.key} tells nothing beside name, GTIN and price")
        self.knows(rig, "offer")

    async def reading(self, ctx: Ctx, cursor: str | None = None) -> tuple[dict[str, ExtProduct], str]:
        """Read all variants that changed after a cursor, by SKU; each must be one that can be worked with."""
        try:
            found, after = await self.read_on(partial(self.connector.pull_products, ctx), cursor)
        except (ChannelError, TypeError, ValueError, LookupError, AttributeError) as error:
            pytest.fail(f"reading breaks: {error!r}")
        for item in found:
            self.usable(item)
        said = {item.sku: item for item in found}
        assert len(said) == len(found), "each is told once in one reading"
        return said, after

    def usable(self, item: ExtProduct) -> list[Flaw]:
        """Prove that a variant can be worked with; return what the catalogue would refuse of it."""
        try:  # a number where a text belongs is found late otherwise
            msgspec.convert(msgspec.to_builtins(item), ExtProduct)
        except (msgspec.ValidationError, TypeError) as error:
            pytest.fail(f"{item.sku} is no variant as the contract has it: {error}")
        told = {attribute for attribute in FIELDS.values() if getattr(item, attribute) not in (None, "")}
        more = sorted(told - {FIELDS[field] for field in self.tells()})
        assert more == [], f"{item.sku} tells what the connector does not say it tells"
        beside = master_rules.told_beside(item)
        new = catalog.New(
            sku=item.sku,
            product=item.product or item.sku,
            told=master_rules.said(beside, name=item.name, gtin=item.gtin, price=item.price),
            active=item.active is not False,
        )
        draft, flaws = catalog.draft_of(new.product, None, [new], ())
        return [*flaws, *rules.check_product(draft)]

    async def offered_and_read(self, rig: Rig, *offered: Offered) -> tuple[list[Offered], dict[str, ExtProduct]]:
        """Have the peer sell products; return them as they are there, and what is read."""
        shown = [await rig.offer(each) for each in offered]
        said, _ = await self.reading(context(self.connector, rig, self.spec))
        return shown, said

    def wanted(self, offered: Offered, field: str) -> Any:
        """Return what a field of a product must be told as."""
        match field:
            case "name":
                return offered.name
            case "category":
                return " > ".join(offered.category)
            case "attributes":
                return dict(offered.attributes)
            case "pictures":
                return list(offered.pictures)
            case _:
                return getattr(offered, field)

    def agrees(self, offered: Offered, item: ExtProduct) -> None:
        """Prove that a variant says what it and its product say there."""
        fields = [
            f for f in ("name", "description", "brand", "category", "attributes", "pictures") if f in self.tells()
        ]
        pairs: dict[str, tuple[Any, Any]] = {
            f: (self.wanted(offered, f), _plain(getattr(item, FIELDS[f]))) for f in fields
        }
        (mine,) = [each for each in offered.variants if each.sku == item.sku]
        if "options" in self.tells():
            pairs["options"] = (dict(mine.options), _plain(item.options))
        differs = {
            field: f"{wanted!r} is told as {said!r}" for field, (wanted, said) in pairs.items() if wanted != said
        }
        assert differs == {}, f"{item.sku}: {differs}"

    async def test_what_a_product_says_comes_back(self, rig: Rig) -> None:
        """Texts with the signs that markup is made of, its category from the root on, pictures in their order."""
        self.speaks(rig)
        many = [f"{SHOWN}{n}.jpg" for n in range(PICTURES)]
        (shown,), said = await self.offered_and_read(rig, a_product("FULL", pictures=many))
        for variant in shown.variants:
            self.agrees(shown, said[variant.sku])
            assert self.usable(said[variant.sku]) == [], "the catalogue takes it as it is told"

    async def test_what_a_product_does_not_have_is_told_as_empty_and_not_left_out(self, rig: Rig) -> None:
        """Never had, or taken away there: who keeps the field here empties it; left out, it would stay for ever."""
        self.speaks(rig)
        bare: dict[str, Any] = {"description": "", "brand": "", "category": (), "attributes": {}, "pictures": ()}
        alone = a_product("BARE", variants=(Sold("BARE"),), **bare)
        before = a_product("GONE")
        shown, said = await self.offered_and_read(rig, alone, before)
        self.agrees(shown[1], said["GONE-P"])
        shown[1:] = [await rig.offer(msgspec.structs.replace(before, **bare))]
        said, _ = await self.reading(context(self.connector, rig, self.spec))
        for offered, sku in ((shown[0], "BARE"), (shown[1], "GONE-P")):
            for field in sorted(self.tells() & bare.keys()):
                value = getattr(said[sku], FIELDS[field])
                assert value is not None, f"{sku} has no {field}, and that is not told"
                assert value in EMPTY, f"{sku} has no {field}, and {value!r} is told"
            self.agrees(offered, said[sku])
        if "options" in self.tells():
            assert said["BARE"].options == {}

    async def test_wherever_a_page_ends_a_product_is_told_whole(self, rig: Rig) -> None:
        """More products than a page, and one of more variants than one: none is lost, all agree about their product."""
        self.speaks(rig)
        many = [Sold(f"MANY-{n:02}", {"Tamanho": f"{n:02}", "Cor": "Azul"}) for n in range(2 * rig.page + 3)]
        wanted = [a_product(f"PAGE-{n}") for n in range(rig.page + 1)]
        wanted.append(a_product("MANY", variants=many))
        shown, said = await self.offered_and_read(rig, *wanted)
        called: set[str] = set()
        for offered in shown:
            skus = [variant.sku for variant in offered.variants]
            assert [sku for sku in skus if sku not in said] == [], offered.code
            for sku in skus:
                self.agrees(offered, said[sku])
            names = {said[sku].product for sku in skus}
            assert len(names) == 1, f"variants of {offered.code} are told as of {sorted(names)}"
            assert "" not in names, f"variants of {offered.code} are told as if each stood alone"
            called |= names
            for attribute in OF_PRODUCT:
                values = {repr(getattr(said[sku], attribute)) for sku in skus}
                assert len(values) == 1, f"variants of {offered.code} disagree about its {attribute}"
        assert len(called) == len(shown), "each product is called otherwise"

    async def test_the_same_product_read_again_says_the_same(self, rig: Rig) -> None:
        """To the order of its pictures: what differs each time would be written each time."""
        self.speaks(rig)
        _, first = await self.offered_and_read(rig, a_product("SAME"), a_product("SAME-2"))
        second, _ = await self.reading(context(self.connector, rig, self.spec))
        mine = [sku for sku in first if sku.startswith("SAME")]
        assert len(mine) == 4
        for sku in mine:
            assert msgspec.json.encode(first[sku]) == msgspec.json.encode(second[sku]), sku

    @pytest.mark.parametrize(
        "change",
        [
            {"description": "De algodão."},
            {"category": ("Casa", "Colchas")},
            {"pictures": (f"{SHOWN}new.jpg",)},
            {"attributes": {"Material": "Algodão"}},
            {"name": "Colcha"},
        ],
        ids=["description", "category", "pictures", "attributes", "name"],
    )
    async def test_what_changes_of_a_product_alone_is_told_again(self, rig: Rig, change: Mapping[str, Any]) -> None:
        """No price and no variant is touched: its variants are told all the same, with a version that is not older."""
        self.speaks(rig)
        if not self.tells() & change.keys():
            pytest.skip(f"{self.connector.key} does not tell it")
        before = a_product("TEXT")
        await rig.offer(before)
        await rig.offer(a_product("STILL"))
        ctx = context(self.connector, rig, self.spec)
        first, cursor = await self.reading(ctx)
        shown = await rig.offer(msgspec.structs.replace(before, **change))
        again, _ = await self.reading(ctx, cursor)
        for sku in ("TEXT-P", "TEXT-G"):
            assert sku in again, f"nothing of {sku} was told again"
            self.agrees(shown, again[sku])
            assert again[sku].version >= first[sku].version
        assert [sku for sku in again if sku.startswith("STILL")] == [], "others are not told with it"

    @pytest.mark.parametrize("odd", sorted(ODD))
    async def test_an_odd_product_is_told_or_refused_and_holds_up_no_others(self, rig: Rig, odd: str) -> None:
        """It can be read as often as anybody likes; what the catalogue would not take has a sentence that says why."""
        self.speaks(rig)
        given = ODD[odd]
        strange = a_product("ODD", **{"variants": (Sold("ODD-1"),), **given})
        try:
            await rig.offer(strange)
        except NotImplementedError as error:
            pytest.skip(f"the peer takes no such product: {error}")
        await rig.offer(a_product("PLAIN"))
        ctx = context(self.connector, rig, self.spec)
        said, _ = await self.reading(ctx)
        assert {"PLAIN-P", "PLAIN-G"} <= said.keys(), "those beside it are told"
        assert (await self.reading(ctx))[0].keys() == said.keys()
        for sku in [variant.sku for variant in strange.variants if variant.sku in said]:
            flaws = self.usable(said[sku])
            for address in said[sku].pictures or ():
                refused = any(flaw.at.startswith("media") for flaw in flaws)
                assert refused or is_fit(address), f"{address} would be shown"

    async def test_a_secret_in_the_address_of_a_picture_shows_in_no_log_and_no_error(self, rig: Rig) -> None:
        """Whatever a shop writes into an address: what is logged, and what a failure says, does not repeat it."""
        self.speaks(rig)
        secrets = [secret for secret in rig.secrets.values() if len(secret) >= SHORTEST_SECRET]
        if "pictures" not in self.tells() or not secrets:
            pytest.skip("it tells no pictures, or has no secrets")
        await rig.offer(a_product("LEAK", pictures=[f"{SHOWN}{n}.jpg?key={each}" for n, each in enumerate(secrets)]))
        ctx = context(self.connector, rig, self.spec)
        shown: list[str] = []
        with structlog.testing.capture_logs() as logs:
            await self.reading(ctx)
            rig.fail(Operation.PRODUCTS, Fault.TRUNCATED)
            with pytest.raises(ChannelError) as caught:
                await self.connector.pull_products(ctx, None)
            shown += [str(caught.value), repr(caught.value), caught.value.why]
        shown += [repr(each) for each in logs]
        assert [text for text in shown for secret in secrets if secret in text] == []


def is_fit(address: str) -> bool:
    """Tell whether a picture's address may be shown: https, and no name or password in it."""
    return address.startswith("https://") and "@" not in address.removeprefix("https://").partition("/")[0]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
