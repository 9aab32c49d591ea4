"""The host's part of a run: its folders, and what run.json says about it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from loadgenctl.errors import OutputFolderError
from loadgenctl.roles.pod import PodFolders

UNPRIVILEGED = 1000


def role_user() -> tuple[int, int]:
    """uid and gid of the roles: the caller's, or unprivileged ones when the caller is root."""
    uid = os.getuid()
    return (uid, os.getgid()) if uid else (UNPRIVILEGED, UNPRIVILEGED)


def make_folders(folders: PodFolders, user: tuple[int, int]) -> None:
    """Make the folders that roles write to, owned by the roles' user."""
    state = folders.state
    for folder in (folders.shared, state, state / "project", state / "home"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if os.getuid() == 0:
                os.chown(folder, *user)
        except OSError as error:
            raise OutputFolderError(
                f"cannot make {folder}: {error.strerror}", hint="choose another --output-dir"
            ) from error


def copy_tools(tools: Mapping[str, Path], into: Path, sim_config: Path | None) -> None:
    """Copy what roles run beside the SDK to where they find it, readable for every user."""
    shutil.rmtree(into, ignore_errors=True)
    for name, folder in tools.items():
        shutil.copytree(folder, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    into.mkdir(exist_ok=True)
    if sim_config is not None:
        shutil.copyfile(sim_config, into / "sim.toml")
    for path in (into, *into.rglob("*")):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)


def describe() -> dict[str, Any]:
    """What a reader of the results must know about the machine. Memory in bytes."""
    return {
        "hostname": platform.node(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, None)
