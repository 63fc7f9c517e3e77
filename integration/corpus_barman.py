"""Asks real Barmans what they make of configurations found in the world, and holds pgwrap's reading against it.

For each file: does Barman refuse it, and does pgwrap then refuse it with a reason and a line? Does Barman accept it,
and does it then see what pgwrap read, and the same again in what pgwrap renders from the adopted spec?

    integration/corpus_barman.py tests/recordings/corpus/barman_conf
    integration/corpus_barman.py --barman 3.13.3 --barman 3.19.1 /etc/barman.conf DIRECTORY-OF-A-WHOLE-INSTALLATION

A directory with a barman.conf is one installation (its barman.d/*.conf included); any other holds a file per case.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pgwrap.domain.adoption import Adoption
from pgwrap.domain.model import EngineKind, Secret
from pgwrap.domain.native import NativeFile, Reading, compare
from pgwrap.engines import ENGINES
from pgwrap.engines.barman import conninfo
from pgwrap.engines.port import EngineVersion, RenderRequest
from pgwrap.errors import SpecError
from pgwrap.spec.loader import load_file
from pgwrap.spec.writing import write

_VIEW = Path(__file__).parent / "lab" / "barman_view.py"
_DEADLINE = 900.0
"""Seconds for one view; Barman looks for pg_basebackup once per server."""
_PYTHON = "/usr/bin/python3"
_ENGINE = ENGINES[EngineKind.BARMAN]()
_ASSUMED = (
    "[barman]\nbarman_user = barman\nbarman_home = /var/lib/barman\nlog_file = /var/log/barman/barman.log\n"
    "configuration_files_directory = /etc/barman.d\n"
)
"""The packaged main file, for files of servers that come alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """One real Barman: its version, and the directory that its package was installed into (None: the system's)."""

    version: EngineVersion
    packages: Path | None = None

    def view(self, files: Sequence[NativeFile], scratch: Path) -> Mapping[str, Any]:
        """What Barman makes of the files, copied into an empty directory."""
        main, directory = scratch / "barman.conf", scratch / "barman.d"
        directory.mkdir(parents=True)
        whole = [file for file in files if file.role == "main" and b"[barman]" in file.content]
        main.write_bytes(whole[0].content if whole else _ASSUMED.encode())
        for number, file in enumerate(file for file in files if file not in whole[:1]):
            (directory / f"{number:05}.conf").write_bytes(file.content)
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        if self.packages is not None:
            environment["PYTHONPATH"] = str(self.packages)
        argv = [*_sealed(), _PYTHON, str(_VIEW), str(main), str(directory)]
        ran = subprocess.run(argv, env=environment, capture_output=True, check=False, timeout=_DEADLINE)
        if not ran.stdout:
            raise RuntimeError(f"Barman {self.version} said nothing: {ran.stderr.decode(errors='replace')[-2000:]}")
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What Barman and pgwrap make of one case."""

    name: str
    version: EngineVersion
    accepted: bool
    """By Barman."""
    reason: str
    """Barman's own, where it refuses."""
    faults: tuple[str, ...]
    """How pgwrap differs; empty: equivalent, or refused by both with a line."""
    options: int = 0
    """How many options were compared."""


def judge(path: Path, barman: Judge) -> Verdict:
    """One case before one Barman."""
    files = tuple(_files(path))
    with tempfile.TemporaryDirectory(prefix="pgwrap-corpus-") as scratch:
        before = barman.view(files, Path(scratch) / "before")
        reading = _ENGINE.read(files, barman.version)
        faults, options = list(_reading_faults(before, reading)), 0
        if before["accepted"] and not reading.refusals:
            found, options = _adoption_faults(files, reading, barman, Path(scratch))
            faults += (*found[0], *_changed(before, found[1]))
    return Verdict(
        name=path.name,
        version=barman.version,
        accepted=bool(before["accepted"]),
        reason=str(before.get("reason", "")),
        faults=tuple(faults),
        options=options,
    )


