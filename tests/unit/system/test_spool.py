"""Unpacking WAL in private: the same bytes come out, or an error and nothing."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.errors import UsageError
from pgwrap.system.port import PackedFile, ScratchPlace
from pgwrap.system.spool import LocalSpool

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda content: content,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
LIMIT = 1 << 20


def packed(directory: Path, content: bytes, packing: str, limit: int = LIMIT) -> PackedFile:
    """A file as Barman keeps it."""
    path = directory / "packed"
    path.write_bytes(content)
    return PackedFile(path=str(path), packing=packing, limit=limit)


@given(st.sampled_from(list(PACKERS)), st.binary(max_size=5000))
def test_what_was_packed_comes_out_again(packing: str, content: bytes) -> None:
    """Byte by byte, for its owner alone."""
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "000000010000000000000003"
        file = packed(Path(name), PACKERS[packing](content), packing)
        assert LocalSpool().unpack(file, str(target), None) == len(content)
        assert target.read_bytes() == content
        assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize("packing", ["gzip", "bzip2", "xz"])
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-12], lambda data: data[:40] + b"no" * 40, lambda data: data[1:]]
)
def test_nothing_is_left_of_a_damaged_one(tmp_path: Path, packing: str, damage: Callable[[bytes], bytes]) -> None:
    """Cut off, spoilt, or not packed at all."""
    file = packed(tmp_path, damage(PACKERS[packing](bytes(range(256)) * 40)), packing)
    with pytest.raises(UsageError, match="cannot be unpacked"):
        LocalSpool().unpack(file, str(tmp_path / "out"), None)
    assert [path.name for path in tmp_path.iterdir()] == ["packed"]


@pytest.mark.parametrize("packing", PACKERS)
def test_one_that_grows_beyond_its_limit_is_stopped(tmp_path: Path, packing: str) -> None:
    """A few bytes of a packed file may be gigabytes."""
    file = packed(tmp_path, PACKERS[packing](bytes(LIMIT + 1)), packing)
    with pytest.raises(UsageError, match="larger than"):
        LocalSpool().unpack(file, str(tmp_path / "out"), None)
    assert not (tmp_path / "out").exists()


def test_no_link_is_followed_and_no_file_written_over(tmp_path: Path) -> None:
    """What is there already is not this run's."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "link").symlink_to(victim)
    for name in ("link", "victim"):
        with pytest.raises(UsageError, match="cannot write"):
            LocalSpool().put(b"other", str(tmp_path / name), None)
    assert victim.read_text() == "mine"


def test_the_directory_is_nobody_else_s_to_write_to(tmp_path: Path) -> None:
    """A name in it can be looked for by whoever reads the files."""
    place = ScratchPlace(path=str(tmp_path), data="", tablespaces="", sockets="", spool="", log="", settings="")
    directory = Path(LocalSpool().prepare(place))
    assert directory.name == "pg_wal"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (directory, directory.parent)} == {0o711}


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """Barman may have deleted it meanwhile."""
    with pytest.raises(UsageError, match="cannot read"):
        LocalSpool().head(str(tmp_path / "gone"), 16)
    LocalSpool().discard(str(tmp_path / "gone"))
