"""pgBackRest's files in the words of a spec, which render to what the files say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwrap.domain.adoption import Adoption
from pgwrap.domain.model import EngineKind, Secret
from pgwrap.domain.moved import moved
from pgwrap.domain.native import NativeFile, compare
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.port import EngineVersion, RenderRequest
from pgwrap.spec.loader import load_text
from pgwrap.spec.writing import write

CORPUS = Path(__file__).parents[3] / "recordings/corpus"
MAIN = "/etc/pgbackrest/pgbackrest.conf"
VERSIONS = ("2.45", "2.55.1", "2.60.0")
ENGINE = PgBackRest()


def files(text: str | bytes) -> tuple[NativeFile, ...]:
    """The main file in its own place."""
    return (NativeFile(path=MAIN, content=text.encode() if isinstance(text, str) else text),)


def adopted(text: str, version: str = "2.55.1", native: frozenset[str] = frozenset()) -> Adoption:
    """What the text becomes."""
    return ENGINE.adopt(files(text), EngineVersion.parse(version), "pgbackrest", native)


def differences(text: str | bytes, version: str = "2.55.1") -> list[tuple[str, str]]:
    """Subject and option of everything that the rendered spec says otherwise."""
    chosen = EngineVersion.parse(version)
    before = ENGINE.read(files(text), chosen)
    assert not before.refusals
    draft = write([ENGINE.adopt(files(text), chosen, "pgbackrest")], "/secrets")
    fleet = load_text(draft.text, "spec")

    def secret(reference: Secret) -> str:
        return draft.secrets[reference.value[0]].removesuffix("\n")

    instance = next(one for one in fleet.engines if one.kind is EngineKind.PGBACKREST)
    request = RenderRequest(
        instance=instance, clusters=fleet.clusters, version=chosen, secret=secret, spec_file="/etc/pgwrap/pgwrap.yaml"
    )
    rendered = next(file for file in ENGINE.render(request).files if file.write.path == instance.config)
    after = ENGINE.read((NativeFile(path=instance.config, content=rendered.write.text.encode()),), chosen)
    found = compare(before, after).differences
    return [(one.subject, one.option) for one in found if moved(one, before) is None]


WHOLE = """\
# Backups of the shop.

[global]
# Where they are.
repo1-path=/srv/backups
repo1-retention-full=14
repo1-retention-full-type=time
repo1-retention-history=30
repo2-type=s3
repo2-path=/shop
repo2-s3-bucket=shop
repo2-s3-endpoint=s3.example.net
repo2-s3-region=eu
repo2-s3-key=AKIA
repo2-s3-key-secret=hush
repo2-cipher-type=aes-256-cbc
repo2-cipher-pass=a # pass "phrase": [x]
repo2-bundle=y
process-max=4
start-fast=y
log-level-console=info
log-path=/var/log/pgbackrest
archive-async=y

[global:archive-push]
process-max=2
compress-level=3

[orders]
# The primary.
pg1-path=/var/lib/postgresql/17/main
pg1-port=5433
pg2-host=standby
pg2-path=/var/lib/postgresql/17/main
backup-standby=y

