"""pgBackRest's repository on another host: a history is carried to it and from it by pgBackRest's own remote options.

That host is another user of this machine behind ssh on loopback, whose repository nobody else can read. pgwrap, Barman
and PostgreSQL are on this side.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import pytest

from integration.lab.answers import Json, cluster, status
from integration.lab.machine import Machine
from integration.lab.moving import NEW, OLD, Move, back_up, backed_up, move
from integration.lab.other_host import OtherHost, other_host, other_user, repository_words
from integration.lab.room import room
from integration.lab.sshd import can_serve
from pgwrap.engines.pgbackrest.repository_side import ON_EITHER_SIDE
from pgwrap.engines.port import EngineVersion

pytestmark = pytest.mark.thorough

HISTORY = f"{NEW}-history"


def anywhere(machine: Machine) -> bool:
    """Whether pgBackRest takes backups on either side."""
    return EngineVersion.parse(machine.engine("pgbackrest").version) >= ON_EITHER_SIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """The move, and the host of the repository."""

    moved: Move
    there: OtherHost

    def carry_there(self) -> None:
        """From Barman here into the repository there."""
        place = self.moved.made.room.directory("carry")
        self.moved.made.laboratory("crossing", "carry", OLD, NEW, str(place))

    def sets(self) -> list[Json]:
        """What pgBackRest there lists of what was carried."""
        (stanza,) = json.loads(self.there.pgbackrest(f"--stanza={HISTORY}", "--output=json", "info").stdout)
        found: list[Json] = stanza["backup"]
        return found


@contextmanager
def apart(machine: Machine, to: str, *, replaces: bool = False) -> Iterator[Apart]:
    """A server and both entries, each by itself or the one to replace the other; nothing is backed up."""
    with ExitStack() as stack:
        place = stack.enter_context(room(machine, "hosts"))
        moved = stack.enter_context(move(place, to))
        server = moved.server
        there = stack.enter_context(other_host(place, NEW, server.data, server.sockets, server.port))
        words = repository_words(there)
        local = f"  local: {{type: posix, path: {place.path}/pgbackrest}}\n"
        text = moved.made.spec.read_text()
        text = text if replaces else text.replace(f"    replaces: {OLD}\n", "")
        engine = f"  pgbackrest:\n    options: {{cmd-ssh: {there.ssh_here}}}\n"
        moved.made.spec.write_text(text.replace(local, words).replace("  pgbackrest:\n", engine, 1))
        made = replace(moved.made, environment={"PGWRAP_SSH_CONFIG": str(there.ssh_config)})
        yield Apart(moved=replace(moved, made=made), there=there)


@pytest.fixture(scope="module", autouse=True)
def both_sides(machine: Machine) -> None:
    """Root, who alone can be two users; sshd; both engines."""
    if os.geteuid() or None in (machine.barman, machine.pgbackrest) or not can_serve():
        pytest.skip("it takes root, both engines and OpenSSH's server")
    with room(machine, "user") as place:
        try:
            other_user(place)
        except LookupError as missing:
            pytest.skip(str(missing))


@pytest.fixture(scope="module")
def into(machine: Machine) -> Iterator[Apart]:
    """Two backups of Barman's; in the spec what only some commands take."""
    with apart(machine, "pgbackrest") as found:
        spec = found.moved.made.spec
        more = "    repositories: [local]\n    wal: {compression: lz4, parallel: 2}\n    backup: {parallel: 2}\n"
        spec.write_text(spec.read_text().replace("    repositories: [local]\n    backup: {checkpoint: fast}\n", more))
        backed_up(found.moved, 2)
        yield found


def test_without_the_way_back_it_is_said_what_to_add(into: Apart) -> None:
    """Before 2.55 the repository's host has to fetch; later versions need no way back."""
    made = into.moved.made
    text = made.spec.read_text()
    made.spec.write_text(text.replace(repository_words(into.there), repository_words(into.there, pulls=False)))
    try:
        ran = into.moved.made.laboratory("crossing", "plan", OLD, NEW, str(made.room.directory("carry")), check=False)
    finally:
        made.spec.write_text(text)
    if not anywhere(made.room.machine):
        assert (ran.exit_code, "pulls_from" in ran.stdout) == (4, True), ran.stdout + ran.stderr
    else:
        assert ran.exit_code == 0, ran.stderr


