"""Pictures made small: whatever a shop's camera or designer made, and nothing of what somebody made to do harm."""

import io
import struct
import zlib

import pytest
from PIL import Image

from malha.catalog.pictures.model import POINTS, Size, Why
from malha.catalog.pictures.shrinking import NotShown, shrunk


def picture(format_: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (1_200, 800), **more) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(out, format_, **more)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    found = Image.open(io.BytesIO(data))
    found.load()
    return found


@pytest.mark.parametrize(
    ("format_", "mode"),
    [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"),
     ("WEBP", "RGB"), ("WEBP", "RGBA"), ("GIF", "P")],
)  # fmt: skip
def test_every_kind_that_is_taken_comes_in_both_sizes(format_, mode):
    made = shrunk(picture(format_, mode))
    small, large = opened(made.small), opened(made.large)
    assert (small.format, large.format) == ("WEBP", "WEBP")
    assert (small.size, large.size) == ((POINTS[Size.SMALL], 64), (POINTS[Size.LARGE], 427))
    assert len(made.large) < 100_000  # dots of black and white are the worst


def test_what_is_small_already_is_not_made_larger():
    assert opened(shrunk(picture(size=(40, 30))).large).size == (40, 30)


def test_what_shows_through_still_does():
    out = io.BytesIO()
    Image.new("RGBA", (200, 200), (255, 0, 0, 0)).save(out, "PNG")
    assert opened(shrunk(out.getvalue()).small).convert("RGBA").getpixel((10, 10))[3] == 0


def test_a_picture_is_turned_as_its_camera_was_held_and_says_nothing_of_the_camera():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    exif[0x010F] = "Maker"
    made = opened(shrunk(picture("JPEG", exif=exif)).large)
    assert made.size == (427, 640)
    assert not made.getexif()


def test_an_animation_is_its_first_frame():
    out = io.BytesIO()
    frames = [Image.new("RGB", (300, 300), colour) for colour in ("red", "blue", "green")]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    made = opened(shrunk(out.getvalue()).small)
    assert getattr(made, "n_frames", 1) == 1
    red, _green, blue = made.convert("RGB").getpixel((50, 50))
    assert red > 200 > blue


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PAGE = b"<!doctype html><title>Not found</title>"


@pytest.mark.parametrize("data", [b"", b"GIF89a", SVG, PAGE, picture()[:4_000], picture("JPEG")[:600], b"\x00" * 4_096])
def test_what_is_no_picture_or_half_of_one_is_refused(data):
    with pytest.raises(NotShown) as refused:
        shrunk(data)
    assert refused.value.why is Why.NO_PICTURE


def test_other_kinds_are_refused_though_they_could_be_read():
    for format_ in ("TIFF", "BMP", "ICO"):
        with pytest.raises(NotShown) as refused:
            shrunk(picture(format_, size=(64, 64)))
        assert refused.value.why is Why.NO_PICTURE


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [5_001, 12_000, 60_000])
def test_a_small_file_that_would_unpack_to_a_large_picture_is_refused_before_it_is_unpacked(side):
    with pytest.raises(NotShown) as refused:
        shrunk(claims(side, side))
    assert refused.value.why is Why.TOO_MANY_POINTS


def test_a_photograph_of_a_good_camera_is_taken():
    data = picture("JPEG", "L", size=(9_000, 6_000), quality=30)
    assert opened(shrunk(data).large).size == (640, 427)