[billing]
pg1-path=/srv/billing
"""


def test_words_say_what_has_a_word() -> None:
    """And options the rest."""
    found = adopted(WHOLE)
    assert found.engine == (
        "pgbackrest",
        {"log_directory": "/var/log/pgbackrest", "options": {"log-level-console": "info"}},
    )
    assert found.repositories["repo1"] == {
        "path": "/srv/backups",
        "retention": {"window": "14d", "history": "30d"},
    }
    assert found.repositories["repo2"] == {
        "type": "s3",
        "path": "/shop",
        "encryption": {"cipher": "aes-256-cbc"},
        "bucket": "shop",
        "endpoint": "s3.example.net",
        "region": "eu",
        "bundle": True,
    }
    assert found.clusters["billing"] == {
        "postgres": {"data_directory": "/srv/billing"},
        "repositories": ("repo1", "repo2"),
        "backup": {"parallel": 4, "checkpoint": "fast"},
        "wal": {"parallel": 2, "async": True, "compression": "gz", "compression_level": 3},
    }
    assert found.clusters["orders"]["standbys"] == (
        {"data_directory": "/var/lib/postgresql/17/main", "ssh": {"address": "standby"}},
    )


def test_secrets_and_comments_come_apart() -> None:
    """Each with the word that it belongs to."""
    found = adopted(WHOLE)
    assert dict(found.secrets) == {
        ("repositories", "repo2", "credentials", "key"): "AKIA",
        ("repositories", "repo2", "credentials", "secret"): "hush",
        ("repositories", "repo2", "encryption", "passphrase"): 'a # pass "phrase": [x]',
    }
    assert found.comments["engines", "pgbackrest"] == ("Backups of the shop.",)
    assert found.comments["repositories", "repo1", "path"] == ("Where they are.",)
    assert found.comments["clusters", "orders", "postgres", "data_directory"] == ("The primary.",)
    assert "hush" not in repr(found)


@pytest.mark.parametrize("version", ["2.55.1", "2.60.0"])
def test_a_whole_file_comes_back(version: str) -> None:
    """Whatever each command reads of it."""
    assert differences(WHOLE, version) == []


@pytest.mark.parametrize(
    "text",
    [
        "[m]\ndb-path=/x\nretention-full=2\nbackup-host=b\nbackup-user=u\n",
        "[m]\npg1-path=/x\n[global]\nrepo3-path=/r\nrepo5-path=/s\n",
        "[m]\npg1-path=/x\npg3-path=/y\npg3-host=h\n[global]\nrepo1-path=/r\n",
        "[global]\nrepo1-path=/r\nrepo1-retention-full=1\n[a]\npg1-path=/a\nrepo1-retention-full=2\n[b]\npg1-path=/b\n",
        "[global]\nrepo1-path=/r\n[a]\npg1-path=/a\nrepo1-path=/s\n[b]\npg1-path=/b\n",
        "[global]\nrepo1-path=/r\n[a]\npg1-path=/a\nrepo1-path=/s\n",
        "[global]\nrepo1-path=/r\nprocess-max=3\n[global:restore]\nprocess-max=9\n[a]\npg1-path=/a\n[a:backup]\nprocess-max=1\n",
        "[global]\nrepo1-path=/r\ncompress-type=lz4\n[global:archive-push]\ncompress-level=2\n[a]\npg1-path=/a\n",
        "[global]\nrepo1-path=/r\nrepo1-retention-full-type=time\n[a]\npg1-path=/a\n",
        "[global]\nrepo1-path=/r\nrepo1-block=y\n[a]\npg1-path=/a\n",
        "[global]\nrepo1-path=/r\nexclude=a b\nexclude='c'\n[a]\npg1-path=/a\n",
        "[global]\nlog-level-console=info\nrepo1-path=/r\n",
        "[global]\nrepo1-host=h\nrepo1-path=/elsewhere\nrepo1-retention-full=2\n[a]\npg1-path=/a\n",
        "[global]\nrepo1-type=gcs\nrepo1-gcs-bucket=b\nrepo1-gcs-key=/etc/key.json\nrepo1-path=/p\n[a]\npg1-path=/a\n",
        "[global]\nrepo1-type=azure\nrepo1-azure-account=x\nrepo1-azure-container=c\nrepo1-azure-key=aw==\n[a]\npg1-path=/a\n",
        "[a]\npg1-path=/a\npg1-socket-path=@abstract\nbackup-standby=y\n[global]\nrepo1-path=/r\n",
        "[yes]\npg1-path=/a b/#c: {x}\n[global]\nrepo1-path=/null\n",
    ],
)
def test_odd_files_come_back(text: str) -> None:
    """Old names, gaps, overrides, sections of commands, options that do not count."""
    assert differences(text) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", sorted(CORPUS.glob("pgbackrest_*/*.conf")), ids=lambda path: path.name)
def test_files_from_the_field_come_back(path: Path, version: str) -> None:
    """Unless pgBackRest refuses them; `make corpus` asks pgBackRest itself."""
    if ENGINE.read(files(path.read_bytes()), EngineVersion.parse(version)).refusals:
        pytest.skip(f"refused by {version}")
    assert differences(path.read_bytes(), version) == []


def test_what_is_named_stays_native() -> None:
    """A word that made a difference is taken back."""
    found = adopted("[global]\nrepo1-path=/r\nprocess-max=3\n[a]\npg1-path=/a\n", native=frozenset({"process-max"}))
    assert "backup" not in found.clusters["a"]
    assert found.engine[1]["options"] == {"process-max": 3}


def test_a_secret_without_use_is_left_out_with_a_word() -> None:
    """It would stand in the spec for nothing."""
    found = adopted("[global]\nrepo1-path=/r\nrepo1-cipher-pass=hush\n[a]\npg1-path=/a\n")
    assert not found.secrets
    assert "repo1-cipher-pass is a secret that no command uses" in found.notices[0].message
    assert "hush" not in repr(found.repositories)


def test_another_place_is_said() -> None:
    """Of the main file, and of what was beside it."""
    both = (
        NativeFile(path="/etc/pgbackrest.conf", content=b"[global]\nrepo1-path=/r\n"),
        NativeFile(path="/etc/pgbackrest/conf.d/a.conf", content=b"[a]\npg1-path=/a\n", role="include"),
    )
    found = ENGINE.adopt(both, EngineVersion.parse("2.55.1"), "pgbackrest")
    assert found.engine[1]["config"] == "/etc/pgbackrest.conf"
    assert "what /etc/pgbackrest/conf.d/a.conf say goes into /etc/pgbackrest.conf" in found.notices[0].message


TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")),
    min_size=1,
).filter(lambda text: text == text.strip() and text.strip(" \t\r\n"))


@settings(deadline=None, max_examples=60)
@given(bucket=TEXT, secret=TEXT, exclude=st.lists(TEXT, min_size=1, max_size=3), path=TEXT)
def test_any_text_comes_back(bucket: str, secret: str, exclude: list[str], path: str) -> None:
    """Whatever YAML or pgBackRest could take it for."""
    lines = [
        "[global]",
        "repo1-type=s3",
        f"repo1-s3-bucket={bucket.replace('.', '-')}",
        "repo1-s3-endpoint=e",
        "repo1-s3-region=r",
        "repo1-s3-key=k",
        f"repo1-s3-key-secret={secret}",
        *(f"exclude={one}" for one in exclude),
        "[m]",
        f"pg1-path=/{path.replace('/', '')}",
    ]
    assert differences("\n".join(lines)) == []
