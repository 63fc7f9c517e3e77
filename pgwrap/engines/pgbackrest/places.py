"""Where pgBackRest's files are looked for (cfgFileLoad() of src/config/parse.c). It opens none."""

from __future__ import annotations

import posixpath

from pgwrap.domain.model import EngineInstance
from pgwrap.engines.pgbackrest.repository import DEFAULT_CONFIG
from pgwrap.engines.port import NativePlaces

_OLD_CONFIG = "/etc/pgbackrest.conf"
_INCLUDE = "conf.d"


def places(instance: EngineInstance | None) -> NativePlaces:
    """The main file, its old place where it is at the default one, and the directory of further files."""
    if instance is not None and instance.config != DEFAULT_CONFIG:
        return NativePlaces(main=(instance.config,), include=instance.include)
    stated = instance.include if instance is not None else None
    include = stated or posixpath.join(posixpath.dirname(DEFAULT_CONFIG), _INCLUDE)
    return NativePlaces(main=(DEFAULT_CONFIG, _OLD_CONFIG), include=include)
