"""What stands against writing a restore to where it is asked to go, from what was seen there. It looks at nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pgwrap.domain.amounts import size
from pgwrap.domain.restoring import PlacedTablespace, Refusal, RefusalCode, Space
from pgwrap.domain.site import ClusterThere, Place, Site
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """How the directory is to be written to."""

    system_identifier: str | None
    """Of the backup."""
    original: str | None
    """The original's data directory, where it is on the host of the restore."""
    original_answers: bool
    """Whether the original's server answers."""
    needed_bytes: int | None
    delta: bool
    replace: bool
    """Whether what an interrupted restore left is to be removed first."""
    interrupted: bool
    """Whether what is there was left by an interrupted restore of pgwrap's, and by nothing else."""
    left: frozenset[str]
    """The identities of the directories that it left, tablespaces' included; empty when there was none."""
    resumable: bool
    """Whether this engine goes on with it by --delta."""
    tablespaces: tuple[PlacedTablespace, ...] = ()

    @property
    def emptied(self) -> bool:
        """Whether the directory is emptied first."""
        return self.replace and self.interrupted


def obstacles(site: Site, intent: Intent) -> tuple[Refusal, ...]:
    """Every reason not to write there, the gravest first."""
    return (*_in_the_way(site, intent), *_tablespaces(site, intent), *_space(site, intent))


def spaces(site: Site, needed: int | None) -> tuple[Space, ...]:
    """The file systems that the restore writes to; what goes to which tablespace is not known beforehand."""
    first = site.directory
    found = {first.mount or first.path: Space(
        path=first.path, mount=first.mount, needed_bytes=needed, free_bytes=first.free_bytes
    )}  # fmt: skip
    for place in site.tablespaces:
        key = place.mount or place.path
        found.setdefault(key, Space(path=place.path, mount=place.mount, needed_bytes=None, free_bytes=place.free_bytes))
    return tuple(found.values())


def is_original(site: Site, intent: Intent) -> bool:
    """Whether the restore goes to where the original lives."""
    return intent.original is not None and intent.original in (site.directory.path, site.directory.real)


def _in_the_way(site: Site, intent: Intent) -> Iterator[Refusal]:
    place, there = site.directory, site.there
    if place.kind is None or (place.kind == "directory" and place.empty is None):
        yield Refusal(
            code=RefusalCode.UNREADABLE,
            message=f"{place.path} cannot be looked at by whoever runs pgwrap",
            hint="run pgwrap as root, or name a directory that you may enter",
        )
    elif place.kind == "other":
        yield Refusal(
            code=RefusalCode.NOT_A_DIRECTORY,
            message=f"{place.path} is no directory",
            hint="name a directory, or a path where there is nothing yet",
        )
    elif place.kind == "directory" and not place.empty:
        yield from _running(place, there) if there.pid is not None else _filled(site, intent)
    if is_original(site, intent) and intent.original_answers and not there.is_postgres:
        yield Refusal(
            code=RefusalCode.RUNNING_SERVER,
            message=f"{place.path} is the original's data directory, and its server answers",
            hint="restore into another directory, or stop the original first",
        )


def _running(place: Place, there: ClusterThere) -> Iterator[Refusal]:
    if there.is_postgres:
        yield Refusal(
            code=RefusalCode.RUNNING_SERVER,
            message=f"a PostgreSQL runs in {place.path} (process {there.pid})",
            hint=f"restore into another directory, or stop that server first: pg_ctl -D {place.path} stop",
        )
    else:
        yield Refusal(
            code=RefusalCode.STALE_PID_FILE,
            message=f"{place.path}/postmaster.pid names process {there.pid}, which is no PostgreSQL that runs here",
            hint=f"make sure that no server uses the directory, also in a container or on another host, then remove "
            f"the file: rm {place.path}/postmaster.pid",
        )


