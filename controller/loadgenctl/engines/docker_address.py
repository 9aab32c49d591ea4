"""Which Docker engine is used: the one that the `docker` command would use.

`DOCKER_HOST`, else the context that `DOCKER_CONTEXT` or Docker's config.json names, else the socket
of this machine. Only files and variables are read here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.tls import TLSConfig

from loadgenctl.errors import EngineUnavailable

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
DEFAULT_CONTEXT = "default"
_LIST = "`docker context ls` lists the contexts"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine is asked, and why there."""

    url: str
    context: str | None = None
    """The context that names it; None: `DOCKER_HOST`, or nothing does."""
    origin: str = ""
    """The variable or file that names address or context; empty for this machine's socket."""
    tls: TLSConfig | None = None

    @property
    def words(self) -> str:
        """The address for a person, with the context or the variable that it comes from."""
        if self.context is not None:
            return f"{self.url} (context {self.context!r} from {self.origin})"
        return f"{self.url} (from {self.origin})" if self.origin else self.url

    @property
    def hint(self) -> str:
        """What to do where no engine answers there."""
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
    """The context and what names it."""
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
            f"there is no Docker context {name!r}, which {origin} names", hint=f"{leave}; {_LIST}"
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
    """A JSON object; None where there is no file. Raises `EngineUnavailable` for another content.

    A file that cannot be read raises `OSError`.
    """
    try:
        document = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as error:
        raise EngineUnavailable(
            f"{file} is not valid JSON: {error}", hint="repair or remove this file of Docker's"
        ) from error
    if not isinstance(document, dict):
        raise EngineUnavailable(
            f"{file} holds no JSON object", hint="repair or remove this file of Docker's"
        )
    return document
