"""Run the load service: `main.py --events FILE|- [--host H --port P] [--fail-fast] -- DRIVER…`.

Exit codes: 0 stopped by SIGTERM or SIGINT; 1 the events file or the port cannot be used; 2 bad
usage; 3 the driver ended or broke the protocol; 4 a task failed under --fail-fast.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import List, Optional

from loadservice.service import Options, serve


def parse_args(argv: Optional[List[str]] = None) -> Options:
    """The command line as options; exits with 2 when it is wrong."""
    defaults = Options(events="-", driver=())
    parser = argparse.ArgumentParser(
        description="Schedules cycles of load tasks and has a driver run them.",
        epilog="The driver speaks the driver protocol on the socket that LOADGEN_SOCKET names.",
    )
    parser.add_argument("--events", required=True, metavar="FILE|-", help="append events here")
    parser.add_argument("--host", default=defaults.host, help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=defaults.port, help="port to listen on; 0: any (%(default)s)"
    )
    parser.add_argument(
        "--fail-fast", action="store_true", help="a failed cycle or preparation ends the load"
    )
    parser.add_argument(
        "--hello-timeout",
        type=float,
        default=defaults.hello_timeout,
        metavar="SECONDS",
        help="how long the driver may take to be ready (%(default)s)",
    )
    parser.add_argument(
        "--stop-grace",
        type=float,
        default=defaults.stop_grace,
        metavar="SECONDS",
        help="how long the driver may take to finish when asked to stop (%(default)s)",
    )
    parser.add_argument(
        "--kill-after",
        type=float,
        default=defaults.kill_after,
        metavar="SECONDS",
        help="how long it may then take to obey SIGTERM (%(default)s)",
    )
    parser.add_argument(
        "--wind-down",
        type=float,
        default=defaults.wind_down,
        metavar="SECONDS",
        help="with --fail-fast: how long running cycles may take to end (%(default)s)",
    )
    parser.add_argument("driver", nargs="+", metavar="DRIVER", help="the driver's command line")
    given = parser.parse_args(argv)
    if not 0 <= given.port <= 65535:
        parser.error("--port must be between 0 and 65535")
    return Options(
        events=given.events,
        driver=tuple(given.driver),
        host=given.host,
        port=given.port,
        fail_fast=given.fail_fast,
        hello_timeout=given.hello_timeout,
        stop_grace=given.stop_grace,
        kill_after=given.kill_after,
        wind_down=given.wind_down,
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(parse_args())))
