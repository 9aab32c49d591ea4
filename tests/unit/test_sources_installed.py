"""The installed SDK is found by its programs, however those were put on the PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgenctl.errors import UsageError
from loadgenctl.sources.installed import TOP, installed_tree


class Machine:
    """A checkout and a folder on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "agoric-sdk"
        self.bin = folder / "bin"
        self.bin.mkdir()
        (self.tree / TOP).parent.mkdir(parents=True)
        (self.tree / TOP).write_text("{}")

    def program(self, path: Path, text: str = "#!/bin/sh\n") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def find(self) -> Path:
        return installed_tree(str(self.bin))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_by_a_link_into_the_tree(machine: Machine) -> None:
    real = machine.program(machine.tree / "packages/cosmic-swingset/bin/ag-chain-cosmos")
    (machine.bin / "ag-chain-cosmos").symlink_to(real)
    assert machine.find() == machine.tree


def test_by_a_script_that_calls_a_program_of_the_tree(machine: Machine) -> None:
    cli = machine.program(machine.tree / "packages/agoric-cli/bin/agoric")
    machine.program(machine.bin / "agoric", f"#!/bin/sh\nexec node '{cli}' \"$@\"\n")
    assert machine.find() == machine.tree


def test_by_the_trees_own_folder_on_the_path(machine: Machine) -> None:
    machine.program(machine.tree / "packages/solo/bin/ag-solo")
    assert installed_tree(str(machine.tree / "packages/solo/bin")) == machine.tree


def test_a_program_that_tells_nothing_gives_way_to_one_that_does(machine: Machine) -> None:
    machine.program(machine.bin / "ag-chain-cosmos", "\x7fELF not a script at all")
    cli = machine.program(machine.tree / "packages/agoric-cli/bin/agoric")
    (machine.bin / "agoric").symlink_to(cli)
    assert machine.find() == machine.tree


def test_nothing_installed(machine: Machine) -> None:
    with pytest.raises(UsageError, match="no SDK is installed") as caught:
        machine.find()
    assert "--src" in (caught.value.hint or "")


def test_programs_without_a_tree(machine: Machine) -> None:
    machine.program(machine.bin / "agoric", "#!/bin/sh\nexec /usr/bin/true\n")
    with pytest.raises(UsageError, match="bin/agoric does not belong to a checkout"):
        machine.find()
