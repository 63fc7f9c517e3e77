"""Masks secrets in every text that may be shown or logged. It never tells anybody the values that it was told."""

from __future__ import annotations

import json
import logging
import re
import shlex
from urllib.parse import quote

MASK = "<redacted>"
SHORTEST_VALUE = 4
"""Characters of the shortest value that is masked by itself: masking every `ab` would garble all and hide nothing."""

_NAMED = re.compile(
    r"""(?ix)
    ( \b PGPASSWORD | [\w-]* (?: password | passwd | passphrase | cipher-pass | key-secret | s3-key | s3-token
      | azure-key | secret_access_key | sas_token ) )
    ( ["']? \s* = \s* | ["'] \s* : \s* )
    ( "(?: [^"\\] | \\. )*" | '(?: [^'\\] | \\. )*' | [^\s,;&"']+ )
    """
)
"""An option or variable that holds a secret, and its value: `password=x`, `cipher-pass = x`, `"password": "x"`."""
_MAY_NAME = re.compile(r"(?i)pass|secret|s3-key|s3-token|azure-key|sas_token")
"""What every name above holds. Few lines do, and to see that takes a tenth of the time."""
_IN_URL = re.compile(r"(\w://[^\s/:@]*:)[^\s/@]+(?=@)")


class Redactor(logging.Filter):
    """Knows the secrets of this run. As a filter on a log handler it masks every record, tracebacks included."""

    def __init__(self) -> None:
        super().__init__()
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def register(self, value: str) -> None:
        """From now on mask `value`, also as shells, JSON, URLs and connection strings would write it."""
        forms = {form for form in _written_forms(value) if len(form) >= SHORTEST_VALUE}
        if not forms <= self._values:
            self._values |= forms
            longest_first = sorted(self._values, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(form) for form in longest_first))

    def mask(self, text: str) -> str:
        """`text` without any registered value, or anything that looks like a password."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        if _MAY_NAME.search(text):
            text = _NAMED.sub(rf"\1\2{MASK}", text)
        return _IN_URL.sub(rf"\1{MASK}", text) if "://" in text else text

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask a log record in place; it is always kept."""
        record.msg = self.mask(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self.mask(record.exc_text)
        return True


def _written_forms(value: str) -> set[str]:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return {
        value,
        shlex.quote(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        quote(value, safe=""),
        quote(value),
        value.replace("%", "%%"),
        escaped,
    }


REDACTOR = Redactor()
"""The secrets of this process."""
