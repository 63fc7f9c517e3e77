"""Where the spec is found, and how its files come together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgwrap.errors import Location, SpecError
from pgwrap.spec.loader import find, load, load_file


def written(file: Path, text: str) -> Path:
    """A file with text, its directories made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    """$PGWRAP_CONFIG comes before every usual place."""
    file = written(tmp_path / "a.yaml", "version: 1\nclusters: {x: {}}\n")

    fleet = load(None, environment={"PGWRAP_CONFIG": str(file)}, is_root=True)

    assert (str(file),) == fleet.files


def test_the_system_comes_before_the_home_directory(tmp_path: Path) -> None:
    """As an operator expects of a command that root and others run."""
    system = tmp_path / "etc/pgwrap.yaml"
    own = written(tmp_path / "home/.config/pgwrap/pgwrap.yaml", "version: 1\n")
    environment = {"HOME": str(tmp_path / "home")}

    assert str(own) == find(environment=environment, is_root=False, system=str(system))
    written(system, "version: 1\n")
    assert str(system) == find(environment=environment, is_root=False, system=str(system))


def test_root_reads_no_home_directory_and_nobody_the_working_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that happens to lie there never becomes configuration."""
    written(tmp_path / ".config/pgwrap/pgwrap.yaml", "version: 1\n")
    written(tmp_path / "pgwrap.yaml", "version: 1\n")
    monkeypatch.chdir(tmp_path)
    system = str(tmp_path / "etc/pgwrap.yaml")

    with pytest.raises(SpecError, match=r"there is no spec: looked for .*etc/pgwrap\.yaml") as caught:
        find(environment={"HOME": str(tmp_path)}, is_root=True, system=system)
    assert "pgwrap init" in caught.value.hint
    with pytest.raises(SpecError):
        find(environment={"XDG_CONFIG_HOME": "."}, is_root=False, system=system)


def test_conf_d_and_includes_add_to_the_main_file(tmp_path: Path) -> None:
    """Engines, repositories and clusters come together; each file is read once."""
    main = written(
        tmp_path / "pgwrap.yaml",
        "version: 1\ninclude: [more/*.yaml, conf.d/10.yaml]\ndefaults: {run_as: pg}\nclusters: {a: {}}\n",
    )
    first = written(tmp_path / "conf.d/10.yaml", "clusters: {b: {repositories: [r]}}\n")
    second = written(tmp_path / "conf.d/20.yaml", "version: 1\nrepositories: {r: {path: /r}}\n")
    third = written(tmp_path / "more/c.yaml", "clusters: {c: {}}\n")
    written(tmp_path / "conf.d/30.yaml", "# nothing yet\n")
    written(tmp_path / "conf.d/.hidden.yaml", "nonsense")

    fleet = load(str(main), environment={}, is_root=True)

    assert ["a", "b", "c"] == [cluster.name for cluster in fleet.clusters]
    assert {"pg"} == {cluster.run_as for cluster in fleet.clusters}
    assert [str(main), str(first), str(second), str(third)] == [name for name in fleet.files if "30" not in name]
    assert Location(str(first), 1, 12) == fleet.locations["clusters", "b"]


def test_a_cluster_in_two_files_is_a_problem_with_both_places(tmp_path: Path) -> None:
    """Which of them would win is not for pgwrap to say."""
    main = written(tmp_path / "pgwrap.yaml", "version: 1\nclusters: {a: {}}\n")
    written(tmp_path / "conf.d/10.yaml", "clusters:\n  a: {}\n")

    with pytest.raises(SpecError) as caught:
        load(str(main), environment={}, is_root=True)

    (problem,) = caught.value.problems
    assert f"clusters.a: is already described at {main}:2:12" in str(problem)
    assert Location(str(tmp_path / "conf.d/10.yaml"), 2, 3) == problem.location


def test_words_for_the_main_file_are_refused_elsewhere(tmp_path: Path) -> None:
    """Defaults hold for all clusters, so they stand in one place."""
    main = written(tmp_path / "pgwrap.yaml", "version: 1\n")
    written(tmp_path / "conf.d/10.yaml", "version: 2\ndefaults: {}\nstate: /x\ninclude: []\nnonsense: 1\nclusters: 1\n")

    with pytest.raises(SpecError) as caught:
        load(str(main), environment={}, is_root=True)

    assert [
        "version: must be 1",
        "defaults: belongs in the main file",
        "state: belongs in the main file",
        "include: belongs in the main file",
        "nonsense: unknown word 'nonsense'",
        "clusters: must be a mapping, not text",
    ] == [str(problem).split(" error: ")[1].split(" (")[0] for problem in caught.value.problems]


def test_what_cannot_be_included_is_told_where_it_was_asked_for(tmp_path: Path) -> None:
    """A missing file is an error, a pattern without a match a warning; problems of all files are told at once."""
    main = written(
        tmp_path / "pgwrap.yaml",
        f"version: 1\ninclude: [none.yaml, 'x*.yaml', {tmp_path}]\nclusters: {{a: {{b: 1}}}}\n",
    )
    written(tmp_path / "conf.d/10.yaml", "- a list\n")
    written(tmp_path / "conf.d/20.yml", "clusters: {}\n")

    with pytest.raises(SpecError) as caught:
        load(str(main), environment={}, is_root=True)

    assert [
        "warning: {0}/conf.d/20.yml is not read (name it *.yaml)",
        "error: there is no file {0}/none.yaml",
        "warning: no file matches {0}/x*.yaml",
        "error: {0} is not a file",
        "error: clusters.a.b: unknown word 'b'",
        "error: the spec must be a mapping, not a list (begin with version: 1)",
    ] == [
        str(problem).split(": ", 1)[1].replace(str(tmp_path), "{0}").split(" (known")[0]
        for problem in caught.value.problems
    ]


def test_named_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    """Nobody may ever write to a named pipe: it is no spec."""
    pipe = tmp_path / "pgwrap.yaml"
    os.mkfifo(pipe)
    with pytest.raises(SpecError, match="is not a file"):
        load_file(str(pipe))


def test_path_with_a_line_break_is_refused(tmp_path: Path) -> None:
    """The spec's path stands in the header of what is rendered: it must not add a line there."""
    spec = tmp_path / "pgwrap\nrepo1-path=elsewhere.yaml"
    spec.write_text("version: 1\nclusters: {}\n")
    with pytest.raises(SpecError, match="control character"):
        load_file(str(spec))
