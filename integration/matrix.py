"""Runs every test and the demo on three generations of Debian, in cached root filesystems; all else stays as it is.

Each generation has two directories in the cache: SUITE as debootstrap made it, and SUITE.ready, a copy in which the
packages are installed. Packages are fetched from their registries; the tests themselves have a loopback interface only.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration.lab.chroot import remove, run_in
from integration.lab.machine import CHECKOUT
from integration.lab.room import terminate_as_interrupt

SUITES = ("bookworm", "trixie", "forky")
MIRROR = os.environ.get("PGWRAP_MATRIX_MIRROR", "http://deb.debian.org/debian")
INCLUDE = "ca-certificates,git,make"
PLACE = "srv/pgwrap"
"""Where the checkout stands in each root."""
WORKERS = ("--numprocesses=2", "--thorough")
"""As in `make test`, and all that is left out there."""
OPERATOR = "dba"
"""An ordinary user who runs the demo with the packages that are there."""
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
PIP_SETTINGS = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
    "cert",
)
"""pip's settings that mean something in another root; directories of this machine don't."""
AGREEMENT = re.compile(r"^.*: \d+/\d+ cases agree \(seed \d+\)$", re.MULTILINE)
"""How the retention oracle closes, for each engine."""
CLOSING_LINE = re.compile(r"^=+ (.*\b(?:passed|failed|error|errors)\b.*?) in ([\d.]+)s.*=+$", re.MULTILINE)


class MatrixFailed(Exception):
    """A step of a generation that is needed to go on did not succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One Debian release and its places in the cache."""

    suite: str
    cache: Path

    @property
    def base(self) -> Path:
        """The root as debootstrap made it; never changed afterwards."""
        return self.cache / self.suite

    @property
    def root(self) -> Path:
        """The root in which things are installed and run."""
        return self.cache / f"{self.suite}.ready"

    @property
    def log(self) -> Path:
        """All that its commands print."""
        return self.cache / f"{self.suite}.ready.log"

    def run(self, *argv: str, network: bool = False, deadline: float = 1800.0) -> int:
        """Run a command at the checkout in the root, its output in the log; the exit code."""
        script = f'cd /{PLACE} && exec "$@"'
        environment = _registries() if network else {"PGWRAP_SETUP_OFFLINE": "1"}
        argv = ("/bin/sh", "-c", script, "sh", *argv)
        return run_in(self.root, argv, self.log, network=network, environment=environment, deadline=deadline)

    def need(self, *argv: str, network: bool = False) -> None:
        """Run a command that must succeed."""
        exit_code = self.run(*argv, network=network)
        if exit_code != 0:
            raise MatrixFailed(f"exit code {exit_code} from {' '.join(argv)}\n{_tail(self.log)}")


def _say(text: str) -> None:
    print(f"matrix: {text}", file=sys.stderr, flush=True)


def _tail(log: Path, lines: int = 25) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _registries() -> dict[str, str]:
    """How this machine reaches package registries: pip's settings and proxies, without what names local directories."""
    listed = subprocess.run(
        (sys.executable, "-m", "pip", "config", "list"), capture_output=True, text=True, check=False
    ).stdout
    settings: dict[str, str] = {}
    for key, value in re.findall(r"^\S*?\.([a-z-]+)='(.*)'$", listed, re.MULTILINE):
        words = [word for word in value.split() if not word.startswith("file:")]
        if key in PIP_SETTINGS and words:
            settings[f"PIP_{key.upper().replace('-', '_')}"] = " ".join(words)
    if "PIP_CERT" in settings or Path("/", CERTIFICATES).exists():
        settings["PIP_CERT"] = f"/{CERTIFICATES}"
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return settings | proxies


