"""One look at everything: what is told when several things are wrong."""

from __future__ import annotations

from typing import cast

import pytest
from tests.fake_clock import FakeClock

from loadgenctl.errors import LoadFailed, RoleDied
from loadgenctl.roles.role import Role
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.watch import Watch


class Dying:
    """A role that is found dead, and what it wrote in the moment before that."""

    def __init__(self, last_words: list[str], words: str | None) -> None:
        self._last_words = last_words
        self._words = words

    def poll(self) -> None:
        if self._words is not None:
            self._last_words.append(self._words)
        raise RoleDied("loadgen ended unexpectedly", role="loadgen", exit_code_of_role=4)


@pytest.mark.parametrize(
    ("words", "error"), [("a cycle failed", LoadFailed), (None, RoleDied)], ids=["told", "untold"]
)
def test_why_a_role_ended_is_told_even_if_it_was_written_after_the_look(
    words: str | None, error: type[Exception]
) -> None:
    written: list[str] = []

    def poll() -> None:
        if written:
            raise LoadFailed(written[0], role="loadgen", step="load")

    watch = Watch(FakeClock(), Interrupts())
    watch.pollers.append(poll)
    watch.roles.append(cast("Role", Dying(written, words)))
    with pytest.raises(error):
        watch.turn()
