"""The one door to tabulate: rows of text laid out as a table. It neither escapes nor shortens what it is given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from pgwrap.text.columns import columns

Style: TypeAlias = Literal["plain", "markdown"]

_STAND_IN = "\ue000"
"""A private-use character, repeated to a cell's true width while tabulate works: it measures neither wide characters
nor colours without help, and takes digits for numbers."""


def load() -> None:
    """Have tabulate at hand, which takes 40 ms, before the first table is wanted."""
    import tabulate  # noqa: F401, PLC0415 - see above


def table(rows: Sequence[Sequence[str]], headers: Sequence[str], style: Style = "plain") -> str:
    """`rows` under `headers`, each cell one line of harmless text; neither the text nor a line ends in white space."""
    from tabulate import tabulate  # noqa: PLC0415 - takes 40 ms, which only those who print a table should pay

    lines = [[_stand_in(cell) for cell in row] for row in (headers, *rows)]
    if style == "markdown":
        laid_out = tabulate(lines[1:], headers=lines[0], tablefmt="github", disable_numparse=True)
    else:  # given as headers, they would be padded by two more columns
        laid_out = tabulate(lines, tablefmt="plain", disable_numparse=True)
    cells = (cell for row in (headers, *rows) for cell in row if cell)
    text = re.sub(f"{_STAND_IN}+", lambda _: next(cells), laid_out)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _stand_in(cell: str) -> str:
    """As wide as the cell; one that is nothing but combining characters still has to be found again."""
    return _STAND_IN * max(columns(cell), 1) if cell else ""
