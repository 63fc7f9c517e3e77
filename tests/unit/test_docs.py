"""The documentation against the code: generated pages, links, and every command line and spec that it shows."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer

from pgwrap.cli.app import app
from pgwrap.present.metrics import FAMILIES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = tuple(sorted((ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md"))))
SEVERAL = DOCS / "howto/several-repositories.md"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LEFT_BEHIND = ("CONTRIBUTING.md", "LICENSE")
"""What a test of the wheel, away from the checkout, does not have beside it."""


def name_of(page: Path) -> str:
    """A page as a test's name."""
    return str(page.relative_to(ROOT))


def generator() -> ModuleType:
    """docs/generate.py."""
    specification = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def test_generated_pages_are_current() -> None:
    """`python docs/generate.py` would change nothing."""
    assert [] == [str(path) for path in generator().stale()]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_man_page_has_no_warnings() -> None:
    """groff understands every line of it."""
    argv = ("groff", "-man", "-Tutf8", "-ww", str(DOCS / "pgwrap.1"))
    ran = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "" == ran.stderr
    assert "EXIT STATUS" in re.sub(r"\x1b\[[0-9;]*m|.\x08", "", ran.stdout)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_resolve(page: Path) -> None:
    """Every file and every heading that is linked to is there."""
    assert [] == [link for link in links(page) if not resolves(page, link)]


def links(page: Path) -> Iterator[str]:
    """The relative links of a page, outside its fenced blocks."""
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        if "://" not in target:
            yield target


def resolves(page: Path, link: str) -> bool:
    """Whether the file is there and has the heading."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if target.name in _LEFT_BEHIND and not (ROOT / "Makefile").exists():
        return True
    return target.exists() and (not anchor or anchor in {slug(text) for text in _HEADING.findall(target.read_text())})


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def command_lines() -> Iterator[tuple[str, str]]:
    """Every line of a fenced block that runs pgwrap, with its page."""
    for page in PAGES:
        for language, block in _FENCE.findall(page.read_text()):
            if language in ("", "sh", "console", "ini"):
                yield from ((name_of(page), line) for line in block.splitlines() if runs_pgwrap(language, line))


def runs_pgwrap(language: str, line: str) -> bool:
    """Whether a line is typed, not printed, and has `pgwrap` as a command."""
    typed = line.startswith("$ ") if language == "console" else not line.startswith("#")
    return typed and re.search(r"(^|[\s=/])pgwrap (?!show)[a-z-]", line) is not None


@pytest.mark.parametrize(("page", "line"), tuple(command_lines()))
def test_command_lines_parse(page: str, line: str) -> None:
    """Each command and each option that the documentation types exists."""
    for arguments in pgwrap_arguments(line):
        if arguments[0].startswith("--"):
            assert arguments[0] in {"--version", "--install-completion", "--show-completion", "--help"}
            continue
        group = typer.main.get_command(app)
        command = group.commands[arguments[0]]  # type: ignore[attr-defined]
        command.make_context(arguments[0], list(arguments[1:]))


def pgwrap_arguments(line: str) -> Iterator[tuple[str, ...]]:
    """What follows `pgwrap` on a line, up to the next shell operator, each time that it is run."""
    for part in re.split(r"\||&&|[;>]|,(?= /)|\d?>&?\d?", line.split("  #", maxsplit=1)[0]):
        found = re.search(r"(?:^|[\s=/])pgwrap (.*)$", part.strip())
        if found is not None:
            words = shlex.split(found[1].replace("$ARG1$", "").strip('"'))
            yield tuple(words)


def specs() -> Iterator[tuple[str, str]]:
    """Every whole spec that the documentation shows."""
    for page in PAGES:
        for language, block in _FENCE.findall(page.read_text()):
            if language == "yaml" and block.startswith("version: 1"):
                yield name_of(page), block


@pytest.mark.parametrize(("page", "spec"), tuple(specs()))
def test_specs_are_sound(page: str, spec: str, tmp_path: Path) -> None:
    """`pgwrap validate` finds nothing wrong with an example, not even a warning."""
    ran = pgwrap(tmp_path, spec, "validate", "--offline")
    assert (0, "", "the spec is sound") == (ran.returncode, ran.stdout, ran.stderr.splitlines()[-1])


def test_the_example_with_two_repositories_renders_as_shown(tmp_path: Path) -> None:
    """PGWRAP_WRITE_GOLDEN=1 pastes what `pgwrap render` prints."""
    (spec,) = (spec for page, spec in specs() if page == name_of(SEVERAL) and "offsite" in spec)
    ran = pgwrap(tmp_path, spec, "render", "--offline", "--engine-version", "pgbackrest=2.55.1")
    assert 0 == ran.returncode
    printed = ran.stdout.replace(str(tmp_path), "/etc/pgwrap").rstrip()
    page = SEVERAL.read_text()
    head, _, rest = page.partition("<!-- render -->\n")
    wanted = f"{head}<!-- render -->\n```ini\n{printed}\n```\n<!-- /render -->{rest.partition('<!-- /render -->')[2]}"
    if os.environ.get("PGWRAP_WRITE_GOLDEN"):
        SEVERAL.write_text(wanted)
    assert wanted == SEVERAL.read_text()


def pgwrap(place: Path, spec: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pgwrap on a spec, with its state in a place of its own."""
    file = place / "pgwrap.yaml"
    file.write_text(f"{spec.rstrip()}\nstate: {place}/state\n")
    argv = (sys.executable, "-m", "pgwrap", *arguments, "--config", str(file))
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_metrics_exist(page: Path) -> None:
    """No page speaks of a metric that is not there."""
    metrics = set(re.findall(r"\bpgwrap_[a-z_]+", page.read_text()))
    of_the_fleet = {"pgwrap_generated_timestamp_seconds", "pgwrap_clusters"}
    assert set() == metrics - of_the_fleet - {family.name for family in FAMILIES}


def test_every_page_is_in_the_index() -> None:
    """docs/README.md leads to every page."""
    index = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "README.md")}
    assert set() == {page for page in DOCS.rglob("*.md") if page != DOCS / "README.md"} - index


def test_every_error_has_a_row_among_the_exit_codes() -> None:
    """Each exit code of the tree has a row in the reference."""
    page = (DOCS / "reference/exit-codes.md").read_text()
    module = generator()
    assert [] == [kind.slug for kind in module.error_classes() if f"`{kind.slug}`" not in page]