def _reading_faults(answer: Mapping[str, Any], reading: Reading) -> Iterator[str]:
    """Where pgwrap's reading differs from what Barman says."""
    if not answer["accepted"]:
        if not reading.refusals:
            yield f"Barman refuses it and pgwrap does not: {answer['reason']}"
        elif any(problem.location is None for problem in reading.refusals):
            yield "refused without a line"
        return
    if reading.refusals:
        yield f"pgwrap refuses what Barman accepts: {reading.refusals[0]}"
        return
    wanted = _subjects(answer)
    for subject in wanted.keys() | {view.subject for view in reading.views}:
        yield from _subject_faults(subject, wanted.get(subject), reading)


def _subject_faults(subject: str, wanted: Mapping[str, tuple[str, ...]] | None, reading: Reading) -> Iterator[str]:
    view = reading.view(subject)
    if wanted is None or view is None:
        yield f"[{subject}] is known to {'Barman' if view is None else 'pgwrap'} alone"
        return
    read = {name: effective.values for name, effective in view.options.items() if subject or name in wanted}
    for name in sorted(wanted.keys() | read.keys()):
        if wanted.get(name) != read.get(name):
            yield f"[{subject}] {name}: Barman has {wanted.get(name)}, pgwrap read {read.get(name)}"


def _adoption_faults(
    files: tuple[NativeFile, ...], reading: Reading, barman: Judge, scratch: Path
) -> tuple[tuple[tuple[str, ...], Mapping[str, Any]], int]:
    """How what pgwrap renders from the adopted spec differs for pgwrap itself, and what Barman makes of it."""
    rendered = rendered_again(_ENGINE.adopt(files, barman.version, "barman"), barman.version, scratch)
    comparison = compare(reading, _ENGINE.read(rendered, barman.version))
    faults = tuple(
        f"[{difference.subject}] {difference.option} changes: {difference.before and difference.before.values} "
        f"→ {difference.after and difference.after.values}"
        for difference in comparison.differences
    )
    return (faults, barman.view(rendered, scratch / "after")), comparison.options


def rendered_again(adoption: Adoption, version: EngineVersion, scratch: Path) -> tuple[NativeFile, ...]:
    """The adopted spec written down, loaded and rendered, as `pgwrap import` and `pgwrap render` do."""
    spec = scratch / "pgwrap.yaml"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(write([adoption]).text, encoding="utf-8")
    fleet = load_file(str(spec))
    instance = next((engine for engine in fleet.engines if engine.name == adoption.engine[0]), None)
    if instance is None:
        raise RuntimeError("the adopted spec has no engine")
    request = RenderRequest(
        instance=instance, clusters=fleet.clusters, version=version, secret=_literal, spec_file="/etc/pgwrap.yaml"
    )
    main, *servers = (file.write for file in _ENGINE.render(request).files)
    return (
        NativeFile(path=main.path, content=main.text.encode()),
        *(NativeFile(path=file.path, content=file.text.encode(), role="include") for file in servers),
    )


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """How Barman's own view changes from the original to what pgwrap renders."""
    if not after["accepted"]:
        yield f"Barman refuses what pgwrap renders: {after['reason']}"
        return
    old, new = _subjects(before), _subjects(after)
    for subject in sorted(old.keys() | new.keys()):
        one, other = old.get(subject, {}), new.get(subject, {})
        for name in sorted(one.keys() | other.keys()):
            if one.get(name) != other.get(name):
                yield f"[{subject}] {name} was {one.get(name)} to Barman, and is {other.get(name)} after the import"
    for name, server in before["servers"].items():
        if name in after["servers"] and server["disabled"] != after["servers"][name]["disabled"]:
            yield f"[{name}] disabled: {server['messages']} before, {after['servers'][name]['messages']} after"


