"""The solo client: takes messages over HTTP and answers when the chain has committed them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from typing import Any

from .config import SimConfig
from .console import Stop, complain, say
from .faults import FaultBook
from .follower import Follower
from .slog import SlogWriter
from .solo_state import SoloState
from .stopping import spoil_stop
from .web import Route, serve

Json = Any
VATS = ("bootstrap", "comms", "vattp", "wallet", "zoe")


class Solo:
    """One run of the client."""

    def __init__(
        self, state: SoloState, config: SimConfig, slog: SlogWriter, stage: int | None, stop: Stop
    ) -> None:
        """`stage` scopes its faults."""
        self._state = state
        self._config = config
        self._slog = slog
        self._stop = stop
        self._faults = FaultBook(config.faults, stage, config.seed)
        self._follower = Follower(
            config.chain_address, config.chain.block_time, lambda text: say("solo", text)
        )
        self._ids = itertools.count(1)
        self._cranks = itertools.count(1)
        self._slog_lock = threading.Lock()
        self._committed = 0
        self._exit_code = 0
        self._ready = False

    def run(self) -> int:
        """Until a signal or a fault; the exit code."""
        restarted = self._state.starts > 0
        start = self._state.next_start()
        self._prefix = f"{self._state.address[:15]}-{start}"
        say("solo", "simulated solo: every number it yields is simulated")
        delay = self._config.solo.start_seconds + self._faults.delay("solo", restarted)
        server: ThreadingHTTPServer | None = None
        try:
            if self._stop.wait(delay):
                return 0
            self._start_vats()
            server = serve(self._config.solo.port, self._routes())
            self._follower.start()
            say("start", "swingset running")
            self._deploy_wallet()
            self._stop.wait(None)
        except OSError as error:
            complain(f"sim-solo: {error} (port {self._config.solo.port})")
            return 1
        finally:
            self._follower.stop()
            if server is not None:
                server.shutdown()
                server.server_close()
            with self._slog_lock:
                self._slog.close()
        spoil_stop(self._faults, "solo")
        say("solo", "stopped")
        return self._exit_code

    def _routes(self) -> Mapping[tuple[str, str], Route]:
        return {
            ("GET", "/status"): self._status,
            ("POST", "/tx"): self._tx,
            ("GET", "/scratch/"): lambda query, _body: (
                200,
                {"value": self._state.scratch(query["rest"])},
            ),
            ("PUT", "/scratch/"): self._keep,
        }

    def _status(self, _query: Mapping[str, str], _body: Json) -> tuple[int, Json]:
        return 200, {
            "simulated": True,
            "address": self._state.address,
            "height": self._follower.height,
            "connected": self._follower.connected,
            "ready": self._ready,
        }

    def _keep(self, query: Mapping[str, str], body: Json) -> tuple[int, Json]:
        self._state.keep(query["rest"], body["value"])
        return 200, {}

    def _tx(self, _query: Mapping[str, str], body: Json) -> tuple[int, Json]:
        message = body["message"]
        if not isinstance(message, dict):
            return 400, {"error": "message must be an object"}
        if not self._ready:
            return 503, {"error": "the simulated solo is not ready"}
        result = self._execute(message)
        if result is None:
            return 504, {"error": f"not committed within {self._config.solo.tx_timeout:g} s"}
        return 200, result

    def _execute(self, message: Json) -> Json:
        """{"height", "data"} or {"height", "error"}; None after the time limit."""
        tx = {
            "id": f"{self._prefix}-{next(self._ids)}",
            "sender": self._state.address,
            "message": message,
        }
        self._crank("wallet", message)
        pending = self._follower.send(tx)
        if not pending.done.wait(self._config.solo.tx_timeout):
            self._follower.forget(pending)
            return None
        self._crank("comms", message)
        self._count()
        if pending.result["code"]:
            return {"height": pending.height, "error": pending.result["log"]}
        return {"height": pending.height, "data": pending.result["data"]}

    def _count(self) -> None:
        self._committed += 1
        fault = self._faults.first("solo-dies")
        if fault is not None and self._committed >= fault["after_txs"]:
            complain(f"sim-solo: simulated death after {self._committed} transactions")
            self._exit_code = fault["exit_code"]
            self._stop.request()

    def _deploy_wallet(self) -> None:
        if self._faults.first("solo-never-ready") is not None:
            return

        def deploy() -> None:
            while not self._stop.requested:
                result = self._execute({"contract": "wallet", "method": "deploy"})
                if result is not None and "error" not in result:
                    self._ready = True
                    say("solo", "Deployed Wallet!")
                    return
                say("solo", f"the wallet is not deployed yet: {result and result['error']}")
                self._stop.wait(max(self._config.chain.block_time, 0.2))

        threading.Thread(target=deploy, name="wallet", daemon=True).start()

    def _start_vats(self) -> None:
        for number, name in enumerate(VATS, 1):
            self._slog.write(
                "create-vat", vatID=f"v{number}", dynamic=False, name=name, managerType="local"
            )
            self._slog.write("vat-startup-start", vatID=f"v{number}")
            self._slog.write("vat-startup-finish", vatID=f"v{number}")
        self._slog.flush()

    def _crank(self, name: str, message: Json) -> None:
        with self._slog_lock:
            where = {
                "crankNum": next(self._cranks),
                "vatID": f"v{VATS.index(name) + 1}",
                "deliveryNum": 0,
            }
            self._slog.write(
                "deliver", **where, kd=["message", "ko20", {"method": message.get("method")}]
            )
            self._slog.write("deliver-result", **where, dr=["ok", None, None])
            self._slog.flush()
