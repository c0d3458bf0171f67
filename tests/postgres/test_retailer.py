"""How the retailer appears to shoppers: its one row, its version, its logo, its colours."""

import pytest

from malha.network import retailer, service
from malha.network.colour import READABLE, WHITE, contrast, normalise_colour, readable, text_on
from malha.network.model import EstablishmentDraft, RetailerDraft
from malha.platform import audit
from malha.platform.db import Database
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


async def test_before_its_first_change_a_retailer_has_its_legal_name_and_malhas_colours(database: Database) -> None:
    async with database.transaction() as tx:
        await service.put_establishments(
            tx,
            [EstablishmentDraft(code="E1", name="Loja", cnpj="11222333000181", state="SP", legal_name="Rendeira SA")],
        )
        found = await retailer.current(tx)
        assert (found.name, found.stated_name, found.colour, found.version) == ("Rendeira SA", "", "#2a52b0", 0)
        assert (found.languages, found.timezone, found.logo) == (("pt-BR", "en"), None, None)
        assert await retailer.logo(tx) is None


async def test_a_change_keeps_what_was_stated_and_is_audited(database: Database) -> None:
    draft = RetailerDraft(
        name=" Loja Azul ",
        colour="28B",
        languages=("en",),
        support_phone="0800 123 4567",
        website="https://loja.com.br",
    )
    async with database.transaction() as tx:
        changed = await retailer.change(tx, draft, 0)
        assert (changed.name, changed.colour, changed.languages) == ("Loja Azul", "#2288bb", ("en",))
        assert (changed.support_phone, changed.version) == ("0800 123 4567", 1)
        entry = (await audit.trail(tx, entity="retailer"))[0]
        assert entry.after is not None
        assert entry.after["colour"] == "#2288bb"


async def test_who_changes_it_from_an_old_version_is_told(database: Database) -> None:
    async with database.transaction() as tx:
        await retailer.change(tx, RetailerDraft(name="A"), 0)
        with pytest.raises(Conflict):
            await retailer.change(tx, RetailerDraft(name="B"), 0)
        assert (await retailer.change(tx, RetailerDraft(name="C"), 1)).name == "C"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"colour": "blue; background: url(//x)"}, "colour"),
        ({"languages": ()}, "languages"),
        ({"languages": ("fr",)}, "languages"),
        ({"timezone": "Sao_Paulo"}, "timezone"),
        ({"support_email": "nobody"}, "support_email"),
        ({"support_phone": "ask Ana"}, "support_phone"),
        ({"website": "javascript:alert(1)"}, "website"),
        ({"website": "http://loja.com.br"}, "website"),
        ({"name": "x" * 81}, "name"),
    ],
)
async def test_what_shoppers_could_not_use_is_refused(database: Database, wrong: dict, field: str) -> None:
    async with database.transaction() as tx:
        with pytest.raises(Invalid) as refusal:
            await retailer.change(tx, RetailerDraft(**wrong), 0)
        assert [flaw.at for flaw in refusal.value.flaws] == [field]


async def test_a_logo_is_kept_with_its_type_and_can_be_taken_away(database: Database) -> None:
    async with database.transaction() as tx:
        with_logo = await retailer.change_logo(tx, PNG)
        kept = await retailer.logo(tx)
        assert kept is not None
        assert (kept.picture, kept.media_type, kept.digest) == (PNG, "image/png", with_logo.logo)
        # The version moved: a form that was open meanwhile is read again.
        assert (await retailer.change(tx, RetailerDraft(name="Loja"), with_logo.version)).logo == with_logo.logo
        assert (await retailer.change_logo(tx, None)).logo is None


@pytest.mark.parametrize("picture", [b"", b"<svg onload='x'/>", PNG + bytes(262_144)])
async def test_a_logo_that_is_no_picture_or_too_large_is_refused(database: Database, picture: bytes) -> None:
    async with database.transaction() as tx:
        with pytest.raises(Invalid):
            await retailer.change_logo(tx, picture)


@pytest.mark.parametrize(
    "colour", ["#2a52b0", "#ffe600", "#ffffff", "#000000", "#7f7f7f", "#808080", "#e30613", "#00a650"]
)
def test_whatever_the_colour_text_in_it_and_on_it_can_be_read(colour: str) -> None:
    tone = retailer.shades(colour)
    assert contrast(tone["brand"], tone["on-brand"]) >= READABLE
    assert contrast(tone["brand-ink"], WHITE) >= READABLE
    assert contrast(tone["brand-ink-dark"], "#151922") >= READABLE


def test_a_colour_that_can_be_read_is_left_as_it_is() -> None:
    assert readable("#2a52b0") == "#2a52b0"
    assert retailer.shades("#ffe600")["brand"] == "#ffe600"
    assert text_on("#ffe600") == "#11151f"
    assert round(contrast("#ffffff", "#000000"), 1) == 21.0
    assert normalise_colour("rgb(1,2,3)") is None
