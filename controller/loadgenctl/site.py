"""Site settings: what a company network asks of image builds, the SDK's build and git.

They come from `[site]` of loadgenctl.toml, reach the image build and the builder container, and
never the results: a record holds the site's name only. Parsing is strict; all the rest is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadgenctl.errors import UsageError
from loadgenctl.masking import Mask, mask_of
from loadgenctl.model import Mount
from loadgenctl.overrides import Overrides, parse_go, parse_npm
from loadgenctl.sitetable import Table

CA_TARGET = "/etc/ssl/loadgenctl-site-ca.crt"
"""Where the builder sees the site's CA bundle."""
GITCONFIG_TARGET = "/etc/gitconfig"
"""Where the builder sees the git settings. A file, because Debian 11's git knows no other way."""
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


@dataclass(frozen=True, slots=True)
class GitRewrite:
    """A git url prefix and what stands for it here."""

    prefix: str
    target: str
    """A url, or the absolute path of a local repository (or of a folder of them)."""

    @property
    def local(self) -> bool:
        """True if the target is a path on this machine."""
        return self.target.startswith("/")


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """The parsed `[site]`; without one, nothing is special. Paths are absolute."""

    name: str = "default"
    ca_bundle: Path | None = None
    npm_registry: str | None = None
    goproxy: str | None = None
    pip_index: str | None = None
    apt_mirror: str | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    git: tuple[GitRewrite, ...] = ()
    """Longest prefix first."""
    builder_environment: Mapping[str, str] = field(default_factory=dict)
    extra_mounts: tuple[Mount, ...] = ()
    overrides: Overrides = field(default_factory=Overrides)

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
        """The builder container's environment; `[site.builder.env]` has the last word."""
        env = self.proxies()
        if self.ca_bundle is not None:
            env |= dict.fromkeys(_CA_VARIABLES, ca_target)
        registries = {
            "npm_config_registry": self.npm_registry,
            # The first yarn heeds its own variable before npm's.
            "YARN_REGISTRY": self.npm_registry,
            **self._later_yarn(),
            "GOPROXY": self.goproxy,
            "PIP_INDEX_URL": self.pip_index,
        }
        env |= {name: value for name, value in registries.items() if value is not None}
        return env | dict(self.builder_environment)

    def _later_yarn(self) -> dict[str, str | None]:
        """What yarn 2 and later read instead of npm's and the proxies' variables."""
        registry = urlsplit(self.npm_registry or "")
        return {
            "YARN_NPM_REGISTRY_SERVER": self.npm_registry,
            # They refuse what is not encrypted unless its host is named.
            "YARN_UNSAFE_HTTP_WHITELIST": registry.hostname if registry.scheme == "http" else None,
            "YARN_HTTP_PROXY": self.http_proxy,
            "YARN_HTTPS_PROXY": self.https_proxy,
        }

    def builder_mounts(
        self, *, ca_target: str = CA_TARGET, gitconfig: Path | None = None
    ) -> tuple[Mount, ...]:
        """The builder's mounts. `gitconfig` is a file that holds `builder_gitconfig()`."""
        mounts = []
        if self.ca_bundle is not None:
            mounts.append(Mount(str(self.ca_bundle), ca_target, read_only=True))
        if gitconfig is not None:
            mounts.append(Mount(str(gitconfig), GITCONFIG_TARGET, read_only=True))
        mounts += [
            Mount(rewrite.target, target, read_only=True)
            for rewrite, target in zip(self.git, self._git_targets(), strict=True)
            if rewrite.local
        ]
        return (*mounts, *self.extra_mounts)

    def builder_gitconfig(self) -> str:
        """Git settings for the builder: local mirrors at their mount points."""
        return _gitconfig(
            (rewrite.prefix, target)
            for rewrite, target in zip(self.git, self._git_targets(), strict=True)
        )

    def host_gitconfig(self) -> str:
        """Git settings for git on this machine."""
        return _gitconfig((rewrite.prefix, rewrite.target) for rewrite in self.git)

    def rewrite_git(self, url: str) -> str:
        """The url or path that stands for `url` here; itself where nothing does."""
        for rewrite in self.git:
            prefix = rewrite.prefix
            if url in {prefix, f"{prefix}.git"}:
                return rewrite.target
            folder = prefix if prefix.endswith("/") else f"{prefix}/"
            if url.startswith(folder):
                return f"{rewrite.target.removesuffix('/')}/{url.removeprefix(folder)}"
        return url

    def mask(self) -> Mask:
        """Takes this site's passwords and tokens out of what builds print."""
        addresses = (
            *(self.npm_registry, self.goproxy, self.pip_index, self.apt_mirror),
            *(self.http_proxy, self.https_proxy),
            *(text for rewrite in self.git for text in (rewrite.prefix, rewrite.target)),
        )
        return mask_of(addresses, self.builder_environment)

    def _git_targets(self) -> list[str]:
        return [
            f"{GIT_TARGET}/{number}" if rewrite.local else rewrite.target
            for number, rewrite in enumerate(self.git)
        ]


