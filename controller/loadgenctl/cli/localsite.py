"""Site settings of builds as files and environment, with containers and without."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from loadgenctl.building.site import SiteSettings
from loadgenctl.errors import UsageError
from loadgenctl.filetrouble import file_error
from loadgenctl.model import Mount
from loadgenctl.records.files import replace_file
from loadgenctl.sdks.base import BUILD_HOME


def keep_gitconfig(parent: Path, name: str, content: str) -> Path:
    """The git settings as a file of that name, in a folder below `parent` for this content alone.

    Commands with other settings may use the cache while a build reads its file. Raises `OSError`.
    """
    file = parent / hashlib.sha256(content.encode()).hexdigest()[:16] / name
    # It may hold credentials, and the builder's user has to read it: the folder is ours alone.
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    if not file.exists() or file.read_text(encoding="utf-8") != content:
        replace_file(file, content.encode())
        file.chmod(0o644)
    return file


def local_build_settings(
    site: SiteSettings, homes: Path
) -> tuple[Mapping[str, str], tuple[Mount, ...]]:
    """Environment and mounts of a build as processes of this machine.

    A folder in `homes` becomes the build's home, and holds the site's git settings: the oldest git
    that builds an SDK reads them nowhere else. Raises `UsageError` for a mount that is not there
    already.
    """
    for mount in site.extra_mounts:
        _require_same(mount)
    try:
        home = keep_gitconfig(homes, ".gitconfig", site.host_gitconfig()).parent
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
