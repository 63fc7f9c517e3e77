"""Plants made-up stanzas in real repositories, and lets pgBackRest expire them. It foretells nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from integration.lab.process import ProgramFailed, Ran
from integration.oracle.estate import Deeds, Estate, NotPlanted
from integration.oracle.judge import Deed, Look
from integration.oracle.originals import Ini, Originals, Stanza
from integration.oracle.pgbackrest_cases import Backup, Case, Contents, Database
from integration.oracle.wal import SEGMENT, history, lsn, segments_of

ENGINE: Final = "pgbackrest"
PRODUCT: Final = "pgBackRest"
REPOSITORIES = ("one", "two")
_FOREIGN_SYSTEM = 7_000_000_000_000_000_001
"""The system identifier of the older cluster in a stanza that was upgraded."""
_FINE = frozenset({0, 2, 4})
"""States of a stanza: ok, no valid backups, and repositories of which one is this and one that."""
_CATALOG = {"14": ("202107181", "1300")}
"""The catalog and control version of a PostgreSQL that is not on this machine."""
_HEAD = """\
version: 1
engines:
  pgbackrest: {{command: {program}, config: {room}/etc/oracle.conf, log_directory: {room}/log,
    lock_directory: {room}/lock}}
state: {room}/state
repositories:
  one: {{path: {room}/one}}
  two: {{path: {room}/two}}
defaults:
  run_as: {user}
clusters:
"""
_CLUSTER = """\
  {name}:
    engine: pgbackrest
    postgres: {{data_directory: {data}, socket_directory: {sockets}, port: {port}, user: postgres}}
    repositories: [{repositories}]
"""


def name_of(case: Case) -> str:
    """The name of its cluster and stanza."""
    return f"case-{case.number:04}"


def write_spec(estate: Estate, cases: Sequence[Case], originals: Originals) -> None:
    """One spec over all cases."""
    server, room = originals.server, estate.room
    for name in ("log", "lock", "one", "two", "etc"):
        room.directory(name)
    text = _HEAD.format(program=estate.wrap(ENGINE), room=room.path, user=estate.machine.user)
    for case in cases:
        text += _CLUSTER.format(
            name=name_of(case),
            data=room.path / "data" / name_of(case),
            sockets=server.sockets,
            port=server.port,
            repositories=", ".join(REPOSITORIES[: len(case.repositories)]),
        )
        text += case.policy.yaml(ENGINE)
    estate.spec.write_text(text)


# Planting


def plant(estate: Estate, cases: Sequence[Case], originals: Originals) -> None:
    """Put every case's catalog where pgBackRest looks for it."""
    if originals.stanza is None:
        raise NotPlanted("there is no real stanza to copy")
    for name in REPOSITORIES:
        for part in ("backup", "archive"):
            (estate.room.path / name / part).mkdir(exist_ok=True)
    for case in cases:
        for repository, contents in zip(REPOSITORIES, case.repositories, strict=False):
            _Planter(originals.stanza, case, estate.room.path / repository).plant(contents)
    for name in REPOSITORIES:
        estate.give_all(estate.room.path / name)
    _check_planted(estate, cases)