def _gitconfig(pairs: Iterable[tuple[str, str]]) -> str:
    """A git configuration that rewrites each prefix, with and without `.git`."""
    lines = [
        "[safe]",
        "\tdirectory = *",
        # A local mirror is asked for single objects by blobless clones and pinned submodules.
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


def parse_site(document: Mapping[str, Any], folder: Path) -> SiteSettings:
    """The settings in a parsed loadgenctl.toml; relative paths count from `folder`.

    Other tables of the document are none of this parser's business.
    """
    table = Table(document, "", folder.resolve()).table("site")
    table.only(
        "name",
        "ca_bundle",
        "npm_registry",
        "goproxy",
        "pip_index",
        "apt_mirror",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "git",
        "builder",
        "npm",
        "go",
    )
    builder = table.table("builder")
    builder.only("env", "mounts")
    env = builder.table("env")
    for name in env.values:
        if not name or "=" in name or not name.isprintable():
            raise UsageError(f"{env.path(name)!r} is not the name of a variable")
    return SiteSettings(
        name=table.text("name") or "default",
        ca_bundle=table.file("ca_bundle"),
        npm_registry=table.public_url("npm_registry"),
        goproxy=table.text("goproxy"),
        pip_index=table.url("pip_index"),
        apt_mirror=table.public_url("apt_mirror"),
        http_proxy=table.text("http_proxy"),
        https_proxy=table.text("https_proxy"),
        no_proxy=table.text("no_proxy"),
        git=_git(table.table("git")),
        builder_environment={name: env.required_text(name) for name in env.values},
        extra_mounts=tuple(_mount(mount) for mount in builder.tables("mounts")),
        overrides=Overrides(
            npm=parse_npm(table.table("npm")),
            go=parse_go(table.table("go")),
        ),
    )


def _git(table: Table) -> tuple[GitRewrite, ...]:
    rewrites = []
    for prefix in table.values:
        if not _is_url(prefix):
            raise UsageError(
                f"{table.path(prefix)} is not a git url prefix",
                hint='write e.g. "https://github.com/agoric-labs/" = "https://git.example.com/mirror/"',
            )
        target = table.required_text(prefix)
        if not _is_url(target):
            target = str(table.existing(prefix, target))
        rewrites.append(GitRewrite(prefix, target))
    return tuple(sorted(rewrites, key=lambda rewrite: (-len(rewrite.prefix), rewrite.prefix)))


def _mount(table: Table) -> Mount:
    table.only("source", "target", "read_only")
    target = table.required_text("target")
    if not target.startswith("/"):
        raise UsageError(f"{table.path('target')} must be an absolute path, not {target!r}")
    source = table.existing("source", table.required_text("source"))
    return Mount(str(source), target, read_only=table.flag("read_only", default=True))


def _is_url(text: str) -> bool:
    """True for `scheme://…` and for ssh's `user@host:path`."""
    if text.startswith("-") or '"' in text or "\\" in text:
        # Neither an option for git nor an end of the quotes in its configuration.
        return False
    before, colon, after = text.partition(":")
    if ":" in after.partition("/")[0]:
        return False  # `ext::…` runs commands
    return bool(colon) and (after.startswith("//") or ("@" in before and "/" not in before))
