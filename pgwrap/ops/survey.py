"""What is at the places where a restore would write: asked of the host itself, by its own programs. It changes nothing.

On Linux, with GNU coreutils and findutils. Whatever could not be asked is None.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.restoring import PlacedTablespace
from pgwrap.domain.site import ClusterThere, Place, Site
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_STAT = "%F\t%U\t%d:%i\t%n"
_DEADLINE = 30.0


def survey(world: World, directory: str, tablespaces: tuple[PlacedTablespace, ...], host: str | None) -> Site:
    """Look at the directory and the tablespaces' directories, as whoever runs pgwrap; `host` is an ssh destination."""
    look = _Look(world=world, host=host)
    place = look.place(directory)
    others = tuple(look.place(one.directory) for one in tablespaces)
    filled = place.kind == "directory" and place.empty is not True
    links = look.links(directory, tablespaces) if filled and tablespaces else (None,) * len(tablespaces)
    return Site(
        directory=place,
        there=look.cluster(directory) if filled else ClusterThere(),
        tablespaces=others,
        own=tuple(link is not None and link == other.real for link, other in zip(links, others, strict=True)),
    )


def real_path(world: World, path: str, host: str | None) -> str:
    """A path without its symbolic links, as far as it can be seen."""
    return _Look(world=world, host=host).real(path) or path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    world: World
    host: str | None

    def place(self, path: str) -> Place:
        chain = tuple(_upwards(path))
        found, real, first = self._run(
            ("stat", "-L", "--printf", f"{_STAT}\n", "--", *chain),
            _real(path),
            ("find", "-H", path, "-mindepth", "1", "-maxdepth", "1", "-print", "-quit"),
        )
        known = {name: (kind, owner, identity) for kind, owner, identity, name in _rows(found)}
        if not known:
            return Place(path=path, kind=None)
        nearest = next(one for one in chain if one in known)
        own = known.get(path)
        mount, free = self._room(nearest)
        return Place(
            path=path,
            kind="none" if own is None else ("directory" if own[0] == "directory" else "other"),
            real=real.text().strip() or None if real.succeeded else None,
            empty=not first.stdout if own is not None and first.succeeded else None,
            owner=own[1] if own else None,
            identity=own[2] if own else None,
            parent_owner=known[nearest][1],
            mount=mount,
            free_bytes=free,
        )

    def real(self, path: str) -> str | None:
        (answer,) = self._run(_real(path))
        return answer.text().strip() or None if answer.succeeded else None

    def cluster(self, directory: str) -> ClusterThere:
        version, identifier, pid_file = self._run(
            ("cat", "--", posixpath.join(directory, "PG_VERSION")),
            # The first eight bytes of pg_control are the system identifier (src/include/catalog/pg_control.h).
            ("od", "-An", "-t", "u8", "-N", "8", "--", posixpath.join(directory, "global/pg_control")),
            ("cat", "--", posixpath.join(directory, "postmaster.pid")),
        )
        pid = (_number(pid_file.text().partition("\n")[0]) or 0) if pid_file.succeeded else None
        alive, program = (None, None) if pid is None else self._process(pid)
        return ClusterThere(
            version=version.text().strip() or None if version.succeeded else None,
            system_identifier=identifier.text().strip() or None if identifier.succeeded else None,
            pid=pid,
            alive=alive,
            program=program,
        )

    def links(self, directory: str, tablespaces: tuple[PlacedTablespace, ...]) -> tuple[str | None, ...]:
        """Where the cluster in the directory has its tablespaces of the same oids."""
        paths = (posixpath.join(directory, "pg_tblspc", str(one.oid)) for one in tablespaces)
        outcomes = self._run(*(("readlink", "-e", "--", path) for path in paths))
        return tuple(one.text().strip() if one.succeeded else None for one in outcomes)

    def _process(self, pid: int) -> tuple[bool, str | None]:
        there, name = self._run(
            ("test", "-e", f"/proc/{pid}"),
            ("cat", "--", f"/proc/{pid}/comm"),
        )
        return there.succeeded, name.text().strip() or None if name.succeeded else None

    def _room(self, path: str) -> tuple[str | None, int | None]:
        (answer,) = self._run(("df", "--block-size=1", "--output=avail,target", "--", path))
        fields = answer.text().splitlines()[-1].split(None, 1) if answer.succeeded and answer.stdout else []
        return (fields[1].strip(), _number(fields[0])) if len(fields) == 2 else (None, None)

    def _run(self, *commands: tuple[str, ...]) -> tuple[Outcome, ...]:
        return self.world.runner.run_all(
            tuple(Command(argv=argv, host=self.host, deadline=_DEADLINE) for argv in commands)
        )


def _real(path: str) -> tuple[str, ...]:
    return ("readlink", "-f", "--", path)


def _upwards(path: str) -> Iterable[str]:
    """A path and every directory above it."""
    yield path
    while path not in ("/", ""):
        path = posixpath.dirname(path)
        yield path or "/"


def _rows(outcome: Outcome) -> Iterable[tuple[str, str, str, str]]:
    """What `stat` told of those that exist; for the others it fails."""
    for line in outcome.text().splitlines():
        fields = line.split("\t", 3)
        if len(fields) == 4:
            yield fields[0], fields[1], fields[2], fields[3]


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
