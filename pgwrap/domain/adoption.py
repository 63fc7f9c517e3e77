"""A part of a spec drafted from native files: words, comments, what was noticed. It reads and writes none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TypeAlias

from pgwrap.domain.model import Path
from pgwrap.errors import Problem
from pgwrap.records import dataclass

DraftValue: TypeAlias = "str | int | bool | tuple[DraftValue, ...] | dict[str, DraftValue] | None"
"""A value of the spec as YAML holds it."""
Words: TypeAlias = dict[str, DraftValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What one installation's files become: entries below `engines`, `repositories` and `clusters`, by name."""

    engine: tuple[str, Words]
    """The installation's name (`pgbackrest`, `barman`) and its words."""
    repositories: dict[str, Words]
    clusters: dict[str, Words]
    comments: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)
    """Comment lines without their mark, by the full path of the word they stand above."""
    secrets: Mapping[Path, str] = field(default_factory=dict, repr=False)
    """Secrets found in the files, by the path of the word, absent from the words until the secret has a place."""
    notices: tuple[Problem, ...] = ()
    """What the operator should know, each with its place in the native files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftedSpec:
    """Adoptions as the text of a spec, and the secrets that belong into files of their own."""

    text: str = field(repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What each file is to hold, by its path; empty when the secrets stand in the text."""
    literal: tuple[Path, ...] = ()
    """The words that hold a secret itself."""
