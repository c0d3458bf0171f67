"""Makes the database that Tryton's tests copy: its schema takes most of a minute, a copy a second.

Usage: template.py DIRECTORY. There the environment `venv` holds Tryton; `template.sql`, and `shop.json` with what
`open_shop.py` says of it, are left there.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from malha.platform.embedded import VOLATILE, EmbeddedPostgres, wheel_install

HERE = Path(__file__).parent
NAME = "shop"


def configuration(url: str) -> str:
    """Return Tryton's configuration for a server: it adds the database's name itself."""
    server, _, query = url.partition("?")
    return f"[database]\nuri = {server.rpartition('/')[0]}/{'?' + query if query else ''}\n"


def main() -> None:
    """See the module."""
    made = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="malha-tryton-") as scratch:
        Path(scratch).chmod(0o711)  # as root the server runs as a user of its own and passes through
        work = Path(scratch)
        with EmbeddedPostgres(work / "data", settings=VOLATILE) as server:
            with psycopg.connect(server.url, autocommit=True) as admin:
                admin.execute(f'CREATE DATABASE "{NAME}"')
            config, password = work / "trytond.conf", work / "password"
            config.write_text(configuration(server.url), "utf-8")
            password.write_text(secrets.token_hex(16), "utf-8")
            env = {**os.environ, "TRYTONPASSFILE": str(password)}
            admin_of = [made / "venv/bin/trytond-admin", "-c", config, "-d", NAME]
            subprocess.run([*admin_of, "--all", "--email", "admin@example.com"], check=True, env=env)
            subprocess.run([*admin_of, "-u", "sale", "stock", "--activate-dependencies"], check=True, env=env)
            opened = subprocess.run(
                [made / "venv/bin/python", HERE / "open_shop.py", config, NAME], check=True, stdout=subprocess.PIPE
            )
            url = server.url.replace("/malha?", f"/{NAME}?")
            dump = [wheel_install() / "bin/pg_dump", "--no-owner", "--no-privileges", "-f", made / "template.sql", url]
            subprocess.run(dump, check=True)
            (made / "shop.json").write_bytes(opened.stdout)


if __name__ == "__main__":
    main()
