"""Settings: what can be set, where it is read from, and the sentence a person gets when a value is wrong.

Order of precedence: environment (`MALHA_PORT=8080`), then a TOML file (`MALHA_CONFIG`, else `malha.toml` in the data
directory, with keys like `port = 8080`), then the default. An unknown name is an error: a misspelt setting that is
silently ignored is worse than one that stops the start.

The doc text of every field is its `description`; `reference_page` turns it into docs/reference/settings.md.
"""

import difflib
import os
import re
import secrets
import sys
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

PREFIX = "MALHA_"
CONFIG_VARIABLE = "MALHA_CONFIG"
CONFIG_NAME = "malha.toml"
# Read by the test suite or by the settings loader itself, never settings of a running system.
NOT_SETTINGS = re.compile(r"^MALHA_(CONFIG$|COMPILED$|TEST_)")
SECRET_FIELDS = frozenset({"secret_key", "secret_key_previous", "database_url", "smtp_url"})
SECRET_LENGTH = 32
BY_DATA = "auto"
MEMORY_SIZE = re.compile(r"^([1-9][0-9]*(kB|MB|GB)|auto)$")


class SettingsError(ValueError):
    """A setting is wrong. The message is one sentence or two for the person who set it; never a stack of types."""


def default_data_dir() -> Path:
    """Return where Malha keeps its data by default: a system directory as root, else the user's."""
    if os.geteuid() == 0:
        return Path("/var/lib/malha")
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "malha"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that can be set. Build one with `load`; tests may construct it directly."""

    data_dir: Annotated[
        Path,
        Meta(
            description="Directory of the embedded database, the secret key and the log files. The default is "
            "`/var/lib/malha` as root, otherwise `malha` in the user's data directory (`$XDG_DATA_HOME` or "
            "`~/.local/share`)."
        ),
    ] = msgspec.field(default_factory=default_data_dir)
    database_url: Annotated[
        str | None,
        Meta(
            description="Address of a PostgreSQL 15 or newer, like `postgresql://malha:secret@db.example/malha`. Also "
            "read from `DATABASE_URL`. Without it Malha runs its own PostgreSQL in the data directory."
        ),
    ] = None
    retailer: Annotated[
        str,
        Meta(
            pattern=r"^[a-z_][a-z0-9_]{0,50}$",
            description="Name of the retailer's schema in the database: lower-case letters, digits and underscores.",
        ),
    ] = "malha"
    host: Annotated[
        str, Meta(min_length=1, description="Address the web server listens on. `0.0.0.0` is every network.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="Port the web server listens on.")] = 8000
    public_url: Annotated[
        str | None,
        Meta(
            description="Address people and channels use to reach this server, for links in messages and as the "
            "trusted origin of forms. The default is made of `host` and `port`."
        ),
    ] = None
    web_workers: Annotated[int, Meta(ge=1, le=64, description="How many web processes serve requests.")] = 2
    web_pool_size: Annotated[
        int, Meta(ge=2, le=200, description="Most database connections one web process opens at a time.")
    ] = 8
    backlog: Annotated[
        int, Meta(ge=128, le=65535, description="Connections the web server lets wait before it turns new ones away.")
    ] = 1024
    worker: Annotated[
        bool, Meta(description="Whether `malha serve` runs the worker (events, jobs) beside the web processes.")
    ] = True
    worker_pool_size: Annotated[
        int, Meta(ge=4, le=200, description="Most database connections the worker opens at a time.")
    ] = 6
    worker_jobs: Annotated[int, Meta(ge=1, le=64, description="How many background jobs run at the same time.")] = 4
    stock_prices: Annotated[
        bool,
        Meta(
            description="Whether the worker prices stock that may run out, so that routing keeps last units for orders "
            "that need them more. Prices are used only while they save on past orders."
        ),
    ] = True
    waves: Annotated[
        bool,
        Meta(
            description="Whether the worker plans orders that are not released yet once more, together, and moves "
            "those that cost less elsewhere. An order moves once at most, and never to a location that delivers later."
        ),
    ] = False
    wave_saving: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Least that moving an order before its release must save, in centavos.",
        ),
    ] = 100
    learned_promises: Annotated[
        bool,
        Meta(
            description="Whether dates are promised by when goods left and how long they travelled before, once 200 "
            "deliveries are known, instead of by the days the tariff states. People turn it off on the page Promises; "
            "`false` here keeps it off."
        ),
    ] = True
    repromise: Annotated[
        Literal["tell", "suggest", "off"],
        Meta(
            description="What becomes of a promised day that the order's plan cannot keep any more: `tell` promises it "
            "anew and tells the customer, `suggest` lists it for a person to decide, `off` does not look."
        ),
    ] = "tell"
    repromise_most: Annotated[
        int,
        Meta(
            ge=1,
            le=5_000,
            description="How many orders are promised anew at once, every ten minutes. Of more than five times as many "
            "nobody is told before a person has looked.",
        ),
    ] = 200
    repromise_hours: Annotated[
        int,
        Meta(
            ge=1,
            le=24 * 14,
            description="Hours after a new promise in which its customer is not told of another by itself, unless it "
            "is later again by a whole day.",
        ),
    ] = 24
    worker_nice: Annotated[
        int,
        Meta(
            ge=0,
            le=19,
            description="How far the worker steps back when the processors are busy (0: not at all, 19: most), so that "
            "taking orders comes first.",
        ),
    ] = 10
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severe messages that are logged.")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Meta(
            description="`json` writes one object a line, `console` is for people, `auto` is `console` on a terminal."
        ),
    ] = "auto"
    metrics: Annotated[bool, Meta(description="Whether `/metrics` answers with Prometheus metrics.")] = True
    otlp_endpoint: Annotated[
        str | None,
        Meta(
            description="Address of an OpenTelemetry collector that takes traces by OTLP over HTTP, like "
            "`http://127.0.0.1:4318`. Needs the extra `malha[otel]`. Without it nothing is traced."
        ),
    ] = None
    trace_percent: Annotated[
        int, Meta(ge=1, le=100, description="How many of a hundred requests, jobs and event batches are traced.")
    ] = 10
    secret_key: Annotated[
        str | None,
        Meta(
            description="At least 32 characters that sign cookies and cursors. By default one is made at the first "
            "start and kept in `secret.key` in the data directory, readable by its owner only. Servers "
            "that share a database must share it."
        ),
    ] = None
    secret_key_previous: Annotated[
        str | None,
        Meta(
            description="The secret key before the present one. What was signed or encrypted with it is still believed "
            "and read; nothing new is made with it. Remove it once `malha reseal` was run and the links made with it "
            "have run out (180 days)."
        ),
    ] = None
    smtp_url: Annotated[
        str | None,
        Meta(
            description="Mail server, like `smtp://user:password@smtp.example.com:587` (STARTTLS is required) or "
            "`smtps://...` (TLS from the start, port 465). User and password are percent-encoded. `?ca=/path.pem` "
            "names the certificate authority of an own server; `?tls=none` turns encryption off and is taken for a "
            "server on this machine only. Without it no mail is sent."
        ),
    ] = None
    mail_from: Annotated[
        str | None,
        Meta(description="Sender of all mail, like `Loja Azul <pedidos@loja.example>`. Without it no mail is sent."),
    ] = None
    bounce_address: Annotated[
        str | None,
        Meta(
            description="Address that undeliverable mail comes back to, like `bounces@loja.example`. Each mail goes "
            "out as `bounces+<message>-<signature>@loja.example`; deliver what arrives there to `malha mail bounces`. "
            "Without it mail comes back to the sender."
        ),
    ] = None
    outward_allow: Annotated[
        tuple[str, ...],
        Meta(
            description="Hosts (`sms.intern.example`, `sms.intern.example:8080`) or networks (`10.2.0.0/16`) that may "
            "be asked over HTTP although they are not public, and without TLS, separated by commas. For gateways in "
            "the retailer's own network; everything else must be https and on the public internet."
        ),
    ] = ()
    session_hours: Annotated[
        int, Meta(ge=1, le=24 * 90, description="Hours after which a person who did nothing must log in again.")
    ] = 12
    session_days: Annotated[
        int,
        Meta(ge=1, le=365, description="Days after the log-in at which a person must log in again, however busy."),
    ] = 30
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses or networks of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are "
            "believed, separated by commas, like `10.0.0.0/8,127.0.0.1`."
        ),
    ] = ()
    upload_limit_mb: Annotated[
        int, Meta(ge=1, le=10_240, description="Largest file or request body that is accepted, in megabytes.")
    ] = 32
    import_limit_mb: Annotated[
        int,
        Meta(ge=1, le=10_240, description="Largest table that may be imported, in megabytes; it is kept for 30 days."),
    ] = 512
    timezone: Annotated[str, Meta(description="Time zone of people and locations that set none, by its IANA name.")] = (
        "America/Sao_Paulo"
    )
    currency: Annotated[
        str, Meta(pattern="^[A-Z]{3}$", description="Currency of amounts that name none, by its ISO 4217 code.")
    ] = "BRL"
    language: Annotated[
        Literal["pt-BR", "en"],
        Meta(description="Language of people and messages when neither person nor browser says."),
    ] = "pt-BR"
    postgres_shared_buffers: Annotated[
        str,
        Meta(
            pattern=MEMORY_SIZE.pattern,
            description="Memory the embedded database keeps for its pages, like `1GB`. `auto` follows its data at each "
            "start: 96 MB below 1 GB, then a quarter of it, at most a quarter of the machine (or container) and 4 GB.",
        ),
    ] = BY_DATA
    wal_archive: Annotated[
        Path | None,
        Meta(
            description="Directory in which the embedded database keeps its log, for going back to a moment "
            "(`malha backup --base`, `malha restore --at`). Another disk than the data's, best of another machine."
        ),
    ] = None
    postgres_max_connections: Annotated[
        int, Meta(ge=20, le=1000, description="Most connections the embedded database accepts.")
    ] = 120

    def __repr__(self) -> str:
        shown = {n: "(not shown)" if n in SECRET_FIELDS and v else v for n, v in msgspec.structs.asdict(self).items()}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def address(self) -> str:
        """Return the address to print and to link to, without a slash at its end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 -- compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def secret(self) -> str:
        """Return the signing key; the first call on a new data directory makes one and keeps it there, mode 0600.

        Raises:
            SettingsError: the key file cannot be read or written, or holds too little.
        """
        return self.secret_key or _kept_secret(self.data_dir / "secret.key")


