"""What a migration's steps do to configuration and catalogs, and how each is undone.

Each can be done twice: what is there already is found in the world itself, not in the journal.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from pgwrap.domain.facts import Backup, Observation
from pgwrap.domain.migration import Migration, MigrationStep, StepName
from pgwrap.domain.model import Cluster
from pgwrap.domain.plan import Plan, Retire, Run, Step
from pgwrap.errors import EngineFailed, Refused
from pgwrap.ops.apply import apply, locked
from pgwrap.ops.backup import BackupOptions, backup
from pgwrap.ops.migration_feed import feed_new_alone, feed_old_again
from pgwrap.ops.migration_ground import FILES, Ground
from pgwrap.ops.migration_proof import certificate_path
from pgwrap.ops.records import read_records
from pgwrap.ops.render import render_installations
from pgwrap.ops.versions import choose

_NEEDED = "needed_until"
_LOCK_WAIT = 3600.0
_BACKUP_WAIT = 600.0


def prepare(ground: Ground, migration: Migration) -> MigrationStep:
    """Native files of both, without expiry, and what the new engine needs once: a stanza, a slot."""
    names = (ground.old.name, ground.new.name)
    left = ground.put_in_place(ground.standing(migration), names, (*FILES, Run))
    for text in left:
        ground.say(f"left to you: {text}")
    old, new = ground.look(migration)
    _require_same_system(ground, old, new)
    proof = f"{old.engine} and {new.engine} answer, and neither expires anything"
    return replace(migration.step(StepName.PREPARE), proof=proof)


def _require_same_system(ground: Ground, old: Observation, new: Observation) -> None:
    """Refused where the engines, or the server, speak of different clusters."""
    known = {
        "PostgreSQL": ground.server().system_identifier,
        f"{old.engine} {old.engine_name}": old.system_identifier,
        f"{new.engine} {new.engine_name}": new.system_identifier,
    }
    told = {name: value for name, value in known.items() if value is not None}
    if len(set(told.values())) > 1:
        raise Refused(
            "not one cluster: "
            + ", ".join(f"{name} has the system identifier {value}" for name, value in told.items()),
            hint=f"give {ground.new.name} another engine_name, and look what is in that one",
            cluster=ground.new.name,
        )


def first_backup(ground: Ground, migration: Migration) -> MigrationStep:
    """A full backup with the new engine, unless one was taken since both receive WAL."""
    step = migration.step(StepName.BACKUP)
    since = migration.step(StepName.DUAL).began_at
    found = _own(ground.look(migration)[1], ground.new)
    taken = next((one for one in found if since and one.started_at and one.started_at >= since), None)
    if taken is None:
        _take(ground, migration)
        found = _own(ground.look(migration)[1], ground.new)
        taken = max(found, key=lambda one: one.stopped_at or migration.began_at, default=None)
    if taken is None:
        raise EngineFailed(f"{ground.new.name}: the new backup is not in the catalog", cluster=ground.new.name)
    kept = (("backup", taken.id), ("wal_stop", taken.wal_stop or ""))
    return replace(step, proof=f"{taken.id} is there, whole, with its WAL", kept=kept)


def _own(observation: Observation, cluster: Cluster) -> tuple[Backup, ...]:
    """Full backups that the engine took itself and that are whole."""
    return tuple(
        one
        for one in observation.backups
        if one.type == "full" and one.state == "done" and one.imported_from is None
        if one.engine_name == cluster.engine_name and one.restorable is not False
    )


def _take(ground: Ground, migration: Migration) -> None:
    fleet = ground.standing(migration)
    options = BackupOptions(type="full", deadline=ground.options.deadline, lock_wait=_LOCK_WAIT, wait=_BACKUP_WAIT)
    taken, errors = backup(fleet, (fleet.cluster(ground.new.name),), options, ground.around)
    if errors:
        raise errors[0]
    for one in taken.backups:
        if one.state != "done":
            raise EngineFailed(f"{one.cluster}: the backup is {one.state}: {one.reason}", cluster=one.cluster)


def cut_over(ground: Ground, migration: Migration) -> MigrationStep:
    """The new entry's retention comes into force; the old engine goes on receiving WAL until it is retired."""
    step = migration.step(StepName.CUT_OVER)
    reached = migration.with_step(replace(step, state="done"), migration.changed_at)
    ground.put_in_place(ground.standing(reached), (ground.old.name, ground.new.name), FILES)
    return replace(step, proof=f"{ground.new.engine.kind} keeps what the spec's retention says")


