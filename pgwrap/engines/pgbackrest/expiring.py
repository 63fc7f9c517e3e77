"""`pgbackrest expire`: its dry run, what that says, and the run itself, for one repository at a time. It runs nothing.

Always with `--repo`: without it every repository is expired (src/command/expire/expire.c). Messages: logExpire,
expireFullBackup, expireTimeBasedBackup, expireDiffBackup, removeExpiredArchive.
"""

from __future__ import annotations

import posixpath
import re
from functools import partial

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.retention import Announced, AnnouncedWal, Forecast
from pgwrap.engines.pgbackrest.commands import configuration_arguments
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.engines.pgbackrest.output import log_lines
from pgwrap.engines.pgbackrest.repository_states import repository_name
from pgwrap.engines.port import ExpiryJob, ExpiryRequest, ExpiryStep, Rehearsal

_REHEARSAL_DEADLINE = 300.0
_BACKUPS = re.compile(r"(?:repo\d+: )?expire (?:full|diff|time-based|adhoc) backup(?: set)? (?P<labels>.+)")
_ORPHAN = re.compile(r"(?:repo\d+: )?remove expired backup (?P<label>\S+)")
_WAL = re.compile(r"(?:repo\d+: )?(?P<archive>\S+) remove archive, start = (?P<start>\w+), stop = (?P<stop>\w+)")
_ARCHIVE = re.compile(r"(?:repo\d+: )?remove archive path (?P<path>\S+)")


def expiry(request: ExpiryRequest) -> ExpiryJob:
    """A dry run and a run for each repository of which something goes."""
    keys = {repository_name(request.cluster, key): key for key, _ in request.cluster.keyed_repositories()}
    known = tuple((forecast, keys[name]) for forecast in request.forecasts if (name := forecast.repository) in keys)
    return ExpiryJob(
        rehearsals=tuple(_rehearsal(request, forecast, key) for forecast, key in known),
        steps=tuple(
            _step(request, forecast, key) for forecast, key in known if forecast.going() or forecast.going_wal()
        ),
    )


def _rehearsal(request: ExpiryRequest, forecast: Forecast, key: int) -> Rehearsal:
    """Of every repository: the engine may know of something that goes where nothing was foretold."""
    return Rehearsal(
        repository=forecast.repository,
        command=_command(request, key, "--dry-run", deadline=_REHEARSAL_DEADLINE),
        read=partial(announced, request.cluster.name),
    )


def _step(request: ExpiryRequest, forecast: Forecast, key: int) -> ExpiryStep:
    return ExpiryStep(
        repository=forecast.repository,
        backups=tuple(fate.id for fate in forecast.going()),
        command=_command(request, key, deadline=request.deadline),
        check=partial(_check, request.cluster.name),
    )


def _check(cluster: str, outcome: Outcome) -> None:
    raise_for(outcome, cluster)


def _command(request: ExpiryRequest, key: int, *options: str, deadline: float) -> Command:
    cluster = request.cluster
    return Command(
        argv=(
            cluster.engine.command,
            *configuration_arguments(cluster.engine),
            f"--stanza={cluster.engine_name}",
            f"--repo={key}",
            "--log-level-console=info",
            "--log-level-stderr=off",
            *options,
            "expire",
        ),
        run_as=request.run_as,
        host=cluster.engine.host,
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
