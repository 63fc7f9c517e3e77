"""An adopted configuration means what it meant: read, adopted, written as a spec, rendered and read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwrap.domain.adoption import Adoption
from pgwrap.domain.model import EngineInstance, EngineKind, Secret
from pgwrap.domain.native import NativeFile, compare
from pgwrap.engines.barman.adapter import Barman
from pgwrap.engines.barman.options import options
from pgwrap.engines.barman.values import option_line
from pgwrap.engines.port import EngineVersion, RenderRequest
from pgwrap.errors import SpecError
from pgwrap.spec.loader import load_file
from pgwrap.spec.writing import write
from pgwrap.text.yaml_text import dump

CORPUS = Path(__file__).parents[3] / "recordings" / "corpus"
REFUSED = {"011.conf", "047.conf"}
"""By Barman itself, in every version: a lone percent sign; no barman_home."""
HARD_AND_REFUSED = {
    "lone-percent-sign",
    "no-directory",
    "no-header",
    "no-home",
    "nothing-where-a-number-belongs",
    "reserved-name",
    "second-main-section",
    "shared-paths",
}
OLD, NEW = EngineVersion((3, 4, 0)), EngineVersion((3, 20, 1))
VERSIONS = (OLD, EngineVersion((3, 9, 0)), EngineVersion((3, 13, 3)), NEW)
MAIN = (
    "[barman]\nbarman_user = barman\nbarman_home = /var/lib/barman\nlog_file = /var/log/barman/barman.log\n"
    "configuration_files_directory = /etc/barman.d\n"
)


def files(text: str, main: str = MAIN) -> tuple[NativeFile, ...]:
    """An installation with one file of servers."""
    return (
        NativeFile(path="/etc/barman.conf", content=main.encode()),
        NativeFile(path="/etc/barman.d/servers.conf", content=text.encode(), role="include"),
    )


def adopted(text: str, main: str = MAIN, version: EngineVersion = NEW) -> Adoption:
    """What an installation becomes."""
    return Barman().adopt(files(text, main), version, "barman")


def rendered(adoption: Adoption, version: EngineVersion, directory: Path) -> tuple[NativeFile, ...]:
    """The files that pgwrap writes for the adopted spec, once that was written down and loaded."""
    spec = directory / "pgwrap.yaml"
    spec.write_text(write([adoption]).text, encoding="utf-8")
    fleet = load_file(str(spec))
    (instance,) = (engine for engine in fleet.engines if engine.name == adoption.engine[0])
    request = RenderRequest(
        instance=instance, clusters=fleet.clusters, version=version, secret=literal, spec_file="/etc/pgwrap.yaml"
    )
    main, *servers = (file.write for file in Barman().render(request).files)
    return (
        NativeFile(path=main.path, content=main.text.encode()),
        *(NativeFile(path=file.path, content=file.text.encode(), role="include") for file in servers),
    )


def literal(secret: Secret) -> str:
    """The secret itself."""
    return secret.value[0]


def changes(original: tuple[NativeFile, ...], version: EngineVersion, directory: Path) -> list[str]:
    """Every option that is another after the import."""
    before = Barman().read(original, version)
    assert before.refusals == ()
    after = Barman().read(rendered(Barman().adopt(original, version, "barman"), version, directory), version)
    assert after.refusals == ()
    found = compare(before, after)
    assert found.options > 0
    return [
        f"[{change.subject}] {change.option}: {change.before and change.before.values} → "
        f"{change.after and change.after.values}"
        for change in found.differences
    ]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("path", sorted((CORPUS / "barman_conf").glob("*.conf")), ids=lambda path: path.name)
def test_every_real_file_comes_back_or_is_refused(path: Path, version: EngineVersion, tmp_path: Path) -> None:
    """As Barman does: `integration/corpus_barman.py` asks it."""
    original = (NativeFile(path=str(path), content=path.read_bytes()),)
    if path.name in REFUSED:
        refusals = Barman().read(original, version).refusals
        assert [problem.location is not None for problem in refusals] == [True]
        return
    assert changes(original, version, tmp_path) == []


@pytest.mark.parametrize("path", sorted((CORPUS / "barman_hard").iterdir()), ids=lambda path: path.name)
def test_hard_files_come_back_or_are_refused(path: Path, tmp_path: Path) -> None:
    """Inheritance, wrong values, odd lines, connection strings, and what Barman ends at."""
    original = files((path / "barman.d" / "servers.conf").read_text(), (path / "barman.conf").read_text())
    refusals = Barman().read(original, NEW).refusals
    assert bool(refusals) == (path.name in HARD_AND_REFUSED)
    assert all(problem.location is not None for problem in refusals)
    assert refusals or changes(original, NEW, tmp_path) == []


def test_what_has_a_word_becomes_the_word() -> None:
    """Nothing of an ordinary server stays native."""
    adoption = adopted(
        "[orders]\n"
        "description = Orders\n"
        "conninfo = host=db1 port=5433 user=barman dbname=postgres sslmode=require\n"
        "streaming_conninfo = host=db1 port=5433 user=streaming_barman dbname=postgres sslmode=require\n"
        "ssh_command = ssh -o BatchMode=yes -p 2222 -l postgres db1\n"
        "backup_method = postgres\n"
        "backup_compression = zstd\n"
        "backup_compression_level = 3\n"
        "immediate_checkpoint = true\n"
        "bandwidth_limit = 4000\n"
        "archiver = on\n"
        "streaming_archiver = on\n"
        "slot_name = barman_orders\n"
        "create_slot = auto\n"
        "streaming_archiver_name = orders_wal\n"
        "compression = gzip\n"
        "retention_policy = RECOVERY WINDOW OF 2 WEEKS\n"
        "minimum_redundancy = 2\n"
        "last_backup_maximum_age = 2 DAYS\n"
        "pre_backup_script = /usr/local/bin/before 'two words'\n"
    )
    assert adoption.engine == ("barman", {})
    assert adoption.clusters == {
        "orders": {
            "engine": "barman",
            "description": "Orders",
            "postgres": {
                "host": "db1",
                "port": 5433,
                "user": "barman",
                "sslmode": "require",
                "streaming_user": "streaming_barman",
                "ssh": {"address": "db1", "user": "postgres", "port": 2222},
            },
            "backup": {
                "method": "postgres",
                "compression": "zst",
                "compression_level": 3,
                "checkpoint": "fast",
                "rate_limit": "4000KiB/s",
            },
            "wal": {
                "delivery": "both",
                "create_slot": True,
                "streaming_name": "orders_wal",
                "compression": "gz",
            },
            "retention": {"window": "14d", "minimum_full": 2},
            "objectives": {"backup_age": "48h"},
            "hooks": {"before_backup": ("/usr/local/bin/before", "two words")},
        }
    }


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("ssh_command", "ssh -o StrictHostKeyChecking=no postgres@db1"),
        ("pre_backup_script", "env | grep ^BARMAN"),
        ("compression", "pigz"),
        ("backup_options", "concurrent_backup,external_configuration"),
        ("retention_policy", "REDUNDANCY 0"),
        ("last_wal_maximum_age", "1 DAY"),
        ("conninfo", "postgresql://barman@db1/postgres"),
        ("conninfo", "host=db1 user=barman connect_timeout=3"),
        ("streaming_conninfo", "host=db2 user=streaming_barman"),
        ("description", "100% [sure] # really ; yes"),
    ],
)
def test_what_no_word_says_exactly_stays_native(option: str, text: str, tmp_path: Path) -> None:
    """Verbatim, so that nothing changes."""
    line = option_line(option, text, NEW, ())
    other = "" if option == "conninfo" else "conninfo = host=db1 user=barman dbname=postgres\n"
    original = files(f"[orders]\n{other}backup_method = rsync\n{line}\n")
    words = Barman().adopt(original, NEW, "barman").clusters["orders"]
    if option != "description":
        assert isinstance(words["options"], dict)
        assert words["options"]["barman"][option] == text  # type: ignore[index, call-overload]
    assert changes(original, NEW, tmp_path) == []


def test_passwords_are_set_apart() -> None:
    """Both roles' passwords leave the words, by the path of the word that should refer to them."""
    adoption = adopted(
        "[orders]\n"
        "conninfo = host=db1 user=barman dbname=postgres password=one\n"
        "streaming_conninfo = host=db1 user=streaming_barman password=two\n"
        "backup_method = postgres\n"
    )
    assert adoption.secrets == {
        ("clusters", "orders", "postgres", "password"): "one",
        ("clusters", "orders", "postgres", "streaming_password"): "two",
    }
    assert "one" not in dump(adoption.clusters)
    assert "two" not in repr(adoption)
    assert "options" not in adoption.clusters["orders"]


