"""A spec as text, loaded from a real file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgwrap.domain.model import Fleet
from pgwrap.errors import SpecError
from pgwrap.spec.loader import load

LoadText = Callable[[str], Fleet]
ProblemsOf = Callable[[str], list[str]]


@pytest.fixture
def load_text(tmp_path: Path) -> LoadText:
    """Loads a spec from text; `version: 1` is put before it."""

    def load_it(text: str) -> Fleet:
        file = tmp_path / "pgwrap.yaml"
        file.write_text(f"version: 1\n{text}", encoding="utf-8")
        return load(str(file), environment={}, is_root=True)

    return load_it


@pytest.fixture
def problems_of(load_text: LoadText, tmp_path: Path) -> ProblemsOf:
    """Every problem of a wrong spec, as its author sees it, without the directory."""

    def collect(text: str) -> list[str]:
        with pytest.raises(SpecError) as caught:
            load_text(text)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return collect
