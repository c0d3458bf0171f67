"""Where an ERP is, and how what it is told is booked there."""

from typing import Annotated, Literal

from msgspec import Meta

from malha.channels.contract import DocumentRules

ID_MAX = 2**31 - 1


class TrytonConfig(DocumentRules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the ERP is, and how what we tell is booked there."""

    base_url: Annotated[
        str,
        Meta(
            min_length=8,
            max_length=500,
            title="Address",
            description="Address with the database, as in https://erp.example.com/shop.",
        ),
    ]
    company: Annotated[
        int, Meta(ge=1, le=ID_MAX, title="Company in Tryton", description="Id of the company in Tryton.")
    ] = 1
    warehouses: Annotated[
        str,
        Meta(
            max_length=4_000,
            title="Warehouses in Tryton",
            description="Code that Tryton has for each of our locations, as in DC=MAIN, SP=2;"
            " a location that is not named has the code it has here.",
        ),
    ] = ""
    freight_product: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            title="Freight service",
            description="Code of the service that freight is booked as.",
        ),
    ] = "FRETE"
    adjustment_product: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            title="Discount service",
            description="Code of the service that discounts are booked as.",
        ),
    ] = "DESCONTO"
    anonymous_party: Annotated[
        str,
        Meta(
            max_length=100,
            title="Party for buyers without CPF",
            description="Code of the party for buyers without CPF or CNPJ; empty: they are not posted.",
        ),
    ] = ""
    shipments: Annotated[
        Literal["malha", "tryton"],
        Meta(
            title="Who ships",
            description="Who ships: Malha tells Tryton what left, or Tryton makes shipments of each sale.",
            extra_json_schema={
                "x-choices": {"malha": "Malha tells what left", "tryton": "Tryton makes shipments of each sale"}
            },
        ),
    ] = "malha"
    invoices: Annotated[
        Literal["manual", "order", "shipment"],
        Meta(
            title="Invoices",
            description="When Tryton makes an invoice of a sale.",
            extra_json_schema={
                "x-choices": {"manual": "By hand", "order": "With the order", "shipment": "With the shipment"}
            },
        ),
    ] = "manual"
    page: Annotated[int, Meta(ge=1, le=500, title="Products of a page", description="Products asked for at once.")] = (
        100
    )