def test_a_password_that_no_word_takes_is_noticed() -> None:
    """Native options hold no reference to a secret."""
    adoption = adopted("[orders]\nconninfo = postgresql://barman:one@db1/postgres\n")
    (notice,) = (notice for notice in adoption.notices if "password" in notice.message)
    assert str(notice.location) == "/etc/barman.d/servers.conf:2:1"
    assert ".pgpass" in notice.hint


def test_comments_stay_with_their_setting() -> None:
    """Those directly above it; settings that are commented out are noise."""
    adoption = adopted(
        "# The shop's orders\n[orders]\n; Ask Jane first\n# retention_policy = REDUNDANCY 9\n; Law says two weeks\n"
        "retention_policy = RECOVERY WINDOW OF 14 DAYS\n\n; stray\n\nconninfo = host=db1 user=barman dbname=postgres\n"
    )
    assert adoption.comments == {("clusters", "orders", "retention", "window"): ("Law says two weeks",)}


def test_several_servers_of_one_directory_share_a_repository(tmp_path: Path) -> None:
    """PATH/SERVER is what a repository of the spec means; another place stays native."""
    text = "".join(
        f"[{name}]\nconninfo = host={name} user=barman dbname=postgres\nbackup_directory = {path}\n"
        for name, path in (("a", "/mnt/backups/a"), ("b", "/mnt/backups/b"), ("c", "/mnt/c/pg"))
    )
    adoption = adopted(text)
    assert adoption.repositories == {"barman-backups": {"type": "posix", "path": "/mnt/backups"}}
    assert adoption.clusters["a"]["repositories"] == adoption.clusters["b"]["repositories"] == ("barman-backups",)
    assert adoption.clusters["c"]["options"] == {"barman": {"backup_directory": "/mnt/c/pg"}}
    assert changes(files(text), NEW, tmp_path) == []


