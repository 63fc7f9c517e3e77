"""`pgbackrest expire`: its dry run, what that says, and the run itself, for one repository at a time. It runs nothing.

Always with `--repo`: without it every repository is expired (src/command/expire/expire.c). Messages: logExpire,
expireFullBackup, expireTimeBasedBackup, expireDiffBackup, removeExpiredArchive. Carried backups go one by one, by name
(expireAdhocBackup), and with a retention that lets nothing else of their stanza go: WAL is expired then as ever.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import partial

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.retention import Announced, AnnouncedWal, BackupFate, Forecast
from pgwrap.engines.pgbackrest.carried_expiry import LAST, WAL_STAYS
from pgwrap.engines.pgbackrest.commands import configuration_arguments
from pgwrap.engines.pgbackrest.expiry import KEEP_ALL
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.engines.pgbackrest.output import log_lines
from pgwrap.engines.pgbackrest.repository_side import place_for
from pgwrap.engines.pgbackrest.repository_states import repository_name
from pgwrap.engines.port import ExpiryJob, ExpiryRequest, ExpiryStep, Rehearsal

_REHEARSAL_DEADLINE = 300.0
_BACKUPS = re.compile(r"(?:repo\d+: )?expire (?:full|diff|time-based|adhoc) backup(?: set)? (?P<labels>.+)")
_ORPHAN = re.compile(r"(?:repo\d+: )?remove expired backup (?P<label>\S+)")
_WAL = re.compile(r"(?:repo\d+: )?(?P<archive>\S+) remove archive, start = (?P<start>\w+), stop = (?P<stop>\w+)")
_ARCHIVE = re.compile(r"(?:repo\d+: )?remove archive path (?P<path>\S+)")


def expiry(request: ExpiryRequest) -> ExpiryJob:
    """A dry run and a run for each repository of which something goes, and for each carried backup that does."""
    keys = {repository_name(request.cluster, key): key for key, _ in request.cluster.keyed_repositories()}
    known = tuple((forecast, keys[name]) for forecast in request.forecasts if (name := forecast.repository) in keys)
    return ExpiryJob(
        rehearsals=tuple(one for forecast, key in known for one in _rehearsals(request, forecast, key)),
        steps=tuple(step for forecast, key in known for step in _steps(request, forecast, key)),
        notes=tuple(note for forecast, key in known for note in _notes(request, forecast, key)),
    )


def _rehearsals(request: ExpiryRequest, forecast: Forecast, key: int) -> Iterator[Rehearsal]:
    """Of every repository: the engine may know of something that goes where nothing was foretold.

    The dry run of a carried backup tells what builds on it, too.
    """
    going = {fate.id for fate in forecast.going()}
    roots = (fate for fate in _carried(forecast.going()) if going.isdisjoint(fate.needs))
    for command in (
        _command(request, key, "--dry-run", deadline=_REHEARSAL_DEADLINE),
        *(_of_carried(request, key, fate, "--dry-run", deadline=_REHEARSAL_DEADLINE) for fate in roots),
    ):
        yield Rehearsal(repository=forecast.repository, command=command, read=partial(announced, request.cluster.name))


def _steps(request: ExpiryRequest, forecast: Forecast, key: int) -> Iterator[ExpiryStep]:
    step = partial(ExpiryStep, repository=forecast.repository, check=partial(_check, request.cluster.name))
    carried = _carried(forecast.going())
    own = tuple(fate.id for fate in forecast.going() if fate not in carried)
    if own or forecast.going_wal():
        yield step(backups=own, command=_command(request, key, deadline=request.deadline))
    for fate in carried:
        yield step(backups=(fate.id,), command=_of_carried(request, key, fate, deadline=request.deadline))


def _carried(fates: Iterable[BackupFate]) -> tuple[BackupFate, ...]:
    """Those of a history: the oldest full backup first, and before each what builds on it, the newest first."""
    newest_first = sorted((fate for fate in fates if fate.engine_name is not None), key=_label, reverse=True)
    return tuple(sorted(newest_first, key=lambda fate: fate.id.partition("_")[0]))


def _label(fate: BackupFate) -> str:
    return fate.id


def _notes(request: ExpiryRequest, forecast: Forecast, key: int) -> Iterator[str]:
    if _carried(forecast.going()):
        yield f"{forecast.repository}: {WAL_STAYS}"
    left = next((fate for fate in forecast.backups if LAST in fate.reason and fate.engine_name is not None), None)
    if left is None:
        return
    program = (request.cluster.engine.command, *configuration_arguments(request.cluster.engine))
    stanza = f"--stanza={left.engine_name}"
    commands = (
        (*program, stanza, "stop"),
        (*program, stanza, f"--repo={key}", "--pg1-path=/nowhere", "stanza-delete"),
    )
    yield (
        f"{forecast.repository}: nothing of the carried history is needed any more but {left.id} is left of it; remove "
        f"it as a whole, with its WAL, by: {'; '.join(shlex.join(command) for command in commands)}"
    )


def _check(cluster: str, outcome: Outcome) -> None:
    raise_for(outcome, cluster)


def _of_carried(request: ExpiryRequest, key: int, fate: BackupFate, *options: str, deadline: float) -> Command:
    everything = (
        f"--repo{key}-retention-full={KEEP_ALL}",
        f"--repo{key}-retention-full-type=count",
        f"--repo{key}-retention-archive={KEEP_ALL}",
        f"--repo{key}-retention-archive-type=full",
    )
    words = (f"--set={fate.id}", *everything, *options)
    return _command(request, key, *words, deadline=deadline, stanza=fate.engine_name)


def _command(request: ExpiryRequest, key: int, *options: str, deadline: float, stanza: str | None = None) -> Command:
    cluster = request.cluster
    place = place_for(cluster, key, request.version, request.run_as)
    return Command(
        argv=(
            *place.program,
            f"--stanza={stanza or cluster.engine_name}",
            f"--repo={key}",
            "--log-level-console=info",
            "--log-level-stderr=off",
            *options,
            "expire",
        ),
        run_as=place.run_as,
        host=place.host,
        deadline=deadline,
    )


def announced(cluster: str, outcome: Outcome) -> Announced:
    """What a dry run says it would delete; raises EngineMissing, EngineTimeout, EngineFailed or Busy."""
    raise_for(outcome, cluster)
    texts = [line.text for line in log_lines(outcome.text()) if line.level == "INFO"]
    labels = {
        label for text in texts if (found := _BACKUPS.fullmatch(text)) for label in found["labels"].split(", ")
    } | {found["label"] for text in texts if (found := _ORPHAN.fullmatch(text))}
    return Announced(
        backups=frozenset(labels),
        wal=tuple(
            AnnouncedWal(archive=found["archive"], start=found["start"], stop=found["stop"])
            for text in texts
            if (found := _WAL.fullmatch(text))
        ),
        whole_archives=frozenset(
            posixpath.basename(found["path"]) for text in texts if (found := _ARCHIVE.fullmatch(text))
        ),
    )
