"""What goes wrong with connections in our own words, kept in English and shown in the reader's language.

See `malha.platform.failures`. What a peer or a connector says is shown as it is.
"""

from malha.platform import failures, shapes
from malha.platform.i18n import N_
from malha.platform.outward import OutwardUnreachable

MISFIT = N_("the configuration does not fit: {field}: {what}")
BREAKS_DOWN = N_("the connector breaks down over its configuration: {why}")
NO_SECRET = N_("the secret {name} was not entered")
NO_TOKEN = N_("no token was entered")
TOKEN_OVER = N_("the token ran out, and this connector cannot renew it")
RENEWED_BY_ANOTHER = N_("somebody else renews the token and does not end")
RESTS = N_("the peer failed often and rests")
BUDGET_OVER = N_("the budget is used up")
CUT_OFF = N_("cut off")
NOT_TOLD = N_("the connector cannot tell it")
NO_ORDERS = N_("the connector reads no orders")
UNREADABLE_ORDERS = N_("the connector cannot read orders")
NO_SHOWN_STOCK = N_("the connector does not say what stock the channel shows")
NO_PRODUCTS = N_("the connector does not say what the channel sells")
NOTHING_SAID = N_("the channel said nothing of it")
SAME_PAGE = N_("the channel promises more pages and gives the same one again")
READING_BROKEN_OFF = N_("the reading was broken off")
LOOK_BROKEN_OFF = N_("the comparison was broken off")
UNREACHABLE = OutwardUnreachable.says
NO_KEY = N_("{host} shows no key")
OTHER_KEY = N_("{host} shows another key than the one that was trusted")
KEY_NOT_TRUSTED = N_("nobody has trusted the key of {host} yet")
LOGIN_REFUSED = N_("{host} refuses the login: {why}")
NO_FILES = N_("{host} offers no files: {why}")
PRIVATE_KEY_UNREADABLE = N_("the private key cannot be read: {why}")
TOO_LARGE = N_("it is larger than {most} bytes")

OURS = (
    MISFIT,
    BREAKS_DOWN,
    NO_SECRET,
    NO_TOKEN,
    TOKEN_OVER,
    RENEWED_BY_ANOTHER,
    RESTS,
    BUDGET_OVER,
    CUT_OFF,
    NOT_TOLD,
    NO_ORDERS,
    UNREADABLE_ORDERS,
    NO_SHOWN_STOCK,
    NO_PRODUCTS,
    NOTHING_SAID,
    SAME_PAGE,
    READING_BROKEN_OFF,
    LOOK_BROKEN_OFF,
    NO_KEY,
    OTHER_KEY,
    KEY_NOT_TRUSTED,
    LOGIN_REFUSED,
    NO_FILES,
    PRIVATE_KEY_UNREADABLE,
    TOO_LARGE,
)

shown = failures.Failures(*failures.OUTWARD, *shapes.SENTENCES, *OURS).shown
