"""Barman itself judges what pgwrap makes of configuration files: those found in the world, its own, and hard ones."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import pytest

from integration.corpus_barman import Judge, installed, judge

CORPUS = Path(__file__).parents[1] / "tests" / "recordings" / "corpus"
PACKAGED = Path("/etc/barman.conf")
TEMPLATES = Path("/etc/barman.d")


@pytest.fixture(scope="module")
def barman(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """The host's Barman."""
    if not PACKAGED.exists():
        pytest.skip("there is no Barman here")
    return installed("system", tmp_path_factory.mktemp("barman"))


@pytest.mark.parametrize("path", sorted((CORPUS / "barman_conf").glob("*.conf")), ids=lambda path: path.name)
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


@pytest.mark.parametrize("path", sorted((CORPUS / "barman_hard").iterdir()), ids=lambda path: path.name)
def test_hard_files(path: Path, barman: Judge) -> None:
    """What hand-written files hold, and what a reader of one's own would get wrong."""
    assert judge(path, barman).faults == ()