def retire(ground: Ground, migration: Migration) -> MigrationStep:
    """The old engine gets no WAL and no file that names the cluster; its backups are left where they are."""
    step = migration.step(StepName.RETIRE)
    require_certificate(ground, migration)
    told = step.told(_NEEDED) or _needed_until(ground, migration)
    step = replace(step, kept=((_NEEDED, told),))
    ground.keep(migration.with_step(step, ground.tools.clock()))
    feed_new_alone(ground)
    gone = forget(ground, migration, ground.old, replace(migration, state="done"))
    proof = f"{ground.old.engine.kind} receives nothing of it any more"
    proof += f"; {', '.join(gone)} retired" if gone else ""
    return replace(step, proof=f"{proof}; the old repository was needed until {told}")


def require_certificate(ground: Ground, migration: Migration) -> None:
    """Refused without the proof that nothing is lost, as it stands in its file."""
    path = certificate_path(ground, migration)
    try:
        kept = json.loads(ground.world.files.read(path) or "{}")
    except ValueError:
        kept = {}
    drills, comparison = kept.get("drills"), kept.get("comparison")
    proven = isinstance(drills, list) and all(one.get("passed") is True for one in drills)
    if not proven or not comparison or comparison.get("differences") != []:
        raise Refused(
            f"{path} is no certificate that nothing is lost: the old engine is not retired",
            hint=f"pgwrap migrate rollback {ground.new.name}, then run it again; or bring the certificate back",
            cluster=ground.new.name,
        )


def _needed_until(ground: Ground, migration: Migration) -> str:
    """Until when a moment that only the old engine restores may be wanted."""
    old, new = (
        min((one.stopped_at for one in seen.backups if one.stopped_at is not None), default=None)
        for seen in ground.look(migration)
    )
    if new is None:
        return "the new one has a backup"
    if old is None or new <= old:
        return f"now, {ground.tools.clock():%Y-%m-%dT%H:%M:%SZ}: the new one restores all that it does"
    days = ground.new.retention.window_days
    if days is None:
        return f"no moment before {new:%Y-%m-%dT%H:%M:%SZ} is wanted any more"
    return f"{new + timedelta(days=days):%Y-%m-%d}: the new one restores from {new:%Y-%m-%dT%H:%M:%SZ} on"


def forget(ground: Ground, before: Migration, cluster: Cluster, after: Migration) -> tuple[str, ...]:
    """Take an entry's native files out of its engine's sight (renamed to NAME.old); which they were.

    Barman's own main file stays: it says nothing of a server, and others may read theirs by it.
    """
    fleet, then = ground.standing(before), ground.standing(after)
    if cluster.name not in {one.name for one in fleet.clusters}:
        return ()
    world, choices = ground.world, choose(fleet.clusters, {}, ground.world)
    rendered, _ = render_installations(fleet, (cluster,), choices, world, secret=world.masked)
    own = tuple(
        file.write.path
        for file in rendered[cluster.engine].files
        if file.clusters == (cluster.name,) and file.write.path != _kept_main(cluster)
        if world.files.access(file.write.path) is not None
    )
    with locked(fleet, world):
        steps = tuple(Step(subject=cluster.name, effect=Retire(path=path), reason="it has moved") for path in own)
        done = apply(Plan(steps=steps), world, read_records(world.files, fleet.state), ground.say)
    if done.errors:
        raise done.errors[0]
    others = tuple(one.name for one in then.clusters if one.engine == cluster.engine)
    if others:
        ground.put_in_place(then, others, FILES)
    return own


def _kept_main(cluster: Cluster) -> str | None:
    return cluster.engine.config if cluster.engine.kind == "barman" else None


def undo_prepare(ground: Ground, migration: Migration) -> str:
    """The new entry's files go, the old one's retention comes back; catalogs and stanzas stay."""
    after = replace(migration, state="rolled-back")
    gone = forget(ground, migration, ground.new, after)
    ground.put_in_place(ground.standing(after), (ground.old.name,), FILES)
    return f"{ground.old.engine.kind} expires again as the spec says" + (f"; {', '.join(gone)} retired" if gone else "")


def undo_dual(ground: Ground, migration: Migration) -> str:
    """WAL goes where it went before."""
    return feed_old_again(ground, migration)


def undo_backup(ground: Ground, migration: Migration) -> str:
    """Nothing is deleted."""
    taken = migration.step(StepName.BACKUP).told("backup")
    return f"backup {taken} stays in {ground.new.engine.kind}'s catalog" if taken else "no backup was taken"


def undo_carry(ground: Ground, migration: Migration) -> str:  # noqa: ARG001 - as its neighbours
    """Nothing is deleted."""
    place = f"stanza {ground.new.history}" if ground.new.history else f"server {ground.new.engine_name}"
    return f"what was carried stays in {ground.new.engine.kind}'s {place}; nothing reads it"


def undo_nothing(ground: Ground, migration: Migration) -> str:  # noqa: ARG001 - as its neighbours
    """A step that changed nothing but the journal."""
    return ""
