"""Where actors run: a `Pool` of threads in real time, or a seeded `Simulation` in virtual time.

An `Actor` is a `pykka.Actor`; references, proxies and the registry are Pykka's own. It is
started inside `with runtime:` and knows its runtime as `self.runtime`, which tells the time
and takes messages for later. The same actor runs unchanged on both.
"""

from __future__ import annotations

from actors.runtime._actor import Actor, Future, NoRuntime, stop_soon
from actors.runtime._base import Failure, Runtime, Timer
from actors.runtime._collector import CalmCollector
from actors.runtime._mailbox import NodeCrashed
from actors.runtime._nodes import Node
from actors.runtime._pool import Pool
from actors.runtime._simulation import EPOCH, BlockedTurn, Deadlock, Simulation, UnclaimedFailures

__all__ = [
    "EPOCH",
    "Actor",
    "BlockedTurn",
    "CalmCollector",
    "Deadlock",
    "Failure",
    "Future",
    "NoRuntime",
    "Node",
    "NodeCrashed",
    "Pool",
    "Runtime",
    "Simulation",
    "Timer",
    "UnclaimedFailures",
    "stop_soon",
]
