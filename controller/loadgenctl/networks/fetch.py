"""Documents of an origin, read with limits: from a folder, or by HTTPS.

HTTP is for loopback, and for private networks where the origin is a folder. Size and time are
limited, and every redirect has to be a URL that may be read itself.
"""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from loadgenctl.clock import Clock, SystemClock
from loadgenctl.errors import LoadgenError, RunError, UsageError
from loadgenctl.plainfile import open_plain
from loadgenctl.urls import is_loopback, is_private, require_allowed

MIB = 1024 * 1024
NETWORK = "network"
"""The role of errors about a network that cannot be reached."""
_CHUNK = 64 * 1024
_SILENCE = 15.0
"""Seconds that a server may be silent."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Limits of one document."""

    size: int
    """Bytes."""
    seconds: float


class Fetch(Protocol):
    """Reads the document at a URL; a seam for tests."""

    def __call__(self, url: str, limit: Limit, *, private: bool = False) -> bytes:
        """Raise `RunError` without an answer, `UsageError` for a URL that may not be read.

        `private` as in `require_allowed`.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpFetch:
    """Reads by HTTP and HTTPS."""

    ca_bundle: Path | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)
    """`http_proxy`, `https_proxy` of the site; if empty, those of the environment."""
    clock: Clock = field(default_factory=SystemClock)

    def __call__(self, url: str, limit: Limit, *, private: bool = False) -> bytes:
        """See `Fetch`."""
        require_allowed(url, private=private)
        deadline = self.clock.monotonic() + limit.seconds
        request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - see require_allowed
        try:
            with self._opener(url).open(request, timeout=min(_SILENCE, limit.seconds)) as answer:
                return self._read(answer, url, limit, deadline)
        except LoadgenError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            # An HTTP error has a message of its own; other errors wrap the reason.
            inner = (
                None
                if isinstance(error, urllib.error.HTTPError)
                else getattr(error, "reason", None)
            )
            reason = inner or str(error) or type(error).__name__
            raise unreachable(url, str(reason)) from error

    def _opener(self, url: str) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context()
        if self.ca_bundle is not None:
            context.load_verify_locations(cafile=str(self.ca_bundle))
        proxies = {
            name.removesuffix("_proxy"): value
            for name, value in self.proxies.items()
            if name in {"http_proxy", "https_proxy"}
        }
        host = urlsplit(url).hostname or ""
        # No proxy reaches addresses of this machine or of its private networks.
        own = is_loopback(host) or (url.startswith("http:") and is_private(host))
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({} if own else (proxies or None)),
            urllib.request.HTTPSHandler(context=context),
            _CarefulRedirects(),
        )

    def _read(
        self, answer: http.client.HTTPResponse, url: str, limit: Limit, deadline: float
    ) -> bytes:
        data = bytearray()
        # In small pieces: a slow server would block one large read for ever.
        while piece := answer.read1(_CHUNK):
            data += piece
            if len(data) > limit.size:
                raise UsageError(f"{url} is larger than {limit.size // MIB} MiB")
            if self.clock.monotonic() > deadline:
                raise unreachable(url, f"it took longer than {limit.seconds:.0f} s")
        return bytes(data)


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        require_allowed(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def read_file(path: Path, limit: Limit) -> bytes:
    """A regular file's content; links are followed, as the folder is the person's own.

    Raises `UsageError`.
    """
    try:
        with open_plain(path.resolve()) as stream:
            data = stream.read(limit.size + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}",
            hint="an origin's folder contains network-config and genesis.json",
        ) from error
    if len(data) > limit.size:
        raise UsageError(f"{path} is larger than {limit.size // MIB} MiB")
    return data


def unreachable(url: str, why: str) -> RunError:
    """The error for an origin that does not answer."""
    return RunError(
        f"the network's {url} cannot be read: {why}",
        role=NETWORK,
        step="origin",
        hint="check whether the network runs; name another origin with --testnet-origin",
    )
