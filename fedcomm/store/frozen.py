"""Frozen values that are made by the hundred: of rows, and of what arrives.

The `__init__` of a frozen data class asks `object.__setattr__` for each field, which looks for the field by its name
each time. Where there are slots, each has a descriptor that does the same at once: a third of the time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def made_through_slots(cls: type[T]) -> type[T]:
    """Give a `@dataclass(frozen=True, slots=True)` an `__init__` that fills its slots; all else stays as it is.

    The arguments and their defaults are the same. Raises TypeError for what it does not know: default factories,
    fields that are no arguments, `__post_init__`, inherited slots.
    """
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    slots: list[Any] = [vars(cls).get(field.name) for field in fields]
    if (
        hasattr(cls, "__post_init__")
        or not all(hasattr(slot, "__set__") for slot in slots)
        or not all(field.init and not field.kw_only for field in fields)
        or any(field.default_factory is not dataclasses.MISSING for field in fields)
    ):
        raise TypeError(f"{cls.__name__} is not only slots that are filled with arguments")
    names = [field.name for field in fields]
    # Compiled as data classes are: names of fields are identifiers, and nothing else stands in it.
    lines = [f" _set_{name}(self, {name})" for name in names]
    source = f"def __init__(self, {', '.join(names)}):\n" + "\n".join(lines)
    setters = {f"_set_{name}": slot.__set__ for name, slot in zip(names, slots, strict=True)}
    made: dict[str, Callable[..., None]] = {}
    exec(source, setters, made)  # noqa: S102
    before: Any = cls.__init__
    after: Any = made["__init__"]
    after.__defaults__, after.__annotations__ = before.__defaults__, before.__annotations__
    after.__qualname__, after.__module__ = before.__qualname__, cls.__module__
    cls.__init__ = after  # type: ignore[method-assign]
    return cls
