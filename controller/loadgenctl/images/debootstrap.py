"""A minimal Debian system made from packages, for machines without a container registry."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from loadgenctl.building.site import SiteSettings
from loadgenctl.engines.log_text import as_drawn
from loadgenctl.errors import BuildError, LoadgenError, cleaned_up
from loadgenctl.process import Runner

_INSTALL_HINT = (
    "install it (`apt-get install debootstrap`), or make a container registry reachable, "
    "from which {image} can be pulled"
)
_ROOT_HINT = (
    "run as root once, or make a container registry reachable, from which {image} can be pulled"
)
# What debootstrap copies from this machine, and what only takes space.
_LEFT_OUT = (
    "./etc/hostname",
    "./etc/resolv.conf",
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./run/*",
    "./tmp/*",
    "./var/cache/apt/*.bin",
    "./var/cache/apt/archives/*.deb",
    "./var/lib/apt/lists/*_*",
    "./var/log/*.log",
    "./debootstrap",
)

_DEFAULT = "its default mirror"

# A partial image is never used: syncing each file or keeping packages is not needed.
_SETTINGS = {
    "etc/dpkg/dpkg.cfg.d/image": "force-unsafe-io\n",
    "etc/apt/apt.conf.d/90image": (
        'APT::Keep-Downloaded-Packages "false";\nAcquire::Languages "none";\n'
    ),
}


_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+\S")
_FIELD = re.compile(r"^(URIs|Suites|Types|Enabled):\s*(.*)$", re.IGNORECASE)
_DEFAULT_MIRROR = re.compile(r"""^DEF_MIRROR=["']?([^"'\s]+)""", re.MULTILINE)
_PROXY = re.compile(r'^Acquire::(https?)::Proxy\s+"([^"]+)";', re.MULTILINE | re.IGNORECASE)


class Bootstrap:
    """Makes root file systems with debootstrap."""

    def __init__(
        self,
        runner: Runner,
        site: SiteSettings,
        workspace: Path,
        *,
        apt_sources: Path = Path("/etc/apt"),
        program: Path = Path("/usr/sbin/debootstrap"),
        is_root: bool | None = None,
        cleaning: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Temporary folders are made in `workspace`; `apt_sources` has the mirror to use."""
        self._runner = runner
        self._site = site
        self._workspace = workspace
        self._apt_sources = apt_sources
        self._program = program
        self._is_root = os.geteuid() == 0 if is_root is None else is_root
        self._cleaning = cleaning

    @contextmanager
    def archive(self, suite: str, image: str, on_line: Callable[[str], None]) -> Iterator[Path]:
        """A tar of a new system of the suite, removed afterwards. Raises `BuildError`.

        `image` is the image that a registry would provide, for the hint.
        """
        self._require(image)
        self._workspace.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"bootstrap-{suite}-", dir=self._workspace))

        def clean() -> None:
            with self._cleaning():
                self._remove(folder)

        with cleaned_up(clean):
            root = folder / "root"
            root.mkdir()
            mirror = self.mirror()
            on_line(f"bootstrapping Debian {suite} from {mirror or _DEFAULT}")
            _write(root, _SETTINGS)
            self._debootstrap(suite, root, mirror, on_line)
            if mirror is not None and mirror == self._site.apt_mirror:
                self._forget_site_mirror(root)
            yield self._tar(root, folder / "root.tar")

    def mirror(self) -> str | None:
        """The site's mirror, else that of this machine's apt; None: debootstrap's default."""
        if self._site.apt_mirror is not None:
            return self._site.apt_mirror
        folder = self._apt_sources
        files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
        texts = (
            path.read_text("utf-8", "replace")
            for path in files
            if path.suffix in {".list", ".sources"} and path.is_file()
        )
        return find_mirror(texts)

    def _forget_site_mirror(self, root: Path) -> None:
        # A site's mirror may contain a password and must not get into an image: templates insert
        # the current mirror.
        public = default_mirror(self._program.read_text("utf-8", "replace"))
        if public is None:
            raise BuildError(
                f"{self._program} has no default mirror to replace the site's mirror in the image",
                hint="install Debian's own debootstrap",
            )
        listed = root / "etc/apt/sources.list"
        listed.write_text(renamed(listed.read_text("utf-8"), public), "utf-8")

    def _require(self, image: str) -> None:
        if not self._is_root:
            raise BuildError(
                "a Debian base image can only be bootstrapped by root",
                hint=_ROOT_HINT.format(image=image),
            )
        try:
            self._runner.run(["debootstrap", "--version"], env=_system_path())
        except LoadgenError as error:
            raise BuildError(
                "no Debian base image is available: no registry answers and debootstrap is missing",
                hint=_INSTALL_HINT.format(image=image),
            ) from error

    def _debootstrap(
        self, suite: str, root: Path, mirror: str | None, on_line: Callable[[str], None]
    ) -> None:
        last: deque[str] = deque(maxlen=20)

        def line(raw: bytes) -> None:
            text = as_drawn(raw.decode("utf-8", "replace"))
            last.append(text)
            on_line(text)

        argv = ["debootstrap", "--variant=minbase"]
        if mirror is not None and mirror.startswith("https:"):
            argv.append("--include=ca-certificates")
        source = [] if mirror is None else [mirror]
        code = self._runner.stream(
            [*argv, suite, str(root), *source], line, env=self._environment(root.parent)
        )
        if code != 0:
            raise BuildError(
                f"debootstrap could not make Debian {suite} (exit code {code})",
                hint="check whether the mirror answers, or set another one: apt_mirror in [site]",
                detail="\n".join(last),
            )

    def _environment(self, folder: Path) -> dict[str, str]:
        env = {**_system_path(), **self._apt_proxies(), **self._site.proxies()}
        if self._site.ca_bundle is not None:
            # debootstrap downloads with wget, which reads a bundle only from its own settings.
            settings = folder / "wgetrc"
            settings.write_text(f"ca_certificate = {self._site.ca_bundle}\n")
            env["WGETRC"] = str(settings)
        return env

    def _apt_proxies(self) -> dict[str, str]:
        try:
            dump = self._runner.run(["apt-config", "dump"])
        except LoadgenError:
            return {}  # debootstrap without apt: there are no settings
        return find_proxies(dump.text())

    def _tar(self, root: Path, archive: Path) -> Path:
        excludes = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
        done = self._runner.run(
            ["tar", "--numeric-owner", *excludes, "-C", str(root), "-cf", str(archive), "."]
        )
        if done.exit_code != 0:
            raise BuildError(
                "the bootstrapped Debian system could not be packed",
                hint=f"is there space on the disk of {self._workspace}?",
                detail=done.last_lines(),
            )
        return archive

    def _remove(self, folder: Path) -> None:
        """Remove the folder, in which an interrupted debootstrap leaves /proc and /sys mounted."""
        for point in reversed(_mounts_below(folder)):
            self._runner.run(["umount", "--lazy", point], env=_system_path())
        shutil.rmtree(folder, ignore_errors=True)


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _system_path() -> dict[str, str]:
    """PATH with the folders of root's programs, which `su` omits."""
    return {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"}


def _mounts_below(folder: Path) -> list[str]:
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    points = (line.split()[4] for line in lines)
    return [point for point in points if point.startswith(f"{folder}/")]


def find_mirror(sources: Iterable[str]) -> str | None:
    """The first Debian mirror in source lists of either format; None if there is none."""
    for text in sources:
        for uri in _uris(text):
            if uri.startswith(("http://", "https://")) and uri.rstrip("/").endswith("/debian"):
                return uri.rstrip("/")
    return None


def _uris(text: str) -> Iterable[str]:
    for line in text.splitlines():
        found = _ONE_LINE.match(line.strip())
        if found:
            yield found[1]
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            match[1].lower(): match[2].split()
            for line in stanza.splitlines()
            if (match := _FIELD.match(line))
        }
        if "deb" in fields.get("types", []) and fields.get("enabled") not in (["no"], ["false"]):
            yield from fields.get("uris", [])


def find_proxies(dump: str) -> dict[str, str]:
    """Proxy variables from the output of `apt-config dump`."""
    return {
        f"{scheme.lower()}_proxy": url
        for scheme, url in _PROXY.findall(dump)
        if url.upper() != "DIRECT"
    }


def default_mirror(debootstrap: str) -> str | None:
    """The default mirror of debootstrap, given as the program's text."""
    found = _DEFAULT_MIRROR.search(debootstrap)
    return found[1] if found else None


def renamed(sources: str, mirror: str) -> str:
    """A one-line source list with the mirror of every entry replaced."""
    return re.sub(
        r"^(deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?)\S+", rf"\g<1>{mirror}", sources, flags=re.MULTILINE
    )
