"""What is rendered, by golden files and by properties: values are values, and pgBackRest reads back what was meant."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.model import (
    BackupPolicy,
    Cluster,
    NativeOption,
    PostgresTarget,
    RemoteHost,
    Repository,
    RetentionPolicy,
    Secret,
    WalPolicy,
)
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.port import EngineVersion, RenderRequest
from pgwrap.errors import SpecError
from tests.unit.engines.pgbackrest.pgbackrest_estates import (
    BILLING,
    ESTATES,
    FULL,
    OFFSITE,
    ORDERS,
    PLAIN,
    SPLIT,
    Estate,
    request,
    resolve,
)
from tests.unit.engines.pgbackrest.pgbackrest_fleet import GOLDEN

Ini = dict[str, list[tuple[str, str]]]


def read_as_pgbackrest(text: str) -> Ini:
    """Sections and their options as pgBackRest's src/common/ini.c reads them."""
    found: Ini = {}
    section = ""
    for raw in text.split("\n"):
        line = raw.strip(" \t\r\n\v\f")
        if line == "" or line.startswith("#"):
            continue
        if line.startswith("["):
            assert line.endswith("]")
            section = line[1:-1]
            found.setdefault(section, [])
        else:
            key, equals, value = line.partition("=")
            assert equals == "="
            found[section].append((key.strip(), value.strip(" \t\r\n\v\f")))
    return found


def rendered(*clusters: Cluster, version: str = "2.60.0", file: int = 0) -> Ini:
    """The sections of one rendered file."""
    text = PgBackRest().render(request(Estate(version=version, clusters=clusters))).files[file].write.text
    return read_as_pgbackrest(text)