# What to do about a wrong value, where the type's own rule does not say it well enough.
_MEND = {
    "retailer": "Use lower-case letters, digits and underscores, like loja_azul.",
    "public_url": "Write it with its scheme, like https://oms.example.com.",
    "secret_key_previous": "Use the former secret key as it was, or remove it.",
    "smtp_url": "Write it like smtp://user:password@smtp.example.com:587.",
    "mail_from": "Write it like Loja Azul <pedidos@loja.example>.",
    "otlp_endpoint": "Write it with its scheme, like http://127.0.0.1:4318.",
    "secret_key": "Use at least 32 random characters, or remove it and one is made for you.",
    "currency": "Use a code of three capital letters, like BRL.",
    "data_dir": "Name a directory.",
    "timezone": "Use a name like America/Sao_Paulo.",
    "postgres_shared_buffers": "Write auto, or a number and a unit, like 128MB.",
    "database_url": "Write it like postgresql://user:password@host:5432/name.",
    "bounce_address": "Write it like bounces@loja.example.",
    "outward_allow": "Separate hosts or networks by commas, like sms.intern.example:8080,10.2.0.0/16.",
    "trusted_proxies": "Separate addresses or networks by commas, like 10.0.0.0/8,127.0.0.1.",
}
UNREADABLE_DATABASE = (
    "It is no address of a database: of a user or a password, characters like @ / : % are written as %40 %2F %3A %25."
)
_FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Return the settings of this process; `overrides` (command-line options, None meaning "not given") win.

    Raises:
        SettingsError: a name is unknown or a value is wrong. The message says which, what it is, and how to mend it.
    """
    env = os.environ if environ is None else environ
    given: dict[str, tuple[str, Any]] = {}  # field -> (where it was set, value)
    for name, value in sorted(env.items()):
        if name.startswith(PREFIX) and not NOT_SETTINGS.match(name) and value != "":
            given[_known(name.removeprefix(PREFIX).lower(), name, upper=True)] = (name, value)
    if env.get("DATABASE_URL"):
        given.setdefault("database_url", ("DATABASE_URL", env["DATABASE_URL"]))
    for name, value in overrides.items():
        if value is not None:
            given[name] = ("--" + name.replace("_", "-"), value)

    data_dir = _value("data_dir", *given["data_dir"]) if "data_dir" in given else default_data_dir()
    for name, value in _read_file(env, data_dir).items():
        key = _known(name, name, upper=False)
        given.setdefault(key, (f"{name} in the configuration file", value))
    values = {name: _value(name, where, value) for name, (where, value) in given.items()}
    return Settings(**values)


def _known(field: str, written: str, *, upper: bool) -> str:
    if field in _FIELDS:
        return field
    near = difflib.get_close_matches(field, _FIELDS, n=1)
    hint = f"Did you mean {PREFIX + near[0].upper() if upper else near[0]}?" if near else "Remove it."
    raise SettingsError(f"{written} is not a setting of Malha. {hint} All settings are in docs/reference/settings.md.")


def _read_file(env: Mapping[str, str], data_dir: Path) -> dict[str, Any]:
    named = env.get(CONFIG_VARIABLE)
    path = Path(named).expanduser() if named else data_dir / CONFIG_NAME
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if named:
            raise SettingsError(
                f"{CONFIG_VARIABLE} is {named!r}, but there is no such file. Correct the path."
            ) from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The configuration file {path} cannot be read: {error}.") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The configuration file {path} is not valid TOML: {error}.") from None


def _value(name: str, where: str, value: Any) -> Any:
    """Convert one value to its field's type, or say what is wrong with it."""
    hint = get_type_hints(Settings, include_extras=True)[name]
    given = value
    if name in {"trusted_proxies", "outward_allow"} and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if name in {"data_dir", "wal_archive"}:
        if not str(value):
            raise SettingsError(f"{where} is empty. Name a directory, or remove it.")
        return Path(str(value)).expanduser().absolute()
    try:
        # A file's own types must fit; text from the environment may spell numbers and booleans.
        converted = msgspec.convert(_spelt(value), hint, strict=not isinstance(value, str))
        _check(name, converted)
    except ValueError as error:  # msgspec.ValidationError is one
        shown = "(not shown)" if name in SECRET_FIELDS else repr(given)
        wanted = _wanted(hint)
        reason = f" {error}" if wanted is None and not isinstance(error, msgspec.ValidationError) else ""
        mend = _MEND.get(name) or "Correct it, or remove it to use the default."
        raise SettingsError(
            f"{where} is {shown}, which is not {wanted}. {mend}"
            if wanted
            else f"{where} is {shown}, which cannot be used.{reason} {mend}"
        ) from None
    return converted


