"""Who Aroeira is: companies, places, channels, carriers, goods and stock, as drafts for the ordinary services."""

import random
from datetime import time
from itertools import product

from malha.capacity.model import Template
from malha.catalog.model import CategoryDraft, ProductDraft, VariantDraft
from malha.demo.words import (
    CATEGORIES,
    CONSIGNED_AT,
    CONSIGNED_KINDS,
    CONSIGNOR,
    CONSIGNOR_LEGAL,
    CONSIGNOR_NAME,
    CONSIGNOR_ROOT,
    LINES,
    SITES,
    SUPPLIER,
    VENDOR,
    VENDOR_CITY,
    VENDOR_KINDS,
    VENDOR_LEGAL,
    VENDOR_NAME,
    VENDOR_ROOT,
    VENDOR_STATE,
)
from malha.network.model import (
    ChannelDraft,
    ChannelKind,
    EntityKind,
    EstablishmentDraft,
    LocationDraft,
    LocationKind,
    Method,
    PaymentPolicy,
    RateDraft,
    ServiceDraft,
    ShortagePolicy,
)
from malha.network.places import locate_city
from malha.network.tariff import distance_km
from malha.platform.address import Address
from malha.platform.brazil import STATES, cnpj_check_digits, gtin_check_digit

NAME = "Aroeira"
SKUS = 2_000
CONSIGNED = f"{CONSIGNED_AT}-{CONSIGNOR}"  # the consignor's goods at the retailer's site
_ROOTS = {"own": "A1R0E1RA", "franchise": "41709233"}  # the first is alphanumeric, as new ones are since July 2026
_LEGAL = {"own": "Aroeira Casa S.A.", "franchise": "Mandacaru Franquias Ltda."}
_HOURS_STORE = {day: [("10:00", "22:00")] for day in ("mon", "tue", "wed", "thu", "fri", "sat")} | {
    "sun": [("14:00", "20:00")]
}
_HOURS_WORK = {day: [("07:00", "21:00")] for day in ("mon", "tue", "wed", "thu", "fri", "sat")}
# Which region a parcel leaves and reaches decides its price, as carriers do it.
_BRACKETS = ((1_000, 0), (5_000, 900), (15_000, 2_600), (30_000, 5_400))


def establishments() -> list[EstablishmentDraft]:
    """Return one establishment per place, where its stock is owned and invoiced, the consignor's and the vendor's."""
    counts = {"own": 0, "franchise": 0}
    drafts = []
    for code, name, _, _, state, entity, _, _ in SITES:
        counts[entity] += 1
        base = f"{_ROOTS[entity]}{counts[entity]:04}"
        drafts.append(
            EstablishmentDraft(
                code=code,
                name=f"{NAME} {name}",
                cnpj=base + cnpj_check_digits(base),
                state=state,
                legal_name=_LEGAL[entity],
                kind=EntityKind(entity),
            )
        )
    base = f"{CONSIGNOR_ROOT}0002"  # its branch beside the depot: goods are invoiced in the state where they are
    drafts.append(
        EstablishmentDraft(
            code=CONSIGNOR,
            name=CONSIGNOR_NAME,
            cnpj=base + cnpj_check_digits(base),
            state=next(site[4] for site in SITES if site[0] == CONSIGNED_AT),
            legal_name=CONSIGNOR_LEGAL,
            kind=EntityKind.VENDOR,
        )
    )
    base = f"{VENDOR_ROOT}0001"
    drafts.append(
        EstablishmentDraft(
            code=SUPPLIER,
            name=VENDOR_NAME,
            cnpj=base + cnpj_check_digits(base),
            state=VENDOR_STATE,
            legal_name=VENDOR_LEGAL,
            kind=EntityKind.VENDOR,
        )
    )
    return drafts


