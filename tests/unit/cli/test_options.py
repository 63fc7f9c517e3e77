"""What each option does, seen from outside: standard output, standard error, files."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable

import jsonschema
import pytest

from tests.unit.cli.cli_desk import CLUSTER, Desk

STATUS = ("status", "--no-commits")


def test_quiet_says_nothing_but_the_answer(desk: Desk) -> None:
    """`-q`: no talk on standard error, the same answer."""
    assert desk.run("validate").stderr == "the spec is sound\n"
    quiet = desk.run("validate", "-q")
    assert (quiet.exit_code, quiet.said) == (0, "")
    assert desk.run("status", "nosuch", "-q").stderr.startswith("pgwrap: no cluster is called 'nosuch'")


def test_verbose_shows_the_commands(desk: Desk) -> None:
    """`-v` shows each command before it is run, as it can be typed; standard output stays data."""
    ran = desk.run(*STATUS, "-o", "json", "-v")
    assert f"run: {desk.path}/pgbackrest version" in ran.stderr
    assert ran.json()["outcome"] == "success"


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_no_colour_off_a_terminal(desk: Desk, variable: dict[str, str]) -> None:
    """A pipe gets no escape sequence, whatever the terminal is called."""
    assert "\x1b" not in desk.run(*STATUS, **variable).said


@pytest.mark.parametrize(
    ("variable", "coloured"), [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)]
)
def test_colour_on_a_terminal_unless_unwanted(
    desk: Desk, severities: Callable[[str], None], variable: dict[str, str], coloured: bool
) -> None:
    """NO_COLOR is honoured."""
    severities("critical")
    primary, secondary = os.openpty()
    subprocess.run(
        desk.argv(*STATUS), stdout=secondary, stderr=subprocess.DEVNULL, env=desk.variables(**variable), check=False
    )
    os.close(secondary)
    shown = os.read(primary, 65536)
    os.close(primary)
    assert (b"\x1b[" in shown) is coloured


def test_write_replaces_the_file_whole(desk: Desk) -> None:
    """`--write`: the answer in the file, nothing on standard output, no other file beside it but the old one."""
    target = desk.path / "out" / "status.json"
    for _ in range(2):
        ran = desk.run(*STATUS, "-o", "json", "--write", str(target))
        assert (ran.exit_code, ran.stdout) == (0, "")
        assert json.loads(target.read_text())["outcome"] == "success"
    assert {path.name for path in target.parent.iterdir()} <= {"status.json", "status.json.old"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_write_onto_a_directory_is_refused(desk: Desk) -> None:
    """Exit 8, and the directory stays."""
    assert desk.run(*STATUS, "--write", str(desk.path)).exit_code == 8
    assert desk.spec.exists()


def test_local_leaves_other_hosts_out(desk: Desk) -> None:
    """`--local` says which clusters it left out, on standard error and in the answer."""
    desk.write(more="")
    text = desk.spec.read_text().replace("{command:", "{host: backup1, command:")
    desk.spec.write_text(text)
    ran = desk.run(*STATUS, "--local", "-o", "json")
    assert "orders: left out, its engine runs on another host" in ran.stderr
    assert ran.json()["result"]["clusters"] == []  # type: ignore[index]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (("orders-*",), {"orders-eu", "orders-us"}),
        (("orders-??", "b*"), {"orders-eu", "orders-us", "bücher's 100%"}),
        (("bücher's 100%",), {"bücher's 100%"}),
        (("all",), {"orders-eu", "orders-us", "bücher's 100%"}),
    ],
)
def test_clusters_by_name_or_pattern(desk: Desk, patterns: tuple[str, ...], chosen: set[str]) -> None:
    """Shell patterns, and names that hold a pattern's characters."""
    names = ["orders-eu", "orders-us", "bücher's 100%"]
    desk.write("".join(CLUSTER.format(name=json.dumps(name), data=f"/srv/{name}") for name in names))
    desk.spec.write_text(desk.spec.read_text().replace("    engine_name: orders\n", ""))
    ran = desk.run(*STATUS, "-o", "json", *patterns)
    found = {cluster["name"] for cluster in ran.json()["result"]["clusters"]}  # type: ignore[index]
    assert found == chosen
    assert desk.run(*STATUS, *patterns, "nosuch*").exit_code == 2


def test_engine_version_decides_what_is_written(desk: Desk) -> None:
    """Without asking the engine; two engines need a name each."""
    (desk.path / "pgbackrest").unlink()
    ran = desk.run("validate", "--engine-version", "pgbackrest=2.45")
    assert (ran.exit_code, ran.stderr) == (0, "the spec is sound\n")


def test_offline_asks_no_engine(desk: Desk) -> None:
    """`--offline`: the newest known version, said; no process is started."""
    desk.engine(f"touch {desk.path}/asked\n")
    assert "the newest known version" in desk.run("validate", "--offline").stderr
    assert not (desk.path / "asked").exists()


