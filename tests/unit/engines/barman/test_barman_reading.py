"""Barman's files are read as Barman reads them: what it refuses, what it ignores, and what every option then is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.native import NativeFile, Reading
from pgwrap.engines.barman.adapter import Barman
from pgwrap.engines.barman.options import options
from pgwrap.engines.port import EngineVersion

OLD, NEW = EngineVersion((3, 4, 0)), EngineVersion((3, 20, 1))
MAIN = (
    "[barman]\nbarman_user = barman\nbarman_home = /var/lib/barman\nlog_file = /var/log/barman/barman.log\n"
    "configuration_files_directory = /etc/barman.d\n"
)
SERVER = "[orders]\nconninfo = host=db1 user=barman dbname=postgres\n"


def reading(*servers: str | bytes, main: str = MAIN, version: EngineVersion = NEW) -> Reading:
    """A main file, and files of servers beside it."""
    included = (
        NativeFile(
            path=f"/etc/barman.d/{number}.conf",
            content=text.encode() if isinstance(text, str) else text,
            role="include",
        )
        for number, text in enumerate(servers)
    )
    return Barman().read((NativeFile(path="/etc/barman.conf", content=main.encode()), *included), version)


def values(found: Reading, option: str, subject: str = "orders") -> tuple[str, ...] | None:
    """What an option is; None when it is not set."""
    view = found.view(subject)
    assert view is not None, (found.refusals, subject)
    effective = view.options.get(option)
    return None if effective is None else effective.values


def places(found: Reading) -> list[str]:
    """Where each refusal stands."""
    return [str(problem.location).rpartition(":")[0] for problem in found.refusals]


@pytest.mark.parametrize(
    ("option", "text", "meaning"),
    [
        ("archiver", "t", ("y",)),
        ("archiver", "Yes", ("y",)),
        ("streaming_archiver", "OFF", ("n",)),
        ("last_wal_maximum_age", "3 MONTHS", (str(93 * 86400),)),
        ("last_backup_maximum_age", "2 weeks", (str(14 * 86400),)),
        ("last_backup_minimum_size", "5 Ki", ("5120",)),
        ("last_backup_minimum_size", "5k", ("5000",)),
        ("cloud_staging_max_size", "1Ti", (str(1 << 40),)),
        ("parallel_jobs", " +4 ", ("4",)),
        ("parallel_jobs", "1_0", ("10",)),
        ("backup_method", "POSTGRES", ("postgres",)),
        ("compression", "ZSTD", ("zstd",)),
        ("compression_level", "-7", ("-7",)),
        ("slot_name", "Barman_X", ("barman_x",)),
        ("snapshot_disks", "a,b", ("a", "b")),
        ("recovery_options", "delta-restore, GET-WAL", ("delta-restore", "get-wal")),
        ("retention_policy", "redundancy  3 ", ("REDUNDANCY 3",)),
        ("retention_policy", "RECOVERY WINDOW OF 2 WEEKS", ("RECOVERY WINDOW OF 14 DAYS",)),
        ("retention_policy", "recovery window of 1 month", ("RECOVERY WINDOW OF 31 DAYS",)),
        ("description", '"in quotes"', ("in quotes",)),
        ("description", 'it is "in" quotes\'', ('it is "in" quotes\'',)),
        ("description", "a ; b # c", ("a ; b # c",)),
        ("pre_backup_script", "a = b : c", ("a = b : c",)),
        ("minimum_redundancy", "-1", ("0",)),
        ("bandwidth_limit", "007", ("7",)),
    ],
)
def test_a_value_means_what_barman_makes_of_it(option: str, text: str, meaning: tuple[str, ...]) -> None:
    """Every kind of value has one spelling."""
    assert values(reading(f"{SERVER}{option} = {text}\n"), option) == meaning


@pytest.mark.parametrize(
    ("option", "text", "meaning"),
    [
        ("backup_method", "postgresql", ("rsync",)),
        ("parallel_jobs", "four", ("1",)),
        ("immediate_checkpoint", "maybe", ("n",)),
        ("compression", "rar", None),
        ("slot_name", "not-a-slot", None),
        ("retention_policy", "REDUNDANCY many", None),
        ("bandwidth_limit", "fast", None),
        ("backup_options", "exclusive_backup,concurrent_backup", ("concurrent_backup",)),
        ("last_wal_maximum_age", "1d", None),
        ("compression_level", "<int>", ("medium",)),
        ("retention_policy_mode", "manual", ("auto",)),
    ],
)
def test_a_wrong_value_is_ignored_with_a_remark(option: str, text: str, meaning: tuple[str, ...] | None) -> None:
    """Barman fails open: it warns, and the default holds."""
    found = reading(f"{SERVER}{option} = {text}\n")
    assert values(found, option) == meaning
    assert any(f"{option}: Barman ignores" in str(remark) and ":3:" in str(remark) for remark in found.remarks)


def test_a_server_inherits_from_barman_unless_it_says_otherwise() -> None:
    """An empty text, or None, stops the inheritance of a text; a number falls back to it."""
    main = f"{MAIN}post_backup_script = /a\nparallel_jobs = 4\n"
    found = reading(f"{SERVER}[b]\nconninfo = host=b\npost_backup_script = None\nparallel_jobs =\n", main=main)
    assert values(found, "post_backup_script") == ("/a",)
    assert values(found, "post_backup_script", "b") is None
    assert values(found, "parallel_jobs", "b") == ("4",)


def test_a_mode_that_is_emptied_is_the_only_one_there_is() -> None:
    """Barman falls back to it without reading the text."""
    found = reading(f"{SERVER}retention_policy_mode =\nwal_retention_policy = None\n")
    assert values(found, "retention_policy_mode") == ("auto",)
    assert values(found, "wal_retention_policy") == ("main",)


def test_an_option_of_servers_is_ignored_in_barmans_section() -> None:
    """Barman accepts it there without a word, and never looks."""
    found = reading(SERVER, main=f"{MAIN}backup_directory = /elsewhere\nkeepalive_interval = 7\n")
    assert values(found, "backup_directory") == ("/var/lib/barman/orders",)
    assert values(found, "keepalive_interval") == ("60",)
    assert sum("ignores it here" in str(remark) for remark in found.remarks) == 2


def test_defaults_follow_the_directories_that_are_set() -> None:
    """The default of a path is made of the value of another."""
    found = reading(f"{SERVER}backup_directory = /mnt/orders\nwals_directory = /fast/orders\n")
    assert values(found, "basebackups_directory") == ("/mnt/orders/base",)
    assert values(found, "xlogdb_directory") == ("/fast/orders",)


def test_the_last_of_several_lines_counts() -> None:
    """Sections and options may come twice, in one file and in several."""
    found = reading(
        f"{SERVER}archiver = off\narchiver = on\n", "[orders]\nreuse_backup = link\n[orders]\narchiver = 1\n"
    )
    assert values(found, "archiver") == ("y",)
    assert values(found, "reuse_backup") == ("link",)
    assert sum("counts for nothing" in str(remark) for remark in found.remarks) == 2


def test_keys_lines_and_comments_are_configparsers() -> None:
    """Keys in any case, `:` for `=`, values over several lines, comments on lines of their own only."""
    text = "[orders]\nConnInfo : host=db1\n   user=barman\n# no\n; no\ndescription = one # two\n\n    three\n"
    found = reading(text)
    assert values(found, "conninfo") == ("dbname=barman", "host=db1", "port=5432", "user=barman")
    assert values(found, "description") == ("one # two\n\nthree",)


@pytest.mark.parametrize(
    ("version", "text", "meaning"),
    [(OLD, "100%%", "100%"), (EngineVersion((3, 9)), "100%%", "100%"), (EngineVersion((3, 10, 0)), "100%%%%", "100%")],
)
def test_a_percent_sign_is_written_by_version(version: EngineVersion, text: str, meaning: str) -> None:
    """Since 3.10 Barman interpolates twice."""
    assert values(reading(f"{SERVER}description = {text}\n", version=version), "description") == (meaning,)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_value_may_refer_to_another_of_its_section(version: EngineVersion) -> None:
    """Interpolation sees the section, and what the server made of the options before."""
    text = f"{SERVER}archiver = yes\ndescription = %(archiver)s %(conninfo)s\n"
    found = reading(text, version=version)
    archiver = "yes" if version >= EngineVersion((3, 10)) else "True"
    assert values(found, "description") == (f"{archiver} host=db1 user=barman dbname=postgres",)


@pytest.mark.parametrize(
    ("version", "text", "line"),
    [
        (NEW, f"{SERVER}description = 100%%\n", 3),
        (NEW, f"{SERVER}description = 100%\n", 3),
        (OLD, f"{SERVER}description = 100%\n", 3),
        (OLD, f"{SERVER}description = %(nothing)s\n", 3),
        (NEW, f"{SERVER}backup_directory = %(barman_home)s/x\n", 3),
        (OLD, f"{SERVER}unknown = date +%H\n", 3),
        (OLD, f"{SERVER}description = %(description)s\n", 3),
        (NEW, "conninfo = host=db1\n", 1),
        (NEW, f"{SERVER}\nno option at all\n", 4),
        (NEW, "[all]\nconninfo = host=db1\n", 1),
        (NEW, f"{SERVER}[barman]\ncompression = gzip\n", 4),
        (NEW, f"{SERVER}wals_directory =\n", 3),
        (NEW, f"{SERVER}minimum_redundancy =\n", 3),
        (NEW, f"{SERVER}backup_directory = None\n", 3),
        (NEW, f"{SERVER}[b]\nconninfo = host=b\nbackup_directory = /var/lib/barman/orders/\n", 5),
        (NEW, "[m]\nmodel = on\n", 1),
        (NEW, "[m]\nmodel = perhaps\ncluster = c\n", 2),
        (NEW, f"{SERVER}compression = custom\ncustom_compression_magic = 0xno\n", 4),
        (NEW, "\ufeff[orders]\n", 1),
    ],
)
def test_what_barman_refuses_is_refused_with_its_line(version: EngineVersion, text: str, line: int) -> None:
    """Where Barman ends with an error, nothing is read, and the place is said."""
    found = reading(text, version=version)
    assert found.views == ()
    assert places(found)[0] == f"/etc/barman.d/0.conf:{line}"


def test_bytes_that_are_no_text_are_refused_with_their_line() -> None:
    """Barman opens its files as UTF-8."""
    assert places(reading(b"[orders]\n# caf\xe9\nconninfo = host=db1\n")) == ["/etc/barman.d/0.conf:2"]


def test_the_main_file_needs_a_home() -> None:
    """Without barman_home Barman does nothing at all."""
    found = reading(SERVER, main="# ours\n[barman]\nbarman_user = barman\n")
    assert places(found) == ["/etc/barman.conf:2"]


def test_newlines_of_other_systems_are_newlines() -> None:
    """Python opens the files with universal newlines."""
    found = reading(b"[orders]\r\nconninfo = host=db1\rarchiver = on\r\n")
    assert values(found, "archiver") == ("y",)


def test_files_of_servers_alone_stand_beside_the_packaged_main_file() -> None:
    """Their paths and defaults are those of a fresh installation, and the assumption is said."""
    found = Barman().read((NativeFile(path="/tmp/orders.conf", content=SERVER.encode()),), NEW)
    assert values(found, "backup_directory") == ("/var/lib/barman/orders",)
    assert any("packaged main file is assumed" in str(remark) for remark in found.remarks)


def test_a_main_file_alone_says_what_it_leaves_out() -> None:
    """Its directory of servers was not named."""
    (remark,) = reading().remarks
    assert str(remark.location) == "/etc/barman.conf:5:1"
    assert "/etc/barman.d/*.conf" in remark.hint


def test_what_config_update_wrote_wins() -> None:
    """`.barman.auto.conf` is read last, since 3.10."""
    files = (
        NativeFile(path="/etc/barman.conf", content=f"{MAIN}{SERVER}".encode()),
        NativeFile(path="/var/lib/barman/.barman.auto.conf", content=b"[orders]\narchiver=on\n", role="override"),
    )
    assert values(Barman().read(files, NEW), "archiver") == ("y",)
    assert values(Barman().read(files, NEW), "streaming_archiver") == ("n",)


def test_an_active_model_replaces_what_the_server_says() -> None:
    """Its name stands in a file of the server's directory."""
    text = f"{SERVER}cluster = c\n[m]\nmodel = on\ncluster = c\nconninfo = host=db2 user=x\n"
    files = (
        NativeFile(path="/etc/barman.conf", content=f"{MAIN}{text}".encode()),
        NativeFile(path="/var/lib/barman/orders/.active-model.auto", content=b"m\n", role="override"),
    )
    found = Barman().read(files, NEW)
    assert values(found, "conninfo") == ("dbname=x", "host=db2", "port=5432", "user=x")
    assert any("is active" in str(remark) for remark in found.remarks)
    assert values(found, "cluster", "model m") == ("c",)


