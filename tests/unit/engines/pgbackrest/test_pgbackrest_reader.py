"""pgBackRest's files are read as pgBackRest reads them: what it was seen to do with each of these texts is expected."""

from __future__ import annotations

import pytest

from pgwrap.domain.native import Effective, NativeFile, Reading
from pgwrap.engines.pgbackrest.reader import read, recognises
from pgwrap.engines.port import EngineVersion

DEBIAN_12 = "2.45"
DEBIAN_13 = "2.55.1"
NEWEST = "2.60.0"


def reading(text: str | bytes, version: str = DEBIAN_13, *included: str) -> Reading:
    """What a version makes of a main file and further ones."""
    content = text.encode() if isinstance(text, str) else text
    more = [
        NativeFile(path=f"/etc/pgbackrest/conf.d/{number}.conf", content=one.encode(), role="include")
        for number, one in enumerate(included)
    ]
    files = (NativeFile(path="/etc/pgbackrest/pgbackrest.conf", content=content), *more)
    return read(files, EngineVersion.parse(version))


def option(found: Reading, name: str, command: str = "backup", stanza: str = "m") -> Effective:
    """One option of one command."""
    view = found.view(stanza, command)
    assert view is not None
    return view.options[name]


def values(found: Reading, name: str, command: str = "backup", stanza: str = "m") -> tuple[str, ...]:
    """What one option means."""
    return option(found, name, command, stanza).values


def refused(text: str | bytes, version: str = DEBIAN_13) -> str:
    """The first reason why a version takes no such file."""
    found = reading(text, version)
    assert found.refusals, "nothing was refused"
    return str(found.refusals[0]).removeprefix("/etc/pgbackrest/pgbackrest.conf:")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pg1-path=/x\n", "1:1: error: an option outside of any section [029]"),
        ("\ufeff[m]\npg1-path=/x\n", "1:1: error: a byte order mark, which pgBackRest takes for"),
        ("[m]\npg1-path=/x\n  [ x\n", "3:3: error: a section should end with ] [029]"),
        ("[m]\npg1-path=/x\n[]\n", "3:1: error: the section has no name [029]"),
        ("[m]\npg1-path=/x\nhello\n", "3:1: error: neither a section nor an option with = [029]"),
        ("[m]\n=/x\n", "2:1: error: an option without a name [029]"),
        ("[m]\npg1-path=/x\npg1-path=/x\n", "3:1: error: pg1-path: set several times [031]"),
        ("[m]\npg1-path=/x\ndb-path=/x\n", "3:1: error: db-path: the same option as pg1-path in line 2 [031]"),
        ("[m]\npg1-path=/x\nrepo-path=/a\nrepo1-path=/a\n", "4:1: error: repo1-path: the same option as repo-path"),
        ("[m]\npg1-path=/x\nrepo257-path=/a\n", "3:1: error: repo257-path: the number must be between 1 and 256"),
        ("[m]\npg1-path=/x\nrepo0-path=/a\n", "3:1: error: repo0-path: the number must be between 1 and 256"),
        ("[m]\npg1-path=/x\nno-repo1-path=y\n", "3:1: error: no-repo1-path: this option cannot be negated [031]"),
        ("[m]\npg1-path=/x\nprocess1-max=2\n", "3:1: error: process1-max: this option takes no number [031]"),
        ("[m]\npg1-path=/x\nrepo-bundle=y\n", "3:1: error: repo-bundle: this option needs a number"),
        ("[m]\npg1-path=/x\n-x=1\n", "3:1: error: -x: an option cannot begin with a dash [031]"),
        ("[m]\npg1-path=/x\nstart-fast=\n", "3:1: error: start-fast: must have a value [032]"),
        ("[m]\npg1-path=/x\nstart-fast=yes\n", "3:1: error: start-fast: must be y or n, not 'yes' [032]"),
        ("[m]\npg1-path=x\n", "2:1: error: pg1-path: must begin with /, unlike 'x' [032]"),
        ("[m]\npg1-path=/x//y\n", "2:1: error: pg1-path: cannot contain //"),
        ("[m]\npg1-path=/x\nprocess-max=1000\n", "3:1: error: process-max: must be between 1 and 999, not 1000"),
        ("[m]\npg1-path=/x\nbuffer-size=3MiB\n", "3:1: error: buffer-size: cannot be 3MiB; known: 16KiB,"),
        ("[m]\npg1-path=/x\ncompress-type=zip\n", "3:1: error: compress-type: cannot be 'zip'; known: none,"),
        ("[m]\npg1-path=/x\ncompress-type=lz4\ncompress-level=13\n", "4:1: error: compress-level: must be between -5"),
        ("[m]\nprocess-max=2\n", "1:1: error: pg1-path of the stanza 'm' is missing [037]"),
        (
            "[m]\npg1-path=/x\nrepo1-cipher-type=aes-256-cbc\n",
            "3:1: error: repo1-cipher-pass of the stanza 'm' is missing, for repo1-cipher-type=aes-256-cbc [037]",
        ),
        ("[m]\npg1-path=/x\nrepo2-path=/var/lib/pgbackrest\nrepo1-bundle=y\n", "3:1: error: repo2-path: repo1 and"),
        ("[m]\npg1-path=/x\npg1-host=a\nrepo1-host=b\n", "4:1: error: repo1-host: the database and a repository"),
        ("[m]\npg1-path=/x\nprotocol-timeout=60\ndb-timeout=60\n", "3:1: error: protocol-timeout: must be greater"),
        (b"[m]\npg1-path=/x\xff\n", "2:1: error: byte 0xff is not UTF-8 (save the file as UTF-8)"),
        (b"[m]\npg1-path=/x\0y\n", "2:1: error: a NUL byte: this is no text file"),
        ("[m]\npg1-path=/" + "x" * 65_536 + "\n", "2:1: error: the line is longer than pgBackRest reads"),
    ],
)
def test_what_pgbackrest_refuses_is_refused_with_its_place(text: str | bytes, reason: str) -> None:
    """Each with the code of its error."""
    assert refused(text).startswith(reason)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pg1-ssl=y", "pgBackRest has no such option and ignores it"),
        ("no-start-fast=y", "no-NAME is for the command line; in a file pgBackRest ignores it"),
        ("set=latest", "an option of the command line; in a file pgBackRest ignores it"),
    ],
)
def test_what_pgbackrest_passes_over_is_remarked(line: str, message: str) -> None:
    """A warning of its own, and nothing else."""
    found = reading(f"[m]\npg1-path=/x\n{line}\n")
    assert not found.refusals
    assert [remark.message for remark in found.remarks] == [message]


