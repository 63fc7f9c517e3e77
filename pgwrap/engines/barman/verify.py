"""`barman verify-backup`: what pg_verifybackup says of each backup's files. It runs nothing, and judges no WAL.

pg_verifybackup compares the files with backup_manifest, which pg_basebackup writes and the rsync methods don't
(barman/backup.py, verify_backup). It reads no tar archive before PostgreSQL 18.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Backup
from pgwrap.domain.verification import Examined
from pgwrap.engines.barman.commands import barman
from pgwrap.engines.barman.envelope import messages_of, read_object
from pgwrap.engines.barman.failures import check_ran
from pgwrap.engines.port import VerifyRequest, VerifyStep
from pgwrap.errors import OutputNotUnderstood

_VERIFIED: Final = "backup successfully verified"
_ERROR = re.compile(r"^pg_verifybackup: (?:error|fatal|warning): (?P<text>.*)$", re.MULTILINE)
_DAMAGE: Final = (
    "is present on disk but not in the manifest",
    "is present in the manifest but not on disk",
    "is present on disk, but not in the manifest",
    "checksum mismatch for file",
    "has size",
    "manifest checksum mismatch",
    "system identifier",
)
_TAR = re.compile(r'"base\.tar(?:\.\w+)*" is present on disk but not in the manifest')
_NO_MANIFEST = re.compile(r"could not (?:open|stat) file .*backup_manifest\"?: No such file")
_SHOWN: Final = 10


def verification(request: VerifyRequest) -> tuple[VerifyStep, ...]:
    """A step for each backup that is wanted and each that those build on, oldest first."""
    needed = {backup.id for backup in request.backups} | {id_ for one in request.backups for id_ in one.needs}
    return tuple(_step(request, backup) for backup in request.known if backup.id in needed)


def _step(request: VerifyRequest, backup: Backup) -> VerifyStep:
    generate = (_command(request, "generate-manifest", backup.id),) if request.generate_manifest else ()
    return VerifyStep(
        repository=backup.repository,
        commands=(*generate, _command(request, "verify-backup", backup.id)),
        read=partial(_read, backup.id),
    )


def _command(request: VerifyRequest, verb: str, backup_id: str) -> Command:
    cluster = request.cluster
    return barman(
        cluster.engine,
        *("-f", "json", verb, cluster.engine_name, backup_id),
        run_as=request.run_as,
        deadline=request.deadline,
    )


def _read(backup_id: str, outcomes: tuple[Outcome, ...]) -> tuple[Examined, ...]:
    """The verdict on one backup; raises EngineMissing, EngineTimeout, EngineFailed or OutputNotUnderstood."""
    *generated, outcome = outcomes
    check_ran(outcome)
    said = messages_of(read_object(outcome.text()))
    if outcome.succeeded:
        if not any(_VERIFIED in text for text in said.information):
            raise OutputNotUnderstood(f"barman verify-backup {backup_id} does not say that it verified")
        if any(one.succeeded for one in generated):
            why = "its manifest was made only now: from now on a change of its files would be found"
            return (Examined(backup=backup_id, state="unknown", problems=(why,)),)
        return (Examined(backup=backup_id, state="whole"),)
    return (_not_whole(backup_id, said.errors, outcome),)


def _not_whole(backup_id: str, errors: tuple[str, ...], outcome: Outcome) -> Examined:
    """Damage only where pg_verifybackup names some; all else is not known."""
    text = "\n".join(errors)
    found = [match["text"] for match in _ERROR.finditer(text)]
    if _NO_MANIFEST.search(text):
        why = "it has no manifest to compare with, as Barman's rsync methods write none; --generate-manifest makes one"
        return Examined(backup=backup_id, state="unknown", problems=(why,))
    if _TAR.search(text):
        why = "it is kept as a tar archive, which this pg_verifybackup cannot read"
        return Examined(backup=backup_id, state="unknown", problems=(why,))
    if any(words in line for line in found for words in _DAMAGE):
        left = len(found) - _SHOWN
        more = (f"and {left} more",) if left > 0 else ()
        return Examined(backup=backup_id, state="damaged", problems=(*found[:_SHOWN], *more))
    problems = tuple(found) or errors or (f"barman ended with {outcome.exit_code} and no reason",)
    return Examined(backup=backup_id, state="unknown", problems=problems)
