"""pgBackRest's own verification of a repository: the command, and what its text says. Nothing is run here.

Its exit code is 0 whatever it finds (src/command/verify/verify.c), so the text decides: a line for each archive and
each backup, indented by two, behind `status: ok` or `status: error`. The same lines come a second time as a log
message, indented deeper. Which file is damaged only the log tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.model import Cluster
from pgwrap.domain.verification import Examined, Wholeness
from pgwrap.engines.pgbackrest.commands import configuration_arguments
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.engines.pgbackrest.history import history_of
from pgwrap.engines.pgbackrest.output import log_line, log_lines
from pgwrap.engines.port import EngineVersion, VerifyRequest, VerifyStep
from pgwrap.errors import OutputNotUnderstood
from pgwrap.records import dataclass

SET: Final = EngineVersion((2, 55))
"""The first version that verifies one backup alone."""
_STATUS = re.compile(r"^status: (?P<status>ok|error)$", re.MULTILINE)
_ARCHIVE = re.compile(r"  archiveId: (?P<id>\S+), total WAL checked: (?P<checked>\d+), total valid WAL: (?P<valid>\d+)")
_BACKUP = re.compile(
    r"  backup: (?P<label>\S+), status: (?P<status>[a-z -]+), "
    r"total files checked: (?P<checked>\d+), total valid files: (?P<valid>\d+)"
)
_COUNTS = re.compile(r"    missing: \d+, checksum invalid: \d+, size invalid: \d+, other: \d+")
_NOTHING = ("archiveId: none found", "backup: none found", "no archives or backups exist in the repo")
_FILE = re.compile(
    r"(?P<what>file missing|invalid checksum|invalid size|invalid result) '?(?P<path>[^':\s]+)'?:?(?P<why>.*)"
)
_CODE = re.compile(r"\[(?P<code>\d+)\]")
_DAMAGE_CODES: Final = frozenset({26, 29, 95})
"""Checksum, format and cipher errors: the content is wrong. Other errors say that it could not be read."""
_DENIED = "Permission denied"
_SHOWN: Final = 10
"""Damaged files that are named; more are counted."""


def verification(request: VerifyRequest) -> tuple[VerifyStep, ...]:
    """A step for each repository and stanza; one backup alone where that is all that is wanted and the version can."""
    return tuple(
        VerifyStep(
            repository=repository.name,
            commands=(_command(request, stanza, key, wanted),),
            read=partial(_read, request.cluster.name),
        )
        for key, repository in sorted(request.cluster.keyed_repositories(), key=lambda keyed: keyed[0])
        if request.repository in (None, repository.name)
        for stanza, wanted in _stanzas(request, repository.name)
    )


def _stanzas(request: VerifyRequest, repository: str) -> Iterator[tuple[Cluster, tuple[str, ...]]]:
    """The cluster's own stanza, and its history where a backup in it is wanted; with the backups wanted of each."""
    history = history_of(request.cluster)
    wanted = [backup for backup in request.backups if backup.repository == repository]
    carried = tuple(one.id for one in wanted if history is not None and one.engine_name == history.engine_name)
    if len(carried) < len(wanted) or not (request.only and carried):
        yield request.cluster, tuple(one.id for one in wanted if one.id not in carried)
    if history is not None and carried:
        yield history, carried