class _Planter:
    """Plants one stanza in one repository."""

    def __init__(self, stanza: Stanza, case: Case, repository: Path) -> None:
        self.stanza = stanza
        self.case = case
        self.backups = repository / "backup" / name_of(case)
        self.archive = repository / "archive" / name_of(case)

    def plant(self, contents: Contents) -> None:
        """Make its directories and files."""
        self.backups.mkdir()
        self.archive.mkdir()
        self._plant_backups(contents)
        self._plant_archives(contents)

    def _plant_backups(self, contents: Contents) -> None:
        manifests = {kind: self._copy_of_manifest(kind) for kind in {backup.kind for backup in contents.backups}}
        for backup in contents.backups:
            place = self.backups / backup.label
            place.mkdir()
            for name in ("backup.manifest", "backup.manifest.copy"):
                os.link(manifests[backup.kind], place / name)
        for manifest in manifests.values():
            manifest.unlink()
        _write_info(self.backups / "backup.info", self._backup_info(contents))

    def _copy_of_manifest(self, kind: str) -> Path:
        copied = self.backups / f"manifest.{kind}"
        shutil.copyfile(self.stanza.backups / self.stanza.labels[kind] / "backup.manifest", copied)
        return copied

    def _backup_info(self, contents: Contents) -> Ini:
        original = self.stanza.backup_info
        current = {backup.label: self._entry(backup) for backup in contents.backups}
        history = {str(one.number): self._history(original["db:history"]["1"], one) for one in self.case.databases}
        newest = json.loads(history[str(self.case.databases[-1].number)])
        database = {**newest, "db-id": self.case.databases[-1].number}
        sections: dict[str, Mapping[str, str]] = {"backrest": original["backrest"]}
        if current:
            sections["backup:current"] = dict(sorted(current.items()))
        sections["db"] = {key: _json(value) for key, value in sorted(database.items())}
        return {**sections, "db:history": history}

    def _entry(self, backup: Backup) -> str:
        """The real entry of a backup of this type, as it would be for this one."""
        entry = json.loads(self.stanza.backup_info["backup:current"][self.stanza.labels[backup.kind]])
        entry |= {
            "backup-archive-start": backup.first,
            "backup-archive-stop": backup.last,
            "backup-error": backup.page_errors,
            "backup-timestamp-start": backup.span.start,
            "backup-timestamp-stop": backup.span.stop,
            "db-id": backup.database,
            "option-online": backup.first is not None,
        }
        for key in ("backup-lsn-start", "backup-lsn-stop"):
            del entry[key]
        if backup.first is not None and backup.last is not None:
            entry |= {"backup-lsn-start": lsn(backup.first), "backup-lsn-stop": lsn(backup.last, 0x100)}
        if backup.prior is not None:
            entry |= {"backup-prior": backup.prior, "backup-reference": sorted(set(backup.reference))}
        return _json(entry)

    def _history(self, original: str, database: Database) -> str:
        """An entry of `[db:history]`: the real one for the newest, another cluster's for an older one."""
        entry = json.loads(original)
        if database is self.case.databases[-1]:
            return _json(entry)
        return _json(_older(entry, database))

    def _plant_archives(self, contents: Contents) -> None:
        original = self.stanza.archive_info
        history = {str(one.number): self._history(original["db:history"]["1"], one) for one in self.case.databases}
        newest = json.loads(history[str(self.case.databases[-1].number)])
        database = {
            "db-id": self.case.databases[-1].number,
            "db-system-id": newest["db-id"],
            "db-version": newest["db-version"],
        }
        sections: dict[str, Mapping[str, str]] = {"backrest": original["backrest"]}
        sections["db"] = {key: _json(value) for key, value in database.items()}
        _write_info(self.archive / "archive.info", {**sections, "db:history": history})
        for number, files in contents.archives.items():
            version = json.loads(history[str(number)])["db-version"]
            self._plant_files(self.archive / f"{version}-{number}", files)

    def _plant_files(self, directory: Path, files: Sequence[str]) -> None:
        linked: Path | None = None
        for name in files:
            place = directory if name.endswith(".history") else directory / name[:16]
            place.mkdir(parents=True, exist_ok=True)
            path = place / stored_name(name)
            if name.endswith(".history"):
                path.write_text(history(name, segments_of(files)))
            elif linked is None:
                shutil.copyfile(self.stanza.segment, path)
                linked = path
            else:
                os.link(linked, path)


def stored_name(name: str) -> str:
    """The name that pgBackRest gives to an archived file."""
    if name.endswith((".history", ".backup")):
        return name
    return f"{name}-{hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()}.gz"


def _older(entry: Mapping[str, Any], database: Database) -> dict[str, Any]:
    """Another cluster's identity: in backup.info with the versions of its files, in archive.info without."""
    older = dict(entry)
    older["db-system-id" if "db-system-id" in entry else "db-id"] = _FOREIGN_SYSTEM
    if database.version is not None:
        older["db-version"] = database.version
        if "db-catalog-version" in entry:
            catalog, control = _CATALOG[database.version]
            older |= {"db-catalog-version": int(catalog), "db-control-version": int(control)}
    return older


def _write_info(path: Path, sections: Ini) -> None:
    """Write an info file and its copy, with the checksum that pgBackRest looks for (src/info/info.c)."""
    hashed = ",".join(
        f"{_json(section)}:{{{','.join(f'{_json(key)}:{value}' for key, value in values.items())}}}"
        for section, values in sections.items()
    )
    checksum = hashlib.sha1(f"{{{hashed}}}".encode(), usedforsecurity=False).hexdigest()
    parts = [
        f"[{section}]\n" + "".join(f"{key}={value}\n" for key, value in values.items())
        for section, values in (*_without_checksum(sections), ("backrest", {"backrest-checksum": f'"{checksum}"'}))
    ]
    for target in (path, path.with_name(f"{path.name}.copy")):
        target.write_text("\n".join(parts))


def _without_checksum(sections: Ini) -> Iterator[tuple[str, Mapping[str, str]]]:
    yield from sections.items()


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


