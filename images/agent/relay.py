"""Carry connections from a pod's network interface to its loopback: `relay.py 36657=26657 …`.

The roles listen on loopback, where a published port does not reach. Python 3.9, standard library.
"""

import asyncio
import signal
import sys

CHUNK = 65536


async def pump(reader, writer):
    """Copy until the end, then pass the end on."""
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


def carrier(port):
    """What is done with a connection that is meant for `port` on loopback."""

    async def carry(reader, writer):
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            # Nobody listens (yet): the caller sees its connection closed.
            writer.close()
            return
        try:
            await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))
        finally:
            there_writer.close()
            writer.close()

    return carry


async def relay(pairs):
    """Listen on the first port of every pair, until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    for outer, inner in pairs:
        await asyncio.start_server(carrier(inner), "0.0.0.0", outer)  # noqa: S104
    await stopped.wait()


def main():
    pairs = [tuple(int(port) for port in word.split("=")) for word in sys.argv[1:]]
    asyncio.run(relay(pairs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
