"""One TOML file sets speeds, costs and faults; omitted keys keep their defaults.

An unknown key, a wrong type and a value out of range raise `ConfigError`; for an unknown key the
message suggests the nearest name.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .faults import Fault, parse_faults
from .forms import FORMS

T = TypeVar("T")

STATIC_VATS = (
    "bank",
    "board",
    "distributeFees",
    "ibc",
    "mints",
    "network",
    "priceAuthority",
    "provisioning",
    "sharing",
    "zoe",
    "bootstrap",
    "vatAdmin",
    "comms",
    "vattp",
    "timer",
)
"""In the order of their ids, v1 to v15, as in the chain of spring 2021."""


class ConfigError(Exception):
    """The configuration is not valid; the message names the key and the valid values."""


@dataclass(frozen=True)
class Chain:
    """Block time, port and limits of the chain node."""

    block_time: float = field(default=1.0, metadata={"min": 0.01})
    """Seconds from the start of a block to the start of the next."""
    rpc_port: int = field(default=26657, metadata={"min": 1, "max": 65535})
    max_block_txs: int = field(default=200, metadata={"min": 1})
    """Most transactions of a block; the rest wait."""


@dataclass(frozen=True)
class Vats:
    """The vats; each except `comms` and `vattp` has its own worker process."""

    static: tuple[str, ...] = STATIC_VATS
    dynamic: int = field(default=5, metadata={"max": 200})
    """Contract vats, created during the bootstrap block."""
    online: int = field(default=50, metadata={"min": 2})
    """Most workers that run at the same time; the least recently used vat is evicted."""
    snapshot_interval: int = 200
    """Deliveries from one heap snapshot of a vat to the next, from slog form 2024 on; 0: none."""
    bundle_bytes: int = 20_000
    """Size of the source bundle shown in the slog's create-vat lines."""


@dataclass(frozen=True)
class Cost:
    """The cost of a delivery."""

    computrons: int = 60_000
    """Mean per delivery; a real machine runs about 18 in a microsecond."""
    spread: float = field(default=0.5, metadata={"max": 1.0})
    """A delivery costs mean x (1 - spread … 1 + spread)."""
    work: float = 1.0
    """Real CPU work per computron; 0 makes deliveries free."""
    deliveries: int = field(default=8, metadata={"min": 1, "max": 1000})
    """Deliveries that one transaction causes."""
    syscalls: int = field(default=2, metadata={"max": 1000})
    """Syscalls of a delivery: two slog lines each."""
    bootstrap_deliveries: int = 120
    """Deliveries of the bootstrap block."""


@dataclass(frozen=True)
class Growth:
    """Growth, in bytes."""

    memory_per_delivery: int = 4096
    """Worker memory."""
    transcript_per_delivery: int = 600
    """Kernel database."""
    storage_per_block: int = 2048
    """Block and application databases."""


@dataclass(frozen=True)
class Restart:
    """The cost of a restart."""

    replay_factor: float = 0.5
    """CPU work of a replayed delivery as a share of the first time's."""


@dataclass(frozen=True)
class Slog:
    """The structured log."""

    dialect: str = "modern"
    """Its form, by the year of the SDKs that wrote it: `2021`, `2022`, `2024`; `modern`:
    today's.
    """
    body_bytes: int = 200
    """Size of a delivery's message body."""


@dataclass(frozen=True)
class Solo:
    """The client."""

    port: int = field(default=8000, metadata={"min": 1, "max": 65535})
    start_seconds: float = 0.3
    """From the process's start to `swingset running`."""
    tx_timeout: float = field(default=120.0, metadata={"min": 0.1})
    """Time limit of a transaction, in seconds; after it, the caller gets an error."""


@dataclass(frozen=True)
class Wallet:
    """The smart wallets, if the load uses them."""

    pool: int = field(default=8, metadata={"min": 1, "max": 1000})
    """Number of wallets, which is also that of concurrent cycles."""
    offer_timeout: float = field(default=120.0, metadata={"min": 0.1})
    """Time limit of an offer, in seconds; after it, its cycle fails."""


@dataclass(frozen=True)
class Driver:
    """The load driver."""

    connect_timeout: float = field(default=120.0, metadata={"min": 0.1})
    """Seconds to wait until the solo or the wallets are ready."""
    stop_grace: float = 10.0
    """Time limit, in seconds, for running cycles to end after a stop."""


@dataclass(frozen=True)
class SimConfig:
    """The complete configuration."""

    seed: str = "simulated"
    chain: Chain = field(default_factory=Chain)
    vats: Vats = field(default_factory=Vats)
    cost: Cost = field(default_factory=Cost)
    growth: Growth = field(default_factory=Growth)
    restart: Restart = field(default_factory=Restart)
    slog: Slog = field(default_factory=Slog)
    solo: Solo = field(default_factory=Solo)
    wallet: Wallet = field(default_factory=Wallet)
    driver: Driver = field(default_factory=Driver)
    faults: tuple[Fault, ...] = ()
    network: tuple[str, int] | None = None
    """Host and port of the RPC that the load uses; None: that of the local chain."""

    @property
    def chain_address(self) -> tuple[str, int]:
        """Host and port of the RPC that the load uses."""
        return self.network or ("127.0.0.1", self.chain.rpc_port)


