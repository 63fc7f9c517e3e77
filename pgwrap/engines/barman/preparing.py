"""What a cluster needs once before Barman can receive its WAL: the replication slot. Nothing is run here."""

from __future__ import annotations

from collections.abc import Iterator

from pgwrap.domain.command import Outcome
from pgwrap.domain.model import Cluster
from pgwrap.domain.plan import Note, Run, Step
from pgwrap.domain.settings import slot_states
from pgwrap.engines.barman import commands
from pgwrap.engines.barman.failures import check_ran, is_busy, reason
from pgwrap.engines.barman.settings import settings
from pgwrap.engines.barman.versions import NEWEST
from pgwrap.engines.barman.words import owner
from pgwrap.engines.port import PreparationRequest
from pgwrap.errors import Busy, EngineFailed

_EXISTS = "already exists"


def preparations(request: PreparationRequest) -> tuple[Step, ...]:
    """Create the slot where the primary says that it is not there, and Barman does not make it by itself."""
    cluster = request.cluster
    if cluster.wal.create_slot:
        return ()
    return tuple(_steps(cluster, request))


def _steps(cluster: Cluster, request: PreparationRequest) -> Iterator[Step]:
    command = commands.barman(
        cluster.engine, "receive-wal", "--create-slot", cluster.engine_name, run_as=owner(cluster.engine), deadline=60.0
    )
    for slot in slot_states(settings(cluster, NEWEST).slots, request.server):
        reason_ = "WAL streaming needs its replication slot, or PostgreSQL drops what Barman has not received"
        done_when = f"pg_replication_slots has {slot.wanted.name}"
        if slot.exists is False:
            yield Step(
                subject=cluster.name,
                effect=Run(command=command, check=lambda outcome: _check(outcome, cluster)),
                reason=reason_,
                done_when=done_when,
            )
        elif slot.exists is None and request.server is not None:
            message = f"whether the replication slot {slot.wanted.name} exists could not be asked"
            note = Note(message=message, by_hand=command.quoted())
            yield Step(subject=cluster.name, effect=note, reason=reason_, done_when=done_when)


def _check(outcome: Outcome, cluster: Cluster) -> None:
    check_ran(outcome)
    if outcome.exit_code == 0 or _EXISTS in outcome.text() + outcome.error_text():
        return
    message = f"Barman failed: {reason(outcome)}"
    hint = f"try by hand: {outcome.command.quoted()}"
    if is_busy(reason(outcome)):
        raise Busy(message, hint=hint, cluster=cluster.name)
    raise EngineFailed(message, hint=hint, cluster=cluster.name, engine_exit=outcome.exit_code)
