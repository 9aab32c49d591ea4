"""Forward connections from a pod's network interface to its loopback: `relay.py 36657=26657 …`.

The roles listen on loopback, which a published port does not reach. Connections to a published port
come from the network's gateway; those of other containers of the network are refused, except for a
port with the prefix `any:`. Needs Python 3.9 and the standard library.
"""

import asyncio
import signal
import socket
import struct
import sys
from pathlib import Path

CHUNK = 65536


async def pump(reader, writer):
    """Copy until the end of the stream, then close the other side."""
    try:
        while True:
            data = await reader.read(CHUNK)
            if not data:
                break
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (ConnectionError, OSError):
        writer.close()


def gateway_in(routes):
    """The IPv4 gateway in the lines of /proc/net/route; None if there is none."""
    for line in list(routes)[1:]:
        fields = line.split()
        # Destination 0 is the default route; flag 2 means that it has a gateway.
        if len(fields) > 3 and fields[1] == "00000000" and int(fields[3], 16) & 2:
            return socket.inet_ntoa(struct.pack("=L", int(fields[2], 16)))
    return None


def address_towards(gateway):
    """The address of the interface towards the gateway. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((gateway, 9))
        return probe.getsockname()[0]


def carrier(port, only=None):
    """The handler that forwards connections to `port` on loopback. `only` is the accepted source
    address; None: any.
    """

    async def carry(reader, writer):
        if only is not None and writer.get_extra_info("peername")[0] != only:
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            # No process listens yet: close the caller's connection.
            writer.close()
            return
        try:
            await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))
        finally:
            there_writer.close()
            writer.close()

    return carry


async def relay(pairs, gateway):
    """Listen on the first port of every pair until SIGTERM or SIGINT; the third item opens it to
    the complete network.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    for outer, inner, opened in pairs:
        address = "0.0.0.0" if opened else address_towards(gateway)  # noqa: S104
        await asyncio.start_server(carrier(inner, None if opened else gateway), address, outer)
    await stopped.wait()


def pair_of(word):
    """`[any:]OUTER=INNER` → outer, inner, True if it is open to all."""
    opened = word.startswith("any:")
    outer, inner = (word[4:] if opened else word).split("=")
    return int(outer), int(inner), opened


def main():
    pairs = [pair_of(word) for word in sys.argv[1:]]
    with Path("/proc/net/route").open() as routes:
        gateway = gateway_in(routes)
    if gateway is None and not all(opened for _, _, opened in pairs):
        return "the network has no gateway, which published ports need"
    asyncio.run(relay(pairs, gateway))
    return 0


if __name__ == "__main__":
    sys.exit(main())
