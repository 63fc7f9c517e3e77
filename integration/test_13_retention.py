"""Retention on real engines: foretold, held against the engine's own dry run, done; and a gap no restore can cross."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from integration.conftest import MakeEstate
from integration.lab.estate import BILLING, ORDERS, Estate
from integration.lab.postgres import PostgresServer, describe_server
from integration.lab.process import Ran

PAIR = {ORDERS: "pgbackrest", BILLING: "barman"}
ARCHIVES = {ORDERS: f"pgbackrest/archive/{ORDERS}", BILLING: f"barman/{BILLING}/wals"}


@pytest.fixture(scope="module")
def two(make_estate: MakeEstate) -> Estate:
    """Two clusters with three full backups each, under a policy that keeps all of them."""
    made = make_estate(PAIR)
    for name in PAIR:
        for _ in range(3):
            made.back_up(name)
    return made


def retention(made: Estate, *arguments: str) -> dict[str, Any]:
    """`pgwrap retention -o json`, its clusters by name."""
    ran = made.pgwrap("retention", "-o", "json", *arguments)
    return {entry["name"]: entry for entry in json.loads(ran.stdout)["result"]["clusters"]}


def backups(made: Estate, name: str) -> list[str]:
    """The ids that the engine itself lists, oldest first."""
    return [backup["id"] for backup in retention(made, name, "--no-commits")[name]["repositories"][0]["backups"]]


def everything(made: Estate) -> set[str]:
    """All that is in both repositories, by path."""
    places = (made.room.path / "pgbackrest", made.room.path / "barman")
    return {str(path) for place in places for path in place.rglob("*") if "lock" not in path.name}


def segments(made: Estate, name: str) -> set[str]:
    """The names of the WAL segments that are on disk."""
    names = (path.name for path in (made.room.path / ARCHIVES[name]).glob("**/*") if path.is_file())
    return {text[:24] for text in names if len(text) >= 24 and ".backup" not in text}


def keep(made: Estate, count: int) -> None:
    """Another policy in the spec, rendered."""
    spec = made.write_spec().read_text().replace("{window: 7d}", f"{{full: {count}}}")
    made.spec.write_text(spec)
    made.render()


def foretold_wal(entry: Mapping[str, Any], name: str, made: Estate) -> set[str]:
    """The segments on disk that are foretold to go."""
    runs = [(one["from"], one["to"]) for one in entry["repositories"][0]["wal"] if not one["kept"]]
    return {segment for segment in segments(made, name) if any(first <= segment <= last for first, last in runs)}


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_inside_the_window_nothing_goes(two: Estate, name: str) -> None:
    """Every backup has its reason; all but the newest have a date."""
    (repository,) = retention(two)[name]["repositories"]
    assert [backup["kept"] for backup in repository["backups"]] == [True, True, True]
    assert all("inside the window" in backup["reason"] for backup in repository["backups"])
    assert [backup["expires"] is None for backup in repository["backups"]] == [False, False, True]


def test_what_if_leaves_everything_as_it_is(two: Estate) -> None:
    """Another policy, and the other engine's rules, on the same backups."""
    answers = retention(two, "--what-if", "full=1")
    for name in PAIR:
        (difference,) = answers[name]["what_if"]["differences"]
        assert difference["gone_instead"] == backups(two, name)[:2]
        assert difference["wal_segments_kept"] < 0
    swapped = retention(two, ORDERS, "--what-if", "engine=barman")[ORDERS]["what_if"]
    assert swapped["repositories"][0]["policy"] == "RECOVERY WINDOW OF 7 DAYS"
    assert swapped["differences"][0]["gone_instead"] == []


def test_a_dry_run_deletes_nothing(two: Estate) -> None:
    """It shows the same as the engine's own dry run."""
    keep(two, 2)
    oldest, before = {name: backups(two, name)[0] for name in PAIR}, everything(two)
    answer = json.loads(two.pgwrap("expire", "-o", "json").stdout)["result"]
    assert answer["dry_run"] is True
    for entry in answer["clusters"]:
        (repository,) = entry["repositories"]
        assert repository["backups"] == [oldest[entry["name"]]]
        assert (repository["more"], repository["less"]) == ([], [])
        if entry["engine"] == "pgbackrest":
            assert repository["engine_backups"] == repository["backups"]
    assert before == everything(two)


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_expire_deletes_just_what_was_foretold(two: Estate, name: str) -> None:
    """The backup, and of the WAL exactly those files."""
    entry = retention(two)[name]
    going, wal = foretold_wal(entry, name, two), segments(two, name)
    oldest, *others = backups(two, name)
    answer = json.loads(two.pgwrap("expire", name, "--yes", "-o", "json").stdout)["result"]["clusters"][0]
    assert (answer["done"], answer["deleted"]) == (True, [oldest])
    assert backups(two, name) == others
    assert going
    assert segments(two, name) == wal - going


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_a_second_expire_finds_nothing(two: Estate, name: str) -> None:
    """It can be run again at any time."""
    answer = json.loads(two.pgwrap("expire", name, "--yes", "-o", "json").stdout)["result"]["clusters"][0]
    assert (answer["deleted"], answer["commands"]) == ([], [])