def locations() -> list[LocationDraft]:
    """Return the places with address, hours, capacity and what handling costs there."""
    drafts = []
    for n, (code, name, kind, city, state, _, capacity, pickup) in enumerate(SITES):
        place = locate_city(city, state)
        if place is None:
            raise ValueError(f"{city} ({state}) is no municipality")
        store = kind in {"store", "pickup_point"}
        drafts.append(
            LocationDraft(
                code=code,
                name=name,
                kind=LocationKind(kind),
                establishment=code,
                address=Address(city=place.city, state=state, street="Avenida Central", number=str(100 + 7 * n)),
                # Two stores of one city must not hide each other on a map.
                latitude=round(place.latitude + (n % 3 - 1) * 0.02, 5),
                longitude=round(place.longitude + (n % 2) * 0.02, 5),
                opening_hours=_HOURS_STORE if store else _HOURS_WORK,
                can_ship=kind != "pickup_point",
                can_pickup=pickup,
                can_curbside=pickup and n % 3 == 0,
                can_return=store,
                daily_capacity=capacity,
                handling_cost=600 if store else 250,
                line_cost=120 if store else 60,
                priority=100 if store else 50,
            )
        )
    name, kind = next((site[1], site[2]) for site in SITES if site[0] == CONSIGNED_AT)
    drafts.append(
        LocationDraft(
            code=CONSIGNED,
            name=f"{CONSIGNOR_NAME} no {name}",
            kind=LocationKind(kind),
            establishment=CONSIGNOR,
            site=CONSIGNED_AT,
        )
    )
    place = locate_city(VENDOR_CITY, VENDOR_STATE)
    if place is None:
        raise ValueError(f"{VENDOR_CITY} ({VENDOR_STATE}) is no municipality")
    drafts.append(
        LocationDraft(
            code=VENDOR,
            name=VENDOR_NAME,
            kind=LocationKind.VENDOR,
            establishment=SUPPLIER,
            address=Address(city=place.city, state=VENDOR_STATE, street="Rua das Malharias", number="1200"),
            latitude=round(place.latitude, 5),
            longitude=round(place.longitude, 5),
            opening_hours=_HOURS_WORK,
            daily_capacity=60,
            handling_cost=150,
            line_cost=30,
            priority=120,
        )
    )
    return drafts


# Who prepares orders hour by hour: the slots of a weekday and of a Sunday, and of how many orders of the demo's thirty
# days each has room for one.
_DEPOT_HOURS = ((time(7), time(10)), (time(10), time(13)), (time(13), time(17)), (time(17), time(21)))
_STORE_HOURS = ((time(10), time(13)), (time(13), time(16)), (time(16), time(19)), (time(19), time(22)))
_SUNDAY_HOURS = ((time(14), time(17)), (time(17), time(20)))
_PICKING = {
    "CD-CONTAGEM": 130, "CD-JABOATAO": 130, "CD-CAJAMAR": 130,
    "SP-PAULISTA": 400, "SP-CAMPINAS": 400, "BA-BARRA": 400, "GO-GOIANIA": 400,
}  # fmt: skip


def picking_slots(orders: int) -> dict[str, list[Template]]:
    """Return the picking slots of a week by location, large enough for so many orders in thirty days."""
    found = {}
    for code, share in _PICKING.items():
        depot = code.startswith("CD-")
        quota = max(2, round(orders / share))
        hours = _DEPOT_HOURS if depot else _STORE_HOURS
        week = [Template(day, starts, ends, quota) for day in range(1, 7) for starts, ends in hours]
        sunday = [] if depot else [Template(7, starts, ends, quota) for starts, ends in _SUNDAY_HOURS]
        found[code] = week + sunday
    return found


