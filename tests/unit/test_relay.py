"""Who reaches a role's port by the pod's relay."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
OURS = "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
DEFAULT = "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
PROGRAM = Path(__file__).parents[2] / "images" / "agent" / "relay.py"
Carry = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def relay() -> Any:
    """The program, as a module."""
    spec = importlib.util.spec_from_file_location("relay", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_gateway_is_that_of_the_default_route(relay: Any) -> None:
    assert relay.gateway_in([HEAD, OURS, DEFAULT]) == "172.17.0.1"
    assert relay.gateway_in([HEAD, OURS]) is None
    assert relay.gateway_in([]) is None
    assert relay.address_towards("127.0.0.1") == "127.0.0.1"


def test_a_pair_says_whether_it_is_open_to_all(relay: Any) -> None:
    assert relay.pair_of("36657=26657") == (36657, 26657, False)
    assert relay.pair_of("any:36657=26657") == (36657, 26657, True)


@pytest.mark.parametrize(
    ("only", "answer"), [(None, b"hello"), ("127.0.0.1", b"hello"), ("172.17.0.1", b"")]
)
def test_a_connection_is_carried_from_the_gateway_alone(
    relay: Any, only: str | None, answer: bytes
) -> None:
    async def role(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async def ask() -> bytes:
        inner = await asyncio.start_server(role, "127.0.0.1", 0)
        carry: Carry = relay.carrier(inner.sockets[0].getsockname()[1], only)
        outer = await asyncio.start_server(carry, "127.0.0.1", 0)
        async with inner, outer:
            port = outer.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(asyncio.wait_for(ask(), 20)) == answer
