"""What stands against writing a restore to a place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.obstacles import Intent, obstacles, spaces
from pgwrap.domain.restoring import PlacedTablespace, RefusalCode
from pgwrap.domain.site import ClusterThere, Place, Site

NOTHING = Place(path="/srv/copy", kind="none", real="/srv/copy", mount="/srv", free_bytes=1000, parent_owner="root")
EMPTY = replace(NOTHING, kind="directory", empty=True, owner="postgres", identity="8:1")
FULL = replace(EMPTY, empty=False)
CLUSTER = ClusterThere(version="15", system_identifier="7")
INTENT = Intent(
    system_identifier="7", original="/srv/original", original_answers=True, needed_bytes=500, delta=False,
    replace=False, interrupted=False, left=frozenset(), resumable=True,
)  # fmt: skip
LEFT = replace(INTENT, interrupted=True, left=frozenset({"8:1"}))
OTHER = replace(FULL, path="/srv/ts", real="/srv/ts", identity="8:2")
FAST = PlacedTablespace(name="fast", oid=1, original="/srv/ts", directory="/srv/ts")


def codes(place: Place, there: ClusterThere = CLUSTER, intent: Intent = INTENT) -> list[RefusalCode]:
    """The refusals' codes, each of which has a way out."""
    found = obstacles(Site(directory=place, there=there), intent)
    assert all(one.hint and one.message for one in found)
    return [one.code for one in found]


@pytest.mark.parametrize("place", [NOTHING, EMPTY])
def test_an_empty_place_is_fine(place: Place) -> None:
    """Whether it exists or not."""
    assert codes(place, ClusterThere()) == []


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (replace(NOTHING, kind=None), RefusalCode.UNREADABLE),
        (replace(EMPTY, empty=None), RefusalCode.UNREADABLE),
        (replace(EMPTY, kind="other"), RefusalCode.NOT_A_DIRECTORY),
    ],
)
def test_what_cannot_be_seen_is_not_written_to(place: Place, code: RefusalCode) -> None:
    """Unknown is not empty."""
    assert codes(place) == [code]


@pytest.mark.parametrize("intent", [INTENT, replace(INTENT, delta=True), replace(LEFT, replace=True)])
def test_a_running_server_is_never_written_to(intent: Intent) -> None:
    """Whatever was asked for; a process whose name cannot be read counts as one."""
    for program in ("postgres", None):
        there = replace(CLUSTER, pid=42, alive=True, program=program)
        assert RefusalCode.RUNNING_SERVER in codes(FULL, there, intent)


@pytest.mark.parametrize(("alive", "program"), [(False, None), (True, "bash")])
def test_a_pid_file_without_its_server_is_said(alive: bool, program: str | None) -> None:
    """pgBackRest would refuse it, and Barman would not."""
    there = replace(CLUSTER, pid=42, alive=alive, program=program)
    assert codes(FULL, there, replace(INTENT, delta=True)) == [RefusalCode.STALE_PID_FILE]


def test_what_is_there_is_kept_unless_delta() -> None:
    """And --replace removes nothing that pgwrap did not leave."""
    assert codes(FULL) == [RefusalCode.NOT_EMPTY]
    assert codes(FULL, intent=replace(INTENT, replace=True)) == [RefusalCode.NOT_EMPTY]
    assert codes(FULL, intent=replace(INTENT, delta=True)) == []


def test_delta_wants_the_same_cluster() -> None:
    """Another one's directory, and one that cannot be told, are accepted by name; files that are no cluster never."""
    delta = replace(INTENT, delta=True)
    assert codes(FULL, replace(CLUSTER, system_identifier="8"), delta) == [RefusalCode.OTHER_SYSTEM]
    assert codes(FULL, replace(CLUSTER, system_identifier=None), delta) == [RefusalCode.SYSTEM_UNKNOWN]
    assert codes(FULL, ClusterThere(), delta) == [RefusalCode.NO_CLUSTER_THERE]