def test_stanza_options_in_global_are_passed_over() -> None:
    """As are options that the command of a section does not have."""
    found = reading("[global]\npg1-path=/y\n[global:backup]\narchive-async=y\n[m]\npg1-path=/x\n")
    assert values(found, "pg1-path") == ("/x",)
    assert [remark.message for remark in found.remarks] == [
        "belongs to a stanza: in [global] pgBackRest ignores it",
        "backup has no such option: in [global:backup] pgBackRest ignores it",
    ]


def test_the_section_of_a_command_in_the_stanza_is_the_strongest() -> None:
    """Then the stanza, then the command's global one, then [global]."""
    text = "[global]\nprocess-max=1\n[global:backup]\nprocess-max=2\n[m]\npg1-path=/x\n"
    assert values(reading(text), "process-max") == ("2",)
    assert values(reading(text), "process-max", "restore") == ("1",)
    assert values(reading(f"{text}process-max=3\n"), "process-max") == ("3",)
    assert values(reading(f"{text}process-max=3\n[m:backup]\nprocess-max=4\n"), "process-max") == ("4",)


def test_lines_are_trimmed_and_keep_all_else() -> None:
    """Ends of lines, comments after a value, and further = are part of it."""
    found = reading("[m]\r\n \tpg1-path = /x # data \r\n#pg1-port=1\r\nrecovery-option=a=b=c\r\n")
    assert values(found, "pg1-path") == ("/x # data",)
    assert values(found, "recovery-option", "restore") == ("a=b=c",)


def test_sections_and_lists_add_up() -> None:
    """One section in two places is one, over files as well."""
    found = reading("[m]\npg1-path=/x\nexclude=a\n[global]\n[m]\nexclude=b\n", DEBIAN_13, "[m]\nexclude=c\n")
    assert values(found, "exclude") == ("a", "b", "c")


def test_old_names_are_the_new_options() -> None:
    """Without a number they mean the first."""
    found = reading("[m]\ndb-path=/x\nbackup-host=b\nbackup-user=u\nretention-full=2\nhardlink=y\nrepo-path=/r/\n")
    assert not found.refusals
    assert values(found, "pg1-path", "archive-push") == ("/x",)
    assert values(found, "repo1-host", "archive-push") == ("b",)
    assert values(found, "repo1-retention-full") == ("2",)
    assert values(found, "repo1-hardlink") == ("y",)
    assert values(found, "repo1-path") == ("/r",)


def test_values_have_one_spelling() -> None:
    """Bytes, seconds, y and n."""
    found = reading(
        "[m]\npg1-path=/x\narchive-push-queue-max=1GB\nbuffer-size=1048576\ndb-timeout=2h\nprotocol-timeout=3h\n"
    )
    assert values(found, "archive-push-queue-max", "archive-push") == ("1073741824",)
    assert values(found, "buffer-size") == ("1048576",)
    assert values(found, "db-timeout") == ("7200",)


