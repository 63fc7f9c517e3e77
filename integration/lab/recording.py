"""Records what the installed engines really print, for the parsers' tests to replay; nothing it writes is edited.

`python -m integration.lab.recording DIRECTORY` writes `pgbackrest/VERSION/matrix` and `barman/VERSION/matrix` there.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from integration.lab.machine import Machine, discover
from integration.lab.native import (
    NativeBarman,
    NativePgbackrest,
    native_barman,
    native_pgbackrest,
    prepare_for_barman,
    wait_for_backups,
    wait_for_stream,
)
from integration.lab.postgres import PostgresServer, describe_server, postgres_server
from integration.lab.process import Ran, start
from integration.lab.room import Room, room

STANZA = "orders"
SERVER = "billing"


@dataclass(slots=True)
class Recorder:
    """Writes each answer as NAME.out and NAME.err, and lists them in commands.json."""

    directory: Path
    entries: list[dict[str, object]] = field(default_factory=list)

    def take(self, name: str, ran: Ran) -> None:
        """Keep one answer."""
        number = f"{len(self.entries) + 1:02}_{name}"
        (self.directory / f"{number}.out").write_text(ran.stdout)
        if ran.stderr:
            (self.directory / f"{number}.err").write_text(ran.stderr)
        self.entries.append({"name": number, "argv": ran.argv, "exit_code": ran.exit_code})

    def finish(self, machine: Machine, story: str) -> None:
        """Write the index and the provenance."""
        (self.directory / "commands.json").write_text(json.dumps(self.entries, indent=1) + "\n")
        (self.directory / "README.md").write_text(
            f"# Genuine output\n\nRecorded by `make matrix ARGS=--record` (integration/lab/recording.py) on "
            f"{machine.summary()}, {time.strftime('%Y-%m-%d', time.gmtime())}; nothing is edited.\n"
            f"`commands.json` lists the command and exit code of each `NN_name.out` (stdout) and `NN_name.err` "
            f"(stderr, when there was any).\n\n{story}\n"
        )


PGBACKREST_STORY = """\
One stanza, `orders`, in one repository: before `stanza-create`; created; WAL only; a full, a differential and an
incremental backup; a warning about an unknown option; a backup that waits for its checkpoint (the lock is held); a WAL
segment removed from the archive; a promotion (timeline 2); PostgreSQL down; a new system identifier before and after
`stanza-upgrade`; a repository that may not be read; two repositories of which one holds a backup."""


def record_pgbackrest(place: Room, recorder: Recorder) -> None:
    """Live through a stanza's life and keep every answer."""
    server = describe_server(place, "orders")
    place.directory("data")
    server.initialise()
    engine = native_pgbackrest(place, {STANZA: server})
    server.configure(engine.settings(STANZA))
    server.start()
    recorder.take("version", place.run(str(place.machine.engine("pgbackrest").program), "version"))
    _pgbackrest_views(engine, recorder, "before_create")
    recorder.take("stanza_create", _action(engine, "stanza-create"))
    _pgbackrest_views(engine, recorder, "no_backup")
    for kind in ("full", "diff", "incr"):
        server.switch_wal()
        recorder.take(f"backup_{kind}", _action(engine, f"--type={kind}", "backup"))
    server.wait_archived(server.switch_wal())
    _pgbackrest_views(engine, recorder, "ok")
    recorder.take("info_set", _info(engine, "--set", _newest_label(engine)))
    _record_warning(engine, recorder)
    _record_lock(engine, server, recorder)
    _remove_segment(engine, server)
    _pgbackrest_views(engine, recorder, "gap")
    _move_to_timeline_two(server)
    _pgbackrest_views(engine, recorder, "timeline_2")
    recorder.take("backup_timeline_2", _action(engine, "--type=full", "backup"))
    _pgbackrest_views(engine, recorder, "timeline_2_backup")
    server.stop()
    recorder.take("backup_postgres_down", _action(engine, "backup"))
    _record_upgrade(engine, server, recorder)
    recorder.take("backup_unknown_stanza", _action(engine, "backup", stanza="nosuch"))
    recorder.take("info_unknown_stanza", _info(engine, stanza="nosuch"))
    engine.repository.joinpath("backup", STANZA).chmod(0)
    _pgbackrest_views(engine, recorder, "forbidden")
    engine.repository.joinpath("backup", STANZA).chmod(0o750)


