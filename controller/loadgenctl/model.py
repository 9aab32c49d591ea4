"""The nouns of a run, as frozen dataclasses without behaviour or engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ResolvedRevision:
    """An SDK revision pinned down, wherever it comes from."""

    family: str
    """`agoric` or `sim`."""
    requested: str
    """As typed."""
    commit: str | None
    """Full commit id; None for a directory that is not a git checkout."""
    commit_time: int | None
    """Committer time in seconds since the epoch; None when unknown."""
    content_id: str
    """Key of the build's cache: the commit, or a hash of the tree."""
    repository: str
    """Where it comes from: a URL or a path, without credentials."""
    dirty: bool = False
    """True for a checkout with uncommitted changes."""

    @property
    def short(self) -> str:
        """A name of at most 12 characters for tables and labels."""
        return (self.commit or self.content_id)[:12]


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage of a run, every default applied."""

    index: int
    chain_only: bool
    duration_s: float
    """From the stage's start; negative: until interrupted. The same as `load_duration_s` if given.
    """
    save_storage: bool
    load: Mapping[str, Any] | None = None
    """Load config as PUT to the load service; None where nothing is configured."""
    cycles: int | None = None
    """End the stage's load after this number of finished cycles."""
    prepare: tuple[str, ...] = ()
    """Tasks of later stages that a chain-only stage prepares, so that those stages are alike."""
    load_duration_s: float | None = None
    """From the beginning of the load; None: the stage ends after `duration_s`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a role's container; None is unlimited."""

    cpus: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None


RELAYED = 10_000
"""Added to a role's port, it is the port at which the pod's relay listens."""
HIGHEST_PORT = 65535 - RELAYED


@dataclass(frozen=True, slots=True)
class Ports:
    """Where roles listen on loopback."""

    chain: int = 26657
    """Its RPC."""
    solo: int = 8000
    """Its web server."""
    loadgen: int = 3352
    """The load service's config."""


@dataclass(frozen=True, slots=True)
class TrustPoint:
    """A block that a light client trusts: where state-sync begins."""

    height: int
    block_hash: str
    """Upper case hexadecimal."""


@dataclass(frozen=True, slots=True)
class ChainNetwork:
    """A chain that others run, as its origin describes it; every value is checked."""

    chain_id: str
    identity: str
    """Identifies the chain for clients: hexadecimal SHA-256 of its genesis."""
    peers: tuple[str, ...]
    """`NODE-ID@HOST:PORT`."""
    seeds: tuple[str, ...]
    rpc: tuple[str, ...]
    """`HOST:PORT`, or an http(s) URL where the origin gives one."""
    trust: TrustPoint | None = None
    """Where state-sync begins; None for a node that starts from the genesis."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A host folder or named volume inside a container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command line inside a container."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    timeout: float | None = None
    """Seconds a one-shot command may take; None for a role's main process."""
    label: str = ""
    """Its name in progress lines and errors."""


NAMED = "network:"
"""Prefix of the name of an engine's network, see `RoleSpec.network`."""


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """A container to be made, described without an engine."""

    name: str
    """Unique on the engine: `loadgenctl-RUN-ROLE…`."""
    role: str
    """`holder`, `chain`, `solo`, `loadgen`, `builder` or a one-shot's name."""
    image: str
    command: Command
    mounts: tuple[Mount, ...] = ()
    user: str | None = None
    """`uid:gid`."""
    network: Literal["none", "own", "host"] | str = "none"
    """`own`: a network namespace with an uplink; `none`: only loopback; `NAMED` and a name: the
    same on the engine's network of that name; else the name of the container to join.
    """
    publish: Mapping[int, int] = field(default_factory=dict)
    """Container port → host port on 127.0.0.1; only for roles with their own network."""
    limits: Limits = field(default_factory=Limits)
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    read_only_root: bool = False
    hardened: bool = True
    """Drop all capabilities and forbid new privileges."""
    log_max_bytes: int = 256 * 1024 * 1024
    """Upper bound of the engine's log of this container."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Everything a run will do, decided before it begins."""

    sdk: str
    revision: str | None
    """The requested revision; None with `source_dir` or for the bundled simulated SDK."""
    repository: str | None
    source_dir: Path | None
    profile: str
    output_dir: Path
    state_dir: Path
    stages: tuple[StageSpec, ...]
    monitor_interval_s: float
    """Between full samples."""
    light_interval_s: float
    """Between light samples (container totals)."""
    reset: bool
    limits: Mapping[str, Limits]
    """Per role."""
    publish: bool
    """Publish RPC, solo and load ports on 127.0.0.1."""
    test_data: Mapping[str, Any]
    sim_config: Path | None
    """TOML of the simulated SDK's speeds and faults."""
    fail_fast: bool = False
    keep_state: bool = False
    slog_codec: Literal["gzip", "zstd"] = "gzip"
    engine: str = "docker"
    """`docker` or `local`."""
    ports: Ports = field(default_factory=Ports)
    timeouts_s: Mapping[str, float] = field(default_factory=dict)
    """Role → time limit to be ready; `block`, `cycle`: the time without one after which the run has
    stalled; `provision`: time limit of a network to provision the client.
    """
    checkout: bool = False
    """`source_dir` is empty: the revision is checked out and built there, and kept."""
    disk_needed: int | None = None
    """Bytes that must be free before the run begins; None: estimated."""
    disk_reserve: int = 256 * 1024 * 1024
    """Bytes that stay free: a stage that would use them ends."""
    by_hand: bool = False
    """One stage that a person drives: no load is required, and an interrupt is a normal end."""
    origin: str | None = None
    """Where the network that the chain node follows is described: a URL or an absolute path; None
    for a chain of the run itself.
    """
    monitor: bool = True
    """False: no chain node runs, only client and load."""
    state_sync: bool = False
    provision_command: str | None = None
    """Shell command of this machine that makes a network provision the client."""
    network: str | None = None
    """The engine's network that the pod joins, so that other runs' pods reach it."""
    traces: tuple[str, ...] = ()
    bootstrap: Path | None = None
    """A bootstrap configuration for the local chain, or that of the network's chain."""
    sdk_bootstrap: bool = False
    """A node that replays a network's chain uses the bootstrap configuration of a local chain."""
    snapshot_interval: int | None = None
    """Blocks between two state-sync snapshots of the local chain; None: it makes none."""
    message_file: Path | None = None
    """Shared with the SDK's acceptance tests, see `run/messages.py`."""
    client: Literal["solo", "wallet"] = "solo"
    """`solo`: the load acts through a client kernel of its own; `wallet`: through smart wallets."""
    compute_limit: int | None = None
    """Computrons that the kernel of the local chain may spend in a block; None: the chain's own."""