def test_before_2_53_a_unit_of_time_is_not_read() -> None:
    """`5m` is five seconds there, which is remarked; a fraction is taken only there."""
    found = reading("[m]\npg1-path=/x\narchive-timeout=5m\n", DEBIAN_12)
    assert values(found, "archive-timeout") == ("5",)
    assert "reads seconds" in found.remarks[0].message
    assert values(reading("[m]\npg1-path=/x\narchive-timeout=0.5\n", DEBIAN_12), "archive-timeout") == ("0.5",)
    assert refused("[m]\npg1-path=/x\narchive-timeout=0.5\n", DEBIAN_13).startswith("3:1: error: archive-timeout")


@pytest.mark.parametrize("version", [DEBIAN_12, DEBIAN_13, NEWEST])
def test_defaults_depend_on_other_options(version: str) -> None:
    """The level on the type, WAL retention on that of full backups, a timeout on the other."""
    text = "[m]\npg1-path=/x\ncompress-type=zst\nrepo1-retention-full=3\ndb-timeout=3600\nrepo1-host=h\n"
    found = reading(f"{text}repo1-host-type=tls\nrepo1-host-cert-file=/c\nrepo1-host-key-file=/k\n", version)
    assert not found.refusals
    assert values(found, "compress-level") == ("3",)
    assert values(found, "repo1-retention-archive") == ("3",)
    assert values(found, "protocol-timeout") == ("3630",)
    assert values(found, "repo1-host-port", "archive-push") == ("8432",)


def test_options_without_what_they_depend_on_do_not_count() -> None:
    """They may stand in the file all the same."""
    found = reading("[m]\npg1-path=/x\nrepo1-cipher-pass=p\nrepo1-block=y\nrepo1-s3-bucket=b\n")
    view = found.view("m", "backup")
    assert not found.refusals
    assert view is not None
    assert "repo1-cipher-pass" not in view.options
    assert "repo1-s3-bucket" not in view.options
    assert view.options["repo1-block"].values == ("n",)


def test_the_old_compress_turns_compression_off() -> None:
    """Unless a type says otherwise."""
    assert values(reading("[m]\npg1-path=/x\ncompress=n\n"), "compress-type") == ("none",)
    assert values(reading("[m]\npg1-path=/x\ncompress=n\ncompress-type=lz4\n"), "compress-type") == ("lz4",)


def test_numbers_may_have_gaps() -> None:
    """Repositories keep theirs."""
    found = reading("[m]\npg1-path=/x\nrepo3-path=/r\npg256-path=/y\npg256-host=h\n")
    view = found.view("m", "backup")
    assert not found.refusals
    assert view is not None
    assert {"repo3-path", "pg256-path"} <= view.options.keys()
    assert "repo1-path" not in view.options


def test_one_version_takes_what_another_refuses() -> None:
    """SFTP came with 2.46, plain HTTP with 2.58."""
    sftp = (
        "[m]\npg1-path=/x\nrepo1-type=sftp\nrepo1-sftp-host=h\nrepo1-sftp-host-user=u\n"
        "repo1-sftp-host-key-hash-type=sha1\nrepo1-sftp-private-key-file=/k\n"
    )
    assert refused(sftp, DEBIAN_12).startswith("3:1: error: repo1-type: cannot be 'sftp'")
    assert not reading(sftp).refusals
    s3 = (
        "[m]\npg1-path=/x\nrepo1-type=s3\nrepo1-s3-bucket=b\nrepo1-s3-endpoint=http://m:9000\nrepo1-s3-region=r\n"
        "repo1-s3-key=k\nrepo1-s3-key-secret=s\n"
    )
    assert refused(s3).startswith("5:1: error: repo1-s3-endpoint: pgBackRest knows http from 2.58 on")
    assert not reading(s3, NEWEST).refusals


def test_a_secret_never_shows() -> None:
    """Neither in a view nor in a refusal."""
    found = reading("[m]\npg1-path=/x\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=hush\n")
    passphrase = option(found, "repo1-cipher-pass")
    assert passphrase.shown == "***"
    assert "hush" not in repr(found)


def test_what_the_tls_server_refuses_stops_no_backup() -> None:
    """It is remarked."""
    found = reading("[global]\ntls-server-cert-file=/c\n[m]\npg1-path=/x\n")
    assert not found.refusals
    assert any("the TLS server refuses it" in remark.message for remark in found.remarks)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("[global]\n", True),
        ("[global:archive-push]\n", True),
        ("[m]\npg1-path=/x\n", True),
        ("repo1-path=/x\n", True),
        ("[barman]\nbarman_home = /var/lib/barman\n", False),
        ("[client]\nuser=root\n", False),
        ("{{ x }}\n", False),
    ],
)
def test_its_own_files_are_recognised(text: str, known: bool) -> None:
    """By a section or an option."""
    assert recognises(NativeFile(path="/x", content=text.encode())) is known
