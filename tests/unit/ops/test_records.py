"""What pgwrap remembers of the files it wrote: enough to notice an edit, and nothing to guess a secret from."""

from __future__ import annotations

from pathlib import Path

from pgwrap.domain.plan import WriteFile
from pgwrap.ops.records import read_records
from pgwrap.system.files import LocalFiles

HEADER = "# Made by pgwrap from /etc/pgwrap/pgwrap.yaml, engine pgbackrest.\n"


def test_what_was_written_is_known_by_the_next_run(tmp_path: Path) -> None:
    """The text that was written is ours, any other an edit."""
    records = read_records(LocalFiles(), str(tmp_path))
    records.intend(WriteFile(path="/etc/one.conf", text="a=1\n"))
    again = read_records(LocalFiles(), str(tmp_path))
    assert "ours" == again.authorship("/etc/one.conf", b"a=1\n")
    assert "edited" == again.authorship("/etc/one.conf", b"a=2\n")


def test_a_kill_between_record_and_file_makes_no_edit(tmp_path: Path) -> None:
    """What stood there before counts as ours until the file is replaced."""
    records = read_records(LocalFiles(), str(tmp_path))
    for text in ("a=1\n", "a=2\n"):
        records.intend(WriteFile(path="/etc/one.conf", text=text))
    assert "ours" == records.authorship("/etc/one.conf", b"a=1\n")
    records.intend(WriteFile(path="/etc/one.conf", text="a=3\n"))
    assert "edited" == records.authorship("/etc/one.conf", b"a=1\n")


def test_without_a_record_the_header_decides(tmp_path: Path) -> None:
    """A file of another's is foreign; a broken record is none."""
    (tmp_path / "apply").mkdir()
    (tmp_path / "apply/written.json").write_text("{]")
    records = read_records(LocalFiles(), str(tmp_path))
    assert "ours" == records.authorship("/etc/one.conf", f"{HEADER}a=1\n".encode())
    assert "foreign" == records.authorship("/etc/one.conf", b"a=1\n")


def test_a_file_with_secrets_has_a_salted_digest(tmp_path: Path) -> None:
    """The same content is remembered differently each time, and recognised each time."""
    file = WriteFile(path="/etc/one.conf", text="pass=hush\n", secrets=("hush",))
    records = read_records(LocalFiles(), str(tmp_path))
    records.intend(file)
    first = records.digests["/etc/one.conf"][0]
    records.forget("/etc/one.conf")
    records.intend(file)
    assert first != records.digests["/etc/one.conf"][0]
    assert "ours" == records.authorship("/etc/one.conf", b"pass=hush\n")
    assert "hush" not in (tmp_path / "apply/written.json").read_text()
