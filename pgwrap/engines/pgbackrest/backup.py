"""A backup as data: the command, how its lines tell its progress, and what its end means. Nothing is run here."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import BackupType
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.engines.pgbackrest.output import copied, log_line, new_label, reported_error, warnings_in
from pgwrap.engines.pgbackrest.repository_side import place_for
from pgwrap.engines.port import BackupJob, BackupRequest, BackupResult, NotHere, Progress
from pgwrap.errors import EngineUnsupported, OutputNotUnderstood
from pgwrap.records import dataclass

_TYPES = {"full": "full", "differential": "diff", "incremental": "incr"}
_LETTERS: dict[str, BackupType] = {"F": "full", "D": "differential", "I": "incremental"}
_NO_PRIMARY = "unable to find primary cluster"
_UNREACHABLE = "unable to check pg"
"""What it warns of for each server that it could not connect to (src/db/helper.c)."""
_STEPS = ("execute ", "backup start archive", "backup stop archive", "check archive", "expire command begin")


def backup(request: BackupRequest) -> BackupJob:
    """How to take a backup into one repository; raises EngineUnsupported when the cluster has none.

    The repository is always named: without `--repo` pgBackRest would back up to the first one and yet expire, and
    lock, all of them (src/command/backup/backup.c, lock.c).
    """
    cluster = request.cluster
    keys = tuple(key for key, _ in cluster.keyed_repositories())
    if request.repository is None and not keys:
        raise EngineUnsupported("the spec names no repository to back up to", cluster=cluster.name)
    if request.name is not None:
        hint = f"annotate it instead: --annotation name={request.name}"
        raise EngineUnsupported("pgBackRest gives a backup no name besides its label", hint=hint, cluster=cluster.name)
    key = min(keys) if request.repository is None else request.repository[0]
    place = place_for(cluster, key, request.version, request.run_as)
    command = Command(
        argv=(
            *place.program,
            f"--stanza={cluster.engine_name}",
            f"--repo={key}",
            f"--type={_TYPES[request.type]}",
            *(f"--annotation={key}={value}" for key, value in request.annotations),
            "--log-level-console=detail",
            "--log-level-stderr=off",
            "backup",
        ),
        run_as=place.run_as,
        host=place.host,
        deadline=request.deadline,
    )
    return BackupJob(command=command, progress=_Reader(), conclude=partial(conclude, cluster.name))


@dataclass(slots=True)
class _Reader:
    """What lines of output tell: a copied file's share, or a step that has begun. It adds up what was copied."""

    done_bytes: int = 0

    def __call__(self, line: str) -> Progress | None:
        file = copied(line)
        if file is not None:
            self.done_bytes += file.size
            total = round(self.done_bytes / file.fraction) if file.fraction else None
            return Progress(fraction=file.fraction, done_bytes=self.done_bytes, total_bytes=total)
        read = log_line(line)
        if read is not None and read.level == "INFO" and read.text.startswith(_STEPS):
            return Progress(message=read.text.partition(": --")[0])
        return None


def conclude(
    cluster: str, outcome: Outcome
) -> Generator[tuple[Command, ...], tuple[Outcome, ...], BackupResult | NotHere]:
    """The new backup, from `new backup label = L`; its letter tells the type, which may be fuller than was asked for.

    Raises EngineMissing, EngineTimeout, EngineFailed, Busy or OutputNotUnderstood.
    """
    yield from ()
    if _stands_by(outcome):
        return NotHere(reason="pgBackRest finds no primary: every PostgreSQL that it reaches is in recovery")
    raise_for(outcome, cluster)
    label = new_label(outcome.text())
    if label is None:
        raise OutputNotUnderstood("pgBackRest ended without naming the new backup", cluster=cluster)
    return BackupResult(
        id=label,
        type=_LETTERS[label[-1]],
        state="done",
        messages=tuple(" ".join(text.split()) for text in warnings_in(outcome)),
    )


def _stands_by(outcome: Outcome) -> bool:
    """No primary though every server answered; one that did not answer might be the primary."""
    if outcome.failure is not None or outcome.exit_code in (0, None):
        return False
    unreachable = any(text.startswith(_UNREACHABLE) for text in warnings_in(outcome))
    return _NO_PRIMARY in reported_error(outcome).text and not unreachable
