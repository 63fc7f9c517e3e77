"""`--what-if` in the words of the spec's `retention:`, such as `window=30d` or `engine=barman`. It reads no file."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from pgwrap.domain.model import EngineKind, RetentionPolicy
from pgwrap.errors import Location, UsageError
from pgwrap.records import dataclass
from pgwrap.spec.convert import retention
from pgwrap.spec.problems import did_you_mean, words_of
from pgwrap.spec.schema import RetentionWords
from pgwrap.text.yaml_text import Scalar

_WORDS = words_of(RetentionWords)
_NOWHERE = Location(file="--what-if", line=1, column=1)
_EXAMPLE = "such as --what-if window=30d, --what-if full=4,differential=6 or --what-if engine=barman"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfQuestion:
    """Another policy, another engine, or both; None: as it is."""

    text: str
    retention: RetentionPolicy | None = None
    engine: EngineKind | None = None


def what_if_question(texts: Iterable[str]) -> WhatIfQuestion | None:
    """The question that `--what-if` texts ask, each of one or more `word=value`; UsageError for what is none."""
    pairs = [_pair(part) for text in texts for part in text.split(",")]
    if not pairs:
        return None
    said = dict(pairs)
    if len(said) < len(pairs):
        raise UsageError("--what-if says a word twice", hint=_EXAMPLE)
    engine = _engine(said.pop("engine", None))
    return WhatIfQuestion(
        text=", ".join(f"{word}={value}" for word, value in pairs), retention=_policy(said), engine=engine
    )


def _pair(text: str) -> tuple[str, str]:
    word, equals, value = (part.strip() for part in text.partition("="))
    if not (word and equals and value):
        raise UsageError(f"--what-if takes word=value, not {text!r}", hint=_EXAMPLE)
    if word not in (*_WORDS, "engine", "retention"):
        guess = did_you_mean(word, (*_WORDS, "engine"))
        raise UsageError(f"--what-if knows no word {word!r}", hint=guess or f"its words: {', '.join(_WORDS)}, engine")
    return word, value


def _engine(name: str | None) -> EngineKind | None:
    if name is None:
        return None
    try:
        return EngineKind(name)
    except ValueError:
        known = tuple(kind.value for kind in EngineKind)
        hint = did_you_mean(name, known) or f"one of {', '.join(known)}"
        raise UsageError(f"--what-if knows no engine {name!r}", hint=hint) from None


def _policy(said: dict[str, str]) -> RetentionPolicy | None:
    if not said:
        return None
    if "retention" in said:
        if said != {"retention": "none"}:
            raise UsageError("--what-if retention= takes none, and no other word beside it", hint=_EXAMPLE)
        return RetentionPolicy()
    scalars = {word: Scalar(text=value, quoted=False, location=_NOWHERE) for word, value in said.items()}
    try:
        return retention(RetentionWords.model_validate(scalars))
    except ValidationError as error:
        first = error.errors()[0]
        word = ".".join(str(part) for part in first["loc"])
        place = f"--what-if {word}={said[word]}" if word in said else "--what-if"
        raise UsageError(
            f"{place}: {first['msg']}", hint=str(first.get("ctx", {}).get("hint", "")) or _EXAMPLE
        ) from None
