"""Shell completion of the command line, under the name `tidegate`, wherever the tree lies.

A shell completes commands by their name, and `python run.py` has none of its own. So the script that
`run.py completion SHELL` prints also makes `tidegate` a function that runs it, where there is no such
command yet. typer does the completing: it is asked by environment variables (its protocol with a shell).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from typer.completion import get_completion_inspect_parameters

NAME: Final = "tidegate"
ASKED: Final = "_TIDEGATE_COMPLETE"


class Shell(StrEnum):
    """The shells for which there is a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


SCRIPTS: Final = {
    Shell.BASH: """\
type tidegate >/dev/null 2>&1 || tidegate() {{ {command} "$@"; }}
_tidegate_completion() {{
    local IFS=$'\\n'
    COMPREPLY=($(env COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD=$COMP_CWORD _TIDEGATE_COMPLETE=complete_bash {command}))
}}
complete -o default -F _tidegate_completion tidegate
""",
    Shell.ZSH: """\
type tidegate >/dev/null 2>&1 || tidegate() {{ {command} "$@"; }}
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit; }}
_tidegate_completion() {{
    eval $(env _TYPER_COMPLETE_ARGS="${{words[1,$CURRENT]}}" _TIDEGATE_COMPLETE=complete_zsh {command})
}}
compdef _tidegate_completion tidegate
""",
    Shell.FISH: """\
type -q tidegate; or function tidegate; {command} $argv; end
function _tidegate_completion
    env _TIDEGATE_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \
_TYPER_COMPLETE_ARGS=(commandline -cp) {command}
end
complete --command tidegate --no-files --arguments "(_tidegate_completion get-args)" \
--condition "_tidegate_completion is-args"
""",
}


def script(shell: Shell, command: Sequence[str]) -> str:
    """Write the script for a shell; `command` is how this program is called, by absolute paths."""
    return SCRIPTS[shell].format(command=shlex.join(command))


def asked_to_complete() -> bool:
    """Tell whether a shell asks for completions; if so, prepare for it."""
    if ASKED not in os.environ:
        return False
    get_completion_inspect_parameters()  # It is this call that teaches typer's shells to click.
    return True