_SECTIONS: Mapping[str, type] = {
    "chain": Chain,
    "vats": Vats,
    "cost": Cost,
    "growth": Growth,
    "restart": Restart,
    "slog": Slog,
    "solo": Solo,
    "wallet": Wallet,
    "driver": Driver,
}


def parse(document: Mapping[str, Any]) -> SimConfig:
    """A configuration from a TOML document. Raises `ConfigError`."""
    refuse_unknown("", document, ("seed", "fault", *_SECTIONS))
    values: dict[str, Any] = {}
    if "seed" in document:
        seed = document["seed"]
        if isinstance(seed, bool) or not isinstance(seed, (str, int)):
            raise ConfigError("seed must be a string or a whole number")
        values["seed"] = str(seed)
    for name, cls in _SECTIONS.items():
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"[{name}] must be a table")
        values[name] = _section(name, cls, table)
    try:
        values["faults"] = parse_faults(document.get("fault", []))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    config = SimConfig(**values)
    _check(config)
    return config


def load(path: str | None, environ: Mapping[str, str] | None = None) -> SimConfig:
    """Read `path`, else $SIM_CONFIG, else the bundled default.

    $SIM_RPC_PORT and $SIM_SOLO_PORT override the ports, $SIM_NETWORK (HOST:PORT) the chain that the
    solo uses. Raises `ConfigError`, also for a file that cannot be read.
    """
    env = os.environ if environ is None else environ
    chosen = Path(
        path or env.get("SIM_CONFIG") or Path(__file__).resolve().parent.parent / "default.toml"
    )
    config = parse(_read(chosen))
    rpc, web = env.get("SIM_RPC_PORT"), env.get("SIM_SOLO_PORT")
    if rpc:
        config = dataclasses.replace(
            config, chain=dataclasses.replace(config.chain, rpc_port=_port("SIM_RPC_PORT", rpc))
        )
    if web:
        config = dataclasses.replace(
            config, solo=dataclasses.replace(config.solo, port=_port("SIM_SOLO_PORT", web))
        )
    if env.get("SIM_NETWORK"):
        config = dataclasses.replace(config, network=address(env["SIM_NETWORK"]))
    return config


def address(text: str) -> tuple[str, int]:
    """Host and port of an RPC server, with or without a scheme. Raises `ConfigError`."""
    host, colon, port = text.rpartition("://")[2].rpartition(":")
    if not host or not colon:
        raise ConfigError(f"not HOST:PORT: {text!r}")
    return host, _port("the address", port)


def refuse_unknown(where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise `ConfigError` for an unknown key, with the nearest known one."""
    names = list(known)
    for key in table:
        if key not in names:
            shown = f"{where}.{key}" if where else key
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.4)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(names))}"
            )
            raise ConfigError(f"unknown key {shown!r}; {hint}")


def _read(path: Path) -> dict[str, Any]:
    try:
        # Part of Python since 3.11; what does not read the configuration also runs on 3.9.
        import tomllib
    except ModuleNotFoundError as error:
        raise ConfigError("reading the configuration needs Python 3.11 or newer") from error
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from error


def _section(name: str, cls: type[T], table: Mapping[str, Any]) -> T:
    fields = {item.name: item for item in dataclasses.fields(cls)}  # type: ignore[arg-type]
    refuse_unknown(name, table, fields)
    return cls(**{key: _value(f"{name}.{key}", fields[key], value) for key, value in table.items()})


def _value(where: str, spec: dataclasses.Field[Any], value: object) -> object:
    kind = str(spec.type)
    if kind.startswith("tuple"):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{where} must be a list of strings")
        return tuple(value)
    if kind == "str":
        if not isinstance(value, str):
            raise ConfigError(f"{where} must be a string")
        return value
    whole = kind == "int"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ConfigError(f"{where} must be a {'whole ' if whole else ''}number")
    low, high = spec.metadata.get("min", 0), spec.metadata.get("max")
    if not value >= low or (high is not None and value > high):
        wanted = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ConfigError(f"{where} must be {wanted}")
    return value if whole else float(value)


def _check(config: SimConfig) -> None:
    names = config.vats.static
    if not names or len(set(names)) != len(names):
        raise ConfigError("vats.static must hold at least one name and none twice")
    if any(not name.isidentifier() for name in names):
        raise ConfigError("vats.static must hold plain names (letters, digits and _)")
    if config.slog.dialect not in FORMS:
        raise ConfigError(f"slog.dialect must be one of {', '.join(FORMS)}")


def _port(name: str, text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"{name} must be a port number, not {text!r}")
    return int(text)
