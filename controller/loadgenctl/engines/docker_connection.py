"""Which Docker engine is used, the first connection to it, and the error if it does not answer."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docker import DockerClient
from docker.tls import TLSConfig

from loadgenctl.clock import Clock, SystemClock
from loadgenctl.engines.docker_errors import ENGINE_FAILURES, reason
from loadgenctl.errors import EngineUnavailable
from loadgenctl.process import Child, Runner

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
DEFAULT_CONTEXT = "default"
_LIST = "`docker context ls` lists the contexts"


_REMOTE_SOCKET = "/var/run/docker.sock"
_POLL_EVERY = 0.05
CONNECT_TIMEOUT = 8
"""Time limit of the first call, in seconds: a user is waiting for it."""
CALL_TIMEOUT = 60
"""Time limit of any later call, in seconds: a loaded machine creates containers slowly."""
ClientFactory = Callable[..., DockerClient]
"""`docker.DockerClient` or a test's replacement; called with `base_url`, `tls` and `timeout`
(s).
"""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of an engine, and where it was configured."""

    url: str
    context: str | None = None
    """The context that names it; None: `DOCKER_HOST`, or the default."""
    origin: str = ""
    """The variable or file that names address or context; empty for this machine's socket."""
    tls: TLSConfig | None = None

    @property
    def words(self) -> str:
        """The address for messages, with the context or the variable that it comes from."""
        if self.context is not None:
            return f"{self.url} (context {self.context!r} from {self.origin})"
        return f"{self.url} (from {self.origin})" if self.origin else self.url

    @property
    def hint(self) -> str:
        """What to do if no engine answers there."""
        if self.context is not None:
            leave = (
                "unset DOCKER_CONTEXT"
                if self.origin == "DOCKER_CONTEXT"
                else f"run `docker context use {DEFAULT_CONTEXT}`"
            )
            return (
                f"start the engine of the context {self.context!r}, or {leave} to use the engine"
                " of this machine"
            )
        if self.origin:
            return "start that engine, or unset DOCKER_HOST to use the engine of this machine"
        return (
            "start the engine (`sudo systemctl start docker`), install one "
            "(`apt-get install docker.io`), or name one with DOCKER_HOST or a Docker context"
        )


def find_address(environment: Mapping[str, str]) -> Address:
    """The engine that `environment` and Docker's own files name.

    Raises `EngineUnavailable` for a context that does not exist or cannot be read, and for TLS
    files that are missing.
    """
    host = environment.get("DOCKER_HOST")
    if host:
        return Address(host, origin="DOCKER_HOST", tls=_tls_of_variables(environment))
    folder = _config_folder(environment)
    name, origin = _context_name(environment, folder)
    if name == DEFAULT_CONTEXT:
        return Address(DEFAULT_ADDRESS, tls=_tls_of_variables(environment))
    return _of_context(folder, name, origin)


def _config_folder(environment: Mapping[str, str]) -> Path:
    named = environment.get("DOCKER_CONFIG")
    return Path(named) if named else Path(environment.get("HOME") or "/") / ".docker"


def _context_name(environment: Mapping[str, str], folder: Path) -> tuple[str, str]:
    """The context and where it is configured."""
    named = environment.get("DOCKER_CONTEXT")
    if named:
        return named, "DOCKER_CONTEXT"
    file = folder / "config.json"
    document = _read(file)
    name = document.get("currentContext") if document is not None else None
    return (name if isinstance(name, str) and name else DEFAULT_CONTEXT), str(file)


def _of_context(folder: Path, name: str, origin: str) -> Address:
    identity = hashlib.sha256(name.encode()).hexdigest()
    file = folder / "contexts" / "meta" / identity / "meta.json"
    document = _read(file)
    if document is None:
        leave = "unset DOCKER_CONTEXT" if origin == "DOCKER_CONTEXT" else "run"
        leave += "" if origin == "DOCKER_CONTEXT" else f" `docker context use {DEFAULT_CONTEXT}`"
        raise EngineUnavailable(
            f"there is no Docker context {name!r}, named by {origin}", hint=f"{leave}; {_LIST}"
        )
    endpoints = document.get("Endpoints")
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(endpoint, dict):
        raise EngineUnavailable(f"the Docker context {name!r} names no engine: {file}", hint=_LIST)
    tls = _tls(
        folder / "contexts" / "tls" / identity / "docker",
        verify=not endpoint.get("SkipTLSVerify"),
        required=False,
    )
    return Address(str(endpoint.get("Host") or DEFAULT_ADDRESS), name, origin, tls)


def _tls_of_variables(environment: Mapping[str, str]) -> TLSConfig | None:
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if not verify and not environment.get("DOCKER_TLS"):
        return None
    named = environment.get("DOCKER_CERT_PATH")
    folder = Path(named) if named else _config_folder(environment)
    return _tls(folder, verify=verify, required=True)


