"""Making a picture small. Pillow is loaded by the first that comes: web processes never need it."""

import io
from typing import TYPE_CHECKING

import msgspec

from malha.catalog.pictures.model import POINTS, Size, Why

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")  # fewer decoders, fewer faults in them
MOST_POINTS = 25_000_000  # of what has to be unpacked whole: some 100 MB
MOST_POINTS_JPEG = 150_000_000  # is unpacked at an eighth of its size
QUALITY = 80


class NotShown(Exception):
    """There is no picture to show; `why` says why."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


class Small(msgspec.Struct, frozen=True):
    """A picture in both sizes, as WebP, turned as its camera was held, without what the camera noted."""

    small: bytes
    large: bytes


def shrunk(data: bytes) -> Small:
    """Return a picture in the sizes that pages show.

    Raises:
        NotShown: it is no picture of a kind that is taken, is damaged, or has too many points.
    """
    from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError  # noqa: PLC0415 -- see the module

    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as found:
            _refuse_large(found)
            found.draft("RGB", (2 * POINTS[Size.LARGE], 2 * POINTS[Size.LARGE]))  # JPEG alone heeds it
            picture = ImageOps.exif_transpose(found)
            picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise NotShown(Why.TOO_MANY_POINTS) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError):
        raise NotShown(Why.NO_PICTURE) from None  # what Pillow says of files that were damaged on purpose
    sizes = {}
    for size in (Size.LARGE, Size.SMALL):
        picture.thumbnail((POINTS[size], POINTS[size]))
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=QUALITY)
        sizes[size] = out.getvalue()
    return Small(sizes[Size.SMALL], sizes[Size.LARGE])


def _refuse_large(found: "Image") -> None:
    width, height = found.size
    if width * height > (MOST_POINTS_JPEG if found.format == "JPEG" else MOST_POINTS):
        raise NotShown(Why.TOO_MANY_POINTS)
