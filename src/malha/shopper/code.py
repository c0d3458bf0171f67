"""The pickup code as a QR: what the counter's scanner reads is exactly what the hand-over asks for."""

from markupsafe import Markup


def qr(code: str) -> Markup:
    """Return the code as inline SVG, dark on light with its quiet zone; its size is the style sheet's."""
    import segno  # noqa: PLC0415 -- only who shows a code loads it

    # Level M stands a scratched or dim screen. Version 1 is enough for digits, so the squares are as large as can be.
    drawn = segno.make_qr(code, error="m").svg_inline(
        border=4, omitsize=True, dark="#000", light="#fff", svgclass="m-qr", lineclass=None
    )
    return Markup(drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))  # noqa: S704 -- digits only


def spoken(code: str) -> str:
    """Return the code in two groups, as it is read out: `4821 07`."""
    half = (len(code) + 1) // 2
    return f"{code[:half]} {code[half:]}" if len(code) > 4 else code
