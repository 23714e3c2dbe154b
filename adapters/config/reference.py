"""docs/configuration.md, made from the settings themselves: `python -m adapters.config.reference > FILE`."""

from __future__ import annotations

import sys
from itertools import groupby

from adapters.config.model import MODE_DEFAULTS, SECTIONS, Config
from adapters.config.show import describe

HEAD = """\
# Configuration

Made from the settings by `python -m adapters.config.reference`; a test holds it to them. `run.py init` writes them all
into a file as comments, `run.py config` shows what is in effect and where each value comes from, `run.py check-config`
names everything that is wrong at once.

What wins: the command line (`--set twap.num_chunks=9`), then the environment (`TIDEGATE__TWAP__NUM_CHUNKS=9`), then
secret files (`twap.num_chunks` in `$CREDENTIALS_DIRECTORY`), then the TOML file, then the defaults, which partly depend
on the mode. But tokens, signing keys and alert sinks are refused on the command line, which everybody on this machine
can read, and so are the account's keys in every mode but paper: they come from the environment, a secret file or a file
with mode 0600.
"""

COLUMNS = "| setting | default | what |\n|---|---|---|"


def reference() -> str:
    """Write the whole page."""
    parts = [HEAD]
    settings = describe(Config(mode="paper"))
    for section, group in groupby(settings, key=lambda one: one.key.rpartition(".")[0]):
        model = SECTIONS.get(section)
        about = (model.__doc__ or "").strip().partition("\n")[0] if model is not None else "Outside of any section."
        parts.append(f"\n## {f'[{section}]' if section else 'Top level'}\n\n{about}\n\n{COLUMNS}")
        parts.extend(f"| `{one.key}` | {_default(section, one.key, one.value)} | {_cell(one.help)} |" for one in group)
    return "\n".join(parts) + "\n"


def _default(section: str, key: str, value: str) -> str:
    name = key.rpartition(".")[2]
    of_paper = MODE_DEFAULTS["paper"].get(section, {})
    if name in of_paper and (model := SECTIONS.get(section)) is not None:
        elsewhere = getattr(model(), name)
        return f"`{value}` in paper mode, else `{elsewhere}`"
    if any(name in mode.get(section, {}) for mode in MODE_DEFAULTS.values()):
        return "depends on the mode"
    return f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
