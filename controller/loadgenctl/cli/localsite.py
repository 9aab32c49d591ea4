"""Site settings for builds without containers: what a builder container gets by mounts, by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loadgenctl.errors import UsageError
from loadgenctl.filetrouble import file_error
from loadgenctl.model import Mount
from loadgenctl.sdks.base import BUILD_HOME
from loadgenctl.site import SiteSettings


def local_build_settings(
    site: SiteSettings, home: Path
) -> tuple[Mapping[str, str], tuple[Mount, ...]]:
    """Environment and mounts of a build as processes of this machine.

    `home` becomes the build's home, and holds the site's git settings: the oldest git that builds
    an SDK reads them nowhere else. Raises `UsageError` for a mount that is not there already.
    """
    for mount in site.extra_mounts:
        _require_same(mount)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / ".gitconfig").write_text(site.host_gitconfig(), encoding="utf-8")
    except OSError as error:
        raise file_error(error) from error
    env = site.builder_env(str(site.ca_bundle))
    return env, (Mount(str(home), BUILD_HOME),)


def _require_same(mount: Mount) -> None:
    """Files name each other by the mount's target: it cannot be replaced in them."""
    target = Path(mount.target)
    if not (target.exists() and target.samefile(mount.source)):
        raise UsageError(
            f"site.builder.mounts: {mount.source} is not at {mount.target}, and without containers"
            " nothing can be mounted",
            hint=f"put it there (docker run -v {mount.source}:{mount.target}, or a link), then name"
            " it as source, too",
        )