@pytest.mark.parametrize("name", ESTATES)
def test_rendered_files_are_those_that_were_reviewed(name: str) -> None:
    """Byte for byte; PGWRAP_WRITE_GOLDEN=1 rewrites them for review as a diff."""
    for number, file in enumerate(PgBackRest().render(request(ESTATES[name])).files):
        path = GOLDEN / f"{name}{f'_{number}' if number else ''}.conf"
        if os.environ.get("PGWRAP_WRITE_GOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.write.text)
        assert path.read_text() == file.write.text


@pytest.mark.parametrize("name", ESTATES)
def test_rendering_twice_gives_the_same_bytes(name: str) -> None:
    """The order of the clusters in the spec does not matter either."""
    estate = ESTATES[name]
    again = replace(estate, clusters=estate.clusters[::-1])
    assert PgBackRest().render(request(estate)).files == PgBackRest().render(request(again)).files


@pytest.mark.parametrize("name", ESTATES)
def test_no_key_stands_twice_in_a_section_unless_it_is_a_list(name: str) -> None:
    """pgBackRest refuses that with [031]."""
    for file in PgBackRest().render(request(ESTATES[name])).files:
        for options in read_as_pgbackrest(file.write.text).values():
            keys = [key for key, _ in options if key not in {"exclude", "recovery-option"}]
            assert sorted(set(keys)) == sorted(keys)


def test_the_file_says_where_it_comes_from() -> None:
    """Its header names pgwrap, the spec and a digest, and that edits are drift."""
    lines = PgBackRest().render(request(ESTATES["one_cluster"])).files[0].write.text.splitlines()
    assert lines[0].startswith("# Made by pgwrap from /etc/pgwrap/pgwrap.yaml. Edits here are drift")
    assert lines[1].startswith("# engine pgbackrest; digest ")


def test_the_digest_does_not_depend_on_secrets() -> None:
    """So a hash of a passphrase stands in no file, and a masked rendering has the same digest."""
    plain = request(ESTATES["one_cluster"])
    masked = replace(plain, secret=lambda _: "********")
    digests = {PgBackRest().render(one).files[0].write.text.splitlines()[1] for one in (plain, masked)}
    assert 1 == len(digests)


def test_the_digest_depends_on_everything_else() -> None:
    """Another retention is another digest."""
    other = replace(ORDERS, retention=RetentionPolicy(full=5))
    estates = (ESTATES["one_cluster"], Estate(version="2.60.0", clusters=(other,)))
    digests = {PgBackRest().render(request(one)).files[0].write.text.splitlines()[1] for one in estates}
    assert 2 == len(digests)


def test_secrets_are_told_for_masking_and_never_shown() -> None:
    """They are in the text and in `secrets`, and in no repr."""
    write = PgBackRest().render(request(ESTATES["one_cluster"])).files[0].write
    assert "value-of-PASSPHRASE" in write.secrets
    assert all(secret in write.text for secret in write.secrets)
    assert "value-of" not in repr(PgBackRest().render(request(ESTATES["one_cluster"])))


def test_files_belong_to_whom_the_engine_runs_as() -> None:
    """0640 and that owner; where the clusters disagree nobody is named."""
    agreed = PgBackRest().render(request(ESTATES["both_sides"])).files[0].write
    assert (0o640, "backup") == (agreed.mode, agreed.owner)
    two = Estate(version="2.45", clusters=(BILLING, replace(ORDERS, run_as="other")))
    assert PgBackRest().render(request(two)).files[0].write.owner is None


def test_the_database_hosts_file_holds_no_secret_of_a_remote_repository() -> None:
    """The repository's host opens it."""
    main, database = PgBackRest().render(request(ESTATES["both_sides"])).files
    assert ("value-of-PASSPHRASE",) == main.write.secrets
    assert () == database.write.secrets
    assert "/etc/pgbackrest/postgres-hosts/sales/pgbackrest.conf" == database.write.path


def test_never_are_both_sides_remote_in_one_file() -> None:
    """pgBackRest refuses that with [027]."""
    for file in PgBackRest().render(request(ESTATES["both_sides"])).files:
        keys = {key for options in read_as_pgbackrest(file.write.text).values() for key, _ in options}
        assert not {"pg1-host", "repo1-host"} <= keys


def test_a_database_host_learns_where_the_other_sides_file_is() -> None:
    """Only when it is not at its usual place."""
    instance = replace(FULL, config="/srv/pgbackrest.conf")
    options = rendered(replace(SPLIT, engine=instance), version="2.55.1", file=1)
    assert ("repo1-host-config", "/srv/pgbackrest.conf") in options["global"]


def test_shared_repositories_are_said_once() -> None:
    """In the global section, with only what differs in the stanzas."""
    sections = rendered(replace(BILLING, name="a", engine_name="a"), BILLING)
    assert ("repo1-retention-full", "14") in sections["global"]
    assert not any(key.startswith("repo") for key, _ in sections["billing"])


def test_a_clusters_own_repositories_stay_out_of_the_global_section() -> None:
    """Otherwise the other clusters would inherit them."""
    sections = rendered(BILLING, replace(ORDERS, engine=PLAIN))
    assert "global" not in sections


def test_the_repositorys_own_retention_beats_the_clusters() -> None:
    """The policy is the cluster's only where the repository says none."""
    options = rendered(ORDERS)["global"]
    assert ("repo1-retention-full", "4") in options
    assert ("repo2-retention-full-type", "time") in options
    assert not any(key == "repo2-retention-diff" for key, _ in options)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetentionPolicy(), [("repo1-retention-full", "9999999")]),
        (RetentionPolicy(deliberate=False), []),
        (RetentionPolicy(full=2, minimum_full=3), [("repo1-retention-full", "3")]),
        (RetentionPolicy(full=4, minimum_full=3), [("repo1-retention-full", "4")]),
        (RetentionPolicy(window_days=7), [("repo1-retention-full", "7"), ("repo1-retention-full-type", "time")]),
        (
            RetentionPolicy(full=2, differential=3, wal=1, wal_type="differential", history_days=0),
            [
                ("repo1-retention-archive", "1"),
                ("repo1-retention-archive-type", "diff"),
                ("repo1-retention-diff", "3"),
                ("repo1-retention-full", "2"),
                ("repo1-retention-history", "0"),
            ],
        ),
    ],
)
def test_retention_in_pgbackrests_words(policy: RetentionPolicy, expected: list[tuple[str, str]]) -> None:
    """`none` keeps everything on purpose; saying nothing leaves the engine's default."""
    options = rendered(replace(BILLING, retention=policy))["global"]
    assert expected == [(key, value) for key, value in options if "retention" in key]


