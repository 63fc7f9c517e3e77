"""PostgreSQL's version numbers in the way the engines write them. It knows nothing of the engines' own versions."""

from __future__ import annotations

from pgwrap.domain.facts import PostgresView


def major_version(view: PostgresView | None) -> str | None:
    """The major version a server states ("15", "9.6"); None when it was not asked or did not say.

    Source: server_version_num is major * 10000 + minor since 10, major * 10000 + minor * 100 + patch before.
    """
    if view is None or view.version_number is None:
        return None
    major, rest = divmod(view.version_number, 10000)
    return str(major) if major >= 10 else f"{major}.{rest // 100}"
