"""The command that starts this program here, so that hints show commands as they can be typed.

From a checkout it is `bin/loadgenctl`, from an inactive virtual environment a path.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

NAME: Final = "loadgenctl"
VARIABLE: Final = "LOADGENCTL_PROGRAM"
"""Set by the scripts in `bin/`, which call the program by another path than their own."""
COMMANDS: Final = (
    *("clean", "compose", "daily", "image", "list", "load", "options", "queue", "regen", "run"),
    *("sdk", "slog", "stats", "top", "up"),
)
"""What can follow the name."""

_COMMAND: Final = re.compile(rf"(?<![\w./-]){NAME}(?= (?:{'|'.join(COMMANDS)})\b)")


def program_name(called: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """The command for `loadgenctl` on this machine, quoted for a shell.

    `called` is the path of the program, `environ` the environment; by default of this process.
    """
    called = sys.argv[0] if called is None else called
    environ = os.environ if environ is None else environ
    if environ.get(VARIABLE):
        return shlex.quote(environ[VARIABLE])
    found = shutil.which(NAME, path=environ.get("PATH", os.defpath))
    if Path(called).name == NAME:
        same = found is not None and Path(found).resolve() == Path(called).resolve()
        return NAME if same else shlex.quote(called)
    if Path(called).parts[-2:] == (NAME, "__main__.py") and found is None:
        return f"{shlex.quote(sys.executable)} -m {NAME}"
    return NAME


def as_called(text: str) -> str:
    """A text with every command in it (`loadgenctl run …`) as it can be typed here."""
    return _COMMAND.sub(lambda _: program_name(), text)