def test_the_originals_directory_is_lost_by_name_alone() -> None:
    """Stopped: acceptable. Answering, though its process is not seen from here: never."""
    place = replace(FULL, path="/srv/link", real="/srv/original")
    delta = replace(INTENT, delta=True, original_answers=False)
    (refusal,) = obstacles(Site(directory=place, there=CLUSTER), delta)
    assert (refusal.code, refusal.acceptable) == (RefusalCode.ORIGINAL_DIRECTORY, True)
    answering = obstacles(Site(directory=place, there=CLUSTER), replace(delta, original_answers=True))
    assert RefusalCode.RUNNING_SERVER in [one.code for one in answering]
    assert not next(one for one in answering if one.code is RefusalCode.RUNNING_SERVER).acceptable


def test_what_an_interrupted_restore_left_is_gone_on_with_by_name() -> None:
    """--replace, and --delta where the engine can."""
    assert codes(FULL, ClusterThere(), LEFT) == [RefusalCode.INTERRUPTED_RESTORE]
    assert codes(FULL, ClusterThere(), replace(LEFT, replace=True)) == []
    assert codes(FULL, ClusterThere(), replace(LEFT, delta=True)) == []
    assert codes(FULL, ClusterThere(), replace(LEFT, delta=True, resumable=False)) == [RefusalCode.INTERRUPTED_RESTORE]


def tablespace(place: Place, intent: Intent, *, own: bool = False, target: PlacedTablespace = FAST) -> list[str]:
    """The refusals for one tablespace."""
    site = Site(directory=EMPTY, there=CLUSTER, tablespaces=(place,), own=(own,))
    return [one.code for one in obstacles(site, replace(intent, tablespaces=(target,)))]


def test_a_tablespace_goes_to_an_empty_place() -> None:
    """Never into the original's, into the data directory, or onto a file."""
    assert tablespace(replace(OTHER, empty=True), INTENT) == []
    assert tablespace(OTHER, INTENT) == [RefusalCode.TABLESPACE_IN_USE]
    assert tablespace(replace(OTHER, kind="other"), INTENT) == [RefusalCode.NOT_A_DIRECTORY]
    inside = replace(OTHER, path="/srv/copy/ts", kind="none", empty=None)
    assert tablespace(inside, INTENT) == [RefusalCode.TABLESPACE_IN_USE]


def test_delta_writes_into_the_tablespaces_of_the_same_copy_alone() -> None:
    """Those that its own links lead to."""
    delta = replace(INTENT, delta=True)
    assert tablespace(OTHER, delta, own=True) == []
    assert tablespace(OTHER, INTENT, own=True) == tablespace(OTHER, delta) == [RefusalCode.TABLESPACE_IN_USE]


def test_a_tablespace_that_no_interrupted_restore_left_is_not_emptied() -> None:
    """Another place named the second time."""
    again = replace(LEFT, replace=True)
    assert tablespace(OTHER, again) == [RefusalCode.TABLESPACE_IN_USE]
    assert tablespace(OTHER, replace(again, left=frozenset({"8:1", "8:2"}))) == []


@given(st.integers(0, 2000), st.integers(0, 2000), st.booleans())
def test_room_is_what_all_file_systems_have(free: int, elsewhere: int, same: bool) -> None:
    """What goes to which tablespace is not known; one file system counts once."""
    first = replace(EMPTY, free_bytes=free)
    second = replace(OTHER, empty=True, mount="/srv" if same else "/fast", free_bytes=elsewhere)
    site = Site(directory=first, there=CLUSTER, tablespaces=(second,), own=(False,))
    found = [one.code for one in obstacles(site, replace(INTENT, tablespaces=(FAST,)))]
    room = free if same else free + elsewhere
    assert (found == [RefusalCode.NO_SPACE]) is (room < 500)
    assert len(spaces(site, 500)) == (1 if same else 2)


@pytest.mark.parametrize("changes", [{"needed_bytes": None}, {"delta": True}])
def test_room_that_is_not_known_is_not_refused(changes: dict[str, object]) -> None:
    """The plan says that it is not known."""
    small = replace(EMPTY, free_bytes=1)
    site = Site(directory=small, there=CLUSTER)
    assert obstacles(site, replace(INTENT, **changes)) == ()  # type: ignore[arg-type]
    unknown = Site(directory=replace(EMPTY, free_bytes=None), there=CLUSTER)
    assert obstacles(unknown, INTENT) == ()