def test_a_level_for_backups_does_not_meet_another_compression_of_wal() -> None:
    """Level 19 of zst would be refused for lz4, and archiving would stop."""
    one = replace(
        BILLING, backup=BackupPolicy(compression="zst", compression_level=19), wal=WalPolicy(compression="lz4")
    )
    sections = rendered(one)
    assert [("compress-level", "19"), ("compress-type", "zst")] == sections["billing:backup"]
    assert [("compress-type", "lz4")] == sections["billing:archive-push"]
    assert not any(key.startswith("compress") for key, _ in sections["billing"])


def test_one_compression_for_both_stands_in_the_stanza() -> None:
    """Said once where it is the same."""
    one = replace(BILLING, backup=BackupPolicy(compression="lz4"), wal=WalPolicy(compression="lz4"))
    assert ("compress-type", "lz4") in rendered(one)["billing"]


def test_block_incremental_brings_the_bundles_it_needs() -> None:
    """pgBackRest refuses repo-block without repo-bundle."""
    options = rendered(replace(BILLING, backup=BackupPolicy(block_incremental=True)))["global"]
    assert {("repo1-bundle", "y"), ("repo1-block", "y")} <= set(options)


@pytest.mark.parametrize(("beta", "expected"), [(False, False), (True, True)])
def test_block_incremental_is_left_out_before_it_was_finished(*, beta: bool, expected: bool) -> None:
    """On 2.45 it needs `beta`, and would stop every backup without."""
    natives = (NativeOption(key="beta", values=("y",)),) if beta else ()
    one = replace(BILLING, backup=BackupPolicy(block_incremental=True), options=natives)
    keys = {key for options in rendered(one, version="2.45").values() for key, _ in options}
    assert expected is ("repo1-block" in keys)


def test_a_native_option_takes_a_words_place() -> None:
    """The same key twice would be refused with [031]."""
    one = replace(BILLING, backup=BackupPolicy(parallel=2), options=(NativeOption(key="process-max", values=("8",)),))
    assert [("process-max", "8")] == [pair for pair in rendered(one)["billing"] if pair[0] == "process-max"]


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0B"), (1, "1B"), (1 << 10, "1KiB"), (3 << 20, "3MiB"), (1 << 40, "1024GiB")]
)
def test_sizes_are_whole_numbers_with_a_unit(amount: int, text: str) -> None:
    """pgBackRest takes no fractions."""
    options = rendered(replace(BILLING, wal=WalPolicy(queue_maximum=amount)))["billing"]
    assert ("archive-push-queue-max", text) in options


def test_a_host_that_is_a_directory_is_the_socket_directory() -> None:
    """As in libpq."""
    server = PostgresTarget(data_directory="/d", host="/run/pg")
    assert ("pg1-socket-path", "/run/pg") in rendered(replace(BILLING, postgres=server))["billing"]


def test_googles_key_file_is_named_and_not_read() -> None:
    """pgBackRest reads the file by itself."""
    options = dict(rendered(*ESTATES["every_store"].clusters)["global"])
    assert "/etc/pgbackrest/google.json" == options["repo2-gcs-key"]


@pytest.mark.parametrize("version", ["2.46", "2.47"])
def test_a_fingerprint_needs_no_check_type_before_there_was_one(version: str) -> None:
    """Then the fingerprint itself said how to check."""
    keys = {key for key, _ in rendered(*ESTATES["every_store"].clusters, version=version)["global"]}
    assert "repo12-sftp-host-fingerprint" in keys
    assert "repo12-sftp-host-key-check-type" not in keys


# Values are values


TEXT = st.text(max_size=30) | st.sampled_from(
    [
        "a\n[global]",
        "a\nrepo1-path=/x",
        "#",
        " a",
        "a ",
        "\t",
        "[global]",
        "a#b",
        "ü",
        "a\r",
        "a\x00",
        "a\u2028b",
        "=",
        "",
    ]
)


