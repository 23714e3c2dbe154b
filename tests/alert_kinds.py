"""Every kind of alert that the code can raise, found in the code itself: no list that somebody has to keep."""

from __future__ import annotations

import ast
from pathlib import Path

from actors.alerts import RULES

ACTORS = Path(__file__).parents[1] / "actors"
SPEAKERS = {"TroubleSeen", "AlertRaised"}


def spoken() -> set[str]:
    """The kinds that actors name where they see a trouble, or raise an alert without a fact."""
    kinds = set()
    for file in sorted(ACTORS.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SPEAKERS:
                named = [word.value for word in node.keywords if word.arg == "kind"]
                kinds |= {str(value.value) for value in named if isinstance(value, ast.Constant)}
    return kinds


TROUBLES = spoken()
"""What is no fact when it is seen: streams, clock, limits; and the journal, of which no fact can tell."""
KINDS = {rule.kind for rule in RULES} | TROUBLES
