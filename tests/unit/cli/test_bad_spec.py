"""A bad spec, through the command: exit 3, every problem with its place, and never a traceback or a wait."""

from __future__ import annotations

import json
import re
import resource
import stat
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pgwrap.cli.app import app
from tests.unit.cli.cli_desk import Desk

HEAD = "version: 1\nrepositories: {{local: {{type: posix, path: /var/lib/pgbackrest}}}}\nclusters:\n"
ORDERS = """\
  orders:
    engine: pgbackrest
    postgres: {{data_directory: /srv/data{postgres}}}
    repositories: [local]
    retention: {{full: {full}}}
{more}"""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefg", "bcdefgh", strict=True)
)


def spec(*, full: str = "2", postgres: str = "", more: str = "") -> bytes:
    """A spec that is sound but for what is put in."""
    return (HEAD.format() + ORDERS.format(full=full, postgres=postgres, more=more)).encode()


def pgwrap(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


BAD = {
    "empty": (b"", r":1:1: error: 'version' is missing"),
    "list at the top": (b"- a\n- b\n", r":1:1: error: the spec must be a mapping, not a list"),
    "text at the top": (b"hello\n", r":1:1: error: the spec must be a mapping, not text"),
    "not YAML": (b"version: [1\nfoo: }\n", r":2:4: error: not YAML"),
    "tab": (b"version: 1\nclusters:\n\torders: {}\n", r":3:1: error: a tab in the indentation"),
    "binary": (bytes(range(256)), r"error: byte 0x80 is not UTF-8"),
    "UTF-16": ("version: 1\n".encode("utf-16"), r":1:1: error: byte 0xff is not UTF-8"),
    "unknown word": (spec(more="    retentoin: {full: 1}\n"), r":9:5: error: .*did you mean 'retention'"),
    "written twice": (spec(more="    retention: {full: 3}\n"), r":9:5: error: 'retention' is written twice"),
    "a tag": (b"!!python/object/apply:os.system ['touch pwned']\n", r":1:1: error: the tag .* is not allowed"),
    "a bomb": (BOMB.encode(), r"error: the aliases of this file repeat more than"),
    "nested too deep": (b"a: " + b"[" * 100_000, r":1:\d+: error: nested more than 64 levels deep"),
    "10 MB": (b"# " + b"x" * (10 << 20), r":1:1: error: the file is larger than 4 MiB"),
    "two documents": (spec() + b"---\nversion: 1\n", r":9:1: error: a second YAML document"),
    "same stanza twice": (
        spec(more=ORDERS.format(full=2, postgres="", more="    engine_name: orders\n").replace("orders:", "other:")),
        r":14:18: error: .*the stanza 'orders' already belongs to the cluster 'orders'",
    ),
} | {
    f"retention {value}": (spec(full=value), r":8:(?:17|23): error: clusters\.orders\.retention\.full: ")
    for value in ("0", "-1", "1e400", ".inf", "9" * 30, "1.5", "true", "010", "1:30", "'3'", "[3]", "no")
} | {
    f"port {value}": (spec(postgres=f", port: {value}"), r":6:4[39]: error: clusters\.orders\.postgres\.port: ")
    for value in ("0", "-1", "65536", "99999", "7" * 25, "x", "'5432'", "{a: 1}")
} | {
    f"name {value}": (spec(more=f"    engine_name: {value}\n"), r":9:18: error: .*(?:must not hold|control character)")
    for value in (
        '"a\\nrepo1-path=/evil"', '"a\\r[global]"', '"[global]"', '"a=b"', '"a/b"', '"a\\u2028b"', '"a\\x85b"',
        '"\\e[31mred"', "'../../etc/passwd'",
    )
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_spec_is_refused_with_its_place(tmp_path: Path, kind: str) -> None:
    """Exit 3 and file:line:column, also as data; nothing that the text asks for is done."""
    content, expected = BAD[kind]
    file = tmp_path / "pgwrap.yaml"
    file.write_bytes(content)
    plain = pgwrap("validate", "--offline", "--config", str(file))
    assert plain.exit_code == 3, plain.output
    place = re.escape(str(file)) + ("" if expected.startswith(":") else ".*")
    assert re.search(f"^{place}(?:{expected})", plain.stdout, re.MULTILINE), plain.stdout
    framed = pgwrap("status", "--config", str(file), "--output", "json")
    errors = json.loads(framed.stdout)["errors"]
    assert (framed.exit_code, {error["code"] for error in errors}) == (3, {"spec-invalid"})
    assert all(error["location"]["file"] == str(file) for error in errors)
    assert [path.name for path in tmp_path.iterdir()] == ["pgwrap.yaml"]


def test_every_problem_is_said_at_once(tmp_path: Path) -> None:
    """Five mistakes, five lines, in the order of the file."""
    file = tmp_path / "pgwrap.yaml"
    file.write_bytes(spec(full="0", postgres=", port: 0, prot: 1", more="    wal: 7\n    backup: [1]\n"))
    lines = pgwrap("validate", "--offline", "--config", str(file)).stdout.splitlines()
    assert [int(line.split(":")[1]) for line in lines] == [6, 6, 8, 9, 10]


@pytest.mark.parametrize("value", ["#hash", "a # b", "bücher", "50%", "it's", "a;b", "${HOME}", "a*", "-"])
def test_odd_value_stays_a_value(tmp_path: Path, value: str) -> None:
    """Text that means something to somebody else is rendered as it is, or refused; it adds no line, no section."""
    file = tmp_path / "pgwrap.yaml"
    sound = pgwrap_rendered(file, spec(more="    engine_name: plain\n"))
    assert sound is not None
    odd = pgwrap_rendered(file, spec(more=f"    engine_name: {json.dumps(value)}\n"))
    if odd is not None:
        assert len(odd.splitlines()) == len(sound.splitlines())
        assert f"\n[{value}]\n" in odd


def pgwrap_rendered(file: Path, content: bytes) -> str | None:
    """What is rendered for pgBackRest; None when it is refused with exit 3."""
    file.write_bytes(content)
    ran = pgwrap("render", "--offline", "--config", str(file), "--output", "json")
    if ran.exit_code == 3:
        return None
    text: str = json.loads(ran.stdout)["result"]["files"][0]["text"]
    return text


@pytest.mark.parametrize("command", ["validate", "status", "render"])
def test_missing_file_says_how_to_begin(tmp_path: Path, command: str) -> None:
    """The path, and `pgwrap init`."""
    ran = pgwrap(command, "--config", str(tmp_path / "none.yaml"))
    assert ran.exit_code == 3
    assert str(tmp_path / "none.yaml") in ran.output
    assert "pgwrap init" in ran.output


def test_directory_is_no_spec(tmp_path: Path) -> None:
    """A directory, a device without end and a named pipe are refused at once."""
    subprocess.run(("mkfifo", tmp_path / "pipe"), check=True)
    places = {tmp_path: "is a directory", tmp_path / "pipe": "is not a file", Path("/dev/zero"): "larger than"}
    for place, reason in places.items():
        ran = pgwrap("validate", "--config", str(place))
        assert (ran.exit_code, reason in ran.output) == (3, True), ran.output


def test_spec_from_a_process_substitution(desk: Desk) -> None:
    """The shell's `<(command)` is a pipe that somebody does write."""
    line = f'{" ".join(desk.argv("validate", "--offline"))} --config <(cat "{desk.spec}")'
    ran = subprocess.run(("bash", "-c", line), env=desk.variables(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_file_of_another_user_says_so(desk: Desk) -> None:
    """Not readable: exit 3 and what to do. Root gives up its power to read everything first."""
    desk.spec.chmod(stat.S_IWUSR)
    argv = desk.argv("validate", "-o", "json")
    powers = ("-dac_override", "-dac_read_search")
    drop = ("setpriv", f"--bounding-set={','.join(powers)}", f"--inh-caps={','.join(powers)}")
    root = subprocess.run((*drop, "id", "-u"), capture_output=True, text=True, check=False).stdout == "0\n"
    argv = [*drop, *argv] if root else argv
    ran = subprocess.run(argv, env=desk.variables(), capture_output=True, text=True, check=False)
    assert (ran.returncode, "may not be read by this user" in ran.stdout) == (3, True), ran.stdout + ran.stderr


def test_memory_stays_small_on_a_bomb(desk: Desk) -> None:
    """Neither a bomb nor a large file makes the command large."""
    desk.spec.write_text(BOMB)
    limit = 1 << 30
    ran = subprocess.run(
        desk.argv("validate"),
        env=desk.variables(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert ran.returncode == 3, ran.stderr