def test_what_disables_a_server_is_a_remark() -> None:
    """The file is right for Barman; the server is not worked with."""
    found = reading("[orders]\nbackup_method = postgres\nreuse_backup = link\n")
    said = " ".join(str(remark) for remark in found.remarks)
    assert "has no conninfo" in said
    assert "the method postgres takes no reuse_backup" in said
    assert found.refusals == ()


def test_passwords_are_not_shown() -> None:
    """A connection string with a password is a secret as a whole."""
    found = reading(f"{SERVER}streaming_conninfo = host=db1 user=s password=s3cret\n")
    view = found.view("orders")
    assert view is not None
    assert view.options["streaming_conninfo"].shown == "***"
    assert "s3cret" not in repr(found)


def test_unknown_options_and_those_of_later_versions_are_ignored() -> None:
    """With a hint where a known name is near."""
    found = reading(f"{SERVER}retention_polcy = x\nworm_mode = on\n", version=OLD)
    said = [str(remark) for remark in found.remarks]
    assert any("did you mean retention_policy?" in text and ":3:" in text for text in said)
    assert any("came with 3.13.2" in text and ":4:" in text for text in said)
    assert values(found, "worm_mode") is None


@pytest.mark.parametrize("name", sorted(name for name, option in options().items() if option.scope == "both"))
def test_every_inherited_option_comes_from_barmans_section(name: str) -> None:
    """[barman]'s value is the server's, for every option that the table says is inherited."""
    text = _sample(name)
    main = f"{MAIN}{name} = {text}\n"
    passive = name == "primary_ssh_command"
    inherited = values(reading(SERVER, main=main), name)
    assert inherited is not None
    assert inherited == values(reading(f"{SERVER}{name} = {text}\n"), name)
    assert passive or inherited == values(reading(SERVER, main=main), name, "") or name == "backup_options"


def _sample(name: str) -> str:
    option = options()[name]
    accepted = option.accepts(NEW)
    if accepted:
        return next(value for value in accepted if value not in {"none", "exclusive_backup"})
    samples = {"bool": "on", "int": "3", "interval": "3 DAYS", "bytes": "3Ki", "slot": "slot", "absolute": "/x"}
    special = {"retention_policy": "REDUNDANCY 3", "tablespace_bandwidth_limit": "a:3"}
    return special.get(name) or samples.get(option.type.split(" ", maxsplit=1)[0], "3")


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode), version=st.sampled_from([OLD, NEW]))
def test_no_bytes_at_all_break_the_reader(content: bytes, version: EngineVersion) -> None:
    """It reads or refuses; a refusal has a reason."""
    found = Barman().read((NativeFile(path="/etc/barman.d/x.conf", content=content),), version)
    assert found.views or all(problem.message for problem in found.refusals)
    assert found.views or found.refusals
