"""What a case says in the spec, whatever its engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

AMOUNTS = (0, 1, 2, 3, 4, 6, 8, 12, 20, 30)
"""How many backups a catalog may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a cluster says in the spec: `retention:` in the spec's words, and native options of its engine."""

    words: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    edits: Mapping[str, str] = field(default_factory=dict)
    """What somebody wrote into the engine's own file afterwards, where pgwrap refuses to."""
    active: bool = True

    def yaml(self, engine: str) -> str:
        """The lines of the cluster."""
        lines = []
        if self.words:
            lines.append(f"    retention: {{{', '.join(f'{word}: {value}' for word, value in self.words.items())}}}\n")
        if self.options:
            pairs = ", ".join(f'{key}: "{value}"' for key, value in self.options.items())
            lines.append(f"    options: {{{engine}: {{{pairs}}}}}\n")
        if not self.active:
            lines.append("    active: false\n")
        return "".join(lines)
