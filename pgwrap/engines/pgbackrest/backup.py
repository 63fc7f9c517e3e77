"""A backup as data: the command, how its lines tell its progress, and what its end means. Nothing is run here."""

from __future__ import annotations

from functools import partial

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import BackupType
from pgwrap.engines.pgbackrest.commands import configuration_arguments
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.engines.pgbackrest.output import fraction_done, log_line, new_label, warnings_in
from pgwrap.engines.port import BackupJob, BackupRequest, BackupResult, Progress
from pgwrap.errors import EngineUnsupported, OutputNotUnderstood

_TYPES = {"full": "full", "differential": "diff", "incremental": "incr"}
_LETTERS: dict[str, BackupType] = {"F": "full", "D": "differential", "I": "incremental"}
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
    key = min(keys) if request.repository is None else request.repository[0]
    command = Command(
        argv=(
            cluster.engine.command,
            *configuration_arguments(cluster.engine),
            f"--stanza={cluster.engine_name}",
            f"--repo={key}",
            f"--type={_TYPES[request.type]}",
            "--log-level-console=detail",
            "--log-level-stderr=off",
            "backup",
        ),
        run_as=request.run_as,
        host=cluster.engine.host,
        deadline=request.deadline,
    )
    return BackupJob(command=command, progress=progress, result=partial(result, cluster.name))


def progress(line: str) -> Progress | None:
    """What a line of output tells: a copied file's percentage, or a step that has begun."""
    fraction = fraction_done(line)
    if fraction is not None:
        return Progress(fraction=fraction)
    read = log_line(line)
    if read is not None and read.level == "INFO" and read.text.startswith(_STEPS):
        return Progress(message=read.text.partition(": --")[0])
    return None


def result(cluster: str, outcome: Outcome) -> BackupResult:
    """The new backup, from `new backup label = L`; its letter tells the type, which may be fuller than was asked for.

    Raises EngineMissing, EngineTimeout, EngineFailed, Busy or OutputNotUnderstood.
    """
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
