"""The standard `dataclass`, whose frozen classes with slots are made in half the time.

A frozen class sets each field by `object.__setattr__`, which looks the field's name up again each time; the
descriptor of the slot knows its place. Everything else, the refusal to change included, is as the standard has it.
`replace` is the standard's as well, but reads all fields at once.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import cache
from inspect import ismemberdescriptor
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - to be imported from here
    from dataclasses import replace as replace  # noqa: PLC0414 - likewise
    from types import CodeType
else:
    from dataclasses import dataclass as standard

    def dataclass(plain: type | None = None, /, **options: bool) -> type | Callable[[type], type]:
        """Make a dataclass; the options are the standard's."""

        def make(plain: type) -> type:
            own = "__init__" in vars(plain)
            made = standard(**options)(plain)
            if options.get("frozen") and options.get("slots") and not own:
                _hasten(made)
            return made

        return make if plain is None else make(plain)

    def replace(made: Any, /, **changes: object) -> Any:
        """Make another of the same class that differs in `changes`; all its fields are given when it is made."""
        values = _values_of(type(made))(made)
        return type(made)(**{**values, **changes})


@cache
def _values_of(kind: type) -> Callable[[Any], dict[str, Any]]:
    """Return what reads all fields of an instance at once: to ask for each by name costs several times as much."""
    names = tuple(one.name for one in fields(kind))
    if len(names) < 2:  # Of one name `attrgetter` gives no tuple.
        return lambda made: {name: getattr(made, name) for name in names}
    read = attrgetter(*names)
    return lambda made: dict(zip(names, read(made), strict=True))


def _hasten(made: type) -> None:
    """Give a class an `__init__` of the same signature that fills the slots; not where a field is made by a factory."""
    old: Any = vars(made)["__init__"]
    code: CodeType = old.__code__
    slots: dict[str, Any] = {one.name: getattr(made, one.name, None) for one in fields(made)}
    positional, named = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    this, *names = code.co_varnames[:named]
    if set(names) != set(slots) or not all(map(ismemberdescriptor, slots.values())):
        return
    if any(one.default_factory is not MISSING for one in fields(made)):
        return
    parameters = [*code.co_varnames[:positional], *(["*"] if named > positional else []), *names[positional - 1 :]]
    body = [f"_set_{name}({this}, {name})" for name in slots]
    if hasattr(made, "__post_init__"):
        body.append(f"{this}.__post_init__()")
    space: dict[str, Any] = {f"_set_{name}": slots[name].__set__ for name in slots}
    exec(f"def __init__({', '.join(parameters)}): {'; '.join(body) or 'pass'}", space)  # noqa: S102 - as the standard does
    new = space["__init__"]
    for name in ("__defaults__", "__kwdefaults__", "__annotations__", "__module__", "__qualname__"):
        setattr(new, name, getattr(old, name))
    made.__init__ = new  # type: ignore[misc]  # that is what all this is for
