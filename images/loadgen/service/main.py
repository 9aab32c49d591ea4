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
    for flag, default, what in (
        ("--hello-timeout", defaults.hello_timeout, "time limit for the driver to be ready"),
        ("--stop-grace", defaults.stop_grace, "time limit for the driver to finish after `stop`"),
        ("--kill-after", defaults.kill_after, "time limit for it to end after SIGTERM"),
        ("--wind-down", defaults.wind_down, "with --fail-fast: time limit for cycles to end"),
    ):
        text = what + " (%(default)s)"
        parser.add_argument(flag, type=float, default=default, metavar="SECONDS", help=text)
    parser.add_argument("driver", nargs="+", metavar="DRIVER", help="the driver's command line")
    given = parser.parse_args(argv)
    if not 0 <= given.port <= 65535:
        parser.error("--port must be between 0 and 65535")
    return Options(**{**vars(given), "driver": tuple(given.driver)})


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(parse_args())))