# Looking and expiring


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A stanza in a repository."""

    stanza: str
    key: int

    @property
    def names(self) -> tuple[str, str]:
        """The cluster, and the repository as the spec calls it."""
        return self.stanza, REPOSITORIES[self.key - 1]


def _places(cases: Sequence[Case]) -> tuple[_Place, ...]:
    return tuple(
        _Place(stanza=name_of(case), key=key) for case in cases for key in range(1, len(case.repositories) + 1)
    )


def expire(estate: Estate, cases: Sequence[Case]) -> Deeds:
    """Let pgBackRest expire every repository of every stanza, and look before and after."""
    places = _places(cases)
    before = _looks(estate, places)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        refused = dict(answer for answers in pool.map(lambda case: _expire(estate, case), cases) for answer in answers)
    after = _looks(estate, places)
    return {place.names: Deed(before=before[place], after=after[place], refused=refused[place]) for place in places}


def _expire(estate: Estate, case: Case) -> Sequence[tuple[_Place, bool]]:
    """Expire the repositories of a stanza, which has one lock for all of them."""
    return [(place, _expire_one(estate, place)) for place in _places((case,))]


def _expire_one(estate: Estate, place: _Place) -> bool:
    """Expire one repository; whether pgBackRest refused to, because of page errors (2.60)."""
    ran = _run(estate, f"--stanza={place.stanza}", f"--repo={place.key}", *_LOUD, "expire", check=False)
    if ran.exit_code == 0 and _takes_it_for_its_own(ran):
        return False
    if "contains invalid page checksum" in ran.stdout:
        return True
    raise ProgramFailed(ran)


_LOUD: Final = ("--log-level-console=info", "--log-level-stderr=off", "--log-level-file=off")


def _takes_it_for_its_own(ran: Ran) -> bool:
    """Whether no backup was added to or removed from the catalog to make it fit the directory."""
    return "missing manifest" not in ran.stdout and "found in repository" not in ran.stdout


def _looks(estate: Estate, places: Sequence[_Place]) -> Mapping[_Place, Look]:
    listed = _listed(estate, tuple(dict.fromkeys(place.stanza for place in places)))
    return {
        place: Look(
            backups=frozenset(path.name for path in _backups(estate, place).glob("[0-9]*-*F*") if path.is_dir()),
            segments=_segments(estate, place),
            listed=frozenset(listed[place]),
        )
        for place in places
    }


def _backups(estate: Estate, place: _Place) -> Path:
    return estate.room.path / REPOSITORIES[place.key - 1] / "backup" / place.stanza


def _segments(estate: Estate, place: _Place) -> frozenset[tuple[str | None, str]]:
    archive = estate.room.path / REPOSITORIES[place.key - 1] / "archive" / place.stanza
    found = (path for path in archive.glob("*/*/*-*") if SEGMENT.fullmatch(path.name.partition("-")[0]))
    return frozenset((path.parts[-3], path.name[:24]) for path in found)


def _listed(estate: Estate, stanzas: Sequence[str]) -> Mapping[_Place, list[str]]:
    """The backups as `pgbackrest info` lists them."""
    listed: dict[_Place, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for answer in pool.map(lambda stanza: _info(estate, stanza), stanzas):
            for backup in answer["backup"]:
                listed[_Place(stanza=answer["name"], key=backup["database"]["repo-key"])].append(backup["label"])
    return listed


def _info(estate: Estate, stanza: str) -> Mapping[str, Any]:
    ran = _run(estate, f"--stanza={stanza}", "--output=json", "--log-level-console=warn", "info")
    if ran.stderr or not ran.stdout.startswith("["):
        raise NotPlanted(f"pgbackrest info warns of what was planted:\n{ran.stderr}{ran.stdout[:2000]}")
    (answer,) = json.loads(ran.stdout)
    if answer["status"]["code"] not in _FINE:
        raise NotPlanted(f"pgbackrest info refuses what was planted: {answer['name']}: {answer['status']}")
    return dict(answer)


def _check_planted(estate: Estate, cases: Sequence[Case]) -> None:
    listed = _listed(estate, tuple(name_of(case) for case in cases))
    for case in cases:
        for key, contents in enumerate(case.repositories, start=1):
            planted = sorted(backup.label for backup in contents.backups)
            found = sorted(listed[_Place(stanza=name_of(case), key=key)])
            if planted != found:
                raise NotPlanted(f"{name_of(case)}, repo{key}: planted {planted}, pgbackrest lists {found}")


def _run(estate: Estate, *arguments: str, check: bool = True) -> Ran:
    program = str(estate.room.path / "bin" / ENGINE)
    config = f"--config={estate.room.path / 'etc/oracle.conf'}"
    return estate.room.run(program, config, *arguments, check=check, deadline=600)
