"""`RoleSpec` → arguments of docker-py's calls; its documents → `RoleState`. All pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from docker.types import LogConfig
from docker.types import Mount as DockerMount

from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import RoleState
from loadgenctl.model import NAMED, Mount, RoleSpec

_TMPFS = {
    "/tmp": "rw,nosuid,nodev,exec,mode=1777,size=256m",  # noqa: S108 - a path in the container
    "/run": "rw,nosuid,nodev,mode=755,size=16m",
}
_PIDS = 16384
"""For a container without its own limit, so that a fork bomb affects only itself."""
_LOG_FILES = 2
_STATUS = {
    "created": "created",
    "running": "running",
    "paused": "running",
    "restarting": "running",
    "exited": "exited",
    "dead": "exited",
    "removing": "exited",
}


def host_config_arguments(spec: RoleSpec) -> dict[str, Any]:
    """What `create_host_config` takes."""
    arguments: dict[str, Any] = {
        # A reaper as pid 1: the SDK's tools leave orphans, and signals reach the command.
        "init": True,
        "mounts": [_mount(mount) for mount in spec.mounts],
        "network_mode": network_mode(spec.network),
        "log_config": _log_config(spec.log_max_bytes),
        "read_only": spec.read_only_root,
        "pids_limit": spec.limits.pids or _PIDS,
    }
    if spec.hardened:
        arguments["cap_drop"] = ["ALL"]
        arguments["security_opt"] = ["no-new-privileges"]
    if spec.read_only_root:
        arguments["tmpfs"] = dict(_TMPFS)
    if spec.limits.cpus is not None:
        arguments["nano_cpus"] = round(spec.limits.cpus * 1e9)
    if spec.limits.memory_bytes is not None:
        # Equal limits mean no swap: a swapping chain would be measured, not a limited one.
        arguments["mem_limit"] = spec.limits.memory_bytes
        arguments["memswap_limit"] = spec.limits.memory_bytes
    if spec.publish:
        arguments["port_bindings"] = {
            inside: ("127.0.0.1", outside) for inside, outside in spec.publish.items()
        }
    return arguments


def container_arguments(spec: RoleSpec) -> dict[str, Any]:
    """What `create_container` takes in addition to the host config."""
    arguments: dict[str, Any] = {
        "image": spec.image,
        # Otherwise the image's entry point would get the command as its arguments.
        "entrypoint": [spec.command.argv[0]],
        "command": list(spec.command.argv[1:]),
        "environment": dict(spec.command.env),
        "name": spec.name,
        "labels": all_labels(spec),
        "stop_signal": spec.stop_signal,
        "use_config_proxy": False,
    }
    if spec.user is not None:
        arguments["user"] = spec.user
    if spec.command.workdir is not None:
        arguments["working_dir"] = spec.command.workdir
    if spec.publish:
        arguments["ports"] = list(spec.publish)
    return arguments


def all_labels(spec: RoleSpec) -> Mapping[str, str]:
    """The role's labels. The role itself is always among them, so that everything of ours is
    labelled.
    """
    return {ownership_labels.ROLE: spec.role, **spec.labels}


def network_mode(network: str) -> str:
    """Docker's name for a `RoleSpec.network`."""
    match network:
        case "own":
            return "bridge"
        case "none" | "host":
            return network
        case named if named.startswith(NAMED):
            return named.removeprefix(NAMED)
        case joined:
            return f"container:{joined}"


def _mount(mount: Mount) -> DockerMount:
    if PurePosixPath(mount.source).is_absolute():
        return DockerMount(
            target=mount.target, source=mount.source, type="bind", read_only=mount.read_only
        )
    # Named volumes are caches that outlive runs: labelled as ours, without an owner.
    return DockerMount(
        target=mount.target,
        source=mount.source,
        type="volume",
        read_only=mount.read_only,
        labels={ownership_labels.ROLE: "cache"},
    )


def _log_config(max_bytes: int) -> LogConfig:
    # `local` writes compact binary files; compressing rotated ones would cost the measured run CPU.
    return LogConfig(
        type="local",
        config={
            "max-size": str(max(max_bytes // _LOG_FILES, 64 * 1024)),
            "max-file": str(_LOG_FILES),
            "compress": "false",
        },
    )


def role_state(document: Mapping[str, Any]) -> RoleState:
    """The state in a container's inspect document."""
    state = document.get("State") or {}
    status = _STATUS.get(str(state.get("Status", "")), "exited")
    started = _epoch(str(state.get("StartedAt", "")))
    if status != "exited":
        return RoleState(status, error=str(state.get("Error", "")), started_at=started)
    return RoleState(
        status,
        exit_code=state.get("ExitCode"),
        oom_killed=bool(state.get("OOMKilled")),
        error=str(state.get("Error", "")),
        started_at=started,
    )


def _epoch(text: str) -> float | None:
    """Seconds since the epoch of an engine's time in nanoseconds; None for its zero time."""
    if not text or text.startswith("0001-"):
        return None
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    return seconds + float(f"0.{fraction}") if fraction.isdecimal() else seconds
