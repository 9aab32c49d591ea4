"""Where loadgenctl keeps clones, built SDKs and package caches between runs."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from loadgenctl.errors import UsageError

CACHE_VARIABLE = "LOADGENCTL_CACHE"


def cache_dir(environment: Mapping[str, str] | None = None) -> Path:
    """The cache's absolute path: `LOADGENCTL_CACHE`, else `loadgenctl` in the user's caches.

    `environment` is that of this process unless given. Raises `UsageError` if no home folder is
    known.
    """
    given = os.environ if environment is None else environment
    named = given.get(CACHE_VARIABLE)
    if named:
        try:
            return Path(named).expanduser().resolve()
        except RuntimeError as error:
            raise UsageError(
                f"{CACHE_VARIABLE}: no such user in {named}", hint="give an absolute path"
            ) from error
    base = Path(given.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path is invalid and is ignored.
    return (base if base.is_absolute() else _home(given) / ".cache") / "loadgenctl"


def _home(environment: Mapping[str, str]) -> Path:
    named = Path(environment.get("HOME", ""))
    if named.is_absolute():
        return named
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError as error:
        raise UsageError(
            "HOME is not set, and this user has no home folder",
            hint=f"name a folder for the cache with {CACHE_VARIABLE}",
        ) from error