def _spelt(value: Any) -> Any:
    """Take the usual words for a switch."""
    words = {"on": "true", "yes": "true", "off": "false", "no": "false"}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _check(name: str, value: Any) -> None:
    """Refuse what the type lets pass."""
    if value is None:
        return
    if name == "timezone":
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("There is no such time zone.") from None
    elif name in {"trusted_proxies", "outward_allow"}:
        for part in value:
            (_check_network if name == "trusted_proxies" else _check_allowed)(part)
    elif name == "database_url":
        _check_database(value)
    elif name in {"public_url", "otlp_endpoint"} and not re.match(r"https?://[^/\s]+(/\S*)?$", value):
        raise ValueError("It is no web address.")
    elif name in {"secret_key", "secret_key_previous"} and len(value) < SECRET_LENGTH:
        raise ValueError("It is too short.")
    else:
        _check_mail(name, value)


def _check_database(url: str) -> None:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("Only PostgreSQL is supported.")
    from psycopg import ProgrammingError  # noqa: PLC0415 -- costs time only where it is set
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError as error:
        # Most of what libpq says of an address quotes it, with the password; of a parameter it names the parameter.
        said = str(error).strip()
        named = said.startswith("invalid URI query parameter") and "@" not in url.partition("?")[2]
        raise ValueError(f"libpq says: {said}." if named else UNREADABLE_DATABASE) from None
    if "@" in str(parts.get("host", ""))[1:]:  # a socket without a file begins with one
        raise ValueError(UNREADABLE_DATABASE)


