"""One process for several servers tells of each what it would have told of that one alone, or nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.model import EngineInstance
from pgwrap.engines.barman import commands
from pgwrap.engines.barman.together import PATHS_AT_ONCE, Key, Question, commons, file_parts, index_parts

PATHS = ("/a/xlog.db", "/b/xlog.db", "/c/xlog.db")
HEADINGS = tuple(f"==> {path} <==\n".encode() for path in PATHS)


def run(command: Command) -> Outcome:
    """The real thing."""
    ran = subprocess.run(command.argv, capture_output=True, check=False)
    return Outcome(command=command, exit_code=ran.returncode, stdout=ran.stdout, stderr=ran.stderr)


def questions(instance: EngineInstance, *homes: Path) -> dict[Key, Question]:
    """What is asked of the servers at these homes."""
    asked: dict[Key, Question] = {}
    for home in homes:
        index, wals = f"{home}/xlog.db", f"{home}/wals"
        asked["index", home.name] = Question(command=commands.wal_index(instance, index, None, 5), path=index)
        asked["files", home.name] = Question(command=commands.wal_files(instance, wals, None, 5), path=wals)
    return asked


def home(directory: Path, index: bytes, *files: str) -> Path:
    """A server's directory."""
    for file in ("", *files):
        directory.joinpath("wals", "0000000100000000", file).parent.mkdir(parents=True, exist_ok=True)
        if file:
            directory.joinpath("wals", "0000000100000000", file).touch()
    directory.joinpath("xlog.db").write_bytes(index)
    return directory


def test_each_server_is_told_what_it_would_have_told_itself(tmp_path: Path, instance: EngineInstance) -> None:
    """An unfinished line, an empty file and an empty directory too."""
    homes = (
        home(tmp_path / "a", b"1\n2", "000000010000000000000001", "000000010000000000000002"),
        home(tmp_path / "b", b""),
        home(tmp_path / "c", b"\n\x00\xff\n\n", "odd \n name"),
    )
    asked = questions(instance, *homes)

    answers = {
        key: one for common in commons(instance, asked) for key, one in common.answers(run(common.command)).items()
    }

    assert asked.keys() == answers.keys()
    for key, question in asked.items():
        alone = run(question.command)
        told = answers[key]
        assert (alone.command, alone.exit_code) == (told.command, told.exit_code)
        assert sorted(alone.stdout.splitlines(keepends=True)) == sorted(told.stdout.splitlines(keepends=True))


def test_wal_on_another_disk_is_found(tmp_path: Path, instance: EngineInstance) -> None:
    """The directory is then a link, alone as among others."""
    first, second = home(tmp_path / "a", b"", "1"), home(tmp_path / "b", b"", "2")
    (first / "wals").rename(tmp_path / "disk")
    (first / "wals").symlink_to(tmp_path / "disk")
    asked = {key: one for key, one in questions(instance, first, second).items() if key[0] == "files"}

    (common,) = commons(instance, asked)

    expected = f"{first}/wals/0000000100000000/1\n"
    assert expected == run(asked["files", "a"].command).text()
    assert expected == common.answers(run(common.command))["files", "a"].text()


def test_what_one_server_spoils_is_left_out(tmp_path: Path, instance: EngineInstance) -> None:
    """Each is then asked by itself, and only the one that has it is in trouble."""
    asked = questions(instance, home(tmp_path / "a", b""), tmp_path / "absent")
    assert [{}, {}] == [common.answers(run(common.command)) for common in commons(instance, asked)]


def test_a_server_alone_is_not_joined(tmp_path: Path, instance: EngineInstance) -> None:
    """Nothing is saved by it; nor are two clusters that one server stands for."""
    asked = questions(instance, home(tmp_path / "a", b""))
    twice = asked | {(kind, "other"): question for (kind, _), question in asked.items()}
    assert [] == [*commons(instance, asked), *commons(instance, twice)]


def test_a_command_line_stays_short(tmp_path: Path, instance: EngineInstance) -> None:
    """Hundreds of servers are asked in portions."""
    asked = questions(instance, *(tmp_path / f"{number}" for number in range(2 * PATHS_AT_ONCE)))
    assert [PATHS_AT_ONCE] * 4 == [len(common.instead_of) for common in commons(instance, asked)]


@given(st.lists(st.lists(st.sampled_from([*HEADINGS, b"\n", b"x", b"==> "])).map(b"".join), min_size=3, max_size=3))
def test_no_content_is_taken_for_another(contents: list[bytes]) -> None:
    """Whatever the files hold: the files, or nothing."""
    printed = b"\n".join(heading + content for heading, content in zip(HEADINGS, contents, strict=True))
    assert index_parts(printed, PATHS) in ({}, dict(zip(PATHS, contents, strict=True)))


def test_a_file_elsewhere_makes_all_of_it_doubtful() -> None:
    """`find` prints nothing outside the directories that it was given."""
    assert {} == file_parts(b"/a/wals/1/2\0/z/wals/1/2\0", ("/a/wals",))


def test_directories_inside_each_other_are_told_apart() -> None:
    """A file lies two levels below its own, however that was written."""
    parts = file_parts(b"/a/1/2\0/a/1/2/3\0", ("/a/", "/a/1"))
    assert {"/a/": b"/a/1/2\n", "/a/1": b"/a/1/2/3\n"} == parts
