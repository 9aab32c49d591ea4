"""The command line in this process, from a folder of the test's own."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadgenctl.cli.app import main


@dataclass(frozen=True, slots=True)
class Said:
    """What a command ended with and printed."""

    exit_code: object
    stdout: str
    stderr: str

    @property
    def words(self) -> str:
        """Standard output with every run of white space, line ends too, as one space."""
        return " ".join(self.stdout.split())


class Shell:
    """Runs commands in this process, from a folder of the test's own."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture

    def run(self, *arguments: str) -> Said:
        with contextlib.chdir(self.folder), pytest.raises(SystemExit) as ended:
            main(arguments)
        said = self._capture.readouterr()
        return Said(ended.value.code, said.out, said.err)