def _check_network(entry: str) -> None:
    try:
        ip_network(entry, strict=False)
    except ValueError:
        raise ValueError(f"{entry!r} is neither an address nor a network.") from None


def _check_allowed(entry: str) -> None:
    from malha.platform import outward  # noqa: PLC0415 -- costs time only where it is set

    outward.parse_allowed(entry)


def _check_mail(name: str, value: Any) -> None:
    if name not in {"smtp_url", "mail_from", "bounce_address"}:
        return
    from malha.platform import mail  # noqa: PLC0415 -- it needs this module, and costs time only where it is set

    checks = {"smtp_url": mail.parse_server, "mail_from": mail.parse_sender, "bounce_address": mail.parse_bounces}
    try:
        checks[name](value)
    except mail.MailAddressWrong:
        raise ValueError("There is no e-mail address in it.") from None


def _wanted(hint: Any) -> str | None:
    """Say in words which values an annotation takes; None where words would not help."""
    kind, meta = get_args(hint)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    if kind is bool:
        return "true or false"
    if kind is int:
        return f"a whole number from {meta.ge} to {meta.le}"
    return None


def _kept_secret(path: Path) -> str:
    try:
        kept = path.read_text("ascii").strip()
    except FileNotFoundError:
        return _new_secret(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The secret key {path} cannot be read: {error}.") from None
    if len(kept) < SECRET_LENGTH:
        raise SettingsError(
            f"The secret key {path} is too short. Restore it, or delete it; then everyone must log in again."
        )
    return kept


def _new_secret(path: Path) -> str:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123 -- mode at creation
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # fails if another process was first; then theirs counts
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    except OSError as error:
        raise SettingsError(
            f"The secret key {path} cannot be written: {error}. Make the directory writable, or set MALHA_SECRET_KEY."
        ) from None
    return path.read_text("ascii").strip()


def reference_page() -> str:
    """Return docs/reference/settings.md: one row per setting, from the fields themselves."""
    hints = get_type_hints(Settings, include_extras=True)
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable and a key of the configuration file (`MALHA_CONFIG`, or `malha.toml`",
        "in the data directory). The environment wins. A wrong value or an unknown name stops the start with",
        "a sentence that says how to mend it. This page is generated: `python -m malha.platform.settings` prints it.",
        "",
        "| variable | key in the file | value | default | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, field in _FIELDS.items():
        kind, meta = get_args(hints[name])
        wanted = "list" if get_origin(kind) is tuple else _wanted(hints[name]) or "text"
        default = _shown_default(name, field.default)
        lines.append(f"| `{PREFIX}{name.upper()}` | `{name}` | {wanted} | {default} | {meta.description} |")
    return "\n".join(lines) + "\n"


def _shown_default(name: str, default: Any) -> str:
    if name == "data_dir":
        return "see text"
    if default is None or default == ():
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    sys.stdout.write(reference_page())
