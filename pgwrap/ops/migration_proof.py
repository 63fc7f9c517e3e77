"""The proof of a migration: every carried backup restores, and both engines restore one moment alike. It is kept as a
file, and without it the old engine is not retired.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from pgwrap.domain.certificate import Certificate, Comparison, DrilledBackup, Side, differences
from pgwrap.domain.drill import Aim
from pgwrap.domain.drill_choice import Candidate, Nothing, Wish, candidates, choose
from pgwrap.domain.facts import Backup, Observation
from pgwrap.domain.migration import Migration, MigrationStep, StepName
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.plan import WriteFile
from pgwrap.domain.recovery import ProofKey
from pgwrap.domain.recovery_log import read_recovery
from pgwrap.domain.restoring import RecoveryTarget
from pgwrap.errors import EngineFailed
from pgwrap.ops.drill import DrillOptions, drill
from pgwrap.ops.drill_probes import Looker
from pgwrap.ops.fingerprint import fingerprint
from pgwrap.ops.migration_feed import both_have
from pgwrap.ops.migration_ground import LOOK, Ground
from pgwrap.ops.proofs import CommitCache, ProofReader
from pgwrap.ops.scratch_copy import ScratchCopy, major_of, private_place, sweep, user_for_copies
from pgwrap.ops.scratch_server import ScratchServer
from pgwrap.system.port import ScratchPlace

_QUESTIONS = 3600.0
"""Seconds to read every table of a copy."""
ENCODED = "certificate"
"""What the step keeps: the path of the certificate."""


def certificate_path(ground: Ground, migration: Migration) -> str:
    """Where the certificate of a migration is kept."""
    return posixpath.join(ground.fleet.state, "migrations", migration.id, "certificate.json")


def prove(ground: Ground, migration: Migration) -> MigrationStep:
    """Drill each carried backup, compare one moment, and keep the certificate; EngineFailed where something fails."""
    sweep(ground.tools)
    segment = both_have(ground, migration)
    ground.say(f"both engines have WAL up to {segment}")
    drills = tuple(_drilled(ground, migration))
    comparison = compare(ground, migration, None)
    _require_all(drills, migration, ground)
    certificate = Certificate(
        migration=migration.id,
        cluster=migration.cluster,
        from_engine=migration.from_engine,
        to_engine=migration.to_engine,
        made_at=ground.tools.clock(),
        system_identifier=ground.server().system_identifier,
        drills=drills,
        comparison=comparison,
    )
    path = certificate_path(ground, migration)
    ground.world.files.write(WriteFile(path=path, text=ground.encode(certificate), mode=0o640))
    if not certificate.valid:
        raise EngineFailed(
            f"the proof failed: {_what_failed(certificate)}",
            hint=f"nothing was changed, both engines go on; the whole is in {path}",
            cluster=ground.new.name,
        )
    objects = comparison.sides[0].objects
    proof = (
        f"{len(drills)} carried backups restored and started; all tables and sequences ({objects}) are the same "
        f"from both engines at {comparison.moment:%Y-%m-%dT%H:%M:%S.%fZ}; {path}"
    )
    return replace(migration.step(StepName.PROVE), proof=proof, kept=((ENCODED, path),))


def _require_all(drills: tuple[DrilledBackup, ...], migration: Migration, ground: Ground) -> None:
    """EngineFailed where a backup that was carried was not drilled, for it is not to be seen."""
    carried = set((migration.step(StepName.CARRY).told("backups") or "").split())
    missing = sorted(carried - {one.backup for one in drills})
    if missing:
        raise EngineFailed(
            f"carried, but not in what {ground.new.engine.kind} shows: {', '.join(missing)}",
            hint=f"look with `pgwrap list {ground.new.name}`; nothing was changed, both engines go on",
            cluster=ground.new.name,
        )


def _what_failed(certificate: Certificate) -> str:
    failed = [f"{one.backup}: {one.message}" for one in certificate.drills if not one.passed]
    found = certificate.comparison.differences if certificate.comparison is not None else ()
    return "; ".join((*failed, *found[:5])) or "nothing was compared"


def _drilled(ground: Ground, migration: Migration) -> Iterator[DrilledBackup]:
    """Each carried backup, recovered to a moment between its end and the next backup's."""
    fleet = ground.standing(migration)
    new = fleet.cluster(ground.new.name)
    observation = ground.look(migration)[1]
    found = {one.backup.id: one for one in candidates(observation, _proven(fleet, new, observation, ground))}
    carried = carried_of(observation, migration)
    stops = sorted(one.stopped_at for one in observation.backups if one.stopped_at is not None)
    for number, backup in enumerate(carried, start=1):
        ground.say(f"drill {number} of {len(carried)}: {backup.id}")
        yield _drill(ground, fleet, backup, _moment(backup, found.get(backup.id), stops), number)


def carried_of(observation: Observation, migration: Migration) -> tuple[Backup, ...]:
    """The backups of the new engine that came from the old one, oldest first."""
    ids = set((migration.step(StepName.CARRY).told("backups") or "").split())
    found = (one for one in observation.backups if one.imported_from is not None or one.id in ids)
    return tuple(sorted(found, key=lambda one: (one.stopped_at is not None, one.stopped_at)))


def _moment(backup: Backup, candidate: Candidate | None, stops: list[datetime]) -> datetime | None:
    """Halfway between a backup and the next, where WAL leads there; None: its own end."""
    if candidate is None or backup.stopped_at is None:
        return None
    following = next((stop for stop in stops if stop > backup.stopped_at), candidate.to)
    until = min(following, candidate.to)
    return backup.stopped_at + (until - backup.stopped_at) / 2 if until > candidate.stop else None


