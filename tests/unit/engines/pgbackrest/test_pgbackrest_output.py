"""Reading log lines, errors, versions and progress of three versions."""

from __future__ import annotations

import pytest

from pgwrap.domain.command import Command
from pgwrap.engines.pgbackrest.error_codes import error_code, hint_for
from pgwrap.engines.pgbackrest.output import (
    copied,
    log_lines,
    new_label,
    reported_error,
    version_from,
    warnings_in,
)
from pgwrap.errors import OutputNotUnderstood
from tests.unit.engines.pgbackrest.pgbackrest_fleet import VERSIONS, outcome, recorded, stream

COMMAND = Command(argv=("pgbackrest", "info"))


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_says_its_name(version: str) -> None:
    """`version` prints program and number."""
    assert version == str(version_from(recorded(version, "version.out").decode()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pgbunker v2.59.0-bunker.1\n", "2.59.0"),
        ("P00   WARN: environment contains invalid option 'x-2.3'\npgBackRest 2.55.1\n", "2.55.1"),
        ("pgBackRest 2.61.0dev\n", "2.61.0"),
    ],
)
def test_forks_warnings_and_development_versions_are_understood(text: str, expected: str) -> None:
    """The first line that is no log line tells."""
    assert expected == str(version_from(text))


@pytest.mark.parametrize("text", ["", "hello\n", "ERROR: [031]: option 2.45 is wrong\n"])
def test_a_missing_version_is_refused(text: str) -> None:
    """No number is not version 0."""
    with pytest.raises(OutputNotUnderstood):
        version_from(text)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("stem", "code"), [("info_no_config", 55), ("info_no_include", 73), ("backup_locked", 50)])
def test_an_error_is_found_on_either_stream(version: str, stem: str, code: int) -> None:
    """2.45 writes to stderr without a timestamp, later versions to stdout."""
    error = reported_error(
        outcome(COMMAND, stream(version, stem), stderr=stream(version, stem, error=True), exit_code=code)
    )
    assert code == error.code
    assert error.text.startswith("unable to")


@pytest.mark.parametrize("version", VERSIONS)
def test_hints_are_kept_apart_from_what_went_wrong(version: str) -> None:
    """Indented lines continue the message."""
    error = reported_error(outcome(COMMAND, stream(version, "backup_locked"), exit_code=50))
    assert "is another pgBackRest process running?" == error.hint


def test_a_silent_failure_keeps_the_last_words_of_stderr() -> None:
    """A program that is no pgBackRest has no code of its own."""
    error = reported_error(outcome(COMMAND, stderr=b"sh: 1: nonsense\n", exit_code=127))
    assert (127, "sh: 1: nonsense") == (error.code, error.text)


@pytest.mark.parametrize("version", VERSIONS)
def test_warnings_are_found_on_either_stream(version: str) -> None:
    """An option that the version does not know is warned about, wherever it is printed."""
    warned = warnings_in(
        outcome(COMMAND, stream(version, "info_warnings"), stderr=stream(version, "info_warnings", error=True))
    )
    assert "configuration file contains invalid option 'foo'" in warned


@pytest.mark.parametrize("version", VERSIONS)
def test_the_new_label_is_found(version: str) -> None:
    """A full backup's label has no second part."""
    label = new_label(recorded(version, "backup_full_detail.out").decode())
    assert label is not None
    assert label.startswith("20261123-0")


def test_the_label_of_an_incremental_backup_is_whole() -> None:
    """It names its full backup, too."""
    text = recorded("2.60.0", "backup_incr_detail.out").decode()
    assert "20261123-075926F_20261123-075929I" == new_label(text)


@pytest.mark.parametrize("version", VERSIONS)
def test_progress_rises_to_the_end(version: str) -> None:
    """The percentages of the DETAIL lines are read, bundled or not."""
    lines = recorded(version, "backup_full_detail.out").decode().splitlines()
    fractions = [file.fraction for line in lines if (file := copied(line)) is not None]
    assert len(fractions) > 3
    assert sorted(fractions) == fractions


def test_continuation_lines_belong_to_their_message() -> None:
    """A message of several lines is one LogLine."""
    lines = tuple(log_lines(recorded("2.45", "verify_v.txt").decode()))
    assert ["INFO", "INFO", "INFO"] == [line.level for line in lines]
    assert "status: ok" in lines[1].text


def test_error_codes_have_names_and_hints() -> None:
    """The table knows what operators meet."""
    known = error_code(50)
    assert known is not None
    assert "LockAcquireError" == known.name
    assert hint_for(82)
    assert "" == hint_for(12345)
