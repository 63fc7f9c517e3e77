"""Barman itself judges what pgwrap makes of configuration files: those found in the world, its own, and hard ones."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import pytest

from integration.corpus_barman import Judge, installed, judge

CORPUS = Path(__file__).parents[1] / "tests" / "recordings" / "corpus" / "barman_conf"
PACKAGED = Path("/etc/barman.conf")
TEMPLATES = Path("/etc/barman.d")
MAIN = (
    "[barman]\nbarman_user = barman\nbarman_home = /srv/barman\nlog_file = /var/log/barman/barman.log\n"
    "configuration_files_directory = /etc/barman.d\n"
)
HARD = {
    "inherited": (
        "[barman]\nbarman_home = /srv/barman/\nreuse_backup = link\ncompression = gzip\nretention_policy = REDUNDANCY 2\n"
        "parallel_jobs = 4\npost_backup_script = /x\nkeepalive_interval = 7\nminimum_redundancy = 1\nlog_level = debug\n",
        "[a]\nconninfo = host=a user=b\nreuse_backup =\ncompression =\npost_backup_script = None\nparallel_jobs = None\n"
        "[b]\nconninfo = host=b\nbackup_method = postgres\nreuse_backup = off\nretention_policy =\n",
    ),
    "wrong values": (
        MAIN,
        "[a]\nconninfo = host=a user=b\nbackup_method = postgresql\nparallel_jobs = x\narchiver = maybe\nslot_name = A-b\n"
        "retention_policy = REDUNDANCY many\nbandwidth_limit = x\nminimum_redundancy = -1\nactive = no\n",
    ),
    "lines": (
        MAIN,
        "[a]\nconninfo: host=a\n  user=b\nDESCRIPTION = 'one' # two\n# three\npath_prefix = \"/a b\"\n[a]\n"
        "archiver = on\narchiver = off\nstreaming_archiver = on\nslot_name = A\n[DEFAULT]\nimmediate_checkpoint = on\n",
    ),
    "connections": (
        MAIN,
        "[a]\nconninfo = host='a' user='it\\'s' port=1\nstreaming_conninfo = host='a' port=1 user=s password=p\n"
        "backup_method = postgres\n[b]\nconninfo = postgresql://u:p@h/d?sslmode=require\n[c]\nconninfo = service=x\n"
        "[d]\nconninfo = host=s user=b\nprimary_conninfo = host=p user=b\n[e]\nprimary_ssh_command = ssh x@y\n",
    ),
    "lone percent sign": (MAIN, "[a]\nconninfo = host=a user=b\ndescription = 100%\n"),
    "no header": (MAIN, "conninfo = host=a user=b\n"),
    "second main section": (MAIN, "[barman]\ncompression = gzip\n"),
    "shared paths": (MAIN, "[a]\nconninfo = host=a\n[b]\nconninfo = host=b\nbackup_directory = /srv/barman/a/\n"),
    "reserved name": (MAIN, "[all]\nconninfo = host=a\n"),
    "nothing where a number belongs": (MAIN, "[a]\nconninfo = host=a\nminimum_redundancy =\n"),
    "no directory": (MAIN, "[a]\nconninfo = host=a\nerrors_directory = None\n"),
    "no home": ("[barman]\nbarman_user = barman\n", "[a]\nconninfo = host=a\n"),
}


@pytest.fixture(scope="module")
def barman(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """The host's Barman."""
    if not PACKAGED.exists():
        pytest.skip("there is no Barman here")
    return installed("system", tmp_path_factory.mktemp("barman"))


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.conf")), ids=lambda path: path.name)
def test_files_found_in_the_world(path: Path, barman: Judge) -> None:
    """Accepted by both and equivalent, or refused by both."""
    assert judge(path, barman).faults == ()


def test_the_packaged_files(tmp_path: Path, barman: Judge) -> None:
    """The main file as packaged, with every template of a server."""
    copyfile(PACKAGED, tmp_path / "barman.conf")
    (tmp_path / "barman.d").mkdir()
    for template in TEMPLATES.glob("*.conf-template"):
        copyfile(template, tmp_path / "barman.d" / f"{template.stem}.conf")
    verdict = judge(tmp_path, barman)
    assert verdict.accepted
    assert verdict.faults == ()
    assert verdict.options > 0


@pytest.mark.parametrize("name", HARD)
def test_hard_files(name: str, tmp_path: Path, barman: Judge) -> None:
    """What hand-written files hold, and what a reader of one's own would get wrong."""
    main, servers = HARD[name]
    (tmp_path / "barman.conf").write_text(main)
    (tmp_path / "barman.d").mkdir()
    (tmp_path / "barman.d" / "servers.conf").write_text(servers)
    assert judge(tmp_path, barman).faults == ()
