"""Refusals of the catalogue."""

from malha.platform.errors import Conflict, NotFound


class UnknownProduct(NotFound):
    """No product has this code."""

    code = "unknown_product"
    says = "There is no product {key}."
    mend = "Check the code in the list of products."


class UnknownCategory(NotFound):
    """No category has this code."""

    code = "unknown_category"
    says = "There is no category {key}."
    mend = "Check the code in the category tree, or create it first."


class ProductCodeTaken(Conflict):
    """A product with this code exists."""

    code = "product_code_taken"
    says = "The product code {key} is already in use."
    mend = "Choose another code, or change the product that has it."


class CategoryLoop(Conflict):
    """A category cannot hang below itself."""

    code = "category_loop"
    says = "The category {key} cannot be moved below {parent}, which lies inside it."
    mend = "Choose a parent outside of its branch."


class ProductFieldOwned(Conflict):
    """Another connection keeps one of the fields."""

    code = "product_field_owned"
    says = "{name} ({connection}) keeps these fields of products already: {fields}. A field has one owner."
    mend = "Leave them out here, or take them from that connection first, on its page of products."


class StockedKit(Conflict):
    """Units of the SKU are somewhere, or will be; of a kit there are none of its own, so nobody would see them."""

    code = "stocked_kit"
    says = (
        "{sku} has stock of its own, so it cannot become a kit: {on_hand} on hand, {allocated} for orders, {held} in "
        "carts, {coming} on the way ({locations})."
    )
    mend = "Count it down to nothing, or make a new SKU for the kit."


class MadeMeanwhile(Conflict):
    """Somebody else made one of these products or variants at the same moment."""

    code = "made_meanwhile"
    says = "A product or variant of these was made by someone else meanwhile. Nothing was made."
    mend = "Try again: what is here by now is taken for what it is."