def record_two_repositories(place: Room, recorder: Recorder) -> None:
    """A backup in the second of two repositories alone."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server(place, "pair", {"archive_mode": "on"}))
        engine = native_pgbackrest(place, {STANZA: server}, repositories=2)
        server.configure(engine.settings(STANZA))
        server.restart()
        _action(engine, "stanza-create")
        server.switch_wal()
        recorder.take("backup_repo2", _action(engine, "--repo=2", "backup"))
        _pgbackrest_views(engine, recorder, "repo2_only", repositories=2)


def _pgbackrest_views(engine: NativePgbackrest, recorder: Recorder, moment: str, repositories: int = 1) -> None:
    recorder.take(f"info_{moment}", _info(engine, stanza=None))
    for number in range(1, repositories + 1):
        arguments = ("repo-ls", f"archive/{STANZA}", "--output=json", "--recurse", f"--repo={number}")
        ran = engine.run(*arguments, "--log-level-console=off", "--log-level-stderr=warn", check=False)
        recorder.take(f"repo_ls_{moment}" + (f"_repo{number}" if repositories > 1 else ""), ran)


def _info(engine: NativePgbackrest, *arguments: str, stanza: str | None = STANZA) -> Ran:
    which = (f"--stanza={stanza}",) if stanza else ()
    return engine.run(
        "info", "--output=json", *which, "--log-level-console=off", "--log-level-stderr=warn", *arguments, check=False
    )


def _action(engine: NativePgbackrest, *arguments: str, stanza: str = STANZA) -> Ran:
    levels = ("--log-level-console=info", "--log-level-stderr=off")
    return engine.run(f"--stanza={stanza}", *levels, *arguments, check=False)


def _newest_label(engine: NativePgbackrest) -> str:
    label: str = json.loads(_info(engine).stdout)[0]["backup"][-1]["label"]
    return label


def _record_warning(engine: NativePgbackrest, recorder: Recorder) -> None:
    text = engine.config.read_text()
    engine.config.write_text(text.replace("[global]\n", "[global]\nno-such-option=1\n"))
    recorder.take("info_config_warning", _info(engine, stanza=None))
    engine.config.write_text(text)


def _record_lock(engine: NativePgbackrest, server: PostgresServer, recorder: Recorder) -> None:
    """A backup that asks for a spread checkpoint holds its lock for as long as we like."""
    server.sql("create table spread as select repeat('x', 500) as filler from generate_series(1, 20000)")
    program = str(engine.room.machine.engine("pgbackrest").program)
    argv = (program, f"--config={engine.config}", f"--stanza={STANZA}", "--no-start-fast", "backup")
    with start(argv, user=engine.room.machine.user, directory=engine.room.path) as process:
        server.wait_for("select count(*) > 0 from pg_stat_activity where application_name like 'pgBackRest%'")
        time.sleep(0.5)
        recorder.take("info_locked", _info(engine, stanza=None))
        recorder.take("backup_locked", _action(engine, "backup"))
        server.sql("checkpoint")
        process.communicate(timeout=60)


def _remove_segment(engine: NativePgbackrest, server: PostgresServer) -> None:
    segments = [server.switch_wal() for _ in range(3)]
    server.wait_archived(segments[-1])
    (file,) = engine.repository.glob(f"archive/{STANZA}/*/*/{segments[1]}-*")
    file.unlink()


def _move_to_timeline_two(server: PostgresServer) -> None:
    """The shortest way to a new timeline: come up as a standby without a primary, and be promoted."""
    server.stop()
    (server.data / "standby.signal").touch()
    server.room.give(server.data / "standby.signal")
    server.start()
    server.promote()
    server.wait_archived(server.switch_wal())


def _record_upgrade(engine: NativePgbackrest, server: PostgresServer, recorder: Recorder) -> None:
    """A new cluster at the old one's place, as pg_upgrade leaves it: another system identifier."""
    shutil.rmtree(server.data)
    server.initialise()
    server.configure(engine.settings(STANZA))
    server.start()
    recorder.take("backup_before_upgrade", _action(engine, "backup"))
    recorder.take("stanza_upgrade", _action(engine, "stanza-upgrade"))
    _pgbackrest_views(engine, recorder, "upgraded")
    server.switch_wal()
    recorder.take("backup_upgraded", _action(engine, "backup"))
    _pgbackrest_views(engine, recorder, "upgraded_backup")
    server.stop()


BARMAN_STORY = """\
One server, `billing` (streaming, with a slot, `REDUNDANCY 2`): configured but nothing started; streaming; a backup that
waits for WAL; the same done; three backups, one kept; an unknown option and an unknown server; a WAL segment removed;
an override in `.barman.auto.conf`; PostgreSQL down with a failed backup."""


