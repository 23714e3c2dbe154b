"""Ctrl-C at a moment that a test chooses: as soon as a module is looked for. Found as `sitecustomize` by a process."""

from __future__ import annotations

import os
import signal
import sys


class PressesCtrlC:
    """Knows no module, and interrupts its process when it is asked for one."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)


sys.meta_path.insert(0, PressesCtrlC())
