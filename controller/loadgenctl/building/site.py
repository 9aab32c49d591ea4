"""Site settings: what a company network requires of image builds, the SDK's build and git.

They come from `[site]` of loadgenctl.toml, reach the image build and the builder container, and
never the results: a record contains the site's name only. Pure but for `parse_site`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from loadgenctl.building.overrides import (
    GoOverrides,
    NpmOverrides,
    Overrides,
    check_overrides,
    existing,
)
from loadgenctl.masking import Mask, mask_of
from loadgenctl.model import Mount
from loadgenctl.urls import has_credentials, is_git_prefix, is_plain_http
from loadgenctl.validation import NO_LINE, Refused, checked, is_line, refusals, require_lines

CA_TARGET = "/etc/ssl/loadgenctl-site-ca.crt"
"""Where the builder sees the site's CA bundle."""
GITCONFIG_TARGET = "/etc/gitconfig"
"""Where the builder sees the git settings. Debian 11's git reads them only from a file."""
GIT_TARGET = "/var/lib/loadgenctl/git"
"""Folder in the builder below which local git mirrors are mounted, by number."""

_CA_VARIABLES = (
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "npm_config_cafile",
    "PIP_CERT",
)
_IN_IMAGES: Final = ("npm_registry", "apt_mirror")
"""Registries that images name."""
_REGISTRIES: Final = (*_IN_IMAGES, "pip_index")


class SiteMount(Struct, frozen=True, forbid_unknown_fields=True):
    """A folder or file that the builder container sees."""

    source: Path
    target: str
    read_only: bool = True


class SiteBuilder(Struct, frozen=True, forbid_unknown_fields=True):
    """`[site.builder]`."""

    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[SiteMount, ...] = ()


class SiteSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[site]`; without it, nothing is special. Paths are absolute."""

    name: str = "default"
    ca_bundle: Path | None = None
    npm_registry: str | None = None
    goproxy: str | None = None
    pip_index: str | None = None
    apt_mirror: str | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    git: dict[str, str] = field(default_factory=dict)
    """Prefix of a git URL → what replaces it here: a URL, or the absolute path of a local
    repository (or of a folder of them). The longest prefix first.
    """
    builder: SiteBuilder = SiteBuilder()
    npm: NpmOverrides = NpmOverrides()
    go: GoOverrides = GoOverrides()

    @property
    def overrides(self) -> Overrides:
        """What is built differently from the SDK."""
        return Overrides(self.npm, self.go)

    @property
    def extra_mounts(self) -> tuple[Mount, ...]:
        """`[[site.builder.mounts]]`."""
        return tuple(
            Mount(str(each.source), each.target, each.read_only) for each in self.builder.mounts
        )

    def proxies(self) -> dict[str, str]:
        """The proxy variables in both cases: programs disagree on which one they read."""
        given = {
            "http_proxy": self.http_proxy,
            "https_proxy": self.https_proxy,
            "no_proxy": self.no_proxy,
        }
        known = {name: value for name, value in given.items() if value is not None}
        return known | {name.upper(): value for name, value in known.items()}

    def template_values(self) -> dict[str, object]:
        """What image templates may use; the empty string where nothing is set."""
        return {
            "site_ca": self.ca_bundle is not None,
            "npm_registry": self.npm_registry or "",
            "goproxy": self.goproxy or "",
            "pip_index": self.pip_index or "",
            "apt_mirror": self.apt_mirror or "",
        }

    def builder_env(self, ca_target: str = CA_TARGET) -> dict[str, str]:
        """The builder container's environment; `[site.builder.env]` overrides the rest."""
        env = self.proxies()
        if self.ca_bundle is not None:
            env |= dict.fromkeys(_CA_VARIABLES, ca_target)
        registries = {
            "npm_config_registry": self.npm_registry,
            # yarn 1 prefers its own variable to npm's.
            "YARN_REGISTRY": self.npm_registry,
            **self._later_yarn(),
            "GOPROXY": self.goproxy,
            "PIP_INDEX_URL": self.pip_index,
        }
        env |= {name: value for name, value in registries.items() if value is not None}
        return env | self.builder.env

    def _later_yarn(self) -> dict[str, str | None]:
        """The variables of yarn 2 and later, in place of npm's and the proxies'."""
        registry = urlsplit(self.npm_registry or "")
        return {
            "YARN_NPM_REGISTRY_SERVER": self.npm_registry,
            # They refuse unencrypted URLs unless the host is named.
            "YARN_UNSAFE_HTTP_WHITELIST": registry.hostname if registry.scheme == "http" else None,
            "YARN_HTTP_PROXY": self.http_proxy,
            "YARN_HTTPS_PROXY": self.https_proxy,
        }

    def builder_mounts(
        self, *, ca_target: str = CA_TARGET, gitconfig: Path | None = None
    ) -> tuple[Mount, ...]:
        """The builder's mounts. `gitconfig` is a file with `builder_gitconfig()`."""
        mounts = []
        if self.ca_bundle is not None:
            mounts.append(Mount(str(self.ca_bundle), ca_target, read_only=True))
        if gitconfig is not None:
            mounts.append(Mount(str(gitconfig), GITCONFIG_TARGET, read_only=True))
        mounts += [
            Mount(target, inside, read_only=True)
            for target, inside in zip(self.git.values(), self._git_targets(), strict=True)
            if _is_path(target)
        ]
        return (*mounts, *self.extra_mounts)

    def builder_gitconfig(self) -> str:
        """Git settings for the builder: local mirrors at their mount points."""
        return _gitconfig(zip(self.git, self._git_targets(), strict=True))

    def host_gitconfig(self) -> str:
        """Git settings for git on this machine."""
        return _gitconfig(self.git.items())

    def rewrite_git(self, url: str) -> str:
        """The URL or path that replaces `url` here; itself where nothing does."""
        for prefix, target in self.git.items():
            if url in {prefix, f"{prefix}.git"}:
                return target
            folder = prefix if prefix.endswith("/") else f"{prefix}/"
            if url.startswith(folder):
                return f"{target.removesuffix('/')}/{url.removeprefix(folder)}"
        return url

    def mask(self) -> Mask:
        """Masks this site's passwords and tokens in what builds print."""
        addresses = (
            *(self.npm_registry, self.goproxy, self.pip_index, self.apt_mirror),
            *(self.http_proxy, self.https_proxy),
            *(text for rewrite in self.git.items() for text in rewrite),
        )
        return mask_of(addresses, self.builder.env)

    def _git_targets(self) -> list[str]:
        return [
            f"{GIT_TARGET}/{number}" if _is_path(target) else target
            for number, target in enumerate(self.git.values())
        ]


def _gitconfig(pairs: Iterable[tuple[str, str]]) -> str:
    """A git configuration that rewrites each prefix, with and without `.git`."""
    lines = [
        "[safe]",
        "\tdirectory = *",
        # Blobless clones and pinned submodules fetch single objects from a local mirror.
        "[uploadpack]",
        "\tallowFilter = true",
        "\tallowAnySHA1InWant = true",
    ]
    for prefix, target in pairs:
        base = f"file://{target}" if target.startswith("/") else target
        lines.append(f'[url "{base}"]')
        if not prefix.endswith("/"):
            # The longest match wins; without it `X.git` would become `TARGET.git`.
            lines.append(f"\tinsteadOf = {prefix}.git")
        lines.append(f"\tinsteadOf = {prefix}")
    return "\n".join(lines) + "\n"


def parse_site(document: Mapping[str, Any], folder: Path, file: str = "") -> SiteSettings:
    """The settings in a parsed loadgenctl.toml; relative paths count from `folder`.

    `file` is named in messages. Other tables of the document are not read. Raises `UsageError`.
    """
    table = document.get("site", {})
    with refusals(file):
        site = checked(SiteSettings, table, "site", partial(_made, folder.resolve()))
        require_lines(table, "site")
        if site.ca_bundle is not None and not site.ca_bundle.is_file():
            raise Refused(f"site.ca_bundle is not a file: {site.ca_bundle}")
        for name in site.builder.env:
            if not is_line(name) or "=" in name:
                raise Refused(f"{f'site.builder.env.{name}'!r} is not the name of a variable")
        for number, mount in enumerate(site.builder.mounts):
            if not _is_path(mount.target):
                path = f"site.builder.mounts[{number}].target"
                raise Refused(f"{path} must be an absolute path, not {mount.target!r}")
        check_overrides(site.overrides)
        registries = {key: _registry(site, key) for key in _REGISTRIES}
        return replace(site, git=_git(site.git, folder.resolve()), **registries)


def _made(folder: Path, _kind: object, text: object) -> Path:
    """A path of the settings; see `checked`."""
    if not isinstance(text, str):
        raise Refused("must be text")
    if not is_line(text):
        raise Refused(NO_LINE)
    return existing(text, folder)


def _registry(site: SiteSettings, key: str) -> str | None:
    """A registry's URL without the slash at its end."""
    url: str | None = getattr(site, key)
    if url is None:
        return None
    if not is_plain_http(url):
        raise Refused(
            f"site.{key} must be an http or https URL",
            hint="of plain characters: percent-encode all others",
        )
    if key in _IN_IMAGES and has_credentials(url):
        raise Refused(
            f"site.{key} must not contain credentials: images contain it, and show it",
            hint="give them to the builder alone, by [site.builder.env], or use a proxy that"
            " adds them",
        )
    return url.rstrip("/")


def _git(given: Mapping[str, str], folder: Path) -> dict[str, str]:
    rewrites = {}
    for prefix, target in given.items():
        path = f"site.git.{prefix}"
        if not is_git_prefix(prefix):
            raise Refused(
                f"{path} is not a git URL prefix",
                hint='write e.g. "https://github.com/agoric-labs/" = "https://git.example.com/mirror/"',
            )
        if is_git_prefix(target):
            rewrites[prefix] = target
            continue
        try:
            rewrites[prefix] = str(existing(target, folder))
        except Refused as error:
            raise Refused(f"{path} {error.message}", hint=error.hint) from error
    return dict(sorted(rewrites.items(), key=lambda rewrite: (-len(rewrite[0]), rewrite[0])))


def _is_path(target: str) -> bool:
    """True for an absolute path: of this machine, or in the builder."""
    return target.startswith("/")
