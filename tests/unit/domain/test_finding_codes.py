"""Every finding is documented, and every one the verdicts make is provoked by a test."""

from __future__ import annotations

import re
from pathlib import Path

from pgwrap.domain import verdicts
from pgwrap.domain.facts import FindingCode

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs/reference/findings.md"


def sections() -> dict[str, str]:
    """The reference by its third-level headings."""
    _, *parts = re.split(r"^### ", REFERENCE.read_text(), flags=re.MULTILINE)
    return {heading.strip(): body for heading, _, body in (part.partition("\n") for part in parts)}


def test_every_code_has_a_section() -> None:
    """No more and no fewer sections than codes."""
    assert sorted(code.value for code in FindingCode) == sorted(sections())


def test_every_section_says_what_how_and_what_next() -> None:
    """Each has the three parts a reader needs at night."""
    for code, body in sections().items():
        for part in ("Means", "Established", "Next"):
            assert f"- **{part}**: " in body, f"{code} lacks {part}"


def test_every_code_of_the_verdicts_is_provoked() -> None:
    """A finding nobody has seen may as well not exist."""
    sources = "".join(path.read_text() for path in Path(verdicts.__file__).parent.glob("*.py"))
    tests = "".join((Path(__file__).parent / name).read_text() for name in ("test_verdicts.py", "test_drift.py"))
    made = set(re.findall(r"FindingCode\.([A-Z_]+)", sources))

    assert made
    assert made <= set(re.findall(r"\bC\.([A-Z_]+)", tests))