def build_base(generation: Generation) -> None:
    """Debootstrap the root unless it is there; a suite that debootstrap does not know is built like sid."""
    if generation.base.is_dir():
        return
    if shutil.which("debootstrap") is None:
        raise MatrixFailed("debootstrap is missing: apt-get install debootstrap")
    _say(f"{generation.suite}: debootstrap from {MIRROR} (a minute or two)")
    half_done = generation.cache / f"{generation.suite}.partial"
    remove(half_done)
    script = "/usr/share/debootstrap/scripts/sid"
    with generation.log.open("ab") as log:
        argv = ("debootstrap", "--variant=minbase", f"--include={INCLUDE}", generation.suite, str(half_done), MIRROR)
        built = subprocess.run((*argv, script), stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False)
    if built.returncode != 0:
        raise MatrixFailed(f"debootstrap ended with {built.returncode}\n{_tail(generation.log)}")
    half_done.rename(generation.base)


def build_root(generation: Generation, *, fresh: bool) -> None:
    """Copy the base, and tell the copy how to reach the registries."""
    if fresh:
        remove(generation.root)
    if not generation.root.is_dir():
        _say(f"{generation.suite}: copying the bare root")
        partial = generation.cache / f"{generation.suite}.ready.partial"
        remove(partial)
        subprocess.run(("cp", "--archive", str(generation.base), str(partial)), check=True)
        partial.rename(generation.root)
    for name in ("etc/resolv.conf", CERTIFICATES):
        if Path("/", name).exists():
            (generation.root / name).unlink(missing_ok=True)
            shutil.copyfile(Path("/", name), generation.root / name)
    (generation.root / "etc/hosts").write_text("127.0.0.1 localhost\n")


