"""Which options file is read, and what it may set if it was not named with `--config`.

The file in the current folder is read without being named, and the folder may come from anywhere:
an archive, a clone, a shared disk. So that file may set numbers, stages and loads only. What makes
other code run, mounts or writes files elsewhere, or sends data somewhere, needs `--config`.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from loadgenctl.errors import UsageError
from loadgenctl.plan.settings import CONFIG_VARIABLE, from_table, load_file

CONFIG_NAMES = (Path("loadgenctl.toml"), Path("~/.config/loadgenctl/loadgenctl.toml"))
HARMLESS = frozenset(
    {
        "sdk",
        "client",
        "chain.compute-limit",
        "monitor",
        "stages",
        "stage.duration",
        "stage.load-duration",
        "stage.loadgen.*",
        "stage.save-storage",
        "stage.*.duration",
        "stage.*.load-duration",
        "stage.*.loadgen.*",
        "stage.*.chain-only",
        "stage.*.save-storage",
        "chain-only",
        "reset",
        "chain.snapshot-interval",
        "fail-fast",
        "monitor-interval",
        "sample-interval",
        "trace",
        "slog-codec",
        "keep-state",
        "disk.needed",
        "disk.reserve",
        "test-data.*",
        "port.*",
        "limit.*.cpus",
        "limit.*.memory",
        "limit.*.pids",
        "timeout.*",
        "timeout.block",
        "timeout.cycle",
        "timeout.provision",
    }
)
WITHIN = frozenset(
    {
        "output-dir",
        "state-dir",
        "sim-config",
        "custom-bootstrap",
        "acceptance-integration-message-file",
    }
)
"""Harmless for paths in the folder of the file."""
NEEDS_TRUST = frozenset(
    {
        # Which code is built and run, and where.
        "revision",
        "sdk-repo",
        "src",
        "engine",
        "provision-command",
        # Which servers are queried, and who can reach the roles.
        "profile",
        "testnet-origin",
        "use-state-sync",
        "network",
        "publish",
    }
)
_HARMLESS_VALUES = {"engine": "docker", "publish": False, "profile": "local"}
_HARMLESS_SITE = frozenset({"name"})
OWN_PLACES = (Path("~/.config/loadgenctl"), Path("/etc/loadgenctl"))
"""Folders of the user and of the machine, whose file counts like one that was named."""


def find_config(
    given: Path | None, environment: Mapping[str, str], names: Sequence[Path] = CONFIG_NAMES
) -> tuple[dict[str, Any], Path | None]:
    """The options file's tables and path: the named file, else the first that exists of `names`.

    Raises `UsageError` if the named file does not exist, if a file cannot be read, or if it sets
    what only a named file may set.
    """
    named = given or (Path(text) if (text := environment.get(CONFIG_VARIABLE)) else None)
    if named is not None:
        if not named.is_file():
            raise UsageError(f"no such file: {named}", hint="--config names a TOML file")
        return load_file(named), named
    for candidate in names:
        try:
            path = candidate.expanduser()
        except RuntimeError:
            continue  # a user without a home folder
        if path.is_file():
            tables = load_file(path, partial(require_owner, path))
            require_trust(tables, path)
            return tables, path
    return {}, None


def require_trust(tables: Mapping[str, Any], path: Path) -> None:
    """Raise `UsageError` if a file that was not named sets what only a named one may set."""
    if _in_own_place(path):
        return
    asking = sorted(set(_asking(tables, path)))
    if asking:
        raise UsageError(
            f"{path} in the current folder sets {', '.join(asking)}, which can make other code run,"
            " mount files or send data",
            hint=f"inspect the file; if you trust it, give --config {path}",
        )


def _asking(tables: Mapping[str, Any], path: Path) -> Iterator[str]:
    yield from (f"site.{key}" for key in tables.get("site", {}) if key not in _HARMLESS_SITE)
    folder = path.absolute().parent.resolve()
    for setting, key in from_table(tables.get("run", {}), str(path)):
        harmless = (
            key in HARMLESS
            or (key in _HARMLESS_VALUES and setting.value == _HARMLESS_VALUES[key])
            or (key in WITHIN and _within(str(setting.value), folder))
        )
        if not harmless:
            yield ".".join(setting.path)


def _within(value: str, folder: Path) -> bool:
    try:
        return (folder / Path(value).expanduser()).resolve().is_relative_to(folder)
    except (RuntimeError, OSError, ValueError):
        return False


def _in_own_place(path: Path) -> bool:
    return path.absolute().parent in {place.expanduser() for place in OWN_PLACES}


def require_owner(path: Path, found: os.stat_result) -> None:
    """Raise `UsageError` if other users can change a file that was not named; it is not read then.

    `found` is the state of the opened file.
    """
    if _in_own_place(path):
        return
    mine = os.geteuid()
    if found.st_uid not in {0, mine}:
        why = "belongs to another user"
    elif found.st_mode & stat.S_IWOTH:
        why = "can be changed by every user"
    elif found.st_mode & stat.S_IWGRP and not _alone_in(found.st_gid, found.st_uid):
        why = "can be changed by others of its group"
    else:
        return
    raise UsageError(
        f"{path} in the current folder {why}, and is not read",
        hint=f"inspect the file; if you trust it, give --config {path}",
    )


def _alone_in(gid: int, uid: int) -> bool:
    """True for a user's private group, which has the user's name and no other members."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(uid).pw_name
    except KeyError:
        return False
    return group.gr_name == user and set(group.gr_mem) <= {user}
