"""A retailer of a given size, set-based: locations in every state, SKUs stocked everywhere, a channel, a key."""

from malha.identity import service as identity
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.db import Database

NETWORK = """
WITH entity AS (
    INSERT INTO legal_entity (name, cnpj_root) VALUES ('Bench', '12345678') RETURNING id
), seat AS (
    INSERT INTO establishment (legal_entity_id, code, name, cnpj, state)
    SELECT id, 'BENCH', 'Bench', '12345678000195', 'SP' FROM entity RETURNING id
), place AS (
    INSERT INTO location (code, name, kind, establishment_id, state, handling_cost, line_cost, latitude, longitude)
    SELECT 'L' || n, 'Location ' || n, 'distribution_centre', seat.id,
           (ARRAY['SP','RJ','MG','BA','PE','CE','PR','RS','GO','AM'])[1 + n %% 10], 150 + n, 80, -23 + n, -46 + n
    FROM seat, generate_series(1, %(locations)s::int) n RETURNING id
), carrier AS (
    INSERT INTO service (code, name, carrier) VALUES ('standard', 'Standard', 'Carrier') RETURNING id
), rate AS (
    INSERT INTO service_rate (service_id, from_state, to_state, max_grams, price, per_extra_kg, lead_days)
    SELECT carrier.id, f, t, grams, 900 + 37 * abs(ascii(f) - ascii(t)) + grams / 20, 300,
           2 + abs(ascii(f) - ascii(t)) / 4
    FROM carrier, unnest(ARRAY['SP','RJ','MG','BA','PE','CE','PR','RS','GO','AM']) f,
         unnest(ARRAY['SP','RJ','MG','BA','PE','CE','PR','RS','GO','AM']) t, unnest(ARRAY[1000, 5000, 30000]) grams
)
INSERT INTO channel (code, name, kind, payment_policy, shortage_policy)
VALUES ('web', 'Web', 'web', 'settled_by_channel', 'reject')
"""

SKUS = """
WITH p AS (INSERT INTO product (code, name) VALUES ('BENCH', 'Bench') RETURNING id)
INSERT INTO variant (product_id, sku, name, weight_grams, price)
SELECT p.id, 'SKU' || n, 'Product ' || n, 100 + n %% 2000, 1990 FROM p, generate_series(1, %(skus)s::int) n
"""

# Setting a hot SKU aside: fixed stock at one location.
SKU_IDS = """
SELECT id FROM variant WHERE sku = ANY (%(codes)s::text[]) ORDER BY id
"""


async def seed(db: Database, *, skus: int, locations: int, units: int) -> str:
    """Write the retailer; return an API key that may submit orders."""
    async with db.transaction() as tx:
        await tx.execute(NETWORK, {"locations": locations})
        await tx.execute(SKUS, {"skus": skus})
        key = await identity.create_key(tx, name="bench", permissions=["intake:submit"])
    for start in range(1, skus + 1, 2000):
        async with db.transaction() as tx:
            goods = [
                Claim(sku, location, units)
                for sku in range(start, min(start + 2000, skus + 1))
                for location in range(1, locations + 1)
            ]
            await inventory.set_on_hand(tx, goods, Reference("bench"), Reason.INITIAL)
    async with db.transaction() as tx:
        await tx.execute("ANALYZE")
    return key.secret


async def set_stock(db: Database, sku: str, units: int) -> None:
    """State one SKU's stock: `units` at the first location, none elsewhere."""
    async with db.transaction() as tx:
        sku_id = await tx.value(SKU_IDS, {"codes": [sku]})
        locations = await tx.values("SELECT id FROM location ORDER BY id")
        stated = [Claim(sku_id, location, 0) for location in locations[1:]]
        await inventory.set_on_hand(tx, [Claim(sku_id, locations[0], units), *stated], Reference("bench"))
