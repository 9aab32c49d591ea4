"""Which options mean something to which commands."""

from __future__ import annotations

from collections.abc import Mapping

from loadgenctl.plan.options import OPTIONS, WAITS

TIMEOUTS = ("timeout.*", *(f"timeout.{wait}" for wait in WAITS))
"""All time limits."""
BUILD_KEYS = ("sdk", "revision", "sdk-repo", "src")
"""The options that say what is built, for the commands that only build."""
BY_HAND_KEYS = (
    *BUILD_KEYS,
    "client",
    "chain.compute-limit",
    "chain.snapshot-interval",
    "sim-config",
    "fail-fast",
    "limit.*.cpus",
    "limit.*.memory",
    "limit.*.pids",
    *TIMEOUTS,
)
"""The options that mean something for roles that are driven by hand."""
RESUME_KEYS = ("disk.needed", "disk.reserve", *TIMEOUTS)
"""The options that may be given beside `--resume`: they change nothing of what is measured."""
ONE_RUN_KEYS = ("revision", "src", "output-dir")
"""The options of one single run, which commands that make many of them choose themselves."""
UP_KEYS = (
    *BY_HAND_KEYS,
    "engine",
    "network",
    "port.*",
    "stage.loadgen.*",
    "chain-only",
    "reset",
    "monitor-interval",
    "sample-interval",
    "slog-codec",
    "output-dir",
    "state-dir",
    "keep-state",
    "disk.needed",
    "disk.reserve",
    "test-data.*",
)
"""The same where there are records, too, and a load at first."""
KEYS_FOR: Mapping[str, tuple[str, ...]] = {
    "build": BUILD_KEYS,
    "by hand": BY_HAND_KEYS,
    "up": UP_KEYS,
    "many": tuple(option.key for option in OPTIONS if option.key not in ONE_RUN_KEYS),
}
"""Purpose → the options it knows."""
