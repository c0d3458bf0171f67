"""What the browser itself refuses is said in the language of the page."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

Visit = Callable[..., Page]
FIRST_INVALID = "form => { form.reportValidity(); return form.querySelector(':invalid')?.validationMessage ?? ''; }"


@pytest.mark.parametrize(
    ("language", "missing", "email"),
    [
        ("pt-BR", "Preencha este campo.", "Escreva um endereço de e-mail, como ana@example.com."),
        ("en", "Fill in this field.", "Write an e-mail address, like ana@example.com."),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_the_language_of_the_page(
    visit: Visit, language: str, missing: str, email: str
):
    page = visit("/login", language=language, signed_in=False)
    form = page.locator("form[action='/login']")
    assert form.evaluate(FIRST_INVALID) == missing
    page.locator("#email").fill("ana")
    assert form.evaluate(FIRST_INVALID) == email
    page.locator("#email").fill("ana@example.com")
    assert form.evaluate(FIRST_INVALID) == missing  # the password
    page.locator("#password").fill("x")
    assert form.evaluate(FIRST_INVALID) == ""


def test_a_number_out_of_its_range_names_the_limit(visit: Visit):
    page = visit("/components")
    page.evaluate(
        """() => {
            document.querySelector('#content').insertAdjacentHTML(
                'beforeend', '<form id="probe"><input type="number" min="1" max="2000" required></form>');
        }"""
    )
    form = page.locator("#probe")
    field = form.locator("input")
    for written, said in [("0", "No mínimo 1."), ("2001", "No máximo 2.000."), ("1.5", "Escreva um número inteiro.")]:
        field.fill(written)
        assert form.evaluate(FIRST_INVALID) == said
    field.fill("7")
    assert form.evaluate(FIRST_INVALID) == ""
