"""What is wrong with a listing, in the reader's language: ours, our connector's; a channel's own words as they are."""

import msgspec

from malha.channels.connecting import failures
from malha.channels.feeds.rules import RULES
from malha.channels.listings.model import ListingError, Teller
from malha.platform.i18n import _


def told(error: ListingError) -> ListingError:
    """Return an error with its message in the reader's language, and in whose words it is."""
    if error.teller is Teller.CHECK:
        return msgspec.structs.replace(error, message=_(RULES[error.code]) if error.code in RULES else error.code)
    if not failures.is_ours(error.message):
        return error
    return msgspec.structs.replace(error, message=failures.shown(error.message), teller=Teller.CONNECTOR)


def said(error: ListingError) -> str:
    """Return an error as a sentence; what the channel says by itself is marked as its words."""
    found = told(error)
    words = found.message or found.code
    return failures.theirs(words) if found.teller is Teller.CHANNEL else words