def _drill(ground: Ground, fleet: Fleet, backup: Backup, moment: datetime | None, number: int) -> DrilledBackup:
    aim = Aim.OLDEST if moment is None else Aim.MOMENT
    wish = Wish(aim=aim, moment=moment, backup=backup.id, repository=backup.repository)
    tools = replace(ground.tools, token=f"{ground.tools.token}{number:02x}")
    options = DrillOptions(wish=wish, directory=ground.options.directory, deadline=ground.options.deadline)
    done = drill(fleet, fleet.cluster(ground.new.name), ground.world, tools, options)
    return DrilledBackup(
        backup=backup.id,
        original=backup.imported_from.id if backup.imported_from is not None else None,
        target=moment,
        drill=done.id,
        passed=done.passed,
        message=done.message,
    )


def _proven(
    fleet: Fleet, cluster: Cluster, observation: Observation, ground: Ground
) -> Mapping[ProofKey, datetime | None]:
    cache = CommitCache(files=ground.world.files, state=fleet.state)
    return ProofReader(world=ground.world, cluster=cluster, cache=cache, deadline=LOOK).prove(observation)


# One moment from both engines


def compare(ground: Ground, migration: Migration, moment: datetime | None) -> Comparison:
    """Restore a moment (None: the newest that both can) from both engines, and compare all that is in the copies."""
    fleet = ground.standing(migration)
    seen = ground.look(migration)
    clusters = (fleet.cluster(ground.old.name), fleet.cluster(ground.new.name))
    found = [candidates(one, _proven(fleet, cluster, one, ground)) for cluster, one in zip(clusters, seen, strict=True)]
    if moment is None:
        moment = _newest_common(found, ground)
    copies = [
        _restored(ground, cluster, _chosen(candidate, observation, moment, cluster), moment)
        for cluster, candidate, observation in zip(clusters, found, seen, strict=True)
    ]
    (old_side, old_print), (new_side, new_print) = copies
    names = (old_side.engine, new_side.engine)
    return Comparison(moment=moment, sides=(old_side, new_side), differences=differences(old_print, new_print, names))


def _newest_common(found: list[tuple[Candidate, ...]], ground: Ground) -> datetime:
    newest = [max((one.to for one in side), default=None) for side in found]
    known = [one for one in newest if one is not None]
    if len(known) < len(newest):
        raise EngineFailed("one of the engines has nothing to restore", cluster=ground.new.name)
    return min(known)


def _chosen(found: tuple[Candidate, ...], observation: Observation, moment: datetime, cluster: Cluster) -> Candidate:
    chosen = choose(found, observation, Wish(aim=Aim.MOMENT, moment=moment), 0.5)
    if isinstance(chosen, Nothing):
        raise EngineFailed(
            f"{cluster.name} ({observation.engine}) cannot be restored to {moment.isoformat()}: {chosen.reason}",
            hint="name a moment that both engines can restore; see `pgwrap migrate status`",
            cluster=cluster.name,
        )
    return chosen.candidate


def _restored(ground: Ground, cluster: Cluster, candidate: Candidate, moment: datetime) -> tuple[Side, dict[str, str]]:
    """A copy's fingerprint and what it is of; the copy is gone afterwards."""
    tools = replace(ground.tools, token=f"{ground.tools.token}{cluster.engine.kind.value[:1]}")
    copy = ScratchCopy(
        cluster=cluster,
        world=ground.world,
        tools=tools,
        backup=candidate.backup,
        timeline=candidate.timeline,
        user=user_for_copies(cluster, ground.world, tools.user),
        major=major_of(candidate.backup, ground.world, cluster.name),
        deadline=ground.options.deadline,
    )
    parent = ground.options.directory or cluster.drill.directory or tools.scratch.default_parent()
    copy.require_room(parent)
    claim = copy.claim(parent, "prove", f"the proof of {cluster.name}")
    with private_place(tools, claim, copy.user) as place:
        ground.say(f"restoring {moment.isoformat()} from {candidate.backup.id} of {cluster.engine.kind}")
        server = _started(copy, place, moment)
        looker = Looker(cluster=cluster, server=server, sql=tools.sql, deadline=_QUESTIONS)
        found = fingerprint(looker)
        reached = read_recovery(tools.scratch.tail(server.place.log)).reached
    side = Side(
        engine=candidate.backup.engine,
        engine_name=candidate.backup.engine_name,
        backup=candidate.backup.id,
        replayed=str(reached.lsn) if reached is not None and reached.lsn is not None else None,
        objects=len(found),
    )
    return side, found


def _started(copy: ScratchCopy, place: ScratchPlace, moment: datetime) -> ScratchServer:
    """It is promoted before it is looked at: while recovery pauses, locks of unfinished transactions are held."""
    server = copy.server(place)
    job = copy.job(place)
    job.check(copy.world.runner.run(job.command))
    started = copy.start(server, server.control_file(), job, RecoveryTarget(kind="time", time=moment))
    if not started.ready:
        log = server.scratch.tail(place.log)
        said = next((line for line in reversed(log.splitlines()) if "FATAL" in line), "its log says no reason")
        raise EngineFailed(f"the copy of {copy.backup.id} did not come up: {said}", cluster=copy.cluster.name)
    return server
