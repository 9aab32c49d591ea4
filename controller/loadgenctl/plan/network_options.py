"""The options of networks that others run, and of what other runs see of the own chain. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.errors import UsageError
from loadgenctl.file_errors import resolved
from loadgenctl.plan.options import ORIGINS, SDK_BOOTSTRAP, TRACES
from loadgenctl.plan.settings import DEFAULT, Settings
from loadgenctl.urls import origin_of

LOCAL = "local"
_NAME_MAX = 128


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """The options, checked; see the fields of `RunPlan`."""

    profile: str
    origin: str | None
    monitor: bool
    state_sync: bool
    provision_command: str | None
    network: str | None
    traces: tuple[str, ...]
    bootstrap: Path | None
    sdk_bootstrap: bool
    snapshot_interval: int | None
    message_file: Path | None


def network_options(settings: Settings, cwd: Path) -> NetworkOptions:
    """Read and check the options. Raises `UsageError` for a contradiction."""
    profile = settings.get("profile")
    _check(settings, profile)
    bootstrap = settings.get("custom-bootstrap")
    messages = settings.get("acceptance-integration-message-file")
    return NetworkOptions(
        profile=profile,
        origin=_origin(settings, profile, cwd),
        monitor=settings.get("monitor"),
        state_sync=settings.get("use-state-sync"),
        provision_command=settings.get("provision-command"),
        network=_network(settings),
        traces=_traces(settings.get("trace")),
        # A file of that name is a `Path`, which never equals the text.
        bootstrap=None if bootstrap in {None, SDK_BOOTSTRAP} else resolved(cwd / bootstrap),
        sdk_bootstrap=bootstrap == SDK_BOOTSTRAP,
        snapshot_interval=settings.get("chain.snapshot-interval"),
        message_file=None if messages is None else resolved(cwd / messages),
    )


def require_local(settings: Settings) -> None:
    """Refuse a network of others for roles driven by hand. Raises `UsageError`."""
    if settings.get("profile") != LOCAL:
        raise UsageError(
            f"{settings.origins['profile',]}: roles driven by hand use a local chain",
            hint="on another network: loadgenctl run --profile NAME --stage.N.duration -1",
        )


_OF_NETWORKS: Mapping[str, str] = {
    "testnet-origin": "a local chain has no origin",
    "monitor": "on a local chain nothing would run without its node",
    "use-state-sync": "a local chain has no other node to get its state from",
    "provision-command": "the run itself provisions the client of a local chain",
    "acceptance-integration-message-file": "a local chain has no network to catch up with",
}
"""Option → why it has no meaning for a local chain."""
_OF_NODES = ("use-state-sync", "custom-bootstrap", "acceptance-integration-message-file")
"""Options about the node that follows a network."""


def _check(settings: Settings, profile: str) -> None:
    others = ", ".join(ORIGINS)
    if profile == LOCAL:
        for key, why in _OF_NETWORKS.items():
            origin = settings.origins.get((key,), DEFAULT)
            if origin != DEFAULT and not (key == "monitor" and settings.get(key)):
                raise UsageError(f"{origin}: {why}", hint=f"it requires --profile {others}")
        return
    if settings.get("chain.snapshot-interval") is not None:
        raise UsageError(
            f"{settings.origins['chain', 'snapshot-interval']}: the nodes of a network decide which"
            " snapshots they make",
            hint="it requires --profile local",
        )
    if settings.get("monitor"):
        return
    for key in _OF_NODES:
        if settings.get(key) not in {None, False}:
            raise UsageError(f"--{key} and --no-monitor exclude each other: no node starts")
    if settings.get("chain-only"):
        raise UsageError("--chain-only and --no-monitor exclude each other: nothing would run")


def _origin(settings: Settings, profile: str, cwd: Path) -> str | None:
    if profile == LOCAL:
        return None
    return origin_of(settings.get("testnet-origin") or ORIGINS[profile], cwd)


def _network(settings: Settings) -> str | None:
    name: str | None = settings.get("network")
    if name is None:
        return None
    origin = settings.origins["network",]
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if not plain.isalnum() or not name.isascii() or not name[0].isalnum() or len(name) > _NAME_MAX:
        raise UsageError(f"{origin}: this is not a valid name of a Docker network")
    if name in {"none", "host", "bridge", "default"}:
        raise UsageError(
            f"{origin}: containers have no names on Docker's own networks",
            hint="create one: docker network create NAME",
        )
    if settings.get("engine") == "local":
        raise UsageError(
            f"{origin}: processes of this machine share its network",
            hint="leave it out, or run with --engine docker",
        )
    return name


def _traces(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    wanted = [word.strip() for word in text.split(",") if word.strip()]
    for word in wanted:
        if word not in TRACES:
            known = ", ".join(TRACES)
            raise UsageError(f"--trace: there is no trace {word!r}", hint=f"there are: {known}")
    # In a fixed order, without duplicates.
    return tuple(name for name in TRACES if name in wanted)