def record_barman(place: Room, recorder: Recorder) -> None:
    """Live through a server's life and keep every answer."""
    settings = {"wal_level": "replica", "max_wal_senders": "6", "max_replication_slots": "6"}
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server(place, SERVER, settings))
        prepare_for_barman(server)
        engine = native_barman(place, {SERVER: server})
        recorder.take("version", place.run(str(place.machine.engine("barman").program), "--version"))
        _barman_views(engine, recorder, "before_start")
        recorder.take("cron", engine.run("cron"))
        wait_for_stream(server)
        _archive(engine, server)
        _barman_views(engine, recorder, "no_backup")
        recorder.take("backup", engine.run("-f", "json", "backup", SERVER))
        _barman_views(engine, recorder, "waiting")
        _archive(engine, server)
        wait_for_backups(engine, SERVER)
        _barman_views(engine, recorder, "done")
        _record_more_backups(engine, server, recorder)
        _record_words(engine, recorder)
        _remove_wal(engine, server)
        _barman_views(engine, recorder, "gap")
        _record_override(engine, recorder)
        server.stop("immediate")
        recorder.take("backup_postgres_down", engine.run("-f", "json", "backup", SERVER, check=False))
        recorder.take("backup_postgres_down_console", engine.run("backup", SERVER, check=False))
        _barman_views(engine, recorder, "postgres_down")


def _barman_views(engine: NativeBarman, recorder: Recorder, moment: str) -> None:
    recorder.take(f"diagnose_{moment}", engine.run("diagnose", check=False))
    recorder.take(f"list_backups_{moment}", engine.run("-f", "json", "list-backups", "all", check=False))
    recorder.take(f"sync_info_{moment}", engine.run("sync-info", SERVER, check=False))
    recorder.take(f"status_{moment}", engine.run("-f", "json", "status", "all", check=False))


def _archive(engine: NativeBarman, server: PostgresServer) -> None:
    engine.take_wal(SERVER, server.switch_wal())


def _record_more_backups(engine: NativeBarman, server: PostgresServer, recorder: Recorder) -> None:
    for number in (2, 3):
        time.sleep(1.1)  # a backup's id is its second
        recorder.take(f"backup_{number}_console", engine.run("backup", SERVER))
        _archive(engine, server)
        wait_for_backups(engine, SERVER)
    recorder.take("keep", engine.run("-f", "json", "keep", "--target", "standalone", SERVER, "first", check=False))
    _barman_views(engine, recorder, "three")
    for backup in ("first", "last"):
        recorder.take(f"show_backup_{backup}", engine.run("-f", "json", "show-backup", SERVER, backup, check=False))


def _record_words(engine: NativeBarman, recorder: Recorder) -> None:
    recorder.take("list_servers", engine.run("-f", "json", "list-servers"))
    recorder.take("check", engine.run("-f", "json", "check", "all", check=False))
    recorder.take("replication_status", engine.run("-f", "json", "replication-status", "all", check=False))
    recorder.take("list_backups_unknown_server", engine.run("-f", "json", "list-backups", "nosuch", check=False))
    recorder.take("backup_unknown_server", engine.run("-f", "json", "backup", "nosuch", check=False))
    file = engine.room.path / f"etc/barman.d/{SERVER}.conf"
    text = file.read_text()
    file.write_text(f"{text}no_such_option = 1\n")
    recorder.take("list_backups_config_warning", engine.run("-f", "json", "list-backups", "all", check=False))
    recorder.take("diagnose_config_warning", engine.run("diagnose", check=False))
    file.write_text(text)


def _remove_wal(engine: NativeBarman, server: PostgresServer) -> None:
    for _ in range(3):
        _archive(engine, server)
    wal = sorted((engine.home / SERVER / "wals").glob("*/0*"))
    wal[-2].unlink()


def _record_override(engine: NativeBarman, recorder: Recorder) -> None:
    override = engine.home / ".barman.auto.conf"
    override.write_text(f"[{SERVER}]\nretention_policy = REDUNDANCY 1\n")
    engine.room.give(override)
    recorder.take("diagnose_override", engine.run("diagnose", check=False))
    recorder.take("diagnose_override_sources", engine.run("diagnose", "--show-config-source", check=False))
    override.unlink()


def record(machine: Machine, target: Path) -> None:
    """Record every engine of this machine under `target`."""
    if machine.pgbackrest:
        recorder = _fresh(target / "pgbackrest" / machine.pgbackrest.version / "matrix")
        with room(machine, "record") as place:
            record_pgbackrest(place, recorder)
        with room(machine, "record") as place:
            record_two_repositories(place, recorder)
        recorder.finish(machine, PGBACKREST_STORY)
    if machine.barman:
        recorder = _fresh(target / "barman" / machine.barman.version / "matrix")
        with room(machine, "record") as place:
            record_barman(place, recorder)
        recorder.finish(machine, BARMAN_STORY)


def _fresh(directory: Path) -> Recorder:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return Recorder(directory)


if __name__ == "__main__":
    record(discover(), Path(sys.argv[1]))