def _subjects(answer: Mapping[str, Any]) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Barman's answer in the shape of pgwrap's views."""
    servers = {name: _server(server["options"]) for name, server in answer["servers"].items()}
    models = {f"model {name}": _options(options) for name, options in answer["models"].items()}
    return {"": _barman(answer["barman"]), **servers, **models}


def _barman(options: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    found = dict(_options({name: value for name, value in options.items() if value not in (None, "")}))
    if found.get("log_format") == ("%(asctime)s [%(process)s] %(name)s %(levelname)s: %(message)s",):
        del found["log_format"]
    level = found.get("log_level", ("",))[0].strip().upper()
    return {**found, "log_level": ("INFO" if level == "20" and options["log_level"] == 20 else level,)}


def _server(options: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """What Barman does to an active server is what counts for an inactive one too, once it is activated."""
    found = dict(options)
    if not isinstance(found.get("retention_policy"), dict):
        found.pop("retention_policy", None)
    found["wal_retention_policy"] = "main"
    if "primary_ssh_command" not in found:
        if not found["archiver"] and not found["streaming_archiver"]:
            found["archiver"] = True
        chosen = set(found.get("backup_options", ()))
        chosen |= set() if "exclusive_backup" in chosen else {"concurrent_backup"}
        found["backup_options"] = sorted(chosen)
    return _options(found)


def _options(options: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    return {name: _normal(name, value) for name, value in options.items()}


def _normal(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        return (str(value["policy"]),)
    if isinstance(value, bool):
        return ("y" if value else "n",)
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    return conninfo.meaning(name, value) if name in conninfo.OPTIONS else (str(value),)


def _literal(secret: Secret) -> str:
    return secret.value[0]


def _files(path: Path) -> Iterator[NativeFile]:
    if path.is_dir():
        yield NativeFile(path="/etc/barman.conf", content=(path / "barman.conf").read_bytes())
        for file in sorted((path / "barman.d").glob("*.conf")):
            yield NativeFile(path=f"/etc/barman.d/{file.name}", content=file.read_bytes(), role="include")
    else:
        yield NativeFile(path=str(path.absolute()), content=path.read_bytes())


def _sealed() -> tuple[str, ...]:
    """Without a network: nothing that a configuration names is reached."""
    return ("unshare", "--net", "--") if os.geteuid() == 0 else ()


def installed(wanted: str, directory: Path) -> Judge:
    """The host's Barman ("system"), a released one, or one in a directory (VERSION=DIRECTORY)."""
    version, separator, place = wanted.partition("=")
    packages = None if wanted == "system" else Path(place or directory / version)
    if packages is not None and not separator:
        argv = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--target",
            str(packages),
            f"barman=={wanted}",
        ]
        subprocess.run(argv, check=True, capture_output=True, timeout=300)
    if packages is None:
        argv = [_PYTHON, "-c", "import barman; print(barman.__version__)"]
        version = subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout.decode()
    return Judge(version=EngineVersion.parse(version), packages=packages)


@dataclass(slots=True)
class _Score:
    """The figures of one Barman."""

    accepted: int = 0
    refused: int = 0
    faulty: int = 0
    options: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count a verdict, and keep what is wrong."""
        self.accepted += verdict.accepted
        self.refused += not verdict.accepted
        self.faulty += bool(verdict.faults)
        self.options += verdict.options
        self.lines += [f"  {verdict.name}: {fault}" for fault in verdict.faults]


def _cases(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir() and not (path / "barman.conf").exists():
            yield from (entry for entry in sorted(path.iterdir()) if entry.is_dir() or entry.suffix == ".conf")
        else:
            yield path


def main(arguments: Sequence[str]) -> int:
    """Print a line per Barman and what is wrong; 1 when anything is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--barman", action="append", help="`system`, a version, or VERSION=DIRECTORY")
    parser.add_argument("paths", nargs="+", type=Path)
    chosen = parser.parse_args(arguments)
    faulty = 0
    with tempfile.TemporaryDirectory(prefix="pgwrap-barmans-") as directory:
        for wanted in chosen.barman or ["system"]:
            barman, score = installed(wanted, Path(directory)), _Score()
            for path in _cases(chosen.paths):
                score.add(_judged(path, barman))
            print(
                f"Barman {barman.version}: {score.accepted} accepted, {score.refused} refused, "
                f"{score.options} options compared, {score.faulty} files with faults"
            )
            print(*score.lines, sep="\n", end="\n" if score.lines else "")
            faulty += score.faulty
    return 1 if faulty else 0


def _judged(path: Path, barman: Judge) -> Verdict:
    try:
        return judge(path, barman)
    except SpecError as error:
        fault = f"the adopted spec is refused: {error}"
        return replace(_nothing(path, barman), faults=(fault,))


def _nothing(path: Path, barman: Judge) -> Verdict:
    return Verdict(name=path.name, version=barman.version, accepted=True, reason="", faults=())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
