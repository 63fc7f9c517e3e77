"""The structure keeps its promises: import direction, one door per library, no cycles. It reads code, never runs it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pgwrap

PACKAGE = Path(pgwrap.__file__).parent
LAYERS = {
    "errors": 0,
    "records": -1,
    "domain": 1,
    "text": 2,
    "ops": 3,
    "present": 3,
    "spec": 3,
    "system": 3,
    "engines": 3,
    "cli": 4,
    "__main__": 5,
}
"""A module may import its own room and every layer below it."""
PORTS = {"pgwrap.engines.port", "pgwrap.engines.catalog_port", "pgwrap.engines.history_port", "pgwrap.system.port"}
PORT_USERS = {"ops", "system", "engines"}
DOORS = {
    "sqlite3": {"pgwrap.system.journal"},
    "subprocess": {"pgwrap.system.process"},
    "psycopg": {"pgwrap.system.prober"},
    "jinja2": {"pgwrap.text.templating"},
    "yaml": {"pgwrap.text.yaml_text"},
    "tabulate": {"pgwrap.text.tables"},
}
ROOM_DOORS = {"pydantic": "spec", "typer": "cli", "click": "cli", "rich": "cli"}
STANDARD_ONLY = {"domain", "errors"}
FORBIDDEN_IN_DOMAIN = {"os", "io", "pathlib", "subprocess", "socket", "time", "logging", "random", "sqlite3"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package with its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    """The absolute names that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield node.module


def room(module: str) -> str:
    """The first name below the package (`pgwrap.domain.wal` is in `domain`); the package itself is `errors`-low."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "errors"


def forbidden(importer: str, imported: str) -> bool:
    """Whether this import goes against the direction."""
    source, target = room(importer), room(imported)
    if imported in PORTS and source in PORT_USERS:
        return False
    if source == target:
        return engine_of(importer) != engine_of(imported) and None not in (engine_of(importer), engine_of(imported))
    return LAYERS[target] >= LAYERS[source]


def engine_of(module: str) -> str | None:
    """The engine whose room a module is in."""
    parts = module.split(".")
    return parts[2] if len(parts) > 3 and parts[1] == "engines" else None


def test_imports_point_downwards() -> None:
    """No module imports a layer at or above its own, save ports; engines never see each other."""
    wrong = [
        f"{name} imports {imported}"
        for name, tree in modules()
        for imported in imports(tree)
        if imported.split(".")[0] == "pgwrap" and forbidden(name, imported)
    ]
    assert [] == wrong


@pytest.mark.parametrize("library", sorted(DOORS))
def test_a_library_has_one_door(library: str) -> None:
    """Only one module imports each of the libraries that touch the world or shape text."""
    users = {name for name, tree in modules() if library in {imported.split(".")[0] for imported in imports(tree)}}
    assert users <= DOORS[library]


@pytest.mark.parametrize("library", sorted(ROOM_DOORS))
def test_a_library_stays_in_its_room(library: str) -> None:
    """pydantic is the spec's, typer the cli's."""
    rooms = {
        room(name) for name, tree in modules() if library in {imported.split(".")[0] for imported in imports(tree)}
    }
    assert rooms <= {ROOM_DOORS[library]}


def test_the_domain_is_pure() -> None:
    """Domain modules import neither the world nor a clock nor third parties."""
    wrong = [
        f"{name} imports {imported}"
        for name, tree in modules()
        if room(name) in STANDARD_ONLY
        for imported in imports(tree)
        if imported.split(".")[0] in FORBIDDEN_IN_DOMAIN
    ]
    assert [] == wrong


def test_the_domain_never_reads_the_clock() -> None:
    """`now` is a parameter everywhere below the cli's composition root."""
    wrong = [
        name
        for name, tree in modules()
        if room(name) in {"domain", "ops", "present", "spec", "engines"}
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"now", "utcnow", "today"}
        and isinstance(node.value, ast.Name)
        and node.value.id in {"datetime", "date"}
    ]
    assert [] == wrong


def test_every_module_says_what_it_is_for() -> None:
    """A docstring opens every module that holds code."""
    silent = [name for name, tree in modules() if tree.body and ast.get_docstring(tree) is None]
    assert [] == silent
