"""Frozen dataclasses that are made faster are in everything else what the standard makes of them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from decimal import Decimal
from typing import Any

import pytest

from messages import facts
from messages.frozen import dataclass, replace
from messages.order import LimitsSeen, SendOrder


@dataclass(frozen=True, slots=True)
class Base:
    symbol: str
    size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Base):
    price: Decimal
    note: str | None = None

    def __post_init__(self) -> None:
        if self.price <= 0:
            raise ValueError("no price")


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A field that makes itself."""

    names: list[str] = dataclasses.field(default_factory=list)


@dataclass(frozen=True)
class Open:
    """No slots."""

    symbol: str


@dataclass(slots=True)
class Changing:
    """Not frozen."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Own:
    """An `__init__` of its own."""

    symbol: str

    def __init__(self) -> None:
        object.__setattr__(self, "symbol", "its own")


def standard_of(kind: type) -> type:
    """Make the class once more, as the standard does."""
    names = {"__annotations__": kind.__annotations__, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    defaults = {
        one.name: one.default
        for one in dataclasses.fields(kind)
        if one.default is not dataclasses.MISSING and one.name in kind.__annotations__
    }
    plain = type(kind.__name__, kind.__bases__, {**names, **defaults})
    kw_only = bool(kind.__init__.__kwdefaults__ or kind.__init__.__code__.co_kwonlyargcount)  # type: ignore[misc]
    return dataclasses.dataclass(frozen=True, slots=True, kw_only=kw_only)(plain)


@pytest.mark.parametrize("kind", [Base, Empty, SendOrder, LimitsSeen, *facts.FACTS.values()])
def test_the_signature_is_the_standards(kind: type) -> None:
    assert inspect.signature(kind) == inspect.signature(standard_of(kind))


def test_fields_are_set_by_place_name_and_default() -> None:
    assert (Base("BTCUSDT").symbol, Base("BTCUSDT").size) == ("BTCUSDT", 1)
    assert Base(size=2, symbol="ETHUSDT") == Base("ETHUSDT", 2)
    made = Derived("BTCUSDT", price=Decimal(3))
    assert dataclasses.astuple(made) == ("BTCUSDT", 1, Decimal(3), None)


def test_what_does_not_fit_is_refused() -> None:
    make: Any = Derived
    for given in ({}, {"symbol": "BTCUSDT"}, {"symbol": "BTCUSDT", "price": Decimal(1), "colour": "red"}):
        with pytest.raises(TypeError):
            make(**given)
    with pytest.raises(TypeError):
        make("BTCUSDT", 1, Decimal(3))


def test_what_looks_at_the_fields_after_they_are_set_still_does() -> None:
    with pytest.raises(ValueError, match="no price"):
        Derived("BTCUSDT", price=Decimal(0))


def test_nothing_can_be_changed() -> None:
    made = Derived("BTCUSDT", price=Decimal(3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.size = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del made.size
    assert made.size == 1


def test_it_is_copied_replaced_and_pickled() -> None:
    made = Derived("BTCUSDT", price=Decimal(3), note="kept")
    assert dataclasses.replace(made, size=4) == Derived("BTCUSDT", 4, price=Decimal(3), note="kept")
    assert copy.deepcopy(made) == made == pickle.loads(pickle.dumps(made))  # noqa: S301 - our own
    assert hash(made) == hash(copy.copy(made))


def test_another_differs_in_what_is_said_and_in_nothing_else() -> None:
    made = Derived("BTCUSDT", price=Decimal(3), note="kept")
    assert replace(made, size=4) == dataclasses.replace(made, size=4)
    assert replace(Empty()) == Empty()
    assert replace(Listing(["a"])) == Listing(["a"])
    assert replace(Open("BTCUSDT"), symbol="ETHUSDT") == Open("ETHUSDT")
    with pytest.raises(ValueError, match="no price"):
        replace(made, price=Decimal(0))
    change: Any = {"colour": "red"}
    with pytest.raises(TypeError):
        replace(made, **change)


def test_other_classes_are_left_as_the_standard_makes_them() -> None:
    first, second = Listing(), Listing()
    assert first.names == []
    assert first.names is not second.names
    assert Open("BTCUSDT").symbol == "BTCUSDT"
    changing = Changing("BTCUSDT")
    changing.symbol = "ETHUSDT"
    assert changing == Changing("ETHUSDT")
    assert Own().symbol == "its own"


def test_the_vocabulary_does_not_set_fields_by_name() -> None:
    for kind in (Base, SendOrder, LimitsSeen, *facts.FACTS.values()):
        assert "__setattr__" not in kind.__init__.__code__.co_names  # type: ignore[misc]
