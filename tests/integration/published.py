"""The ports that a run may publish, and questions to what answers there."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from dataclasses import dataclass

from tests.integration.loadgenctl_process import PROMPT

RPC, CLIENT, LOAD = 26657, 8000, 3352
PUBLISHED = (RPC, CLIENT, LOAD)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    text: str


def free(*ports: int) -> bool:
    """True if nobody listens there on 127.0.0.1."""
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True


def ask(port: int, path: str, *, put: str | None = None) -> Answer:
    """GET, or PUT what is given; whatever proxies the environment names."""
    body = None if put is None else put.encode()
    method = "GET" if body is None else "PUT"
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PROMPT) as answer:
            return Answer(answer.status, answer.read().decode())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, refusal.read().decode())
