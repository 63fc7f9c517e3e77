"""How an archived WAL file is packed, from its first bytes; and which files are WAL at all."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.packing import HEAD, Packing, packing_of
from pgwrap.domain.wal_file import WalFile, is_wal_name

SEGMENT = "000000010000000000000003"
SIZE = 16 << 20
PACKERS: dict[Packing, Callable[[bytes], bytes]] = {
    Packing.NONE: lambda content: content,
    Packing.GZIP: gzip.compress,
    Packing.BZIP2: bz2.compress,
    Packing.XZ: lzma.compress,
    Packing.ZSTD: lambda content: b"\x28\xb5\x2f\xfd" + content,
    Packing.LZ4: lambda content: b"\x04\x22\x4d\x18" + content,
}
WAL = st.tuples(st.integers(0, 255), st.binary(max_size=200)).map(lambda pair: bytes((pair[0], 0xD1)) + pair[1])


@given(st.sampled_from(list(PACKERS)), WAL)
def test_a_packed_segment_is_told_from_a_plain_one(packing: Packing, content: bytes) -> None:
    """Whatever WAL it holds: the page magic of every version since 12 looks like no packer's."""
    assert packing_of(PACKERS[packing](content)[:HEAD], SEGMENT) is packing


@pytest.mark.parametrize(
    "head", [b"", b"\x85\x01\x8c\x03", b"\xff\x06\x00\x00sNaPpY", b"\xc1\xc0", b"BARMAN", b"\x10\xd0\x00\x00"]
)
def test_anything_else_is_left_to_who_packed_it(head: bytes) -> None:
    """Encrypted, snappy, a program's own, an empty file: never taken for a plain segment."""
    assert packing_of(head, SEGMENT) is Packing.OTHER
    assert packing_of(head, f"{SEGMENT}.partial") is Packing.OTHER


@pytest.mark.parametrize("name", ["00000002.history", f"{SEGMENT}.00000028.backup"])
def test_text_is_plain_where_text_belongs(name: str) -> None:
    """Histories and backup labels, also packed ones."""
    assert packing_of(b"1\t0/B000000\tno r", name) is Packing.NONE
    assert packing_of(gzip.compress(b"1\t0/B000000")[:HEAD], name) is Packing.GZIP
    assert packing_of(b"\x85\x01\x8c\x03", name) is Packing.OTHER


@pytest.mark.parametrize(
    ("name", "known"),
    [
        (SEGMENT, True),
        (f"{SEGMENT}.partial", True),
        (f"{SEGMENT}.00000028.backup", True),
        ("00000002.history", True),
        ("xlog.db", False),
        (f"{SEGMENT}.tmp", False),
        (SEGMENT[:-1], False),
        ("00000002.HISTORY", False),
    ],
)
def test_a_wal_file_is_known_by_its_name(name: str, known: bool) -> None:
    """What Barman keeps beside, and what it is just writing, is none."""
    assert is_wal_name(name) is known


def test_a_segment_is_a_complete_one() -> None:
    """A partial one or a history is none."""
    names = (SEGMENT, f"{SEGMENT}.partial", "00000002.history")
    assert [WalFile(name=name, path=name, bytes=0).is_segment for name in names] == [True, False, False]