def put_checkout(generation: Generation, *, worktree: bool) -> None:
    """Put the last commit (or the files as they are now) into the root; its .venv stays."""
    place = generation.root / PLACE
    place.mkdir(exist_ok=True)
    for entry in place.iterdir():
        if entry.name not in (".venv", ".cache"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    listing = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    source = listing if worktree else ("git", "archive", "HEAD")
    sink = ("tar", "--create", "--null", "--files-from=-", "--ignore-failed-read") if worktree else ("cat",)
    with (
        subprocess.Popen(source, cwd=CHECKOUT, stdout=subprocess.PIPE) as first,
        subprocess.Popen(sink, cwd=CHECKOUT, stdin=first.stdout, stdout=subprocess.PIPE) as second,
    ):
        subprocess.run(("tar", "--extract", "--no-same-owner", f"--directory={place}"), stdin=second.stdout, check=True)


def record(generation: Generation) -> None:
    """Record the engines' genuine outputs into tests/recordings."""
    target = generation.root / "srv/recordings"
    shutil.rmtree(target, ignore_errors=True)
    generation.need("python3", "-m", "integration.lab.recording", "/srv/recordings")
    shutil.copytree(target, CHECKOUT / "tests/recordings", dirs_exist_ok=True)


def summary(generation: Generation) -> str:
    """The versions that this generation turned out to have."""
    told = generation.root / "srv/versions"
    program = f"from integration.lab.machine import discover; open('/{told.relative_to(generation.root)}', 'w').write"
    generation.need("python3", "-c", f"{program}(discover().summary())")
    return told.read_text()


def run_tests(generation: Generation, arguments: tuple[str, ...]) -> tuple[bool, str]:
    """All tests, offline: whether they pass, and pytest's count and time."""
    before = generation.log.stat().st_size
    exit_code = generation.run(
        ".venv/bin/python", "-m", "pytest", *WORKERS, "integration", "tests", *arguments, deadline=5400
    )
    text = generation.log.read_bytes()[before:].decode(errors="replace")
    closing = CLOSING_LINE.search(text)
    told = f"{closing[1]} in {float(closing[2]):.0f} s" if closing else f"pytest ended with {exit_code}"
    return exit_code == 0, told


def run_demo(generation: Generation) -> tuple[bool, str]:
    """The demo, offline, as root and as an ordinary user."""
    generation.run("sh", "-c", f"id {OPERATOR} >/dev/null 2>&1 || useradd --create-home {OPERATOR}")
    answers = {
        "root": generation.run("make", "demo", deadline=300),
        "user": generation.run("su", OPERATOR, "-c", "make demo", deadline=300),
    }
    failed = [f"{who} {exit_code}" for who, exit_code in answers.items() if exit_code != 0]
    return not failed, f"demo failed ({', '.join(failed)})" if failed else "demo ok"


def run_oracle(generation: Generation, arguments: tuple[str, ...]) -> tuple[bool, str]:
    """The retention oracle, offline: whether all cases agree, and its closing lines."""
    before = generation.log.stat().st_size
    exit_code = generation.run(".venv/bin/python", "-m", "integration.oracle", *arguments)
    text = generation.log.read_bytes()[before:].decode(errors="replace")
    told = " · ".join(AGREEMENT.findall(text))
    return exit_code == 0, told or f"the oracle ended with {exit_code}"


def live_through(generation: Generation, options: argparse.Namespace) -> bool:
    """Everything for one generation, one line of result; whether all went well."""
    generation.log.unlink(missing_ok=True)
    build_base(generation)
    build_root(generation, fresh=options.fresh)
    put_checkout(generation, worktree=options.worktree)
    if options.fresh:
        _say(f"{generation.suite}: make demo on the bare system")
        generation.need("make", "demo", network=True)
    _say(f"{generation.suite}: set-up")
    generation.need("integration/setup.sh", "test", network=True)
    versions = summary(generation)
    if options.record:
        _say(f"{generation.suite}: recording")
        record(generation)
    if options.setup_only:
        print(versions, flush=True)
        return True
    if options.oracle:
        _say(f"{generation.suite}: oracle ({generation.log})")
        agrees, told = run_oracle(generation, tuple(options.arguments))
        print(f"{versions} · {told}", flush=True)
        return agrees
    _say(f"{generation.suite}: tests ({generation.log})")
    tests_pass, tests_told = run_tests(generation, tuple(options.arguments))
    _say(f"{generation.suite}: demo")
    demo_works, demo_told = run_demo(generation)
    print(f"{versions} · {tests_told} · {demo_told}", flush=True)
    if not (tests_pass and demo_works):
        _say(f"{generation.suite}: what went wrong is in {generation.log}\n{_tail(generation.log)}")
    return tests_pass and demo_works


@contextmanager
def alone(generation: Generation) -> Iterator[None]:
    """Nobody else uses the root meanwhile; MatrixFailed while another run does, whose checkout would be replaced."""
    with (generation.cache / f"{generation.suite}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MatrixFailed(f"another run is using {generation.root}; wait for it, or give --cache") from None
        yield


def results(options: argparse.Namespace) -> Iterator[bool]:
    """Generation by generation; one that cannot be built does not hide the others."""
    cache = Path(options.cache).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    for suite in options.suite or SUITES:
        generation = Generation(suite=suite, cache=cache)
        started = time.monotonic()
        try:
            with alone(generation):
                yield live_through(generation, options)
        except MatrixFailed as failure:
            print(f"{suite} · failed: {failure}", flush=True)
            yield False
        _say(f"{suite}: {time.monotonic() - started:.0f} s")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    default = os.environ.get("PGWRAP_MATRIX_CACHE", str(CHECKOUT / ".matrix"))
    parser = argparse.ArgumentParser(prog="make matrix", description="every test on three generations of Debian")
    parser.add_argument("--cache", default=default, help=f"where the root filesystems are kept (default {default})")
    parser.add_argument("--suite", action="append", help=f"only this one (default {' '.join(SUITES)})")
    parser.add_argument("--fresh", action="store_true", help="start from bare roots: proves the set-up too")
    parser.add_argument("--record", action="store_true", help="also record the engines' output into tests/recordings")
    parser.add_argument("--setup-only", action="store_true", help="set up (and record), but run no tests")
    parser.add_argument("--worktree", action="store_true", help="the files as they are now instead of the last commit")
    parser.add_argument("--oracle", action="store_true", help="the retention oracle instead of the tests")
    parser.add_argument("arguments", nargs="*", help="arguments for pytest (or for the oracle), after --")
    return parser.parse_args(arguments)


def main() -> int:
    """0 when every generation passes all."""
    options = parse(sys.argv[1:])
    if os.geteuid() != 0:
        print("make matrix needs root: it builds root filesystems and enters them", file=sys.stderr)
        return 2
    with terminate_as_interrupt():
        return 0 if all(list(results(options))) else 1


if __name__ == "__main__":
    sys.exit(main())
