"""What wrong specs are told: everything at once, each with its place and a way out."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgwrap.domain.model import Fleet
from pgwrap.errors import Problem, SpecError
from pgwrap.spec.loader import load

LoadText = Callable[[str], Fleet]
ProblemsOf = Callable[[str], list[str]]


def test_all_problems_are_told_at_once_in_the_order_of_the_file(problems_of: ProblemsOf) -> None:
    """Types, ranges, unknown words and unknown names in one run."""
    assert [
        "pgwrap.yaml:2:12: error: defaults.bakup: unknown word 'bakup' (did you mean 'backup'?)",
        "pgwrap.yaml:4:24: error: clusters.x.postgres.port: must be at most 65535",
        "pgwrap.yaml:4:40: error: clusters.x.engine: no engine is called 'barmann' (did you mean 'barman'?)",
        "pgwrap.yaml:5:22: error: clusters.y.repositories.0: no repository is called 'lokal' (did you mean 'local'?)",
        "pgwrap.yaml:5:48: error: clusters.y.retention.full: must be at least 1",
    ] == problems_of(
        "defaults: {bakup: {parallel: 1}}\n"
        "clusters:\n"
        "  x: {postgres: {port: 99999}, engine: barmann}\n"
        "  y: {repositories: [lokal], retention: {full: 0}}\n"
        "repositories: {local: {path: /x}}\n"
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("active: no", "'no' is not true or false (write true or false, without quotes)"),
        ("wal: {async: 'true'}", "'true' is not true or false (write true or false, without quotes)"),
        ("active: 1", "must be true or false"),
        ("postgres: {port: 010}", "'010' is not a whole number (write plain decimal digits)"),
        ("postgres: {port: 0x1f}", "'0x1f' is not a whole number (write plain decimal digits)"),
        ("postgres: {port: 1_0}", "'1_0' is not a whole number (write plain decimal digits)"),
        ("postgres: {port: '5432'}", "must be a whole number, not quoted text (remove the quotes)"),
        ("postgres: {port: 0}", "must be at least 1"),
        ("postgres: {port: [5432]}", "must be a whole number, not a list"),
        ("postgres: {port: 99999999999999999999}", "the number is absurdly large"),
        ("postgres: {version: 9.6}", "'9.6' is not a whole number (write plain decimal digits)"),
        ("postgres: {data_directory: relative/path}", "is not an absolute path (start it with /)"),
        ("postgres: {data_directory: /a//b}", "has two slashes in a row (write one)"),
        ("postgres: {wal_segment_size: 17MB}", "is not a WAL segment size"),
        ("postgres: {host: -oProxyCommand=id}", "'-oProxyCommand=id' is not a host name or address"),
        ("postgres: {ssh: 'db:99999'}", "must be at most 65535"),
        ("postgres: {ssh: 'a@b@c'}", "'b@c' is not a host name or address"),
        ("postgres: {ssh: '2001:db8::5'}", "is not a whole number"),
        ("postgres: {ssh: ''}", "is not user@host:port"),
        ("postgres: [a]", "must be a mapping, not a list"),
        ("retention: {full: -1}", "must be at least 1"),
        ("retention: {full: 1, window: 1d}", "full and window exclude one another"),
        ("retention: {window: 0d}", "must be at least 1"),
        ("retention: {window: 36h}", "'36h' is not a whole number of days"),
        ("retention: {window: 1 month}", "'month' has no fixed length (write days, such as 31d)"),
        ("retention: {wal_type: full}", "wal_type says nothing without wal"),
        ("retention: {}", "says nothing (write retention: none to keep everything)"),
        ("retention: 14d", "must be none or a mapping, not text"),
        ("backup: {parallel: 1000}", "must be at most 999"),
        (
            "backup: {compression: zstd}",
            "'zstd' is not one of none, gz, bz2, lz4, zst, xz, snappy (did you mean 'zst'?)",
        ),
        ("backup: {compression_level: 23}", "must be at most 22"),
        ("backup: {compression_level: -8}", "must be at least -7"),
        ("objectives: {rpo: 1:30}", "'1:30' is not a duration"),
        ("objectives: {rpo: 0s}", "must be longer than nothing"),
        ("objectives: {rpo: 300}", "'300' is not a duration"),
        ("schedule: {nightly: daily}", "unknown word 'nightly'"),
        ("schedule: {full: ''}", "must not be empty"),
        ("hooks: {after_backup: echo done}", "must be a list, not text"),
        ("hooks: {after_backup: []}", "must not be empty"),
        ("run_as: 'a b'", "'a b' is not a user name"),
        ("description: NULL", "NULL could be text or nothing"),
        ("wal: {slot: My-Slot}", "'My-Slot' is not a slot name"),
        ("drill: {assertions: [{sql: select 1}]}", "says nothing of the value"),
        ("drill: {assertions: [{at_least: 1}]}", "'sql' is missing"),
        ("drill: {assertions: [{sql: select 1, at_least: many}]}", "'many' is not a number"),
        ("options: {pgbackrest: {'a=b': c}}", "'a=b' is not an option's name"),
        ("options: {pgbackrest: {s: {k: {deep: 1}}}}", "must be a value or a list of values, not a mapping"),
        ("options: {barman: {s: {k: v}}}", "must be a value or a list of values, not a mapping"),
        ("options: {pgbakrest: {k: v}}", "unknown word 'pgbakrest' (did you mean 'pgbackrest'?)"),
        ("engine_name: '[global]'", "'[global]' is not a usable name: it must not hold '['"),
        ("engine_name: global", "pgBackRest would take 'global' for another section"),
        ("engine_name: 'x:archive-push'", "pgBackRest would take 'x:archive-push' for another section"),
        ("engine: barman, engine_name: all", "Barman keeps the name 'all' for itself"),
        ("engine: barman, engine_name: barman", "Barman keeps the name 'barman' for itself"),
        ("passive: {address: h, tls: {ca_file: /c}}", "certificates are given, but the transport is ssh"),
    ],
)
def test_a_wrong_value_is_told_in_a_sentence(problems_of: ProblemsOf, words: str, expected: str) -> None:
    """What is wrong, and what to write instead."""
    (problem,) = problems_of(f"clusters: {{x: {{{words}}}}}")

    assert expected in problem


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("path: x", "is not an absolute path"),
        ("type: s3", "a repository of type s3 needs 'bucket'"),
        ("type: posix", "a repository of type posix needs 'path'"),
        ("path: /x, bucket: b", "does not belong to a repository of type posix (it goes with type: s3 or gcs)"),
        ("type: gcs, bucket: b, key_type: shared", "'shared' is no key type of gcs"),
        ("type: ftp", "'ftp' is not one of posix, s3, gcs, azure, sftp, cifs (did you mean 'sftp'?)"),
        ("path: /x, credentials: {key: {env: A}}", "does not belong to a repository of type posix"),
        ("path: /x, key: 257", "must be at most 256"),
        ("path: /x, encryption: {cipher: aes-256-cbc}", "aes-256-cbc needs a passphrase"),
        ("path: /x, encryption: {cipher: gpg}", "gpg needs a key_id"),
        ("path: /x, encryption: {cipher: none, passphrase: x}", "a passphrase belongs to the cipher aes-256-cbc"),
    ],
)
def test_a_repository_says_what_its_type_needs(problems_of: ProblemsOf, words: str, expected: str) -> None:
    """And nothing that belongs to another type."""
    (problem,) = problems_of(f"repositories: {{r: {{{words}}}}}")

    assert expected in problem


@pytest.mark.parametrize(
    "words",
    [
        "{env: A, file: /hunter2}",
        "{}",
        "{hunter2: x}",
        "{hunter2}",
        "[hunter2]",
        "{file: hunter2}",
        "{env: [hunter2]}",
        "{command: hunter2}",
        '"hunter2\\n"',
    ],
)
def test_a_wrong_form_of_secret_is_refused_without_showing_it(problems_of: ProblemsOf, words: str) -> None:
    """What stands there could be the secret itself."""
    problems = problems_of(f"clusters: {{x: {{postgres: {{password: {words}}}}}}}")

    assert all("clusters.x.postgres.password" in problem for problem in problems)
    assert "hunter2" not in "".join(problems)


def test_names_that_would_collide_are_refused(problems_of: ProblemsOf) -> None:
    """The same stanza or key twice, one file for two installations."""
    problems = problems_of(
        "engines: {second: {engine: pgbackrest}}\n"
        "repositories: {a: {path: /a, key: 2}, b: {path: /b, key: 2}}\n"
        "clusters:\n"
        "  one: {repositories: [a, b]}\n"
        "  two: {engine_name: one}\n"
        "  three: {repositories: [a, a]}\n"
        "  four: {engine: barman, repositories: [a, b]}\n"
        "  five: {engine: second}\n"
        "  six: {engine: barman, engine_name: four}\n"
    )

    assert [
        ("2:11", "'pgbackrest' and 'second' would both write to /etc/pgbackrest/pgbackrest.conf"),
        ("5:27", "'a' and 'b' both have the key 2"),
        ("6:22", "the stanza 'one' already belongs to the cluster 'one'"),
        ("7:29", "'a' is listed twice"),
        ("8:26", "Barman keeps a server in one repository"),
        ("8:44", "'a' and 'b' both have the key 2"),
        ("10:38", "the server 'four' already belongs to the cluster 'four'"),
    ] == [
        (problem.split(" ")[0].removeprefix("pgwrap.yaml:").rstrip(":"), problem.split(": ", 3)[3].split(" (")[0])
        for problem in problems
    ]


def test_engines_are_told_apart(problems_of: ProblemsOf) -> None:
    """An entry of another name says which engine it is; each engine has words of its own."""
    problems = problems_of(
        "engines:\n"
        "  other: {command: x}\n"
        "  barman: {engine: pgbackrest, include: /x, options: {section: {k: v}}}\n"
        "  pgbackrest: {servers: /x, home: /y}\n"
    )

    assert [
        "engines.other: does not say which engine it is",
        "engines.barman.engine: the entry 'barman' is always barman",
        "engines.barman.include: is a word for pgBackRest",
        "engines.barman.options.section: Barman has no command sections",
        "engines.pgbackrest.servers: is a word for Barman",
        "engines.pgbackrest.home: is a word for Barman",
    ] == [problem.split(" error: ")[1].split(" (")[0] for problem in problems]


def test_a_problem_in_defaults_is_told_once_and_there(problems_of: ProblemsOf) -> None:
    """However many clusters take it over."""
    (problem,) = problems_of("defaults: {backup: {parallel: 0}}\nclusters: {a: {}, b: {}, c: {}}")

    assert "pgwrap.yaml:2:31: error: defaults.backup.parallel: must be at least 1" == problem


def test_defaults_may_leave_to_clusters_what_is_still_missing(load_text: LoadText) -> None:
    """Each half alone would be incomplete."""
    (cluster,) = load_text(
        "defaults: {backup: {snapshot: {provider: aws, region: r}}}\n"
        "clusters: {x: {engine: barman, backup: {snapshot: {instance: i, disks: [d]}}}}"
    ).clusters

    assert cluster.backup.snapshot is not None
    assert ("aws", "i") == (cluster.backup.snapshot.provider, cluster.backup.snapshot.instance)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n", "pgwrap.yaml:1:1: error: the spec must be a mapping, not a list (begin with version: 1)"),
        ("just text\n", "pgwrap.yaml:1:1: error: the spec must be a mapping, not text (begin with version: 1)"),
        ("", "pgwrap.yaml:1:1: error: 'version' is missing"),
        ("version: 2\n", "pgwrap.yaml:1:10: error: version: this pgwrap does not read version 2 (write version: 1)"),
        ("version: 1\na: {\n", "pgwrap.yaml:3:1: error: not YAML: "),
        ("version: 1\nstate: !!python/name:os /x\n", "pgwrap.yaml:2:8: error: the tag !!python/name:os is not allowed"),
        ("version: 1\nclusters: []\n", "pgwrap.yaml:2:1: error: clusters: must be a mapping, not a list"),
        ("version: 1\nclusters: {a: 1}\n", "pgwrap.yaml:2:15: error: clusters.a: must be a mapping, not text"),
        ("version: 1\nclusters: {a: {}, a: {}}\n", "pgwrap.yaml:2:19: error: 'a' is written twice here"),
        (
            "version: 1\nclutsers: {}\n",
            "pgwrap.yaml:2:1: error: clutsers: unknown word 'clutsers' (did you mean 'clusters'?)",
        ),
    ],
)
def test_a_file_that_is_no_spec_says_so(tmp_path: Path, text: str, expected: str) -> None:
    """Not YAML, not a mapping, not this version."""
    file = tmp_path / "pgwrap.yaml"
    file.write_text(text)

    with pytest.raises(SpecError) as caught:
        load(str(file), environment={}, is_root=True)

    (problem,) = caught.value.problems
    assert str(problem).replace(f"{tmp_path}/", "").startswith(expected)


BREAKS = ["\n", "\r", "\0", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize("character", BREAKS)
@pytest.mark.parametrize(
    "template",
    [
        "clusters: {x: {description: VALUE}}",
        "clusters: {VALUE: {}}",
        "clusters: {x: {options: {pgbackrest: {k: VALUE}}}}",
        "clusters: {x: {options: {pgbackrest: {archive-push: {k: [VALUE]}}}}}",
        "clusters: {x: {hooks: {after_backup: [VALUE]}}}",
        "repositories: {VALUE: {path: /x}}",
        "repositories: {r: {path: /x, encryption: {cipher: aes-256-cbc, passphrase: VALUE}}}",
        "engines: {barman: {options: {log_level: VALUE}}}",
        "clusters: {x: {engine: barman, models: {VALUE: {}}}}",
    ],
)
def test_no_value_or_key_holds_a_line_break(problems_of: ProblemsOf, template: str, character: str) -> None:
    """It could add a line, a section or an option to what is rendered."""
    value = json.dumps(f"a{character}[global]").replace("\\u007f", "\\x7f")

    problems = problems_of(template.replace("VALUE", value))

    assert any("must not hold" in problem for problem in problems)
    assert not any(character in problem for problem in problems)


def test_defaults_cannot_multiply_without_end(problems_of: ProblemsOf) -> None:
    """Many defaults under many clusters are a bomb of another kind."""
    options = ", ".join(f"o{number}: 1" for number in range(2000))
    clusters = ", ".join(f"c{number}: {{}}" for number in range(2000))

    (problem,) = problems_of(f"defaults: {{options: {{pgbackrest: {{{options}}}}}}}\nclusters: {{{clusters}}}")

    assert "the spec grows to more than 500000 values" in problem


def test_a_drills_query_may_have_lines(load_text: LoadText) -> None:
    """It goes to PostgreSQL, never into a file."""
    (cluster,) = load_text(
        "clusters:\n  x:\n    drill:\n      assertions:\n        - sql: |\n            select count(*)\n"
        "            from orders\n          at_least: 1\n"
    ).clusters

    assert "select count(*)\nfrom orders" == cluster.drill.assertions[0].sql


NESTED = (
    *("postgres", "standbys", "ssh", "tls", "password", "repositories", "engine", "backup", "snapshot", "wal"),
    *(
        "retention",
        "full",
        "window",
        "drill",
        "assertions",
        "sql",
        "hooks",
        "models",
        "passive",
        "options",
        "pgbackrest",
    ),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.recursive(
        st.sampled_from(["x", "none", "1", "true", "null", "[]", "{}", "/x", "14d"]),
        lambda inner: st.dictionaries(
            st.sampled_from(NESTED),
            inner,
            max_size=4,
        ).map(lambda words: "{" + ", ".join(f"{key}: {value}" for key, value in words.items()) + "}"),
        max_leaves=15,
    )
)
def test_any_mixture_of_words_loads_or_is_explained(load_text: LoadText, words: str) -> None:
    """Every problem has a place; nothing else is ever raised."""
    problems: tuple[Problem, ...] = ()
    try:
        load_text(f"defaults: {words}\nclusters: {{x: {words}, y: {{}}}}")
    except SpecError as error:
        problems = error.problems

    assert all(problem.location for problem in problems)


def test_a_missing_file_is_told_with_the_way_to_a_first_one(tmp_path: Path) -> None:
    """Nothing is guessed."""
    with pytest.raises(SpecError, match=r"there is no file .*none\.yaml \(`pgwrap init` writes a first one\)"):
        load(str(tmp_path / "none.yaml"), environment={}, is_root=True)


def test_a_directory_is_no_spec(tmp_path: Path) -> None:
    """The file in it has to be named."""
    with pytest.raises(SpecError, match="is a directory"):
        load(str(tmp_path), environment={}, is_root=True)


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read everything, so be somebody else for a while."""
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    """As another user, or with another mode, it could."""
    file = tmp_path / "pgwrap.yaml"
    file.write_text("version: 1\n")
    file.chmod(0)

    with pytest.raises(SpecError, match="may not be read by this user"), without_privileges():
        load(str(file), environment={}, is_root=False)


def test_ten_megabytes_are_refused(tmp_path: Path) -> None:
    """Before they are parsed."""
    file = tmp_path / "pgwrap.yaml"
    file.write_text("version: 1\n" + "# padding\n" * 1_000_000)

    with pytest.raises(SpecError, match="larger than 4 MiB"):
        load(str(file), environment={}, is_root=True)
