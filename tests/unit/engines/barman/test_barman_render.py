"""The files that pgwrap writes for Barman, whole: golden files are compared, and arbitrary values never escape."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.model import (
    BackupPolicy,
    BarmanModel,
    Cluster,
    Encryption,
    EngineInstance,
    EngineKind,
    NativeOption,
    Objectives,
    PostgresTarget,
    RemoteHost,
    Repository,
    RetentionPolicy,
    Secret,
    Snapshot,
    WalPolicy,
)
from pgwrap.engines.barman.adapter import Barman
from pgwrap.engines.barman.render import server_file
from pgwrap.engines.port import EngineVersion, Rendered, RenderRequest
from pgwrap.errors import SpecError

GOLDEN = Path(__file__).parents[3] / "golden" / "barman"
Clusters = Callable[..., Cluster]

LOCAL = PostgresTarget(socket_directory="/run/postgresql", user="barman", streaming_user="streaming_barman")
REMOTE = PostgresTarget(
    host="db2", port=5433, user="barman", sslmode="require", ssh=RemoteHost(address="db2", user="postgres", port=2222)
)
INSTANCE = EngineInstance(
    name="barman",
    kind=EngineKind.BARMAN,
    command="barman",
    config="/etc/barman.conf",
    include="/etc/barman.d",
    home="/var/lib/barman",
    lock_directory="/run/barman",
    options=(NativeOption(key="log_level", values=("DEBUG",)),),
)


def request(
    clusters: tuple[Cluster, ...], version: str = "3.20.1", secret: Callable[[Secret], str] = lambda _: "s3cret"
) -> RenderRequest:
    """A request for one installation."""
    return RenderRequest(
        instance=INSTANCE,
        clusters=clusters,
        version=EngineVersion.parse(version),
        secret=secret,
        spec_file="/etc/pgwrap/pgwrap.yaml",
    )


def made(name: str, **words: object) -> Cluster:
    """A cluster of INSTANCE."""
    return replace(Cluster(name=name, engine=INSTANCE, engine_name=name), **words)  # type: ignore[arg-type]


def estate() -> tuple[Cluster, ...]:
    """One cluster for each way to use Barman."""
    return (
        made(
            "streaming",
            description=' 50% "off"; #1 [x] é ',
            postgres=LOCAL,
            backup=BackupPolicy(compression="zst", compression_level=3, checkpoint="fast", rate_limit=10 << 20),
            wal=WalPolicy(delivery="both", slot="barman", create_slot=True, compression="zst", compression_level=3),
            retention=RetentionPolicy(window_days=14, minimum_full=2),
            objectives=Objectives(backup_age=93601),
            hooks=(("before_backup", ("/usr/bin/logger", "a 100% start")), ("on_failure", ("/bin/true",))),
            options=(NativeOption(key="last_wal_maximum_age", values=("1 HOUR",)),),
        ),
        made(
            "rsync",
            postgres=REMOTE,
            repositories=(Repository(name="big", path="/srv/backup"),),
            backup=BackupPolicy(parallel=4, reuse="link"),
            retention=RetentionPolicy(full=3),
            models=(
                BarmanModel(
                    name="rsync-failover",
                    postgres=PostgresTarget(host="db3", user="barman"),
                    options=(NativeOption(key="compression", values=("gzip",)),),
                ),
            ),
        ),
        made("local", engine_name="lokäl 1", postgres=LOCAL, backup=BackupPolicy(method="local-rsync")),
        made("standby", postgres=LOCAL, standbys=(PostgresTarget(host="db4"),), backup=BackupPolicy(source="standby")),
        made("idle", active=False, postgres=LOCAL),
        made("copy", passive=RemoteHost(address="backup1", user="barman"), retention=RetentionPolicy(window_days=7)),
        made(
            "gcp",
            postgres=REMOTE,
            backup=BackupPolicy(
                method="snapshot",
                snapshot=Snapshot(provider="gcp", instance="vm1", disks=("d1", "d2"), zone="z1", project="p"),
            ),
        ),
        made(
            "azure",
            postgres=REMOTE,
            backup=BackupPolicy(
                method="snapshot",
                snapshot=Snapshot(
                    provider="azure", instance="vm1", disks=("d1",), subscription="s", resource_group="g"
                ),
            ),
        ),
        made(
            "aws",
            postgres=REMOTE,
            backup=BackupPolicy(
                method="snapshot",
                snapshot=Snapshot(provider="aws", instance="vm1", disks=("d1",), region="eu-west-1", profile="b"),
            ),
        ),
        made(
            "sealed",
            postgres=LOCAL,
            repositories=(
                Repository(
                    name="sealed",
                    path="/srv/sealed",
                    encryption=Encryption(cipher="gpg", key_id="ABCD", passphrase_command=("cat", "/etc/pass phrase")),
                ),
            ),
        ),
        made(
            "bucket",
            postgres=LOCAL,
            repositories=(Repository(name="s3", type="s3", bucket="acme", path="/pg", region="eu-west-1"),),
            wal=WalPolicy(delivery="stream"),
        ),
    )


@pytest.mark.parametrize("version", ["3.4.0", "3.13.3", "3.20.1"])
def test_the_rendered_files_are_the_golden_ones(version: str) -> None:
    """Set PGWRAP_WRITE_GOLDEN to write them anew, then read the difference."""
    text = "".join(
        f"==> {file.write.path} {file.write.mode:o} {file.write.owner}\n{file.write.text}"
        for file in Barman().render(request(estate(), version)).files
    )
    golden = GOLDEN / f"{version}.txt"
    if os.environ.get("PGWRAP_WRITE_GOLDEN"):
        golden.write_text(text)

    assert golden.read_text() == text


def test_rendering_twice_gives_the_same_bytes() -> None:
    """Nothing depends on time, order of dicts or the machine."""
    assert Barman().render(request(estate())) == Barman().render(request(estate()))


def test_a_secret_is_in_the_file_and_named_for_masking_but_not_in_the_digest() -> None:
    """The header must not tell whether a password was guessed right."""
    cluster = made("a", postgres=PostgresTarget(host="db", password=Secret(kind="env", value=("P",))))

    shown = Barman().render(request((cluster,), secret=lambda _: "s3'cret")).files[1].write
    masked = Barman().render(request((cluster,), secret=lambda _: "********")).files[1].write

    assert "password='s3\\'cret'" in shown.text
    assert ("s3'cret",) == shown.secrets
    assert shown.text.splitlines()[:3] == masked.text.splitlines()[:3]


def test_a_password_with_a_space_is_refused() -> None:
    """Barman would take the rest of it for another parameter."""
    cluster = made("a", postgres=PostgresTarget(host="db", password=Secret(kind="env", value=("P",))))

    with pytest.raises(SpecError):
        Barman().render(request((cluster,), secret=lambda _: "two words"))


def test_the_files_belong_to_barmans_user() -> None:
    """Whoever the main file makes that."""
    instance = replace(INSTANCE, options=(NativeOption(key="barman_user", values=("backup",)),))

    rendered = Barman().render(replace(request(()), instance=instance))

    assert ("backup", 0o640) == (rendered.files[0].write.owner, rendered.files[0].write.mode)
    assert "barman_user = backup\n" in rendered.files[0].write.text


def test_the_main_file_serves_every_cluster() -> None:
    """And each server file its own."""
    rendered = Barman().render(request(estate()[:2]))

    assert [("streaming", "rsync"), ("streaming",), ("rsync",)] == [file.clusters for file in rendered.files]
    assert "/etc/barman.d/streaming.conf" == server_file(INSTANCE, "streaming")


@given(text=st.text(), version=st.sampled_from(["3.4.0", "3.20.1"]))
def test_no_text_in_the_spec_adds_a_line(text: str, version: str) -> None:
    """Every line of a server file is a comment, the section, an option that was meant, or empty."""
    plain = made("a", postgres=LOCAL, description="x")
    odd = made("a", postgres=replace(LOCAL, database=text, user=text), description=text)

    rendered = _rendered(odd, version)

    if rendered is not None:
        assert _keys(_rendered(plain, version)) == _keys(rendered)


@pytest.mark.parametrize("name", ["a\nb", "all", "a]", "../a", ""])
def test_an_impossible_server_name_is_refused(name: str) -> None:
    """`review` reports it too; a file is never written."""
    with pytest.raises(SpecError):
        Barman().render(request((made("a", engine_name=name, postgres=LOCAL),)))


def _rendered(cluster: Cluster, version: str) -> Rendered | None:
    try:
        return Barman().render(request((cluster,), version))
    except SpecError:
        return None


def _keys(rendered: Rendered | None) -> list[str]:
    assert rendered is not None
    lines = rendered.files[1].write.text.split("\n")
    return [line.split(" =")[0] for line in lines if not line.startswith("#")]
