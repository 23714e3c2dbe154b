"""How many examples a property test draws: few while one works, and `TIDEGATE_EXAMPLES` times as many in `make soak`.

Each run draws others.
"""

from __future__ import annotations

import os

_TIMES = int(os.environ.get("TIDEGATE_EXAMPLES", "1"))


def examples(usual: int) -> int:
    """Return how many examples to draw where `usual` are drawn usually."""
    return _TIMES * usual
