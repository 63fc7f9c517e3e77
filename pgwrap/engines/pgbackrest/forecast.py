"""The next expiry of each repository, foretold from what was observed.

The rules of `pgbackrest expire` are in expiry.py, those of carried backups in carried_expiry.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Literal, cast

from pgwrap.domain.facts import Backup, BackupRetention, Observation
from pgwrap.domain.retention import BackupFate, Forecast, WalFate, all_wal, backup_fates, sized_archives
from pgwrap.domain.wholeness import assess_backups
from pgwrap.engines.pgbackrest.carried_expiry import ENFORCED_BY as BY_HAND
from pgwrap.engines.pgbackrest.carried_expiry import WAL_STAYS, Shelves, carried_expiry
from pgwrap.engines.pgbackrest.document import effective_settings
from pgwrap.engines.pgbackrest.expiry import Expiry, Policy, expiry
from pgwrap.engines.pgbackrest.repository_states import repository_name
from pgwrap.engines.port import ForecastRequest

ENGINE: Final = "pgbackrest"
ENFORCED_BY: Final = "pgbackrest expire, after each backup"
_UNKNOWN: Final = BackupRetention(kept=None, reason="the spec does not know this repository, so its policy is unknown")
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def forecast(request: ForecastRequest) -> tuple[Forecast, ...]:
    """Of each repository that was observed, in the order of their numbers."""
    settings = effective_settings(request.cluster, request.installation, request.version, "expire")
    keys: dict[str, int] = {
        repository_name(request.cluster, key): key for key, _ in request.cluster.keyed_repositories()
    }
    names = [repository.name for repository in request.observation.repositories]
    if request.observation.engine != ENGINE:
        keys = dict.fromkeys(names, min(keys.values(), default=1))
    return tuple(_of_repository(request, name, settings, keys.get(name)) for name in names)


def _of_repository(request: ForecastRequest, name: str, settings: Mapping[str, str], key: int | None) -> Forecast:
    own, history = _apart(request.observation)
    pairs = _labelled(name, own)
    policy = policy_from(settings, key) if key is not None else Policy()
    found = expiry(
        tuple(labelled for _, labelled in pairs),
        sized_archives(name, own),
        policy,
        now=request.now,
        version=request.version,
    )
    if key is None:
        found = Expiry(backups={labelled.id: _UNKNOWN for _, labelled in pairs}, wal=None)
    verdicts = {known.id: found.backups[labelled.id] for known, labelled in pairs}
    carried = tuple(backup for backup in history.backups if backup.repository == name)
    words = policy.words()
    return Forecast(
        repository=name,
        engine=ENGINE,
        engine_name=request.cluster.engine_name,
        policy=words,
        native=tuple(option for option in settings.items() if option[0].startswith(f"repo{key}-retention")),
        enforced_by=ENFORCED_BY if words is not None else None,
        backups=(
            *_carried_fates(request, carried, verdicts, None if key is None else policy),
            *backup_fates((known for known, _ in pairs), verdicts),
        ),
        wal=None if found.wal is None else (*found.wal, *_carried_wal(name, history)),
        refuses=found.refuses,
    )


def _apart(observation: Observation) -> tuple[Observation, Observation]:
    """The same twice: with what is the cluster's own, and with what was carried over to it."""
    own = observation.engine_name
    return (
        replace(
            observation,
            backups=tuple(backup for backup in observation.backups if backup.engine_name == own),
            archives=tuple(archive for archive in observation.archives if archive.engine_name in (None, own)),
        ),
        replace(
            observation,
            backups=tuple(backup for backup in observation.backups if backup.engine_name != own),
            archives=tuple(archive for archive in observation.archives if archive.engine_name not in (None, own)),
        ),
    )


def _carried_fates(
    request: ForecastRequest,
    carried: tuple[Backup, ...],
    verdicts: Mapping[str, BackupRetention],
    policy: Policy | None,
) -> Iterator[BackupFate]:
    """Of the carried backups of a repository, by when they ended; `policy` None: it is not known."""
    if not carried:
        return
    observation = request.observation
    shelves = Shelves(
        carried=carried,
        own=tuple(
            backup
            for backup in observation.backups
            if backup.repository == carried[0].repository and backup.id in verdicts and verdicts[backup.id].kept
        ),
        whole=frozenset(
            backup.id
            for backup, found in zip(observation.backups, assess_backups(observation), strict=True)
            if found.restorable and backup.repository == carried[0].repository
        ),
        minimum_full=_minimum(request, carried[0].repository),
    )
    fates = dict.fromkeys((backup.id for backup in carried), _UNKNOWN)
    if policy is not None:
        fates = carried_expiry(shelves, policy, request.now)
    ordered = sorted(carried, key=lambda backup: (backup.stopped_at or _NEVER, backup.id))
    for backup, fate in zip(ordered, backup_fates(ordered, fates), strict=True):
        yield replace(fate, engine_name=backup.engine_name, enforced_by=BY_HAND)


def _minimum(request: ForecastRequest, repository: str | None) -> int:
    own = next((one.retention for one in request.cluster.repositories if one.name == repository), None)
    return (own or request.cluster.retention).minimum_full or 0


def _carried_wal(name: str, history: Observation) -> Iterator[WalFate]:
    """All of it stays; where it is not known, nothing is said of it."""
    yield from all_wal(sized_archives(name, history) or (), kept=True, reason=WAL_STAYS)


def policy_from(settings: Mapping[str, str], key: int) -> Policy:
    """The retention of repository `key` as the options say it."""

    def number(name: str) -> int | None:
        text = settings.get(f"repo{key}-retention-{name}")
        return int(text) if text is not None and text.isdecimal() else None

    archive_type = settings.get(f"repo{key}-retention-archive-type", "full")
    return Policy(
        full=number("full"),
        by_time=settings.get(f"repo{key}-retention-full-type") == "time",
        differential=number("diff"),
        archive=number("archive"),
        archive_type=cast("Literal['full', 'diff', 'incr']", archive_type),
        checks_pages=settings.get("checksum-page-error") != "n",
    )


def _labelled(name: str, observation: Observation) -> tuple[tuple[Backup, Backup], ...]:
    """A repository's backups in the order of their labels, each beside itself with a label.

    Another engine's are labelled in the order they ended: what pgBackRest would have called them, had it taken them.
    """
    backups = (backup for backup in observation.backups if backup.repository == name)
    if observation.engine == ENGINE:
        return tuple((backup, backup) for backup in sorted(backups, key=lambda backup: backup.id))
    done = sorted(
        (backup for backup in backups if backup.state == "done" and backup.stopped_at is not None),
        key=lambda backup: (backup.stopped_at, backup.id),
    )
    labels = {backup.id: f"{place:08}" for place, backup in enumerate(done)}
    return tuple(
        (backup, replace(backup, id=labels[backup.id], parent=labels.get(backup.parent or ""))) for backup in done
    )
