"""Typed references: what may be told to whom."""

from __future__ import annotations

from typing import Protocol, TypeVar

M_contra = TypeVar("M_contra", contravariant=True)


class Tells(Protocol[M_contra]):
    """Whoever can be told messages of type `M`; a `pykka.ActorRef` is one, so is a test's stand-in."""

    def tell(self, message: M_contra, /) -> None:
        """Hand over `message`, without waiting for anything."""
