"""One PostgreSQL that the spec describes twice, by its engine now and by the one that replaces it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from integration.lab.estate import BARMAN_CLUSTER, HEAD, PGBACKREST_CLUSTER, Estate, prepare_places
from integration.lab.native import prepare_for_barman, wait_for_backups, wait_for_stream
from integration.lab.postgres import PostgresServer, postgres_server
from integration.lab.room import Room

OLD, NEW = "orders-old", "orders"
FORMS = {"pgbackrest": PGBACKREST_CLUSTER, "barman": BARMAN_CLUSTER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The estate, in which both names are one server, and which way it goes."""

    made: Estate
    to: str

    @property
    def server(self) -> PostgresServer:
        """The one server."""
        return self.made.servers[OLD]

    def commit(self) -> str:
        """Commit something and see its segment in the old engine's archive; its name."""
        segment = self.server.switch_wal()
        if self.source == "barman":
            self.made.barman.take_wal(NEW, segment)
        else:
            self.server.wait_archived(segment)
        return segment

    @property
    def source(self) -> str:
        """The engine it comes from."""
        return "barman" if self.to == "pgbackrest" else "pgbackrest"


@contextmanager
def move(room: Room, to: str, *, segment_megabytes: int = 16) -> Iterator[Move]:
    """A running server, backed up by nobody yet, and its spec."""
    with postgres_server(room, NEW, segment_megabytes=segment_megabytes) as server:
        prepare_for_barman(server)
        prepare_places(room)
        source = "barman" if to == "pgbackrest" else "pgbackrest"
        made = Estate(room=room, servers={OLD: server, NEW: server}, engines={OLD: source, NEW: to})
        made.spec.write_text(spec(made, to, source))
        yield Move(made=made, to=to)


def spec(made: Estate, to: str, source: str) -> str:
    """Two entries of one server; `orders` is what it is called in both engines."""
    room, server = made.room, made.servers[NEW]
    text = HEAD.format(room=room.path, user=room.machine.user, rpo=made.rpo)
    history = f"    history: {NEW}-history\n" if to == "pgbackrest" else ""
    more = {OLD: f"    engine_name: {NEW}\n", NEW: f"    replaces: {OLD}\n{history}"}
    for name, engine in ((OLD, source), (NEW, to)):
        text += FORMS[engine].format(
            name=name,
            data=server.data,
            sockets=server.sockets,
            port=server.port,
            binaries=room.machine.postgres_bin,
            more=more[name],
        )
    return text


def backed_up(moved: Move, backups: int) -> None:
    """Have the old engine configured, at work, and with so many full backups."""
    made = moved.made
    made.render()
    archiving = {} if moved.source == "pgbackrest" else {"archive_command": "/bin/true"}
    moved.server.configure({"archive_mode": "on", **archiving})
    made.apply_settings(OLD)
    if moved.source == "barman":
        made.barman.run("cron")
        wait_for_stream(moved.server)
    else:
        made.pgbackrest.run(f"--stanza={NEW}", "stanza-create")
    moved.commit()
    for _ in range(backups):
        back_up(moved)


def back_up(moved: Move, kind: str = "full") -> str:
    """A backup by the old engine, done, and commits after it; its id."""
    backup_id = moved.made.pgwrap("backup", OLD, "--type", kind).stdout.strip()
    moved.commit()
    if moved.source == "barman":
        wait_for_backups(moved.made.barman, NEW)
    time.sleep(1.1)  # a backup ends in a whole second
    moved.commit()
    return backup_id


def promote(moved: Move) -> None:
    """The shortest way to a new timeline: come up as a standby without a primary, and be promoted."""
    server = moved.server
    moved.commit()
    server.stop()
    signal = server.data / "standby.signal"
    signal.touch()
    server.room.give(signal)
    server.start()
    server.promote()
    if moved.source == "barman":
        moved.made.barman.run("cron")
        wait_for_stream(server)
    moved.commit()
