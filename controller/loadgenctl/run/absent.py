"""Stands for the chain's side of a stage in which no chain node runs (`--no-monitor`)."""

from __future__ import annotations

from loadgenctl.errors import LoadgenError
from loadgenctl.run.chain import ChainSide


class AbsentChain(ChainSide):
    """Nothing is started, watched or recorded."""

    def wait_first_blocks(self) -> None:
        """No slog tells of blocks."""

    def shutdown_begins(self) -> None:
        """No block is told apart by it."""

    def height_now(self) -> int | None:
        """No slog tells of blocks."""
        return None

    def stop(self) -> list[LoadgenError]:
        """No node."""
        return []

    def close(self) -> None:
        """No node, and no slog."""

    def vats_diagnosis(self) -> str:
        """Vats are the network's."""
        return ""

    def diagnosis(self) -> str:
        """What a node could tell is missing."""
        return "no chain node ran (--no-monitor): see how the network itself is doing"
