"""Masking of secrets in texts and log records."""

from __future__ import annotations

import json
import logging
import shlex
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.system.logfile import LOG_SIZE, LOGS_KEPT, open_log
from pgwrap.system.redaction import MASK, SHORTEST_VALUE, Redactor


def redactor(*values: str) -> Redactor:
    """A redactor that knows some values."""
    made = Redactor()
    for value in values:
        made.register(value)
    return made


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=SHORTEST_VALUE), st.text(), st.text())
def test_registered_value_never_remains(value: str, before: str, after: str) -> None:
    """Wherever a registered value stands, and as whatever usually quotes it, it is gone."""
    known = redactor(value)
    for written in (value, shlex.quote(value), json.dumps(value), quote(value, safe=""), value.replace("%", "%%")):
        masked = known.mask(f"{before}{written}{after}")
        assert MASK in masked
        assert value not in masked.replace(MASK, "") or value in f"{before}{after}"


def test_longer_secret_that_holds_a_shorter_one_is_masked_whole() -> None:
    """No tail of a secret is left because another one is its beginning."""
    assert redactor("abcd", "abcdefgh").mask("x abcdefgh y abcd") == f"x {MASK} y {MASK}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host=a password=x1 port=5", f"host=a password={MASK} port=5"),
        ("password = 'it\\'s long' x", f"password = {MASK} x"),
        ("PGPASSWORD=x psql", f"PGPASSWORD={MASK} psql"),
        ("repo1-cipher-pass=x", f"repo1-cipher-pass={MASK}"),
        ("--repo2-s3-key-secret=x --stanza=y", f"--repo2-s3-key-secret={MASK} --stanza=y"),
        ('{"password": "a \\" b", "user": "u"}', f'{{"password": {MASK}, "user": "u"}}'),
        ("postgresql://u:pa55@db/x", f"postgresql://u:{MASK}@db/x"),
        ("password authentication failed for user", "password authentication failed for user"),
        ("wrong password: try again", "wrong password: try again"),
        ("ssh://user@host:22", "ssh://user@host:22"),
    ],
)
def test_what_looks_like_a_password_is_masked(text: str, expected: str) -> None:
    """Values that nobody registered are masked by the name before them; sentences about passwords are not."""
    assert Redactor().mask(text) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("PGPASSWORD", "password", "db_passwd", "passphrase", "repo1-cipher-pass", "repo1-gcs-key-secret"),
        *("repo1-s3-key", "repo1-s3-token", "repo1-azure-key", "aws_secret_access_key", "azure_sas_token"),
    ],
)
def test_every_name_of_a_secret_is_known(name: str) -> None:
    """In capitals too."""
    assert f"{name}={MASK}" == Redactor().mask(f"{name}=hunter2")
    assert f"{name.upper()}={MASK}" == Redactor().mask(f"{name.upper()}=hunter2")


def test_very_short_values_do_not_garble_everything() -> None:
    """A secret of a letter or two is masked by its name alone."""
    assert redactor("a").mask("a cat; password=a") == f"a cat; password={MASK}"


@pytest.fixture(autouse=True)
def _restore_logger() -> object:
    logger = logging.getLogger("pgwrap")
    handlers, level = tuple(logger.handlers), logger.level
    logger.setLevel(logging.DEBUG)
    yield
    for handler in tuple(logger.handlers):
        if handler not in handlers:
            logger.removeHandler(handler)
            handler.close()
    logger.setLevel(level)


def test_log_file_holds_masked_records_and_tracebacks(tmp_path: Path) -> None:
    """Arguments of a record, and the text of an exception, are masked in the file."""
    path = tmp_path / "deep" / "log" / "pgwrap.log"
    assert open_log(str(path), redactor("s3cret")) is None
    logger = logging.getLogger("pgwrap.test")
    logger.info("run: %s %d", "psql s3cret", 5)
    try:
        int("with s3cret inside")
    except ValueError:
        logger.exception("failed")
    text = path.read_text()
    assert f"run: psql {MASK} 5" in text
    assert f"base 10: 'with {MASK} inside'" in text
    assert "s3cret" not in text


def test_log_file_is_not_for_everybody(tmp_path: Path) -> None:
    """The file is of mode 0640, a directory made for it 0750, or stricter."""
    path = tmp_path / "log" / "pgwrap.log"
    open_log(str(path), Redactor())
    assert path.stat().st_mode & 0o137 == 0
    assert path.parent.stat().st_mode & 0o027 == 0


def test_full_log_is_kept_and_a_new_one_begun(tmp_path: Path) -> None:
    """Beyond its size a log becomes `.1`, older ones move on, and the oldest goes."""
    path = tmp_path / "pgwrap.log"
    for number in range(LOGS_KEPT, 0, -1):
        (tmp_path / f"pgwrap.log.{number}").write_text(str(number))
    path.write_text("x" * LOG_SIZE)
    assert open_log(str(path), Redactor()) is None
    kept = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert kept == {"pgwrap.log": 0, "pgwrap.log.1": LOG_SIZE, "pgwrap.log.2": 1, "pgwrap.log.3": 1}
    assert (tmp_path / "pgwrap.log.3").read_text() == "2"


def test_log_is_continued(tmp_path: Path) -> None:
    """A log below its size is appended to."""
    path = tmp_path / "pgwrap.log"
    path.write_text("before\n")
    open_log(str(path), Redactor())
    logging.getLogger("pgwrap").info("after")
    assert path.read_text().startswith("before\n")
    assert path.read_text().endswith("after\n")


def test_log_that_cannot_be_kept_is_a_note(tmp_path: Path) -> None:
    """A file in a directory's place, or a directory in the file's, stops nothing."""
    (tmp_path / "file").touch()
    note = open_log(str(tmp_path / "file" / "pgwrap.log"), Redactor())
    assert note is not None
    assert note.startswith("no log is kept: ")
    assert open_log(str(tmp_path), Redactor()) is not None


def test_full_disk_does_not_disturb(capsys: pytest.CaptureFixture[str]) -> None:
    """When the log cannot be written any more, nothing is printed in its place."""
    assert open_log("/dev/full", Redactor()) is None
    logging.getLogger("pgwrap").info("lost")
    assert capsys.readouterr().err == ""