def test_the_main_file_becomes_the_engine(tmp_path: Path) -> None:
    """What [barman] gives to all servers stays there."""
    main = (
        "[barman]\nbarman_home = /srv/barman\nbarman_user = backup\nlog_file = /srv/log/barman.log\n"
        "barman_lock_directory = /run/barman\nconfiguration_files_directory = /etc/barman/conf.d\n"
        "log_level = DEBUG\ncompression = gzip\narchiver = on\nretention_policy = REDUNDANCY 3\n"
    )
    text = "[orders]\nconninfo = host=db1 user=barman dbname=postgres\n"
    adoption = adopted(text, main)
    assert adoption.engine[1] == {
        "servers": "/etc/barman/conf.d",
        "home": "/srv/barman",
        "run_as": "backup",
        "log_directory": "/srv/log",
        "lock_directory": "/run/barman",
        "options": {
            "log_level": "DEBUG",
            "archiver": "on",
            "compression": "gzip",
            "retention_policy": "REDUNDANCY 3",
        },
    }
    assert changes(files(text, main), NEW, tmp_path) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[orders]\nprimary_ssh_command = ssh -o BatchMode=yes -l barman backup1\n",
            {"engine": "barman", "passive": {"address": "backup1", "user": "barman"}},
        ),
        (
            "[orders]\nprimary_ssh_command = ssh -i key barman@backup1\ncompression = gzip\n",
            {
                "engine": "barman",
                "passive": {"address": "backup1", "user": "barman"},
                "options": {
                    "barman": {"compression": "gzip", "primary_ssh_command": "ssh -i key barman@backup1"},
                },
            },
        ),
        (
            "[orders]\nbackup_method = postgres\nconninfo = host=s user=b dbname=postgres\n"  # noqa: ISC004 - one text
            "primary_conninfo = host=p user=b dbname=postgres\n",
            {
                "engine": "barman",
                "postgres": {"host": "p", "user": "b"},
                "standbys": ({"host": "s", "user": "b"},),
                "backup": {"method": "postgres", "from": "standby"},
                "wal": {"delivery": "archive"},
            },
        ),
    ],
)
def test_passive_nodes_and_standbys_have_words(text: str, words: object, tmp_path: Path) -> None:
    """The cluster is described from its primary on."""
    assert adopted(text).clusters["orders"] == words
    assert changes(files(text), NEW, tmp_path) == []


def test_models_come_with_a_server_of_their_cluster(tmp_path: Path) -> None:
    """Two servers may share them; the section is written once."""
    text = (
        "[a]\nconninfo = host=a user=b dbname=postgres\ncluster = c\n"
        "[b]\nconninfo = host=b user=b dbname=postgres\ncluster = c\n"
        "[standby]\nmodel = on\ncluster = c\nconninfo = host=s user=b dbname=postgres\narchiver = off\n"
    )
    models = adopted(text).clusters["a"]["models"]
    assert models == {"standby": {"postgres": {"host": "s", "user": "b"}, "options": {"archiver": "off"}}}
    assert "models" not in adopted(text).clusters["b"]
    assert changes(files(text), NEW, tmp_path) == []


def test_overrides_are_adopted_with_a_notice(tmp_path: Path) -> None:
    """They are part of what runs, and go on winning until they are removed."""
    original = (
        *files("[orders]\nconninfo = host=db1 user=barman dbname=postgres\nreuse_backup = link\n"),
        NativeFile(
            path="/var/lib/barman/.barman.auto.conf", content=b"[orders]\nreuse_backup = copy\n", role="override"
        ),
    )
    adoption = Barman().adopt(original, NEW, "barman")
    assert adoption.clusters["orders"]["backup"] == {"method": "rsync", "reuse": "copy"}
    assert any("config-update" in notice.message and "remove" in notice.hint for notice in adoption.notices)
    assert changes(original, NEW, tmp_path) == []


