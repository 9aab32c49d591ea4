"""Talk to a running load service: `client.py put '<json>' | get | status`.

The answer goes to standard output. Exit code 0 if the service took the request, 1 if it does not
answer or cannot take the request now, 3 if it refused it; the reason is on standard error. Exit
code 2 on bad usage.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
from typing import List, Optional, Tuple

MAX_ANSWER = 1024 * 1024
"""Bytes of an answer that are read; the service's answers are far smaller."""


def ask(
    host: str, port: int, method: str, path: str, body: Optional[bytes], timeout: float
) -> Tuple[int, bytes]:
    """One request; status and body. `OSError` or `HTTPException` if there is no answer."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER)
    finally:
        connection.close()


def reason(status: int, body: bytes) -> str:
    """Why the service refused."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return "HTTP status %d" % status


def main(argv: Optional[List[str]] = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description="Talk to a running load service.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port", type=int, default=os.environ.get("LOADGEN_PORT", "3352"), help="(%(default)s)"
    )
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="put|get|status")
    put = commands.add_parser("put", help="set the load config")
    put.add_argument("config", help='JSON, e.g. {"faucet": {"interval": 60}}; {} turns all off')
    commands.add_parser("get", help="print the load config in force")
    commands.add_parser("status", help="print the counters per task")
    given = parser.parse_args(argv)

    method = "PUT" if given.command == "put" else "GET"
    path = "/status" if given.command == "status" else "/config"
    body = given.config.encode("utf-8", "surrogateescape") if given.command == "put" else None
    try:
        status, answer = ask(given.host, given.port, method, path, body, given.timeout)
    except (OSError, http.client.HTTPException) as error:
        where = "%s:%d" % (given.host, given.port)
        print("no load service answers at %s: %s" % (where, error), file=sys.stderr)  # noqa: T201
        return 1
    if status != 200:
        print("the load service refused: " + reason(status, answer), file=sys.stderr)  # noqa: T201
        return 3 if 400 <= status < 500 else 1
    sys.stdout.write(answer.decode("utf-8", "replace"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
