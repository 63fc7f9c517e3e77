"""`pgwrap verify` and `pgwrap check` on real engines: damage is found, and what cannot be read is unknown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.mischief import small_disk
from integration.lab.process import Ran


def verdict(ran: Ran) -> Any:
    """The one cluster that was verified or checked."""
    (cluster,) = json.loads(ran.stdout)["result"]["clusters"]
    return cluster


def verified(made: Estate, name: str, *arguments: str) -> tuple[int, Any]:
    """Exit code and verdict of `pgwrap verify`."""
    ran = made.pgwrap("verify", name, "--output", "json", *arguments, check=False)
    return ran.exit_code, verdict(ran)


def checked(made: Estate, name: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and checks of `pgwrap check`, by name."""
    ran = made.pgwrap("check", name, "--output", "json", *arguments, check=False)
    return ran.exit_code, {check["name"]: check for check in verdict(ran)["checks"]}


def some_file(made: Estate, name: str) -> Path:
    """A file of the newest backup that PostgreSQL would read."""
    if made.engines[name] == "barman":
        return max((made.room.path / "barman" / name / "base").glob("*/data/global/pg_control"))
    return max((made.room.path / "pgbackrest/backup" / name).glob("*F/pg_data/global/pg_control.gz"))


def needed_segment(made: Estate, name: str) -> Path:
    """The archived segment that the newest backup needs first."""
    answer = json.loads(made.pgwrap("list", name, "--output", "json").stdout)
    segment = answer["result"]["backups"][0]["wal_start"]
    root = made.room.path / ("barman" if made.engines[name] == "barman" else "pgbackrest/archive") / name
    (path,) = (
        path for path in root.rglob(f"{segment}*") if ".backup" not in path.name and "streaming" not in str(path)
    )
    return path


@contextmanager
def changed(path: Path) -> Iterator[None]:
    """One byte in the middle of a file is another; put right again afterwards."""
    before = path.read_bytes()
    middle = len(before) // 2
    path.write_bytes(before[:middle] + bytes((before[middle] ^ 0xFF,)) + before[middle + 1 :])
    try:
        yield
    finally:
        path.write_bytes(before)


@contextmanager
def away(path: Path) -> Iterator[None]:
    """A file is not where it should be; put back afterwards."""
    aside = path.parents[3] / "aside"
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """Another mode for a while."""
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_a_fresh_backup_is_whole(pair: Estate, name: str) -> None:
    """Every file, and the WAL that makes it consistent."""
    exit_code, cluster = verified(pair, name)
    assert (exit_code, cluster["state"]) == (0, "whole")
    (backup,) = cluster["backups"]
    assert (backup["state"], backup["wal_complete"], backup["problems"]) == ("whole", True, [])


@pytest.mark.parametrize("name", [ORDERS, BILLING])
@pytest.mark.parametrize("damage", [changed, away])
def test_damage_is_found_and_named(pair: Estate, name: str, damage: Callable[[Path], Any]) -> None:
    """One byte, or a whole file: exit 1 although pgBackRest's own exit code is 0."""
    path = some_file(pair, name)
    with damage(path):
        exit_code, cluster = verified(pair, name)
    assert (exit_code, cluster["state"]) == (1, "damaged")
    assert any("pg_control" in problem for problem in cluster["backups"][-1]["problems"])
    assert verified(pair, name)[0] == 0


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_a_missing_segment_is_found_though_the_files_are_whole(pair: Estate, name: str) -> None:
    """Neither engine looks for it."""
    path = needed_segment(pair, name)
    with away(path):
        exit_code, cluster = verified(pair, name, "--backup", "latest")
    assert (exit_code, cluster["state"]) == (1, "damaged")
    assert any(path.name[:24] in problem for problem in cluster["backups"][0]["problems"])


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_what_may_not_be_read_is_not_known(pair: Estate, name: str) -> None:
    """Neither whole nor damaged, and never exit 0."""
    with mode(some_file(pair, name), 0):
        exit_code, cluster = verified(pair, name)
    assert (exit_code, cluster["state"]) == (1, "unknown")


def test_damaged_wal_is_found_by_pgbackrest(pair: Estate) -> None:
    """It reads every segment; Barman reads none, and the answer does not claim it."""
    with changed(needed_segment(pair, ORDERS)):
        exit_code, cluster = verified(pair, ORDERS)
    assert exit_code == 1
    assert cluster["repositories"][0]["state"] == "damaged"
    assert verified(pair, BILLING)[1]["repositories"][0]["state"] is None