def channels() -> list[ChannelDraft]:
    """Return every kind of channel, each with its own policies."""
    franchises = [code for code, _, _, _, _, entity, _, _ in SITES if entity == "franchise"]

    def channel(code: str, name: str, kind: ChannelKind, **more: object) -> ChannelDraft:
        return ChannelDraft(code=code, name=name, kind=kind, **more)  # type: ignore[arg-type]

    return [
        channel("site", "Site", ChannelKind.WEB, release_delay_minutes=10, most_units=24),
        channel("app", "App", ChannelKind.APP, release_delay_minutes=10, most_units=24),
        channel("loja", "Lojas", ChannelKind.STORE, release_delay_minutes=0, priority=10),
        channel("televendas", "Televendas", ChannelKind.TELESALES, shortage_policy=ShortagePolicy.BACKORDER),
        channel(
            "representantes",
            "Representantes",
            ChannelKind.SALES_REP,
            payment_policy=PaymentPolicy.ON_DELIVERY,
            shortage_policy=ShortagePolicy.BACKORDER,
        ),
        channel("franquias", "Franquias", ChannelKind.FRANCHISE, locations=franchises, release_delay_minutes=0),
        channel(
            "mercado-livre",
            "Mercado Livre",
            ChannelKind.MARKETPLACE,
            payment_policy=PaymentPolicy.SETTLED_BY_CHANNEL,
            shortage_policy=ShortagePolicy.REJECT,
            release_delay_minutes=0,
            priority=200,
        ),
    ]


def services() -> list[ServiceDraft]:
    """Return two carriers with tariffs by distance between states, and pickup."""
    capitals = {state: _centre(state) for state in sorted(STATES)}
    standard, express = [], []
    for origin, to in product(sorted({site[4] for site in SITES}), sorted(STATES)):
        km = distance_km(*capitals[origin], *capitals[to])
        for grams, extra in _BRACKETS:
            price = 890 + round(km * 0.55) + round(extra * (1 + km / 2500))
            rate = {"from_state": origin, "to_state": to, "max_grams": grams, "per_extra_kg": 180}
            standard.append(RateDraft(**rate, price=price, lead_days=2 + round(km / 450)))  # type: ignore[arg-type]
            if km < 1_600:
                express.append(RateDraft(**rate, price=price * 2 + 700, lead_days=1 + round(km / 900)))  # type: ignore[arg-type]
    return [
        ServiceDraft(code="padrao", name="Entrega padrão", carrier="Jadlog", rates=standard),
        ServiceDraft(code="expressa", name="Entrega expressa", carrier="Correios", rates=express),
        ServiceDraft(code="retirada", name="Retirada em loja", carrier=NAME, method=Method.PICKUP),
    ]


def _centre(state: str) -> tuple[float, float]:
    capital = CAPITALS[state]
    place = locate_city(capital, state)
    if place is None:
        raise ValueError(f"{capital} ({state}) is no municipality")
    return place.latitude, place.longitude


CAPITALS = {
    "AC": "Rio Branco", "AL": "Maceió", "AM": "Manaus", "AP": "Macapá", "BA": "Salvador", "CE": "Fortaleza",
    "DF": "Brasília", "ES": "Vitória", "GO": "Goiânia", "MA": "São Luís", "MG": "Belo Horizonte", "MS": "Campo Grande",
    "MT": "Cuiabá", "PA": "Belém", "PB": "João Pessoa", "PE": "Recife", "PI": "Teresina", "PR": "Curitiba",
    "RJ": "Rio de Janeiro", "RN": "Natal", "RO": "Porto Velho", "RR": "Boa Vista", "RS": "Porto Alegre",
    "SC": "Florianópolis", "SE": "Aracaju", "SP": "São Paulo", "TO": "Palmas",
}  # fmt: skip


def categories() -> list[CategoryDraft]:
    """Return the category tree."""
    roots = [CategoryDraft(code=code, name=name) for code, name, _ in CATEGORIES]
    leaves = [
        CategoryDraft(code=f"{code}-{kind[0].lower()}", name=kind[1], parent=code)
        for code, _, kinds in CATEGORIES
        for kind in kinds
    ]
    return roots + leaves


