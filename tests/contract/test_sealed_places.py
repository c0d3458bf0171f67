"""Every secret that is sealed at rest is sealed anew when the secret key is changed: no column of bytes is forgotten."""

import re
from pathlib import Path

from malha.platform import migrate as runner
from malha.privacy.sealed import SEALED

SCHEMA = Path(runner.__file__).parents[1] / "migrations" / "schema.sql"
# Bytes that are no sealed secret: hashes, files, pictures, packed pieces.
OTHER = {
    "api_key.secret_hash", "session.token_hash", "recovery_code.code_hash", "login_answer.state_hash",
    "feed.salt", "binding.content_hash", "idempotency.body_hash",
}  # fmt: skip
NAMED_AS = re.compile(r"secret|token|key$|salt|hash|code")


def bytes_of_schema() -> set[str]:
    found, table = set(), ""
    for line in SCHEMA.read_text(encoding="utf-8").splitlines():
        if begins := re.match(r"CREATE TABLE (\w+)", line):
            table = begins[1]
        elif column := re.match(r"    (\w+) bytea\b", line):
            found.add(f"{table}.{column[1]}")
    return found


def test_every_column_of_secret_bytes_is_sealed_anew_or_said_to_be_none() -> None:
    there = bytes_of_schema()
    sealed = {f"{place.table}.{place.column}" for place in SEALED}
    assert sealed <= there
    secret = {column for column in there if NAMED_AS.search(column.partition(".")[2])}
    assert secret - sealed - OTHER == set()
