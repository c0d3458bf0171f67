"""Passwords that are tried first: common words with a year hung on them, runs along the keyboard, one's own address.

Ten characters are asked for anyway, so that the lists of leaked passwords, which are mostly shorter, shrink to a few
patterns. What is left over when those are taken out has to be something.
"""

import re

from malha.platform.text import fold

# What people choose when they must choose something, here and elsewhere.
WORDS = frozenset(
    """abc abril access acesso admin administrador agosto alterar amanha america amigos amor amoreterno asdf
    asdfghjkl avai azerty bahia baseball basketball bemvindo blackfriday botafogo brasil brazil bruno caixa
    california carlos changeme chelsea chocolate corinthians cruzeiro cuidado default deus deuseamor deusefiel
    dezembro dragon estoque eusouodono eusouquemsou familia felicidade fernanda fevereiro flamengo fluminense
    football gabriel gerente gratidao gremio guest heslo iloveyou inicial internacional internet inverno janeiro
    jesus jesuscristo jesusteama jordan julho junho juventus liverpool loja lojas lucas maio malha manchester
    marco mariana master matheus meuamor meudeus michael minhasenha mudar mudarsenha mustang natal nossasenhora
    novasenha novembro outono outubro padrao palmeiras pascoa pass passw passwd password pokemon portugal
    primavera princesa qwerty qwertyuio qwertyuiop rafael rodrigo root santos saopaulo saudade secret secreto
    segredo segunda segura senha senhaforte senhasegura setembro sexta sistema starwars sunshine superman system
    teamo temporaria temporario testando teste tester trocar trustno trustnoone tuamae user usuario vasco vendas
    verao victoria vitoria welcome whatever zxcvbnm""".split()  # noqa: SIM905 -- a paragraph, not three pages
)
ROWS = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb",
)
RUN = 5  # keys in a row that are no choice of their own
LEAST = 5  # letters and digits that must be left over: a year is not enough
_LOOKS_LIKE = str.maketrans("013457@$!", "oieastasi")


def is_easy(password: str, email: str) -> bool:
    """Return whether a password is among those that are tried first for whoever has this e-mail."""
    bare = fold(password)
    own = {part for part in re.split(r"[^a-z0-9]+", fold(email)) if len(part) > 3}
    for said in (bare, bare.translate(_LOOKS_LIKE)):
        if re.sub(r"[^a-z]", "", said) in WORDS | own:
            return True
        rest = _without_runs(said)
        for word in sorted(WORDS | own, key=len, reverse=True):
            rest = rest.replace(word, " ")
        if len(re.sub(r"[^a-z0-9]", "", rest)) < LEAST:
            return True
    return False


def _without_runs(text: str) -> str:
    """Return the text without what stands side by side on the keyboard or in the alphabet, either way."""
    kept, at = [], 0
    while at < len(text):
        size = max((_run(text, at, row) for row in (*ROWS, *(row[::-1] for row in ROWS))), default=0)
        if size >= RUN:
            at += size
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)


def _run(text: str, at: int, row: str) -> int:
    """Return how many characters from `at` on follow one another in the row."""
    size = 0
    while at + size < len(text) and text[at : at + size + 1] in row:
        size += 1
    return size