def _filled(site: Site, intent: Intent) -> Iterator[Refusal]:
    place, there = site.directory, site.there
    if intent.interrupted and not (intent.replace or (intent.delta and intent.resumable)):
        resume = "; --delta goes on with it" if intent.resumable else ""
        yield Refusal(
            code=RefusalCode.INTERRUPTED_RESTORE,
            message=f"{place.path} holds what an interrupted restore left",
            hint=f"--replace removes it and begins again{resume}",
        )
    elif not intent.interrupted and not intent.delta:
        lone = "; --replace removes nothing but what an interrupted restore left" if intent.replace else ""
        yield Refusal(
            code=RefusalCode.NOT_EMPTY,
            message=f"{place.path} is not empty{lone}",
            hint="restore into an empty directory, or with --delta over the cluster that is there, which is lost then",
        )
    elif not intent.interrupted:
        yield from _over(site, intent)
    if intent.delta and there.system_identifier not in (None, intent.system_identifier):
        yield Refusal(
            code=RefusalCode.OTHER_SYSTEM,
            message=f"{place.path} holds another cluster: system identifier {there.system_identifier}, while the "
            f"backup's is {intent.system_identifier or 'not known'}",
            hint="check the directory; the cluster that is there would be lost",
            acceptable=True,
        )


def _over(site: Site, intent: Intent) -> Iterator[Refusal]:
    """For --delta over a cluster that nobody left half restored."""
    place, there = site.directory, site.there
    if there.version is None:
        yield Refusal(
            code=RefusalCode.NO_CLUSTER_THERE,
            message=f"{place.path} is not empty and holds no PostgreSQL cluster: --delta would delete what is there",
            hint="restore into an empty directory",
        )
    elif there.system_identifier is None:
        yield Refusal(
            code=RefusalCode.SYSTEM_UNKNOWN,
            message=f"whose cluster is in {place.path} cannot be told: its pg_control could not be read",
            hint="check the directory; the cluster that is there would be lost",
            acceptable=True,
        )
    if is_original(site, intent):
        yield Refusal(
            code=RefusalCode.ORIGINAL_DIRECTORY,
            message=f"{place.path} is the original's own data directory: all that is newer than the target is lost",
            hint="restore into another directory first and look at it",
            acceptable=True,
        )


def _tablespaces(site: Site, intent: Intent) -> Iterator[Refusal]:
    for tablespace, place, own in zip(intent.tablespaces, site.tablespaces, site.own, strict=True):
        here = f"the tablespace {tablespace.name} would go to {place.path}"
        elsewhere = f"put it elsewhere: --tablespace {tablespace.name}=DIR, or all with --tablespaces-in DIR"
        if place.kind is None or place.kind == "other":
            yield Refusal(
                code=RefusalCode.NOT_A_DIRECTORY, message=f"{here}, which is no directory that can be seen",
                hint=elsewhere,
            )  # fmt: skip
        elif place.path == site.directory.path or place.path.startswith(f"{site.directory.path.rstrip('/')}/"):
            yield Refusal(
                code=RefusalCode.TABLESPACE_IN_USE, message=f"{here}, inside the data directory", hint=elsewhere
            )
        elif (
            place.kind == "directory"
            and place.empty is not True
            and not (own and intent.delta)
            and place.identity not in intent.left
        ):
            whose = ", where the original keeps it" if not tablespace.moved else ""
            yield Refusal(
                code=RefusalCode.TABLESPACE_IN_USE, message=f"{here}{whose}, which is not empty", hint=elsewhere
            )


def _space(site: Site, intent: Intent) -> Iterator[Refusal]:
    if intent.needed_bytes is None or intent.delta or intent.emptied:
        return
    found = spaces(site, intent.needed_bytes)
    free = [one.free_bytes for one in found if one.free_bytes is not None]
    if len(free) == len(found) and sum(free) < intent.needed_bytes:
        where = " and ".join(one.mount or one.path for one in found)
        yield Refusal(
            code=RefusalCode.NO_SPACE,
            message=f"the restore needs {size(intent.needed_bytes)}, and {where} has {size(sum(free))} free",
            hint="make room, or restore to a larger file system",
            acceptable=True,
        )
