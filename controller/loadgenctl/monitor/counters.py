"""Counters over restarts: they must not go back when a new container starts."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field

Value = int | float | None


@dataclass(slots=True)
class Counter:
    """One counter over all lives of its container or process."""

    base: int | float = 0
    """The sum of the last readings of earlier lives."""
    last: int | float = 0
    """The last reading of this life."""

    def update(self, reading: Value, *, restarted: bool = False) -> Value:
        """The reading plus all earlier lives; never less than before. None stays None.

        A reading below the last one is a new life even without `restarted`.
        """
        if restarted or (reading is not None and reading < self.last):
            self.base += self.last
            self.last = 0
        if reading is None:
            return None
        self.last = reading
        return self.base + reading


@dataclass(slots=True)
class CounterSet:
    """The counters of one subject, e.g. of the chain's container through all stages."""

    names: Collection[str]
    epoch: int = 0
    """How many times it has started again."""
    _life: Hashable = None
    _counters: dict[str, Counter] = field(default_factory=dict)

    @classmethod
    def after(cls, names: Collection[str], readings: Mapping[str, Value], epoch: int) -> CounterSet:
        """The counters that continue from the last corrected `readings` of an earlier attempt."""
        last = {name: Counter(last=readings.get(name) or 0) for name in names}
        return cls(names, epoch, _life="an attempt before", _counters=last)

    def update(self, readings: Mapping[str, Value], life: Hashable) -> dict[str, Value]:
        """`readings` with its counters corrected; `life` names the container or process read.

        With a new `life` all counters start again. A counter that goes back by itself (a block
        device that is gone) starts again alone: the others have lost nothing. Both are an epoch.
        """
        restarted = self._life is not None and life != self._life
        self._life = life
        went_back = False
        corrected = dict(readings)
        for name in self.names:
            counter = self._counters.setdefault(name, Counter())
            reading = readings.get(name)
            went_back |= not restarted and reading is not None and reading < counter.last
            corrected[name] = counter.update(reading, restarted=restarted)
        self.epoch += restarted or went_back
        return corrected
