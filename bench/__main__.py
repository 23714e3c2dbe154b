"""All measurements in one run: `python -m bench [names...]`, the names being those of the files here."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence

from bench.tools.figures import machine

QUESTIONS = (
    "latency",
    "wire",
    "server",
    "executions",
    "verdicts",
    "http_load",
    "restart",
    "simulation",
    "store",
    "starts",
    "plain_threads",
    "execution_quality",
)
"""The files, in the order in which they are run."""


def main(names: Sequence[str]) -> int:
    """Run the named measurements, all without names; return 2 for a name that there is none of."""
    unknown = [name for name in names if name not in QUESTIONS]
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are {', '.join(QUESTIONS)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    print(machine())
    for name in names or QUESTIONS:
        module = importlib.import_module(f"bench.{name}")
        first_line = (module.__doc__ or "").partition("\n")[0]
        print(f"\n== {name}: {first_line}", flush=True)
        module.main(())
    print(f"\n{time.monotonic() - began:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