@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_expire_never_goes_below_the_minimum(two: Estate, name: str) -> None:
    """Where the engine's files say otherwise than the spec's minimum, nothing is deleted: exit 8."""
    text = two.spec.read_text().replace("{full: 2}", "{full: 1, minimum_full: 2}")
    option = "{barman: {minimum_redundancy: 0}}" if name == BILLING else "{pgbackrest: {repo1-retention-full: 1}}"
    before = backups(two, name)
    try:
        two.spec.write_text(_with_options(text, name, option))
        two.render()
        ran = two.pgwrap("expire", name, "--yes", check=False)
    finally:
        keep(two, 2)
    assert ran.exit_code == 8, ran.stderr
    assert "minimum_full is 2" in ran.stderr
    assert backups(two, name) == before


def _with_options(text: str, name: str, options: str) -> str:
    if name == BILLING:
        return text.replace("options: {barman: {", "options: {barman: {minimum_redundancy: 0, ")
    return text.replace(
        "    backup: {checkpoint: fast}\n", f"    backup: {{checkpoint: fast}}\n    options: {options}\n", 1
    )


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("retention", "--what-if", "windw=3d"), 2, "did you mean 'window'?"),
        (("retention", "--what-if", "window=-3d"), 2, "is not a duration"),
        (("retention", "--what-if", "full=0"), 2, "full=0"),
        (("retention", "--what-if", "engine=rman"), 2, "knows no engine"),
        (("retention", "nobody"), 2, "nobody"),
        (("expire", "nobody", "--yes"), 2, "nobody"),
        (("retention", "--days", "-1"), 2, "--days"),
    ],
)
def test_bad_input_is_refused(two: Estate, arguments: tuple[str, ...], exit_code: int, said: str) -> None:
    """A sentence with the way out; nothing is deleted."""
    before = everything(two)
    ran = two.pgwrap(*arguments, check=False)
    assert (ran.exit_code, "Traceback" in ran.stderr) == (exit_code, False)
    assert said in ran.stderr
    assert before == everything(two)


def test_a_cluster_that_cannot_be_asked_is_an_error(two: Estate) -> None:
    """What-if and expire say so, and do nothing."""
    text = two.spec.read_text()
    try:
        two.spec.write_text(
            text.replace("  pgbackrest:\n    config", "  pgbackrest:\n    command: /nowhere/pgbackrest\n    config")
        )
        what_if = two.pgwrap("retention", ORDERS, "--what-if", "full=1", check=False)
        expire = two.pgwrap("expire", ORDERS, "--yes", check=False)
    finally:
        two.spec.write_text(text)
    assert what_if.exit_code == 1
    assert "engine-missing" in what_if.stdout
    assert expire.exit_code == 5
    assert "could not be read" in expire.stderr


@pytest.mark.thorough("billing")
@pytest.mark.parametrize("name", [ORDERS, BILLING])
def test_no_restore_crosses_a_gap(two: Estate, name: str) -> None:
    """A lost segment splits what is recoverable exactly there; a moment behind it is foretold to fail, and fails."""
    two.back_up(name)
    server = two.servers[name]
    before_gap = _moment(two, name)
    lost = two.commit_and_archive(name)
    (file,) = (two.room.path / ARCHIVES[name]).glob(f"**/{lost}*")
    file.unlink()
    behind_gap = _moment(two, name)
    two.commit_and_archive(name)
    intervals = retention(two, name)[name]["recoverable"]
    assert any(one["from"] <= before_gap <= one["to"] for one in intervals), intervals
    assert not any(one["from"] <= behind_gap <= one["to"] for one in intervals), intervals
    unused = retention(two, name)[name]["unused_wal"]
    assert unused
    assert min(span["from"] for span in unused) > lost
    if two.engines[name] == "barman":  # its index still lists the lost segment: from 3.13 on it would try to copy it
        two.barman.run("rebuild-xlogdb", name)
    assert _restores(two, name, before_gap, f"before-{name}")
    assert not _restores(two, name, behind_gap, f"behind-{name}")
    assert server.sql("select 1") == "1"


def _moment(made: Estate, name: str) -> str:
    """A moment with a commit before and after it, both of them archived."""
    made.commit_and_archive(name)
    at = made.servers[name].sql(
        "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    )
    made.commit_and_archive(name)
    return at


def _restores(made: Estate, name: str, moment: str, label: str) -> bool:
    """Whether the engine's own restore, and PostgreSQL's recovery after it, get to the moment."""
    restored = describe_server(made.room, label)
    if _restore(made, name, restored, moment).exit_code != 0:
        return False
    restored.prepare()
    restored.configure({"archive_mode": "off"})
    try:
        restored.start()
        return restored.sql("select pg_is_in_recovery() and pg_get_wal_replay_pause_state() = 'paused'") == "t"
    except Exception:  # noqa: BLE001 - however it fails, it did not get there
        return False
    finally:
        restored.stop("immediate")


def _restore(made: Estate, name: str, restored: PostgresServer, moment: str) -> Ran:
    target = moment.removesuffix("Z").replace("T", " ") + "+00"
    if made.engines[name] == "pgbackrest":
        return made.pgbackrest.run(
            *(f"--stanza={name}", f"--pg1-path={restored.data}", "--type=time", f"--target={target}"),
            *("--target-action=pause", "restore"),
            check=False,
        )
    newest = max(made.barman.backup_states(name))
    where = (name, newest, str(restored.data))
    return made.barman.run("recover", "--target-time", target, "--target-action", "pause", *where, check=False)
