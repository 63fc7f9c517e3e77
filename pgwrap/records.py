"""The `dataclass` of this package: one that is quick to define, since every command pays for hundreds at its start.

A frozen one is frozen for the type checker, which every module passes; while the program runs nothing guards it.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, **options: bool) -> Any:
        """As `dataclasses.dataclass`. What that would write and compile for each frozen class is shared by all here:
        comparing, `__hash__` and `__repr__` mean the same, and `__init__` assigns plainly."""

        def decorate(defined: type) -> type:
            if not options.get("frozen"):
                return dataclasses.dataclass(**options)(defined)
            for name, method in ({**_ALWAYS, **_ORDER} if options.get("order") else _ALWAYS).items():
                if name not in defined.__dict__:
                    setattr(defined, name, method)
            return dataclasses.dataclass(**options | _LEFT_OUT)(defined)

        return decorate if cls is None else decorate(cls)


def _compared(comparison: Callable[[Any, Any], Any]) -> Callable[[Any, object], Any]:
    """The method that compares what two of a class hold; those of different classes are not compared."""

    def method(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        cls: Any = self.__class__
        contents = _contents(cls)
        return comparison(contents(self), contents(other))

    return method


def _hash(self: Any) -> int:
    return hash(_contents(self.__class__)(self))


@recursive_repr()
def _repr(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


@cache
def _contents(cls: Any) -> Callable[[object], Any]:
    """What two of a class are compared by, and hashed."""
    names = [field.name for field in dataclasses.fields(cls) if field.compare]
    return attrgetter(*names) if names else lambda _: ()


_ALWAYS: Final[Mapping[str, Any]] = {"__eq__": _compared(operator.eq), "__hash__": _hash, "__repr__": _repr}
_ORDER: Final[Mapping[str, Any]] = {
    f"__{name}__": _compared(getattr(operator, name)) for name in ("lt", "le", "gt", "ge")
}
_LEFT_OUT: Final = {"frozen": False, "eq": False, "repr": False, "order": False}
