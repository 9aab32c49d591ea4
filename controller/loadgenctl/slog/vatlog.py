"""The vats of a slog: made, brought online and replayed, saved as heap snapshots, terminated.

A kernel keeps only so many vats online. It writes nothing when it evicts one; a vat that was online
in the same process and is replayed again was evicted between. A page-in is a replay that brings
back a vat which did something before: from the load of its heap snapshot, or without one from the
replay's start, to the replay's end. What is replayed of a new vat is empty, and no page-in; nor are
the replays with which a process begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .fields import Fields
from .found import BlockRecord, Moment, Startup, VatRecord, seconds_between

_SIZES: Final[Mapping[str, str]] = {
    "size": "snapshotBytes",
    "packed": "snapshotCompressedBytes",
    "seconds": "snapshotTime",
}


@dataclass(slots=True)
class _Replay:
    """A replay that has not ended."""

    began: Moment
    before: int
    """Deliveries of the vat that were replayed before it."""


class VatLog:
    """Takes what a slog tells of vats, in its order."""

    def __init__(self, startup: Startup) -> None:
        """What is replayed before the first block goes into `startup`."""
        self.vats: dict[str, VatRecord] = {}
        self._startup = startup
        self._first: Moment | None = None
        """When the first replay of all began."""
        self._replays: dict[str, _Replay] = {}
        self._loads: dict[str, Moment] = {}
        """When the heap snapshot of a vat that is not online was loaded."""
        self._online: set[str] = set()
        """The vats that have been online in this process."""

    def vat(self, vat_id: str) -> VatRecord:
        """The record of a vat; made if there is none. Raises `TypeError`."""
        vat = self.vats.get(vat_id)
        if vat is None:
            if not isinstance(vat_id, str):
                raise TypeError(vat_id)
            vat = self.vats[vat_id] = VatRecord(vat_id)
        return vat

    def begin_process(self) -> None:
        """A process begins: none of its vats is online."""
        self._replays.clear()
        self._loads.clear()
        self._online.clear()

    def created(self, moment: Moment, fields: Fields) -> None:
        """A vat was made, or appears for the first time in a process."""
        vat = self.vat(fields["vatID"])
        vat.name = fields.get("name", vat.name)
        vat.dynamic = fields.get("dynamic", vat.dynamic)
        vat.manager_type = fields.get("managerType", vat.manager_type)
        vat.created_at = moment.at

    def started(self, moment: Moment, fields: Fields) -> None:
        """A vat's worker runs."""
        self.vat(fields["vatID"]).started_at = moment.at

    def terminated(self, moment: Moment, fields: Fields) -> None:
        """A vat was terminated."""
        self.vat(fields["vatID"]).terminated_at = moment.at

    def replayed(self, vat_id: str | None, *, in_startup: bool) -> None:
        """A delivery was replayed."""
        if in_startup:
            self._startup.replayed_deliveries += 1
        if vat_id is not None:
            self.vat(vat_id).replayed_deliveries += 1

    def replay_started(self, moment: Moment, fields: Fields, *, in_startup: bool) -> None:
        """A replay begins; of old SDKs two events tell that."""
        vat = self.vat(fields["vatID"])
        if vat.vat_id not in self._replays:
            self._replays[vat.vat_id] = _Replay(moment, vat.replayed_deliveries)
        if vat.replay_started_at is None:
            vat.replay_started_at = moment.at
        if in_startup and self._first is None:
            self._first = moment
            self._startup.replay_started_at = moment.at

    def replay_finished(
        self, moment: Moment, fields: Fields, block: BlockRecord | None, *, in_startup: bool
    ) -> None:
        """A replay ends; `block` is the one that is open."""
        vat = self.vat(fields["vatID"])
        vat.replay_finished_at = moment.at
        if in_startup:
            self._startup.replay_finished_at = moment.at
            self._startup.replay_s = seconds_between(self._first, moment)
        evicted = vat.vat_id in self._online
        self._online.add(vat.vat_id)
        loaded, replay = self._loads.pop(vat.vat_id, None), self._replays.pop(vat.vat_id, None)
        if replay is None:
            return
        took = seconds_between(replay.began, moment)
        vat.replay_s = took if vat.replay_s is None else vat.replay_s + (took or 0.0)
        deliveries = vat.replayed_deliveries - replay.before
        if in_startup or not (evicted or loaded or deliveries):
            return
        vat.page_ins += 1
        vat.evictions += evicted
        if block is not None:
            block.add("pageIns", 1)
            block.add("evictions", int(evicted))
            block.add("replayedDeliveries", deliveries)
            block.add("pageInTime", seconds_between(loaded or replay.began, moment) or 0.0)

    def snapshot_loaded(self, moment: Moment, fields: Fields) -> None:
        """A vat's heap snapshot is loaded, at the vat's start or because it was just saved."""
        vat_id = self.vat(fields["vatID"]).vat_id
        self._loads[vat_id] = moment

    def snapshot_saved(self, _: Moment, fields: Fields, block: BlockRecord | None) -> None:
        """A heap snapshot was saved."""
        vat = self.vat(fields["vatID"])
        vat.snapshots += 1
        vat.snapshot_bytes = fields.get("size", vat.snapshot_bytes)
        if "delta" in fields:
            vat.snapshot_delta_bytes = (vat.snapshot_delta_bytes or 0) + fields["delta"]
        if block is None:
            return
        block.add("snapshots", 1)
        for name, figure in _SIZES.items():
            if name in fields:
                block.add(figure, fields[name])
