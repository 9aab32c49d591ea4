"""The vats of a slog: created, brought online and replayed, saved as heap snapshots, terminated.

A kernel keeps a limited number of vats online. It does not log evictions; a vat that was online in
the same process and is replayed again was evicted in between. A page-in is a replay that brings a
vat with earlier deliveries online: from the load of its heap snapshot, or else from the start of
the replay, to the end of the replay. The empty replay of a new vat is not a page-in, nor are the
replays at the start of a process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loadgenctl.slog.event_fields import Fields
from loadgenctl.slog.model import BlockRecord, Moment, Startup, VatRecord, seconds_between

_SIZES: Final[Mapping[str, str]] = {
    "size": "snapshotBytes",
    "packed": "snapshotCompressedBytes",
    "seconds": "snapshotTime",
}


@dataclass(slots=True)
class _Replay:
    """An open replay."""

    began: Moment
    before: int
    """Deliveries of the vat that were replayed before it."""


class VatLog:
    """Takes the events of vats, in the slog's order."""

    def __init__(self, startup: Startup) -> None:
        """Writes replays before the first block to `startup`."""
        self.vats: dict[str, VatRecord] = {}
        self._startup = startup
        self._first: Moment | None = None
        """When the first replay began."""
        self._replays: dict[str, _Replay] = {}
        self._loads: dict[str, Moment] = {}
        """When the heap snapshot of a vat that is not online was loaded."""
        self._online: set[str] = set()
        """The vats that have been online in this process."""

    def vat(self, vat_id: str) -> VatRecord:
        """The record of a vat; created if missing. Raises `TypeError`."""
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
        """A vat was created, or appears for the first time in a process."""
        vat = self.vat(fields["vatID"])
        vat.name = fields.get("name", vat.name)
        vat.dynamic = fields.get("dynamic", vat.dynamic)
        vat.manager_type = fields.get("managerType", vat.manager_type)
        vat.created_at = moment.at

    def started(self, moment: Moment, fields: Fields) -> None:
        """A vat's worker has started."""
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
        """A replay begins; old SDKs log two events for it."""
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
        """A replay ends; `block` is the open one."""
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
