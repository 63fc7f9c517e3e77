"""The next `pgbackrest expire` of each repository, foretold from what was observed. The rules are in expiry.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal, cast

from pgwrap.domain.facts import Backup, BackupRetention, Observation
from pgwrap.domain.retention import Forecast, backup_fates, sized_archives
from pgwrap.engines.pgbackrest.document import effective_settings
from pgwrap.engines.pgbackrest.expiry import Expiry, Policy, expiry
from pgwrap.engines.pgbackrest.repository_states import repository_name
from pgwrap.engines.port import ForecastRequest

ENGINE: Final = "pgbackrest"
ENFORCED_BY: Final = "pgbackrest expire, after each backup"


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
    pairs = _labelled(name, request.observation)
    policy = policy_from(settings, key) if key is not None else Policy()
    found = expiry(
        tuple(labelled for _, labelled in pairs),
        sized_archives(name, request.observation),
        policy,
        now=request.now,
        version=request.version,
    )
    if key is None:
        unknown = BackupRetention(kept=None, reason="the spec does not know this repository, so its policy is unknown")
        found = Expiry(backups={labelled.id: unknown for _, labelled in pairs}, wal=None)
    words = policy.words()
    return Forecast(
        repository=name,
        engine=ENGINE,
        engine_name=request.cluster.engine_name,
        policy=words,
        native=tuple(option for option in settings.items() if option[0].startswith(f"repo{key}-retention")),
        enforced_by=ENFORCED_BY if words is not None else None,
        backups=backup_fates(
            (known for known, _ in pairs), {known.id: found.backups[labelled.id] for known, labelled in pairs}
        ),
        wal=found.wal,
        refuses=found.refuses,
    )


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
