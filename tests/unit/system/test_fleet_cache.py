"""What a spec means is remembered for this user alone, and only for the same files and program."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgwrap.domain.model import Fleet
from pgwrap.spec.loader import load_file
from pgwrap.system.fleet_cache import ENTRIES_KEPT, FleetPickles

SPEC = """\
version: 1
repositories:
  local: {{type: posix, path: /srv/backups{more}}}
clusters:
  orders:
    postgres: {{data_directory: /data/orders}}
    repositories: [local]
    retention: {{window: {window}}}
    options: {{pgbackrest: {{{option}}}}}
"""


@pytest.fixture
def cache(tmp_path: Path) -> FleetPickles:
    """An empty cache."""
    return FleetPickles(directory=tmp_path / "cache")


def spec(tmp_path: Path, *, window: str = "14d", option: str = "", more: str = "") -> str:
    """A spec on disk."""
    path = tmp_path / "pgwrap.yaml"
    path.write_text(SPEC.format(window=window, option=option, more=more))
    return str(path)


def entries(cache: FleetPickles) -> list[Path]:
    """What the cache holds."""
    return sorted(cache.directory.iterdir()) if cache.directory.exists() else []


def test_the_same_files_give_the_same_fleet(tmp_path: Path, cache: FleetPickles) -> None:
    """The remembered fleet is equal to the checked one, places included."""
    path = spec(tmp_path)
    checked, remembered = load_file(path, cache), load_file(path, cache)
    assert (checked, dict(checked.locations)) == (remembered, dict(remembered.locations))
    assert len(entries(cache)) == 1
    assert remembered == load_file(path)


def test_a_changed_file_is_checked_anew(tmp_path: Path, cache: FleetPickles) -> None:
    """The digest is of the content, not of a date."""
    load_file(spec(tmp_path), cache)
    assert load_file(spec(tmp_path, window="7d"), cache).clusters[0].retention.window_days == 7


@pytest.mark.parametrize(
    "fields",
    [{"option": "repo1-cipher-pass: hunter2"}, {"more": ", encryption: {cipher: aes-256-cbc, passphrase: hunter2}"}],
)
def test_a_spec_that_holds_a_secret_is_not_remembered(
    tmp_path: Path, cache: FleetPickles, fields: dict[str, str]
) -> None:
    """Secrets reach rendered files alone, so none is copied into a cache."""
    load_file(spec(tmp_path, **fields), cache)
    assert entries(cache) == []


@pytest.mark.parametrize("mode", [0o622, 0o666])
def test_what_others_may_write_is_not_read(tmp_path: Path, cache: FleetPickles, mode: int) -> None:
    """A pickle is code: only this user's own is loaded."""
    path = spec(tmp_path)
    fleet = load_file(path, cache)
    (entry,) = entries(cache)
    entry.write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
    entry.chmod(mode)
    assert load_file(path, cache) == fleet


@pytest.mark.parametrize("content", [b"", b"\x80", b"garbage", b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f."])
def test_a_damaged_entry_costs_time_alone(tmp_path: Path, cache: FleetPickles, content: bytes) -> None:
    """The spec is checked again."""
    path = spec(tmp_path)
    fleet = load_file(path, cache)
    (entry,) = entries(cache)
    entry.write_bytes(content)
    assert load_file(path, cache) == fleet


def test_entries_are_private_and_few(cache: FleetPickles) -> None:
    """Mode 0600 in a directory of mode 0700; the oldest are forgotten."""
    for number in range(ENTRIES_KEPT + 3):
        cache.put(f"{number}", Fleet(clusters=()))
    assert len(entries(cache)) == ENTRIES_KEPT
    assert {entry.stat().st_mode & 0o777 for entry in entries(cache)} == {0o600}
    assert cache.directory.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    """Where a file stands in the directory's place, every spec is checked."""
    (tmp_path / "file").write_text("")
    path = spec(tmp_path)
    assert load_file(path, FleetPickles(directory=tmp_path / "file")) == load_file(path)