def test_a_history_is_carried_to_the_other_host(into: Apart) -> None:
    """Every backup and every WAL file is there, and nothing went around ssh."""
    into.carry_there()
    old = cluster(status(into.moved.made), OLD)["backups"]
    assert [one["annotation"]["carried-id"] for one in into.sets()] == [one["id"] for one in old]
    wals = {path.name for path in (into.moved.made.barman.home / NEW / "wals").glob("*/0000*")}
    assert wals
    assert wals == into.there.names(HISTORY)
    assert into.there.repository.stat().st_mode & 0o077 == 0
    assert not list(into.moved.made.pgbackrest.repository.iterdir())


def test_a_carried_backup_restores_here(into: Apart) -> None:
    """A drill on this side, from the repository on the other."""
    label = into.sets()[-1]["label"]
    scratch = str(into.moved.made.room.directory("scratch"))
    ran = into.moved.made.pgwrap("drill", NEW, "--backup", label, "--directory", scratch, "-o", "json", deadline=300)
    assert json.loads(ran.stdout)["outcome"] == "success"


def test_a_repository_that_only_the_own_stanza_knows_is_refused(into: Apart) -> None:
    """What is carried would lie elsewhere there, and not encrypted as the rest is."""
    there, made = into.there, into.moved.made
    made.pgbackrest.run(f"--stanza={NEW}", "stanza-create")
    text, own = there.config.read_text(), f"repo1-path={there.repository}\n"
    there.config.write_text(text.replace(own, f"repo1-path={there.place}/elsewhere\n") + own)
    try:
        ran = into.moved.made.laboratory("crossing", "plan", OLD, NEW, str(made.room.directory("carry")))
    finally:
        there.config.write_text(text)
    assert "would lie in another repository" in " ".join(json.loads(ran.stdout)["refusals"])


def test_a_cluster_moves_to_the_other_host(machine: Machine) -> None:
    """With one command, proof and all; a backup that the old engine took is the new one's then."""
    with apart(machine, "pgbackrest", replaces=True) as found:
        moved, there = found.moved, found.there
        backed_up(moved, 1)
        said = moved.made.pgwrap("migrate", "run", NEW, "--until", "retire", "--yes", deadline=600).stdout
        assert "1 carried backups restored and started" in said
        assert len(found.sets()) == 1
        (own,) = json.loads(there.pgbackrest(f"--stanza={NEW}", "--output=json", "info").stdout)
        assert [one["type"] for one in own["backup"]] == ["full"]
        assert {one["engine"] for one in status(moved.made)["result"]["clusters"]} == {"pgbackrest"}


def test_a_cluster_moves_from_the_other_host(machine: Machine) -> None:
    """The other way round."""
    with apart(machine, "barman", replaces=True) as found:
        moved = found.moved
        backed_up(moved, 1)
        said = moved.made.pgwrap("migrate", "run", NEW, "--until", "retire", "--yes", deadline=600).stdout
        assert "1 carried backups restored and started" in said
        assert list(moved.made.barman.backup_states(NEW).values()) == ["DONE"] * 2
        assert {one["engine"] for one in status(moved.made)["result"]["clusters"]} == {"barman"}


@pytest.fixture(scope="module")
def back(machine: Machine) -> Iterator[Apart]:
    """Two backups in the repository there, by `pgwrap backup` from here."""
    with apart(machine, "barman") as found:
        backed_up(found.moved, 1)
        back_up(found.moved, "differential")
        yield found


def test_a_history_is_carried_from_the_other_host(back: Apart) -> None:
    """Both are Barman's then, with all WAL, and restore there."""
    made = back.moved.made
    back.moved.made.laboratory("carrying_into_barman", str(made.spec), "all", OLD, NEW)
    assert list(made.barman.backup_states(NEW).values()) == ["DONE"] * 2
    wals = {path.name for path in (made.barman.home / NEW / "wals").glob("*/0000*")}
    assert wals
    assert wals == back.there.names(NEW)
    scratch = str(made.room.directory("scratch"))
    ran = made.pgwrap("drill", NEW, "--directory", scratch, "-o", "json", deadline=300)
    assert json.loads(ran.stdout)["outcome"] == "success"