def test_completion_knows_the_clusters(desk: Desk) -> None:
    """What the shell gets for `pgwrap status --config FILE or<TAB>`; a bad spec completes to nothing, silently."""
    words = f"pgwrap status --config {desk.spec} or"
    script = "import sys; sys.argv = ['pgwrap']; from pgwrap.__main__ import main; main()"
    shell = {"_PGWRAP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "4"}

    def completed() -> str:
        return subprocess.check_output((sys.executable, "-c", script), env=desk.variables(**shell), text=True)

    assert completed().split() == ["orders"]
    desk.spec.write_text("nonsense: [")
    assert completed().strip() == ""


def test_all_commands_are_there_where_none_is_named(desk: Desk) -> None:
    """A command that is named is made ready alone; a word that is none is still held against them all."""
    listed = desk.run("--help").stdout
    assert [name for name in ("status", "check", "list", "import", "restore") if f"  {name} " not in listed] == []
    assert "pgwrap restore [OPTIONS]" in desk.run("restore", "--help").stdout
    unknown = desk.run("restor")
    assert (unknown.exit_code, "Did you mean 'restore'?" in unknown.stderr) == (2, True)


def test_init_refuses_to_overwrite(desk: Desk) -> None:
    """Exit 8 and the file untouched; --force keeps the old one."""
    before = desk.spec.read_text()
    assert desk.run("init", "--write", str(desk.spec)).exit_code == 8
    assert desk.spec.read_text() == before
    assert desk.run("init", "--write", str(desk.spec), "--force").exit_code == 0
    assert (desk.path / "pgwrap.yaml.old").read_text() == before


@pytest.mark.parametrize("subject", ["spec", "status", "list"])
def test_schemas_are_schemas(desk: Desk, subject: str) -> None:
    """All are valid JSON Schemas, and a status and a list are valid under their own."""
    schema = json.loads(desk.run("schema", subject).stdout)
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    if subject == "status":
        validator(schema).validate(desk.run(*STATUS, "-o", "json").json())
    if subject == "list":
        validator(schema).validate(desk.run("list", "-o", "json").json())


@pytest.mark.parametrize(
    "command", ["schema", "status --no-commits", "status --no-commits -o json", "render --offline"]
)
def test_reader_that_goes_away_is_no_defect(desk: Desk, command: str) -> None:
    """`| head -0`: silence on standard error."""
    line = f"{' '.join(desk.argv(*command.split()))} 2>err | true"
    subprocess.run(("bash", "-c", line), env=desk.variables(), cwd=desk.path, check=True)
    said = (desk.path / "err").read_text()
    assert "Broken" not in said
    assert "Traceback" not in said
    assert "defect" not in said


@pytest.mark.parametrize("command", [STATUS, ("status", "-o", "json"), ("schema",)])
def test_closed_streams_change_no_exit_code(desk: Desk, command: tuple[str, ...]) -> None:
    """With standard streams closed the verdict is still the exit code, and no file is written to as output."""
    line = f"exec {' '.join(desk.argv(*command))} <&- >&- 2>&-"
    assert subprocess.run(("bash", "-c", line), env=desk.variables(), cwd=desk.path, check=False).returncode == 0
    log = desk.path / "state/log/pgwrap.log"
    assert not log.exists() or "severity" not in log.read_text()


@pytest.mark.parametrize("form", ["table", "json", "nagios"])
def test_full_disk_under_standard_output_is_said(desk: Desk, form: str) -> None:
    """/dev/full: one sentence on standard error and no exit 0."""
    line = f"{' '.join(desk.argv(*STATUS, '-o', form))} >/dev/full"
    ran = subprocess.run(("bash", "-c", line), env=desk.variables(), capture_output=True, text=True, check=False)
    assert ran.returncode == (3 if form == "nagios" else 2)
    assert "could not be written to standard output: No space left on device" in ran.stderr
    assert "Exception" not in ran.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_encoding_that_lacks_characters(desk: Desk, encoding: str) -> None:
    """An arrow or an umlaut that the terminal cannot show is no reason to give no answer."""
    desk.write(CLUSTER.format(name="büro-東京", data="/srv/data"))
    desk.install()
    ran = desk.run(*STATUS, PYTHONIOENCODING=encoding)
    assert "defect" not in ran.said
    assert "ok" in ran.stdout


def test_log_that_cannot_be_kept_is_said_and_not_fatal(desk: Desk) -> None:
    """A directory as log file, a state directory that is a file: the answer comes all the same."""
    (desk.path / "state").write_text("in the way")
    ran = desk.run(*STATUS, "--log-file", str(desk.path), "-o", "json")
    assert (ran.exit_code, ran.json()["outcome"]) == (0, "success")
    assert ran.stderr.startswith("no log is kept: ")
    assert desk.run("status", "-o", "json").exit_code == 0


def test_few_file_descriptors_are_enough(desk: Desk) -> None:
    """A tight limit is no defect."""
    ran = subprocess.run(
        desk.argv(*STATUS),
        env=desk.variables(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)),
    )
    assert ran.returncode == 0, ran.stderr


def test_working_directory_that_is_gone(desk: Desk) -> None:
    """`--to` a relative place below a removed directory: exit 2 and a sentence."""
    line = f"mkdir gone; cd gone; rmdir ../gone; {' '.join(desk.argv('render', '--offline', '--to', 'x'))}"
    ran = subprocess.run(
        ("bash", "-c", line), env=desk.variables(), cwd=desk.path, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, "pgwrap: cannot write x/" in ran.stderr) == (2, True), ran.stderr