def _command(request: VerifyRequest, cluster: Cluster, key: int, wanted: tuple[str, ...]) -> Command:
    one = (f"--set={wanted[0]}",) if request.only and len(wanted) == 1 and request.version >= SET else ()
    return Command(
        argv=(
            cluster.engine.command,
            *configuration_arguments(cluster.engine),
            f"--stanza={cluster.engine_name}",
            f"--repo={key}",
            *one,
            "--log-level-console=detail",
            "--log-level-stderr=off",
            "--output=text",
            "--verbose",
            "verify",
        ),
        run_as=request.run_as,
        host=cluster.engine.host,
        deadline=request.deadline,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bad:
    """A file that is not as it should be."""

    path: str
    text: str
    state: Wholeness
    gone: bool = False


def _read(cluster: str, outcomes: tuple[Outcome, ...]) -> tuple[Examined, ...]:
    """What was examined; raises as every command does, and OutputNotUnderstood for text without a status."""
    (outcome,) = outcomes
    raise_for(outcome, cluster)
    text = outcome.text()
    status = _STATUS.search(text)
    if status is None:
        raise OutputNotUnderstood("pgBackRest verified without telling the status", cluster=cluster)
    bad = tuple(_bad_files(text))
    reports = tuple(_reports(text[status.end() :], bad))
    if status["status"] == "error" and all(report.state == "whole" for report in reports):
        return (*reports, Examined(backup=None, state="damaged", problems=("pgBackRest calls the repository damaged",)))
    return reports


def _reports(text: str, bad: tuple[_Bad, ...]) -> Iterator[Examined]:
    for line in text.splitlines()[1:]:
        if log_line(line) is not None:
            return
        archive, backup = _ARCHIVE.fullmatch(line), _BACKUP.fullmatch(line)
        if archive is not None:
            yield _archive(archive, bad)
        elif backup is not None:
            yield _backup(backup, bad)
        elif line.strip() and line.strip() not in _NOTHING and not _COUNTS.fullmatch(line):
            yield Examined(backup=None, state=_of_repository(text, line), problems=(line.strip(),))


def _of_repository(text: str, line: str) -> Wholeness:
    """A sentence about the repository itself; when nobody may read it, nothing is known of it."""
    return "unknown" if _DENIED in text or _DENIED in line else "damaged"


def _archive(match: re.Match[str], bad: tuple[_Bad, ...]) -> Examined:
    """Of WAL that was listed and then gone, expired meanwhile, nothing bad is said: the chain is judged by name."""
    mine = [file for file in bad if file.path.startswith(f"{match['id']}/") and not file.gone]
    checked, valid = int(match["checked"]), int(match["valid"])
    gone = sum(1 for file in bad if file.gone and file.path.startswith(f"{match['id']}/"))
    unexplained: tuple[Wholeness, ...] = ("unknown",) if checked - valid > len(mine) + gone else ()
    return Examined(
        backup=None, state=_worst(mine, unexplained), checked=checked, valid=valid, problems=_problems(mine)
    )


def _backup(match: re.Match[str], bad: tuple[_Bad, ...]) -> Examined:
    mine = [file for file in bad if file.path.startswith(f"{match['label']}/")]
    checked, valid, status = int(match["checked"]), int(match["valid"]), match["status"]
    if status == "valid" and checked == valid:
        state: Wholeness = "whole"
    elif status == "invalid":
        state = _worst(mine, ()) if mine else "damaged"
    else:
        state = "unknown"
    said = () if status in ("valid", "invalid") else (f"pgBackRest calls it {status}",)
    counted = (f"{checked - valid} of {checked} files are not valid",) if checked != valid else ()
    return Examined(
        backup=match["label"],
        state=state,
        checked=checked,
        valid=valid,
        problems=(*said, *counted, *_problems(mine)),
    )


def _bad_files(text: str) -> Iterator[_Bad]:
    for line in log_lines(text):
        match = _FILE.match(line.text)
        if match is None:
            continue
        code = _CODE.search(match["why"])
        unreadable = match["what"] == "invalid result" and (code is None or int(code["code"]) not in _DAMAGE_CODES)
        why = f": {match['why'].strip()}" if match["why"].strip() else ""
        yield _Bad(
            path=match["path"],
            text=f"{match['what']} {match['path']}{why}",
            state="unknown" if unreadable else "damaged",
            gone=match["what"] == "file missing",
        )


def _worst(files: list[_Bad], more: tuple[Wholeness, ...]) -> Wholeness:
    states = {file.state for file in files} | set(more)
    return "damaged" if "damaged" in states else "unknown" if states else "whole"


def _problems(files: list[_Bad]) -> tuple[str, ...]:
    left = len(files) - _SHOWN
    return (*(file.text for file in files[:_SHOWN]), *((f"and {left} more",) if left > 0 else ()))