def everywhere(text: str) -> Cluster:
    """A cluster that says `text` in every place where the spec takes free text."""
    repository = replace(
        OFFSITE,
        path=text,
        bucket=text,
        region=text,
        endpoint=text,
        options=(NativeOption(key="storage-tag", values=(text,)),),
    )
    return replace(
        ORDERS,
        engine=replace(PLAIN, log_directory=text, options=(NativeOption(key="cmd", values=(text,)),)),
        repositories=(repository,),
        postgres=PostgresTarget(
            data_directory=text, socket_directory=text, user=text, database=text, ssh=RemoteHost(address=text)
        ),
        standbys=(),
        backup=BackupPolicy(exclude=(text, text)),
        wal=WalPolicy(spool=text),
    )


EVERYWHERE = {
    "global": ["cmd", "log-path", "repo1-path", "repo1-s3-bucket", "repo1-s3-endpoint", "repo1-s3-region"],
    "orders": ["pg1-database", "pg1-host", "pg1-path", "pg1-socket-path", "pg1-user", "spool-path"],
}


@given(TEXT)
def test_no_value_adds_a_line_a_section_or_an_option(text: str) -> None:
    """A value is read back as it was meant, or refused before anything is rendered."""
    try:
        sections = rendered(everywhere(text))
    except SpecError:
        return
    expected = rendered(everywhere("plain"))
    assert {name: [key for key, _ in found] for name, found in expected.items()} == {
        name: [key for key, _ in found] for name, found in sections.items()
    }
    for section, keys in EVERYWHERE.items():
        assert {text} == {dict(sections[section])[key] for key in keys}


@given(TEXT)
def test_no_secret_adds_a_line_a_section_or_an_option(text: str) -> None:
    """A passphrase with a line break is refused, and not quoted in the message."""
    asked = replace(request(ESTATES["one_cluster"]), secret=lambda _: text)
    try:
        found = PgBackRest().render(asked).files[0].write.text
    except SpecError as error:
        assert len(text) < 12 or text not in str(error)  # noqa: PT017 - short ones are words of the message
        return
    assert text == dict(read_as_pgbackrest(found)["global"])["repo2-cipher-pass"]


@given(TEXT)
def test_no_stanza_name_adds_a_line_a_section_or_an_option(text: str) -> None:
    """A name that pgBackRest would read differently is refused."""
    try:
        sections = rendered(replace(BILLING, engine_name=text))
    except SpecError:
        return
    assert {"global", text} == set(sections)


@given(TEXT)
def test_no_file_name_in_the_header_adds_a_line(text: str) -> None:
    """The spec's own path may hold anything."""
    plain = request(ESTATES["odd_names"])
    text = PgBackRest().render(replace(plain, spec_file=text)).files[0].write.text
    assert read_as_pgbackrest(PgBackRest().render(plain).files[0].write.text) == read_as_pgbackrest(text)


@pytest.mark.parametrize("value", ["a\nb", " a", "a ", "", "a\x7f", "a\tb"])
def test_an_unsafe_value_is_refused_with_its_place(value: str) -> None:
    """The error names the option and the spec's path."""
    with pytest.raises(SpecError) as caught:
        rendered(replace(BILLING, repositories=(Repository(name="odd", path=value),)))
    assert ["repositories.odd.path"] == [problem.path for problem in caught.value.problems]
    assert "repo1-path" in caught.value.problems[0].message


def test_every_unsafe_value_is_told_at_once() -> None:
    """Not only the first."""
    with pytest.raises(SpecError) as caught:
        rendered(replace(BILLING, postgres=PostgresTarget(data_directory="\n", user="\n")))
    assert 2 == len(caught.value.problems)


def test_no_secret_is_asked_for_twice_nor_without_need() -> None:
    """A command that gives a secret runs once for each reference."""
    asked: list[Secret] = []

    def resolving(reference: Secret) -> str:
        asked.append(reference)
        return resolve(reference)

    estate = ESTATES["one_cluster"]
    PgBackRest().render(
        RenderRequest(
            instance=PLAIN,
            clusters=estate.clusters,
            version=EngineVersion.parse(estate.version),
            secret=resolving,
            spec_file="x",
        )
    )
    assert 4 == len(asked)