def products(rng: random.Random) -> list[ProductDraft]:
    """Return products whose variants are exactly `SKUS` SKUs, and a few kits made of them beyond that."""
    drafts: list[ProductDraft] = []
    skus = 0
    for line in LINES:
        for category, _, kinds in CATEGORIES:
            for short, name, ncm, cheap, dear, grams, options in kinds:
                if skus >= SKUS:
                    break
                code = f"AR-{short}{LINES.index(line):02}"
                price = round(rng.randint(cheap, dear), -3) - 10
                variants: list[VariantDraft] = []
                for values in product(*(values for _, values in options)):
                    if skus >= SKUS:
                        break
                    skus += 1
                    base = f"789{skus:09}"
                    variants.append(
                        VariantDraft(
                            sku=f"{code}-{len(variants) + 1:02}",
                            options=dict(zip((option for option, _ in options), values, strict=True)),
                            gtin=base + str(gtin_check_digit(base)),
                            weight_grams=round(grams * rng.uniform(0.85, 1.2)),
                            length_mm=350,
                            width_mm=280,
                            height_mm=max(40, round(grams / 12)),
                            price=price,
                        )
                    )
                drafts.append(
                    ProductDraft(
                        code=code,
                        name=f"{name} {line}",
                        brand=NAME,
                        category=f"{category}-{short.lower()}",
                        ncm=ncm,
                        options=[option for option, _ in options],
                        variants=variants,
                    )
                )
    return drafts


def kits(drafts: list[ProductDraft]) -> list[ProductDraft]:
    """Return kits of what is there: a bath set per line, towels for two and a mat."""
    by_code = {draft.code: draft for draft in drafts}
    found = []
    for n, line in enumerate(LINES[:8]):
        towel, mat = by_code.get(f"AR-TB{n:02}"), by_code.get(f"AR-TP{n:02}")
        if towel is None or mat is None:
            continue
        parts = {towel.variants[0].sku: 2, mat.variants[0].sku: 1}
        price = 2 * (towel.variants[0].price or 0) + (mat.variants[0].price or 0)
        found.append(
            ProductDraft(
                code=f"AR-KB{n:02}",
                name=f"Kit banho {line}",
                brand=NAME,
                category="banho-tb",
                ncm="63026000",
                variants=[VariantDraft(sku=f"AR-KB{n:02}-01", price=round(price * 0.9), components=parts)],
            )
        )
    return found


def stock(rng: random.Random, skus: list[str]) -> list[tuple[str, str, int]]:
    """Return (SKU, location, units): deep and wide at distribution centres, a changing part of the range in stores.

    At one centre the consignor's goods stand beside the retailer's; some of what the vendor makes waits at its mill.
    """
    rows = []
    for sku in skus:
        popular = rng.random()
        for code, _, kind, _, _, _, _, _ in SITES:
            if kind == "pickup_point":
                continue
            if kind == "store":
                if rng.random() < 0.25 + 0.4 * popular:
                    rows.append((sku, code, rng.randint(1, 3 + round(9 * popular))))
            elif rng.random() < 0.8:
                rows.append((sku, code, rng.randint(5, 20 + round(180 * popular))))
    made = [(sku, VENDOR, 40) for sku in skus if sku[3:5] in VENDOR_KINDS and int(sku[-2:]) % 4 == 1]
    return [row for found in rows for row in _by_owner(*found)] + made


def _by_owner(sku: str, place: str, units: int) -> list[tuple[str, str, int]]:
    """Return what is on one shelf by whose it is: of what the consignor makes a third is its own, a third is both's."""
    if place != CONSIGNED_AT or sku[3:5] not in CONSIGNED_KINDS:
        return [(sku, place, units)]
    match int(sku[-2:]) % 3:
        case 0:
            return [(sku, place, units - units // 2), (sku, CONSIGNED, units // 2)]
        case 1:
            return [(sku, CONSIGNED, units)]
        case _:
            return [(sku, place, units)]
