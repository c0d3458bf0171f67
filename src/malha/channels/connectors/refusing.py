"""What several connectors refuse in the same words."""

from malha.channels.contract import Rejected


def unknown(code: str) -> Rejected:
    """Return why nothing can be said of a SKU that the channel does not have."""
    return Rejected("unknown_sku", f"the channel has no product with the code {code}", "code")