def test_servers_that_will_stand_elsewhere_are_noticed() -> None:
    """pgwrap writes a file for each server."""
    adoption = adopted("[orders]\nconninfo = host=db1 user=barman dbname=postgres\n")
    (notice,) = adoption.notices
    assert notice.message == "[orders] will stand in /etc/barman.d/orders.conf"
    assert notice.hint == "remove /etc/barman.d/servers.conf then, or Barman reads both"


def test_another_installation_says_which_engine_it_is() -> None:
    """Its clusters name it."""
    found = Barman().adopt(files("[orders]\nconninfo = host=db1 user=b dbname=b\n"), NEW, "site2")
    assert found.engine == ("site2", {"engine": "barman"})
    assert found.clusters["orders"]["engine"] == "site2"


def test_text_that_no_line_can_hold_is_noticed() -> None:
    """It is not lost silently."""
    adoption = adopted("[orders]\nconninfo = host=db1 user=b dbname=b\npost_backup_script = a\n  b\n")
    (notice,) = (notice for notice in adoption.notices if "cannot be said" in notice.message)
    assert str(notice.location) == "/etc/barman.d/servers.conf:3:1"


NAMES = sorted(name for name, option in options().items() if option.scope in ("both", "server"))
PATHS = {name for name in NAMES if name.endswith("_directory") and options()[name].scope == "server"}
TEXTS = st.text(st.sampled_from(list("%#;[]\"'= :/\\()aé\u00a0$`|")), max_size=12)
SAMPLES = """
on off 3 0 -1 5Gi gzip zstd link rsync postgres auto local-rsync concurrent_backup a,b None none s3://b/p /x
3 DAYS
2 WEEKS
REDUNDANCY 2
host=a user=b
host=/run port=1 user=c dbname=d password=e
ssh a@b
ssh -o BatchMode=yes -l a b
/bin/x 'y z'
"""
WORDS = st.sampled_from(["", *SAMPLES.split(), *SAMPLES.splitlines()])


def section(pairs: dict[str, str], name: str, version: EngineVersion) -> str:
    """A server's section with values written as Barman needs them."""
    lines = [
        option_line(key, f"/p/{name}/{key}" if key in PATHS else value, version, ()) for key, value in pairs.items()
    ]
    return "\n".join((f"[{name}]", *lines, ""))


@given(
    common=st.dictionaries(st.sampled_from(NAMES), TEXTS | WORDS, max_size=6),
    servers=st.lists(st.dictionaries(st.sampled_from(NAMES), TEXTS | WORDS, max_size=10), min_size=1, max_size=3),
    version=st.sampled_from(VERSIONS),
)
@settings(max_examples=60)
def test_whatever_barman_accepts_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    common: dict[str, str],
    servers: list[dict[str, str]],
    version: EngineVersion,
) -> None:
    """Any options with any values, inherited or not, in any version."""
    try:
        head = "\n".join(option_line(key, value, version, ()) for key, value in common.items() if key not in PATHS)
        text = "".join(section(pairs, f"s{number}", version) for number, pairs in enumerate(servers))
    except SpecError:
        return
    original = files(text, f"{MAIN}{head}\n")
    if Barman().read(original, version).refusals:
        return
    assert changes(original, version, tmp_path_factory.mktemp("adopted")) == []


def test_the_places_are_those_where_barman_looks() -> None:
    """By default, and once the files have been read."""
    places = Barman().places((), None)
    assert places.main == ("/var/lib/barman/.barman.conf", "/etc/barman.conf", "/etc/barman/barman.conf")
    found = Barman().places(files("[orders]\nconninfo = host=a\n"), None)
    assert found.include == "/etc/barman.d"
    assert found.overrides == (
        "/var/lib/barman/.barman.auto.conf",
        "/var/lib/barman/orders/.active-model.auto",
    )
    instance = EngineInstance(name="b", kind=EngineKind.BARMAN, command="barman", config="/b.conf", include="/b.d")
    assert Barman().places((), instance).main == ("/b.conf",)


@pytest.mark.parametrize(
    ("content", "known"),
    [
        (b"[barman]\n", True),
        (b"[x]\nconninfo = host=a\n", True),
        (b"[x]\nBackup_Method: rsync\nno option\n", True),
        (b"[global]\nrepo1-path=/x\ncompress-type=zst\n[demo]\npg1-path=/y\n", False),
        (b"version: 1\nclusters:\n  x: {engine: barman}\n", False),
        (b"\x00\xff\xfe", False),
        (b"", False),
    ],
)
def test_barmans_language_is_recognised(content: bytes, known: bool) -> None:
    """By its section and its options, also in a file that Barman would refuse."""
    assert Barman().recognises(NativeFile(path="/x", content=content)) is known