def _tls(folder: Path, *, verify: bool, required: bool) -> TLSConfig | None:
    """TLS with the files of `folder`, of which a context may have none."""
    files = {name: folder / f"{name}.pem" for name in ("ca", "cert", "key")}
    there = {name for name, file in files.items() if file.is_file()}
    missing = ({"ca"} if verify else set()) - there
    if required and missing:
        raise EngineUnavailable(
            f"the TLS file {files['ca']} is missing",
            hint="name the folder of ca.pem, cert.pem and key.pem with DOCKER_CERT_PATH, or unset"
            " DOCKER_TLS_VERIFY",
        )
    if not there and not required:
        return None
    pair = (str(files["cert"]), str(files["key"])) if {"cert", "key"} <= there else None
    return TLSConfig(
        client_cert=pair, ca_cert=str(files["ca"]) if "ca" in there else None, verify=verify
    )


def _read(file: Path) -> dict[str, Any] | None:
    """A JSON object; None if there is no file. Raises `EngineUnavailable` for other content.

    A file that cannot be read raises `OSError`.
    """
    try:
        document = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as error:
        raise EngineUnavailable(
            f"{file} is not valid JSON: {error}", hint="repair or remove this file of Docker"
        ) from error
    if not isinstance(document, dict):
        raise EngineUnavailable(
            f"{file} does not hold a JSON object", hint="repair or remove this file of Docker"
        )
    return document


@dataclass(slots=True)
class Tunnel:
    """A socket in its own folder, forwarded by one `ssh` process."""

    folder: Path
    child: Child = field(repr=False)

    @property
    def url(self) -> str:
        """The local address of the remote engine."""
        return f"unix://{self.folder}/docker.sock"

    def close(self) -> None:
        """End `ssh` and remove the socket."""
        self.child.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def open_tunnel(url: str, clock: Clock, *, within: float) -> Tunnel:
    """Forward the engine's socket of `ssh://[USER@]HOST[:PORT][/SOCKET]`.

    It never prompts: keys, known hosts and settings are those of the `ssh` client. Raises
    `EngineUnavailable` with what `ssh` printed, after `within` seconds at the latest.
    """
    before, after = _command(url, within)
    folder = Path(tempfile.mkdtemp(prefix="loadgenctl-ssh-"))
    try:
        child = Runner().start_held([*before, f"{folder}/docker.sock{after[0]}", *after[1:]])
    except FileNotFoundError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise EngineUnavailable(
            f"no Docker engine answers at {url}: ssh is not installed",
            hint="install an ssh client, or name another engine with DOCKER_HOST",
        ) from error
    tunnel = Tunnel(folder, child)
    deadline = clock.monotonic() + within
    while not (folder / "docker.sock").exists():
        if child.running and clock.monotonic() < deadline:
            clock.sleep(_POLL_EVERY)
            continue
        said = "ssh does not connect in time" if child.running else child.finish(1.0)
        tunnel.close()
        raise EngineUnavailable(
            f"no Docker engine answers at {url}: {said or 'ssh ended'}",
            hint=f"try it by hand: ssh {_target(url)} docker version",
        )
    return tunnel


def _command(url: str, within: float) -> tuple[list[str], list[str]]:
    """The command's words before, and from, the name of our socket."""
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
    # It ends when its input is closed: a killed loadgenctl leaves no tunnel.
    return before, [f":{remote}", "--", host, "cat >/dev/null"]


def _target(url: str) -> str:
    """What a person types after `ssh`."""
    parts = urlsplit(url)
    port = f"-p {parts.port} " if parts.port else ""
    user = f"{parts.username}@" if parts.username else ""
    return f"{port}{user}{parts.hostname}"


def connect(
    environment: Mapping[str, str] | None = None, factory: ClientFactory = DockerClient
) -> DockerClient:
    """A client of the engine that the `docker` command would use (`find_address`).

    `environment` defaults to that of this process. Raises `EngineUnavailable` within about 10 s if
    no engine answers.
    """
    address = find_address(os.environ if environment is None else environment)
    tunnel, url = None, address.url
    if url.startswith("ssh://"):
        tunnel = open_tunnel(url, SystemClock(), within=CONNECT_TIMEOUT)
        url = tunnel.url
    try:
        client = factory(base_url=url, tls=address.tls, timeout=CONNECT_TIMEOUT)
        client.ping()
    except ENGINE_FAILURES as error:
        if tunnel is not None:
            tunnel.close()
        raise EngineUnavailable(
            f"no Docker engine answers at {address.words}: {reason(error)}",
            hint=_hint(address, error),
        ) from error
    if tunnel is not None:
        # At the latest when the interpreter ends.
        weakref.finalize(client, tunnel.close)
    client.api.timeout = CALL_TIMEOUT
    return client


def is_of_this_machine(address: Address) -> bool:
    """True for the socket that an engine of this machine listens on by default."""
    return not address.origin and address.context is None


def _hint(address: Address, error: BaseException) -> str:
    text = str(error)
    if "Permission denied" in text and address.url.startswith("unix:"):
        return (
            "your user has no access to the engine: add it to the group `docker` "
            "(`sudo usermod -aG docker $USER`, then log in again), or run as root"
        )
    if "Invalid bind address" in text or "Invalid URL" in text:
        return (
            "an address is unix:///PATH, tcp://HOST:PORT or ssh://HOST; unset DOCKER_HOST to"
            " use the engine of this machine"
        )
    return address.hint
