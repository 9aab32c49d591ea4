"""The engine of another machine by `ssh`: its socket as a socket of this machine."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from loadgenctl.clock import Clock
from loadgenctl.errors import EngineUnavailable
from loadgenctl.process import Child, Runner

_REMOTE_SOCKET = "/var/run/docker.sock"
_LOOK_EVERY = 0.05


@dataclass(slots=True)
class Tunnel:
    """A socket in a folder of its own, forwarded by one `ssh` process."""

    folder: Path
    child: Child = field(repr=False)

    @property
    def url(self) -> str:
        """The address that stands for the remote one."""
        return f"unix://{self.folder}/docker.sock"

    def close(self) -> None:
        """End `ssh` and remove the socket."""
        self.child.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def open_tunnel(url: str, clock: Clock, *, within: float) -> Tunnel:
    """Forward the engine's socket of `ssh://[USER@]HOST[:PORT][/SOCKET]`.

    Nothing is asked: keys, known hosts and settings are those of the `ssh` client. Raises
    `EngineUnavailable` with what `ssh` printed, at the latest after `within` seconds.
    """
    before, after = _command(url, within)
    folder = Path(tempfile.mkdtemp(prefix="loadgenctl-ssh-"))
    try:
        child = Runner().start_held([*before, f"{folder}/docker.sock{after[0]}", *after[1:]])
    except FileNotFoundError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise EngineUnavailable(
            f"no Docker engine answers at {url}: the program ssh is not installed",
            hint="install an ssh client, or name another engine with DOCKER_HOST",
        ) from error
    tunnel = Tunnel(folder, child)
    deadline = clock.monotonic() + within
    while not (folder / "docker.sock").exists():
        if child.running and clock.monotonic() < deadline:
            clock.sleep(_LOOK_EVERY)
            continue
        said = "ssh does not connect in time" if child.running else child.finish(1.0)
        tunnel.close()
        raise EngineUnavailable(
            f"no Docker engine answers at {url}: {said or 'ssh ended'}",
            hint=f"try it by hand: ssh {_target(url)} docker version",
        )
    return tunnel


def _command(url: str, within: float) -> tuple[list[str], list[str]]:
    """The words before and from the name of our socket on."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise EngineUnavailable(f"{url} is not an address of an engine: {error}") from error
    if not host or host.startswith("-"):
        raise EngineUnavailable(
            f"{url} is not an address of an engine", hint="write ssh://HOST or ssh://HOST:PORT"
        )
    remote = parts.path if len(parts.path) > 1 else _REMOTE_SOCKET
    settings = {
        "BatchMode": "yes",
        "ConnectTimeout": f"{max(within, 1):.0f}",
        "ExitOnForwardFailure": "yes",
    }
    before = [
        *("ssh", "-T"),
        *(word for name, value in settings.items() for word in ("-o", f"{name}={value}")),
        *(() if port is None else ("-p", str(port))),
        *(() if not parts.username else ("-l", parts.username)),
        "-L",
    ]
    # It ends with our end of its input: a killed loadgenctl leaves no tunnel.
    return before, [f":{remote}", "--", host, "cat >/dev/null"]


def _target(url: str) -> str:
    """What a person types after `ssh`."""
    parts = urlsplit(url)
    port = f"-p {parts.port} " if parts.port else ""
    user = f"{parts.username}@" if parts.username else ""
    return f"{port}{user}{parts.hostname}"