def test_a_backup_without_a_manifest_is_unknown(pair: Estate) -> None:
    """As those of Barman's rsync methods are; the way out is named."""
    path = some_file(pair, BILLING).parents[1] / "backup_manifest"
    with away(path):
        exit_code, cluster = verified(pair, BILLING)
        assert (exit_code, cluster["state"]) == (1, "unknown")
        assert "--generate-manifest" in cluster["backups"][0]["problems"][0]
        assert verified(pair, BILLING, "--generate-manifest")[1]["state"] == "unknown"
        assert verified(pair, BILLING)[1]["state"] == "whole"
        path.unlink()


def test_an_unknown_backup_or_repository_is_a_usage_error(pair: Estate) -> None:
    """Nothing is verified, and nothing claimed."""
    for words in (("--backup", "20200101T000000"), ("--repository", "nosuch")):
        ran = pair.pgwrap("verify", BILLING, *words, check=False)
        assert (ran.exit_code, ran.stdout) == (2, "")


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_all_is_right(pair: Estate, name: str) -> None:
    """Exit 0, and the engine's own check is among what passed."""
    exit_code, checks = checked(pair, name)
    wrong = {key: check for key, check in checks.items() if check["severity"] != "ok"}
    assert (exit_code, wrong) == (0, {})
    assert {"postgres", "engine", "engine-check"} <= checks.keys()


def test_passive_changes_nothing(pair: Estate) -> None:
    """No WAL switch; without it the segment is closed and seen in the archive."""
    server = pair.servers[ORDERS]
    segment = "select pg_walfile_name(pg_current_wal_lsn())"
    # On a boundary PostgreSQL still gives the name of the segment before.
    server.sql("select pg_logical_emit_message(true, 'test', '')")
    before = server.sql(segment)
    assert pair.pgwrap("check", ORDERS, "--passive").exit_code == 0
    assert server.sql(segment) == before
    _, checks = checked(pair, ORDERS)
    message = checks["engine-check"]["message"]
    assert f"{server.sql('select last_archived_wal from pg_stat_archiver')} reached repo1" in message


def test_an_archiver_that_fails_is_critical(pair: Estate) -> None:
    """The engine's own check waits in vain; status says why, with what mends it."""
    server = pair.servers[ORDERS]
    server.sql("alter system set archive_command = 'false # pgbackrest'")
    server.sql("select pg_reload_conf()")
    try:
        exit_code, checks = checked(pair, ORDERS, "--timeout", "20")
        assert exit_code == 1
        assert checks["engine-check"]["severity"] in {"critical", "unknown"}
        assert "alter system set archive_command" in checks["archive-command-differs"]["hint"]
    finally:
        server.sql("alter system reset archive_command")
        server.sql("select pg_reload_conf()")
        pair.commit_and_archive(ORDERS)


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_a_repository_that_may_not_be_written_is_critical(pair: Estate, name: str) -> None:
    """Named with its owner and with what mends it, for monitoring, too."""
    place = pair.room.path / ("barman" if name == BILLING else "pgbackrest")
    slug = "directory-barman-home" if name == BILLING else "directory-repository-local"
    with mode(place, 0o500):
        exit_code, checks = checked(pair, name, "--passive")
        nagios = pair.pgwrap("check", name, "--passive", "--output", "nagios", check=False)
    assert (exit_code, checks[slug]["severity"]) == (1, "critical")
    assert "may not write" in checks[slug]["message"]
    assert checks[slug]["hint"].startswith("chmod u+rwx ")
    assert nagios.exit_code == 2
    assert nagios.stdout.startswith("PGWRAP CHECK CRITICAL - ")


def test_little_room_is_critical(pair: Estate) -> None:
    """A disk that is about to be full stops archiving."""
    place = pair.room.directory("small")
    text = pair.spec.read_text()
    with small_disk(pair.room, place, "8m") as possible:
        if not possible:
            pytest.skip("no file system may be mounted here")
        pair.spec.write_text(text.replace(f"path: {pair.room.path}/pgbackrest}}", f"path: {place}}}"))
        try:
            exit_code, checks = checked(pair, ORDERS, "--passive")
        finally:
            pair.spec.write_text(text)
    assert (exit_code, checks["space-repository-local"]["severity"]) == (1, "critical")


def test_without_postgres_its_settings_are_unknown(pair: Estate) -> None:
    """And Barman's own check fails, check by check."""
    pair.servers[BILLING].stop()
    try:
        exit_code, checks = checked(pair, BILLING)
        assert (exit_code, checks["postgres"]["severity"]) == (1, "unknown")
        assert checks["barman-postgresql"]["severity"] == "critical"
        assert checks["barman-postgresql"]["hint"]
    finally:
        pair.servers[BILLING].start()
