"""Words of pictures: their sizes, where they stand, why one is refused, and the key of an address."""

import hashlib
from enum import StrEnum

import msgspec

from malha.platform.i18n import N_

KEY_LENGTH = 32  # characters


class Size(StrEnum):
    """How large a picture is shown: its longer side has at most that many points."""

    SMALL = "small"
    LARGE = "large"


POINTS = {Size.SMALL: 96, Size.LARGE: 640}  # twice what a page gives them, for dense screens
MEDIA_TYPE = "image/webp"


class Why(StrEnum):
    """Why there is no picture."""

    REFUSED = "refused"  # the address is none that is asked
    UNREACHABLE = "unreachable"
    ANSWER = "answer"  # something else than 200, a redirect, too long, or not all of it
    NO_PICTURE = "no_picture"
    TOO_MANY_POINTS = "too_many_points"


WHY = {
    Why.REFUSED: N_("This address is not asked: it has to be https and on the public internet."),
    Why.UNREACHABLE: N_("Its server did not answer."),
    Why.ANSWER: N_("Its server did not send it, sends elsewhere, or sends more than 8 MB."),
    Why.NO_PICTURE: N_("It is no picture in JPEG, PNG, WebP or GIF, or is damaged."),
    Why.TOO_MANY_POINTS: N_("It has too many points."),
}


class Wanted(msgspec.Struct, frozen=True):
    """A picture that a page asks for: its address, and the mark that the page was given with it."""

    url: str
    mark: str


class Told(msgspec.Struct, frozen=True):
    """Where a picture stands. `why` says why it is refused."""

    key: str
    state: str
    why: str = ""


def key_of(url: str) -> str:
    """Return the key of an address."""
    return hashlib.sha256(url.encode()).hexdigest()[:KEY_LENGTH]
