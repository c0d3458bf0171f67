"""What is tried first is refused; what a person thinks up is not."""

import pytest

from malha.identity import rules

EMAIL = "joana.prates@loja.com.br"
EASY = [
    "1234567890", "0987654321", "qwertyuiop", "1q2w3e4r5t", "1qaz2wsx3edc", "abcdefghij", "password123", "P@ssw0rd2026", "Senha@2026", "senha12345", "Mudar@123456",
    "flamengo2026", "Corinthians1910", "Blackfriday2026", "joana.prates1", "PratesJoana2026", "iloveyou12", "administrador", "admin123456", "aaaaaaaaaa", "1212121212",
    "deusefiel123", "qwerty123456", "Welcome2026!", "changeme1234", EMAIL, "senhasenhasenha", "brasilbrasil", "SENHASEGURA!", "trocar1234", "lojas12345", "abc1234567",
]  # fmt: skip
FINE = [
    "correct horse battery", "another good phrase", "tres tristes tigres", "8403752910", "Xk93-fold-lamp", "o gato do vizinho mia", "pamonha quente de Piracicaba", "senha do cofre amarelo da vovó",
    "joana gosta de goiabada", "7Vq!mZ2#tR", "çãõéíúàâêô",
]  # fmt: skip


@pytest.mark.parametrize("password", EASY)
def test_what_is_tried_first_is_refused(password: str) -> None:
    assert [flaw.at for flaw in rules.password_flaws(password, EMAIL, 10, 200)] == ["password"]


@pytest.mark.parametrize("password", FINE)
def test_what_a_person_thinks_up_is_taken(password: str) -> None:
    assert not rules.password_flaws(password, EMAIL, 10, 200)
