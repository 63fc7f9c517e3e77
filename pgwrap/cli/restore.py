"""`pgwrap restore`: plan a restore, show it, and do it once it is confirmed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pgwrap.cli.options import LogFile, Output, Quiet, SpecFile, Verbose, cluster_names
from pgwrap.cli.reporting import Reporting
from pgwrap.cli.session import Session, session
from pgwrap.errors import Refused, UsageError

if TYPE_CHECKING:
    from pgwrap.domain.restoring import RecoveryTarget, RefusalCode

MAXIMUM_NAME = 63
"""Bytes of a restore point's name (MAXFNAMELEN in PostgreSQL's xlog_internal.h)."""


class Action(StrEnum):
    """What PostgreSQL does at the target."""

    PAUSE = "pause"
    PROMOTE = "promote"
    SHUTDOWN = "shutdown"


class As(StrEnum):
    """What the restored cluster is to be."""

    COPY = "copy"
    STANDBY = "standby"


class EngineChoice(StrEnum):
    """The two engines."""

    PGBACKREST = "pgbackrest"
    BARMAN = "barman"


def restore(
    cluster: Annotated[
        str,
        typer.Argument(metavar="CLUSTER", help="The cluster, by its name in the spec.", autocompletion=cluster_names),
    ],
    directory: Annotated[
        str | None,
        typer.Option(
            "--directory",
            "-D",
            metavar="DIR",
            help="Where the data directory is to be: an empty place. With --only: the scratch copy's parent.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="DB[.SCHEMA[.TABLE]]",
            help="Bring only this back, from a private copy, into --load-into. Repeatable within a database.",
        ),
    ] = None,
    load_into: Annotated[
        str | None,
        typer.Option("--load-into", metavar="DSN", help="With --only: the database that takes it, without a password."),
    ] = None,
    target_time: Annotated[
        str | None,
        typer.Option(
            "--target-time",
            metavar="TIME",
            help="Recover to this moment: '2026-11-25 10:00:00+00' with its zone, or '10 minutes ago'.",
        ),
    ] = None,
    target_lsn: Annotated[
        str | None, typer.Option("--target-lsn", metavar="LSN", help="Recover to this WAL position, such as 0/5A1B2C8.")
    ] = None,
    target_xid: Annotated[
        int | None, typer.Option("--target-xid", metavar="XID", min=3, help="Recover to this transaction.")
    ] = None,
    target_name: Annotated[
        str | None,
        typer.Option("--target-name", metavar="NAME", help="Recover to this point of pg_create_restore_point()."),
    ] = None,
    target_immediate: Annotated[
        bool, typer.Option("--target-immediate", help="Recover no further than the backup needs to be consistent.")
    ] = False,
    target_timeline: Annotated[
        int | None,
        typer.Option(
            "--target-timeline", metavar="N", min=1, help="Along this timeline. Default: the newest with the target."
        ),
    ] = None,
    target_action: Annotated[
        Action, typer.Option("--target-action", help="At the target: pause to look, promote, or shutdown.")
    ] = Action.PAUSE,
    exclusive: Annotated[
        bool, typer.Option("--exclusive", help="Stop just before the target (time, lsn, xid) instead of after it.")
    ] = False,
    backup: Annotated[
        str | None, typer.Option("--backup", metavar="ID", help="From this backup. Default: the best for the target.")
    ] = None,
    repository: Annotated[
        str | None, typer.Option("--repository", "-r", metavar="NAME", help="From this repository. Default: the best.")
    ] = None,
    engine: Annotated[
        EngineChoice | None,
        typer.Option("--engine", help="From this engine, where both hold backups of the cluster. Default: the best."),
    ] = None,
    tablespace: Annotated[
        list[str] | None,
        typer.Option("--tablespace", metavar="NAME=DIR", help="Put a tablespace there. Repeatable."),
    ] = None,
    tablespaces_in: Annotated[
        str | None,
        typer.Option("--tablespaces-in", metavar="DIR", help="Put every other tablespace into DIR/NAME."),
    ] = None,
    link_map: Annotated[
        list[str] | None,
        typer.Option(
            "--link-map", metavar="NAME=DIR", help="Where a symbolic link of the data directory leads. Repeatable."
        ),
    ] = None,
    link_all: Annotated[
        bool, typer.Option("--link-all", help="Keep symbolic links of the data directory as links (pgBackRest).")
    ] = False,
    delta: Annotated[
        bool,
        typer.Option("--delta", help="Over the cluster that is in DIR, which is lost; what is the same is kept."),
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Remove first what an interrupted restore left in DIR; nothing else is removed."
        ),
    ] = False,
    as_: Annotated[As, typer.Option("--as", help="copy, or a standby that follows the original.")] = As.COPY,
    primary_conninfo: Annotated[
        str | None,
        typer.Option(
            "--primary-conninfo",
            metavar="CONNINFO",
            help="How a standby reaches its primary, without a password. Default: from the spec.",
        ),
    ] = None,
    archive: Annotated[
        bool,
        typer.Option("--archive", help="Let it archive as the original does. Default: it does not archive at all."),
    ] = False,
    fetch_wal: Annotated[
        bool,
        typer.Option("--fetch-wal", help="Have PostgreSQL fetch WAL from Barman while it recovers, not copied before."),
    ] = False,
    staging: Annotated[
        str | None,
        typer.Option("--staging", metavar="DIR", help="Where Barman unpacks compressed or incremental backups."),
    ] = None,
    ssh: Annotated[
        str | None,
        typer.Option("--ssh", metavar="USER@HOST", help="Restore to another host, over ssh (Barman)."),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner", metavar="USER", help="To whom the files belong at the end. Default: the original's owner."
        ),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option("--accept", metavar="CODE", help="Go on in spite of this refusal, by its code. Repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    config: SpecFile = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="Stop the engine's restore after so long.")
    ] = 604800.0,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Restore a cluster: plan it, show the plan, and do it once that is confirmed.

    The plan names the backup and why it was chosen, among all repositories and, where the spec has the same server
    under both engines, among both. It checks that all WAL up to the target is there, that there is room, and that
    nothing is lost; it prints every command that will be run. `--dry-run` ends there.

    Without a target recovery goes to the end of the archived WAL. The copy is not started and does not archive.

    Refused, with the way out: a directory that is not empty, a running server, a target that cannot be reached,
    another cluster's directory, no room. Some refusals can be accepted by name with `--accept`.

    With `--only` the copy is a private one: it is recovered to the target, what was named is dumped from it and loaded
    into `--load-into` in one transaction, and the copy is removed. Nothing that is there is replaced.

    Exit 0 restored, or planned with nothing against it; 8 something stands against it.
    """
    with session("restore", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        run.expect_postgres()
        from pgwrap.domain.choosing import Wanted
        from pgwrap.ops.restore import carry_out, require_clear
        from pgwrap.ops.restore_planning import RestoreOptions, plan_restore
        from pgwrap.present.restore import plan_json, plan_text, result_json, result_text

        fleet, world = run.fleet(), run.world()
        texts = {"time": target_time, "lsn": target_lsn, "xid": target_xid, "name": target_name}
        target = _target(run, texts, immediate=target_immediate)
        target = _refined(target, target_timeline, target_action, exclusive=exclusive)
        wanted = Wanted(engine=engine.value if engine else None, repository=repository, backup=backup)
        if only:
            from pgwrap.cli.extraction import absolute, connection, extract, require_no_placement, selections
            from pgwrap.ops.extraction import ExtractionOptions

            placement = {
                "--tablespace": tablespace,
                "--tablespaces-in": tablespaces_in,
                "--link-map": link_map,
                "--link-all": link_all,
                "--delta": delta,
                "--replace": replace,
                "--as standby": as_ is As.STANDBY,
                "--primary-conninfo": primary_conninfo,
                "--archive": archive,
                "--fetch-wal": fetch_wal,
                "--staging": staging,
                "--ssh": ssh,
                "--owner": owner,
            }
            require_no_placement(placement)
            extraction = ExtractionOptions(
                selections=selections(only),
                load_into=connection(load_into),
                target=target,
                wanted=wanted,
                directory=absolute(directory),
                accept=_accepted(accept),
                deadline=timeout,
            )
            extract(run, fleet, cluster, extraction, dry_run=dry_run, yes=yes)
            return
        options = RestoreOptions(
            directory=_required(directory, load_into),
            target=target,
            wanted=wanted,
            tablespaces=_pairs("--tablespace", tablespace),
            tablespaces_in=tablespaces_in,
            links=tuple(_pairs("--link-map", link_map).items()),
            link_all=link_all,
            delta=delta,
            replace=replace,
            archive=archive,
            standby=as_ is As.STANDBY,
            connection=primary_conninfo,
            fetch_wal=fetch_wal,
            staging=staging,
            destination=ssh,
            owner=owner,
            accept=_accepted(accept),
            as_root=os.geteuid() == 0,
            deadline=timeout,
        )
        prepared = plan_restore(fleet, fleet.cluster(cluster), world, options, now=run.now)
        plan = prepared.plan
        if dry_run:
            run.answer(plan_json(plan, run.now) if output is Output.JSON else plan_text(plan))
            raise typer.Exit(Refused.exit_code if plan.refusals else 0)
        run.say(plan_text(plan).rstrip())
        require_clear(prepared)
        _confirm(plan.directory, yes=yes)
        reporting = Reporting(run=run)
        try:
            result = carry_out(prepared, world, partial(reporting.progress, cluster), now=run.now)
        finally:
            reporting.end()
        run.answer(result_json(result, run.now) if output is Output.JSON else result_text(result))


def _required(directory: str | None, load_into: str | None) -> str:
    """The place of an ordinary restore; UsageError without one."""
    if load_into is not None:
        raise UsageError("--load-into goes with --only", hint="--only shop.public.orders says what to bring back")
    if directory is None:
        raise UsageError("where to? --directory is missing", hint="name an empty place, or say --only and --load-into")
    return directory


def _target(run: Session, texts: Mapping[str, str | int | None], *, immediate: bool) -> RecoveryTarget:
    """The one target that was named; UsageError for two, or for words that are none."""
    from pgwrap.domain.moments import read_moment
    from pgwrap.domain.restoring import RecoveryTarget
    from pgwrap.domain.wal import Lsn
    from pgwrap.system.zone import local_zone

    given = [name for name, value in texts.items() if value is not None] + (["immediate"] if immediate else [])
    if len(given) > 1:
        raise UsageError(f"--target-{given[0]} and --target-{given[1]}: there is one target", hint="name one of them")
    time, lsn, xid, name = texts["time"], texts["lsn"], texts["xid"], texts["name"]
    if isinstance(time, str):
        moment = read_moment(time, run.now, local_zone())
        return RecoveryTarget(kind="time", time=moment)
    if isinstance(lsn, str):
        try:
            return RecoveryTarget(kind="lsn", lsn=Lsn.parse(lsn))
        except ValueError as error:
            raise UsageError(f"--target-lsn: {error}", hint="as pg_current_wal_lsn() writes it: 0/5A1B2C8") from error
    if isinstance(xid, int):
        return RecoveryTarget(kind="xid", xid=xid)
    if isinstance(name, str):
        return RecoveryTarget(kind="name", name=_point(name))
    return RecoveryTarget(kind="immediate" if immediate else "latest")


def _point(name: str) -> str:
    """A restore point's name as PostgreSQL has it: up to 63 bytes, and none of what ends a line."""
    if not name or len(name.encode()) > MAXIMUM_NAME or not name.isprintable():
        raise UsageError(f"--target-name: {name!r} is no restore point", hint="1 to 63 bytes on one line")
    return name


def _refined(target: RecoveryTarget, timeline: int | None, action: Action, *, exclusive: bool) -> RecoveryTarget:
    from dataclasses import replace as with_changes

    from pgwrap.domain.wal import Timeline

    chosen = None if timeline is None else Timeline(timeline)
    return with_changes(target, timeline=chosen, action=action.value, exclusive=exclusive)


def _pairs(option: str, texts: list[str] | None) -> Mapping[str, str]:
    """NAME=DIR words; UsageError for anything else, and for one name twice."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, directory = text.partition("=")
        if not (name and equals and directory.startswith("/")):
            raise UsageError(
                f"{option} {text}: not NAME=DIR with a whole path", hint=f"such as {option} fast=/srv/fast"
            )
        if name in found:
            raise UsageError(f"{option}: {name} is named twice", hint="name it once")
        found[name] = directory
    return found


def _accepted(texts: list[str] | None) -> frozenset[RefusalCode]:
    from pgwrap.domain.restoring import RefusalCode

    for text in texts or ():
        if text not in tuple(RefusalCode):
            raise UsageError(
                f"--accept: there is no refusal {text!r}", hint="the code stands behind the refusal, in brackets"
            )
    return frozenset(RefusalCode(text) for text in texts or ())


def _confirm(directory: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere --yes must have been said."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused("nothing was restored: there is nobody to ask", hint="say --yes to have the plan carried out")
    if not typer.confirm(f"restore into {directory}?", err=True):
        raise Refused("nothing was restored: it was not confirmed", hint="see the plan alone with --dry-run")
