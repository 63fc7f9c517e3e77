"""What every test shares: properties are judged by what they find, never by the clock of a busy machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("pgwrap", deadline=None, print_blob=True)
settings.load_profile("pgwrap")
