"""Settings of a retailer in a new Tryton database; run by Tryton's own Python, in process, by proteus.

Usage: open_shop.py CONFIG DATABASE. Company in reais, warehouses WH (its own codes) and SP, products A and B with stock,
services for freight and discounts, a party for buyers without a document, and a user application for Malha; prints its
key and the ids that tests ask for, as JSON.
"""

import json
import sys
from datetime import date
from decimal import Decimal

from proteus import Model, config

current = config.set_trytond(sys.argv[2], user="admin", config_file=sys.argv[1])

Currency = Model.get("currency.currency")
real = Currency(name="Real", symbol="R$", code="BRL", numeric_code="986", digits=2, rounding=Decimal("0.01"))
real.rates.new(rate=Decimal("1.0"), date=date(2000, 1, 1))
real.save()

Party = Model.get("party.party")
Company = Model.get("company.company")
company = Company(party=Party(name="Loja Ltda"), currency=real)
company.party.save()
company.save()
User = Model.get("res.user")
(admin,) = User.find([("login", "=", "admin")])
admin.companies.append(company)
admin.company = company
admin.save()
current._context = User.get_preferences(True, {})

Location = Model.get("stock.location")
(storage,) = Location.find([("code", "=", "STO")])
warehouse = Location.find([("type", "=", "warehouse")])[0]
warehouse.code = "DC"
warehouse.save()

Uom = Model.get("product.uom")
(unit,) = Uom.find([("symbol", "=", "u")])
Template = Model.get("product.template")
ids = {}


def product(code, name, price, kind="goods"):
    template = Template(name=name, type=kind, default_uom=unit, salable=True, list_price=Decimal(price))
    template.products[0].suffix_code = code
    template.save()
    ids[code] = template.products[0].id


product("A", "Camiseta", "99.00")
product("B", "Caneca", "45.50")
product("FRETE", "Frete", "0", "service")
product("DESCONTO", "Desconto", "0", "service")

Identifier = Model.get("product.identifier")
Product = Model.get("product.product")
a = Product(ids["A"])
a.identifiers.new(type="ean", code="7891000100103")
a.save()

Inventory = Model.get("stock.inventory")
inventory = Inventory(location=storage)
for code, quantity in (("A", 40), ("B", 30)):
    line = inventory.lines.new(product=Product(ids[code]))
    line.quantity = quantity
inventory.save()
inventory.click("confirm")

anonymous = Party(name="Consumidor final", code="CONSUMIDOR")
anonymous.save()

Application = Model.get("res.user.application")
application = Application(application="rest", user=admin)
application.save()
print(
    json.dumps(
        {
            "key": application.key,
            "application": application.id,
            "company": company.id,
            "products": ids,
            "storage": storage.id,
            "warehouse": warehouse.id,
        }
    )
)
