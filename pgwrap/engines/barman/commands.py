"""The commands pgwrap gives to Barman, as data. Nothing runs here, and nothing that may archive or switch WAL is here.

`sync-info` is the only command of Barman that lists every WAL file; it takes the lock of xlog.db, as Barman's other
readers do.
"""

from __future__ import annotations

from pgwrap.domain.command import Command
from pgwrap.domain.model import EngineInstance
from pgwrap.domain.wal import Timeline


def barman(instance: EngineInstance, *arguments: str, run_as: str | None, deadline: float = 60.0) -> Command:
    """Any Barman command of this installation."""
    return Command(
        argv=(instance.command, "-c", instance.config, *arguments),
        run_as=run_as,
        host=instance.host,
        deadline=deadline,
    )


def version(instance: EngineInstance, run_as: str | None) -> Command:
    """Ask for the version; the configuration is not read."""
    return Command(argv=(instance.command, "--version"), run_as=run_as, host=instance.host)


def diagnose(instance: EngineInstance, run_as: str | None, deadline: float) -> Command:
    """Everything of every server; raw, because `-f json` wraps it in a string and shows passwords."""
    return barman(instance, "diagnose", run_as=run_as, deadline=deadline)


def list_backups(instance: EngineInstance, server: str, run_as: str | None, deadline: float) -> Command:
    """The retention status of every backup of one server, or of `all`."""
    return barman(instance, "-f", "json", "list-backups", server, run_as=run_as, deadline=deadline)


def wal_list(instance: EngineInstance, server: str, run_as: str | None, deadline: float) -> Command:
    """The WAL of one server; always JSON, and `-f json` would spoil it."""
    return barman(instance, "sync-info", server, run_as=run_as, deadline=deadline)


def wal_index(instance: EngineInstance, path: str, run_as: str | None, deadline: float) -> Command:
    """The file that `sync-info` takes its list from, without starting Barman and without its lock."""
    return Command(argv=("cat", "--", path), run_as=run_as, host=instance.host, deadline=deadline)


def wal_files(instance: EngineInstance, directory: str, run_as: str | None, deadline: float) -> Command:
    """The paths of the WAL files themselves, which xlog.db may outlive; the directory may be a link (`-H`)."""
    return Command(
        argv=("find", "-H", directory, "-mindepth", "2", "-maxdepth", "2", "-type", "f"),
        run_as=run_as,
        host=instance.host,
        deadline=deadline,
    )


def wal_indexes(instance: EngineInstance, paths: tuple[str, ...], run_as: str | None, deadline: float) -> Command:
    """Several such files, each after a line `==> PATH <==`."""
    return Command(argv=("tail", "-v", "-c", "+1", "--", *paths), run_as=run_as, host=instance.host, deadline=deadline)


def all_wal_files(
    instance: EngineInstance, directories: tuple[str, ...], run_as: str | None, deadline: float
) -> Command:
    """The paths of the WAL files below several directories, each with a NUL behind it."""
    return Command(
        argv=("find", "-H", *directories, "-mindepth", "2", "-maxdepth", "2", "-type", "f", "-print0"),
        run_as=run_as,
        host=instance.host,
        deadline=deadline,
    )


def history(instance: EngineInstance, server: str, timeline: Timeline, run_as: str | None, deadline: float) -> Command:
    """The history file of a timeline, on stdout."""
    return barman(instance, "get-wal", server, f"{timeline:08X}.history", run_as=run_as, deadline=deadline)


def overrides(instance: EngineInstance, home: str, run_as: str | None, deadline: float) -> Command:
    """The file that Barman 3.10+ writes itself (`config-update`) and loads after all others."""
    return Command(
        argv=("cat", "--", f"{home.rstrip('/')}/.barman.auto.conf"),
        run_as=run_as,
        host=instance.host,
        deadline=deadline,
    )


def fetch_wal(instance: EngineInstance, server: str, segment: str, directory: str, run_as: str | None) -> Command:
    """Put one decompressed WAL segment into `directory` under its own name."""
    return barman(instance, "get-wal", "--output-directory", directory, server, segment, run_as=run_as)
