"""Puts one base backup into Barman's catalog: unpacked beside it, looked at, renamed into place, recorded last.

Whenever this is killed, the catalog shows either nothing of the backup or all of it.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final

from pgwrap.domain.carrying import Carrying
from pgwrap.domain.command import Command
from pgwrap.domain.control_file import ControlFile, read_control_file
from pgwrap.domain.facts import Backup, Tablespace
from pgwrap.domain.plan import WriteFile
from pgwrap.engines.catalog_port import Arrived
from pgwrap.errors import EngineFailed, Refused
from pgwrap.ops.carry_sides import Sides
from pgwrap.records import dataclass

MARK: Final = ".pgwrap-carry"
"""In a base's directory from before it is renamed into place until it is recorded: it is whole, and pgwrap's."""
_SIGNALS: Final = ("recovery.signal", "standby.signal", "recovery.conf")
_MARK_LIMIT: Final = 4096
_START: Final = re.compile(r"^START WAL LOCATION: ([0-9A-F]+/[0-9A-F]+) ", re.MULTILINE)


class NotUnpacked(Exception):
    """Why one backup cannot be had from its repository; others may well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A backup that lies unpacked in `directory` as Barman lays one out: data, and the OID of each tablespace."""

    carrying: Carrying
    directory: str
    tablespaces: tuple[Tablespace, ...]

    @property
    def data(self) -> str:
        """Its data directory."""
        return posixpath.join(self.directory, "data")

    @property
    def id(self) -> str:
        """Its id at Barman."""
        return self.carrying.becomes or ""


def unpack(sides: Sides, work: str, carrying: Carrying) -> Base:
    """Its files in the work directory, or where a killed run had already put them whole; NotUnpacked, and nothing is
    left of them, where the source does not restore it."""
    there = sides.world.engine(sides.source.engine).tablespaces(sides.source, carrying.backup, sides.source_user)
    base = Base(
        carrying=carrying,
        directory=posixpath.join(work, carrying.becomes or ""),
        tablespaces=sides.world.converse(there),
    )
    final = Base(carrying=carrying, directory=place_of(sides, base.id), tablespaces=base.tablespaces)
    if _is_placed(sides, final):
        return final
    spool = f"{base.directory}.spool"
    try:
        _restore(sides, base, spool)
        _strip(sides, base)
        _check(sides, base)
    except NotUnpacked:
        for directory in (spool, base.directory):
            sides.tools.store.remove(directory)
        raise
    return base


def place_of(sides: Sides, backup_id: str) -> str:
    """Where a base lies in the catalog."""
    return posixpath.join(sides.incoming.bases, backup_id)


def _is_placed(sides: Sides, final: Base) -> bool:
    """Whether a killed run had put it in place and only not recorded it; Refused for anything else of that name."""
    content = sides.world.files.read_bytes(posixpath.join(final.directory, MARK), _MARK_LIMIT)
    if content is not None and content.decode(errors="replace").strip() == final.carrying.backup.id:
        return True
    parent, _, name = final.directory.rpartition("/")
    if name in sides.world.files.entries(parent):
        message = f"{final.directory} is there, and is no backup of Barman's nor pgwrap's"
        raise Refused(message, hint="look at it, and move it away", cluster=sides.target.name)
    return False


def _restore(sides: Sides, base: Base, spool: str) -> None:
    store, user = sides.tools.store, sides.source_user
    maps = tuple((one.oid, posixpath.join(base.directory, str(one.oid))) for one in base.tablespaces)
    for directory in (base.directory, spool, base.data, *(directory for _, directory in maps)):
        store.make(directory, user)
    outcome = sides.world.runner.run(sides.outgoing.unpack(base.carrying.backup, base.data, maps, spool))
    try:
        sides.outgoing.check(outcome)
    except EngineFailed as error:
        raise NotUnpacked(error.message) from error
    store.remove(spool)


def _strip(sides: Sides, base: Base) -> None:
    """What pgBackRest adds and Barman does not have: signals, and the links to tablespaces."""
    store = sides.tools.store
    links = sides.world.files.entries(posixpath.join(base.data, "pg_tblspc"))
    for name in (*_SIGNALS, *(posixpath.join("pg_tblspc", link) for link in links)):
        store.remove(posixpath.join(base.data, name))


def place(sides: Sides, base: Base) -> str:
    """Rename it into place and record it; its id. NotUnpacked when it is not the backup it should be."""
    arrived = _look(sides, base)
    final = place_of(sides, base.id)
    if base.directory != final:
        mark = posixpath.join(base.directory, MARK)
        sides.world.files.write(WriteFile(path=mark, text=base.carrying.backup.id, owner=sides.target_user))
        sides.tools.store.give(base.directory, sides.target_user)
        sides.tools.store.move(base.directory, final)
    sides.world.files.write(sides.incoming.record(arrived))
    sides.tools.store.remove(posixpath.join(final, MARK))
    return base.id


def _look(sides: Sides, base: Base) -> Arrived:
    """What is there."""
    label, control = _check(sides, base)
    return Arrived(
        id=base.id,
        backup=base.carrying.backup,
        data_directory=_original(sides),
        tablespaces=base.tablespaces,
        label=label,
        segment_size=sides.segment_size,
        size=sides.tools.store.tree_bytes(base.directory),
        checksums=None if control is None else control.data_checksums,
    )


def _check(sides: Sides, base: Base) -> tuple[str, ControlFile | None]:
    """That it is what was to come, which no exit code tells; its label and its control file."""
    backup = base.carrying.backup
    label = sides.world.files.read(posixpath.join(base.data, "backup_label")) or ""
    start = _START.search(label)
    if start is None or start[1] != str(backup.lsn_start):
        found = "no backup_label" if not label else "another backup_label"
        raise _wrong(backup, f"{found}: its start has to be {backup.lsn_start}")
    control = _control(sides, base)
    if control is not None and control.system_identifier != backup.system_identifier:
        raise _wrong(backup, f"the system identifier {control.system_identifier}")
    return label, control


def _original(sides: Sides) -> str:
    directory = sides.source.postgres.data_directory or sides.target.postgres.data_directory
    return directory or "/var/lib/postgresql"


def _control(sides: Sides, base: Base) -> ControlFile | None:
    """What pg_controldata says; None where it is not installed in that version."""
    program = sides.world.programs.postgres("pg_controldata", base.carrying.backup.postgres_version or "")
    if program is None:
        return None
    user = sides.source_user if base.directory != place_of(sides, base.id) else sides.target_user
    command = Command(argv=(program, "--pgdata", base.data), run_as=user, deadline=sides.options.look)
    outcome = sides.world.runner.run(command)
    return read_control_file(outcome.text()) if outcome.succeeded else None


def _wrong(backup: Backup, found: str) -> NotUnpacked:
    return NotUnpacked(f"pgBackRest reported no error, yet what it restored of {backup.id} has {found}")
