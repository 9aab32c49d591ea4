"""The service: scheduler, driver, HTTP and events wired together on one event loop.

It sleeps until a start falls due, the driver answers or a request comes; nothing is polled.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import config as configs
from .driver import Driver, DriverError, Message
from .events import EventLog, EventsError, clip
from .httpd import Answer, HttpServer, Request, json_answer, refusal
from .scheduler import Scheduler, Start

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_DRIVER = 3
EXIT_TASK_FAILED = 4

MAX_DETAIL = 4000
"""Characters of a result's `detail` (as JSON) that an event carries; a longer one is left out."""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    events: str
    driver: Sequence[str]
    host: str = "127.0.0.1"
    port: int = 3352
    fail_fast: bool = False
    hello_timeout: float = 900.0
    """Seconds the driver may take to say hello."""
    stop_grace: float = 15.0
    """Seconds a driver may take to finish after `stop`, before SIGTERM."""
    kill_after: float = 3.0
    """Seconds between SIGTERM and SIGKILL."""
    wind_down: float = 300.0
    """Seconds that running cycles may take to end after a failure with `fail_fast`."""


@dataclass
class _Cycle:
    """A cycle in flight."""

    start: Start
    started: float


class Service:
    """One life of the load service."""

    def __init__(self, options: Options, events: EventLog) -> None:
        """Nothing is started yet; the event loop must be running."""
        self._options = options
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._driver = Driver(options.driver, self._on_message)
        self._http = HttpServer(self._handle, options.host, options.port, configs.MAX_BODY)
        self._scheduler: Optional[Scheduler] = None
        self._unavailable: Dict[str, str] = {}
        self._timer: Optional[asyncio.TimerHandle] = None
        self._next_id = 1
        self._cycles: Dict[int, _Cycle] = {}
        self._preparing: Optional[Tuple[int, str, float]] = None
        self._to_prepare: List[str] = []
        self._done: "asyncio.Future[int]" = self._loop.create_future()
        self._stop_signals = 0
        self._first_failure: Optional[str] = None
        self._events_broken = False
        self._status_wanted = False

    async def run(self) -> int:
        """Serve until a signal, the driver's end or (fail-fast) a failure; the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal, number)
        try:
            await self._http.start()
        except OSError as error:
            where = "%s:%d" % (self._options.host, self._options.port)
            _say("cannot listen on %s: %s" % (where, error.strerror or error))
            return EXIT_INTERNAL
        code = EXIT_INTERNAL
        try:
            code = await self._serve()
        except EventsError as error:
            self._unrecorded(error)
        finally:
            self._cancel_timer()
            await self._http.close()
            # A driver that disconnected or broke the protocol has nothing to finish.
            grace = 0.0 if code == EXIT_DRIVER else self._options.stop_grace
            await self._driver.stop(grace, self._options.kill_after)
        self._close(code)
        return EXIT_INTERNAL if self._events_broken else code

    async def _serve(self) -> int:
        try:
            await self._driver.start()
            ready = asyncio.ensure_future(self._driver.hello(self._options.hello_timeout))
            await self._until(ready)
            if self._done.done():
                ready.cancel()
                return self._done.result()
            self._welcome(ready.result())
            await self._until(self._driver.ended)
            if self._done.done():
                return self._done.result()
            self._driver_gone(self._driver.ended.result())
        except DriverError as error:
            self._driver_gone(str(error))
        return EXIT_DRIVER

    async def _until(self, future: "asyncio.Future[Any]") -> None:
        """Wait for `future` or a reason to end."""
        either: "List[asyncio.Future[Any]]" = [future, self._done]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    def _welcome(self, hello: Message) -> None:
        tasks = [str(name) for name in hello["tasks"]]
        self._scheduler = Scheduler(tasks)
        self._unavailable = {
            name: clip(_one_line(why)) for name, why in hello["unavailable"].items()
        }
        name, simulated = _one_line(hello.get("driver", "unnamed")), bool(hello.get("simulated"))
        fields: Dict[str, Any] = {"driver": name, "simulated": simulated, "tasks": tasks}
        if self._unavailable:
            fields["unavailable"] = self._unavailable
        self._events.write("driver", state="hello", **fields)
        kind = "simulated, " if simulated else ""
        print(  # noqa: T201 - the line that says ready, awaited in the role's log
            "server running on %s:%d (%sdriver %s; tasks %s)"
            % (self._options.host, self._http.port, kind, name, ", ".join(tasks) or "none"),
            flush=True,
        )

    def _close(self, code: int) -> None:
        try:
            if self._scheduler is not None:
                self._write_status(self._scheduler)
            if code != EXIT_DRIVER:
                self._events.write(
                    "driver",
                    state="exit",
                    expected=True,
                    reason="the service is stopping",
                    code=self._driver.exit_code,
                )
            self._events.write("service", state="exit", code=code)
            self._events.close()
        except EventsError as error:
            self._unrecorded(error)

    def _unrecorded(self, error: EventsError) -> None:
        """End, because load without a record is worthless."""
        _say(str(error))
        self._events_broken = True
        self._finish(EXIT_INTERNAL)

    # What comes from outside: signals, the driver, requests.

    def _on_signal(self, number: int) -> None:
        self._stop_signals += 1
        _say("stopping on %s" % signal.Signals(number).name)
        if self._stop_signals > 1:
            self._driver.hurry()
        self._finish(EXIT_OK)

    def _finish(self, code: int) -> None:
        self._cancel_timer()
        if not self._done.done():
            self._done.set_result(code)

    def _on_message(self, message: Message) -> None:
        kind, number = message.get("type"), message.get("id")
        try:
            if kind == "result":
                self._on_result(number, message)
            elif kind == "prepared":
                self._on_prepared(number, message)
        except EventsError as error:
            self._unrecorded(error)

    def _on_prepared(self, number: Any, message: Message) -> None:
        if self._scheduler is None or self._preparing is None or self._preparing[0] != number:
            _say("the driver answered a preparation that is not running: %r" % (number,))
            return
        task, since = self._preparing[1:]
        self._preparing = None
        success = message.get("success") is True
        fields: Dict[str, Any] = {"task": task, "success": success}
        fields["duration"] = round(self._loop.time() - since, 6)
        if not success:
            fields["error"] = clip(message.get("error") or "the driver gave no reason")
        self._events.write("prepare", **fields)
        self._scheduler.prepared(task, success, self._loop.time())
        if not success:
            self._failed("the preparation of %s failed: %s" % (task, fields["error"]))
        self._prepare_next()
        self._pump()

    def _on_result(self, number: Any, message: Message) -> None:
        cycle = self._cycles.pop(number, None) if isinstance(number, int) else None
        if self._scheduler is None or cycle is None:
            _say("the driver sent a result of a cycle that is not running: %r" % (number,))
            return
        success = message.get("success") is True
        error = None if success else clip(message.get("error") or "the driver gave no reason")
        self._end_cycle(self._scheduler, cycle, error, message.get("detail"))
        if error is not None:
            self._failed("cycle %d of %s failed: %s" % (cycle.start.seq, cycle.start.task, error))
        self._pump(changed=True)

    def _handle(self, request: Request) -> Answer:
        route = (request.method, request.path)
        if route not in (("GET", "/config"), ("PUT", "/config"), ("GET", "/status")):
            return refusal(404, "there are GET /config, PUT /config and GET /status")
        if self._scheduler is None:
            return refusal(503, "the driver is not ready yet")
        if route == ("GET", "/status"):
            return json_answer(self._scheduler.status())
        if route == ("GET", "/config"):
            return json_answer(configs.config_as_json(self._scheduler.config()))
        if self._first_failure is not None:
            return refusal(503, "the load is ending: " + self._first_failure)
        try:
            wanted = configs.parse_config(request.body, self._scheduler.tasks, self._unavailable)
        except configs.ConfigError as error:
            return refusal(400, str(error))
        try:
            self._reconfigure(self._scheduler, wanted)
        except EventsError as error:
            self._unrecorded(error)
            return refusal(500, str(error))
        return Answer(200, b"config updated\n", "text/plain")

    # What follows from it.

    def _reconfigure(self, scheduler: Scheduler, wanted: Dict[str, configs.TaskConfig]) -> None:
        if wanted == scheduler.config():
            return
        self._pump()
        self._to_prepare += scheduler.configure(wanted, self._loop.time())
        self._events.write("config", config=configs.config_as_json(wanted))
        self._prepare_next()
        self._pump(changed=True)

    def _prepare_next(self) -> None:
        # One after the other, because preparations spend from the same purses.
        if self._preparing is not None or not self._to_prepare:
            return
        task = self._to_prepare.pop(0)
        self._preparing = (self._take_id(), task, self._loop.time())
        message = {"type": "prepare", "id": self._preparing[0], "task": task}
        of_task = self._scheduler.config().get(task) if self._scheduler is not None else None
        if of_task is not None:
            message["limit"] = of_task.limit
        self._driver.send(message)

    def _pump(self, changed: bool = False) -> None:
        """Start what is due, report what was missed, and sleep until the next due time."""
        scheduler = self._scheduler
        if scheduler is None or self._done.done():
            return
        now = self._loop.time()
        starts = scheduler.advance(now)
        for start in starts:
            self._start_cycle(start, now)
        missed = scheduler.take_missed()
        for task, count in missed.items():
            self._events.write("missed", task=task, count=count)
        if (changed or starts or missed) and not self._status_wanted:
            # Many results may arrive in one turn of the loop; one status after them is enough.
            self._status_wanted = True
            self._loop.call_soon(self._on_status_wanted)
        self._cancel_timer()
        due = scheduler.next_due()
        if due is not None:
            self._timer = self._loop.call_at(due, self._on_timer)
        if self._first_failure is not None and not scheduler.active():
            self._finish(EXIT_TASK_FAILED)

    def _on_timer(self) -> None:
        try:
            self._pump()
        except EventsError as error:
            self._unrecorded(error)

    def _on_status_wanted(self) -> None:
        self._status_wanted = False
        if self._scheduler is not None and not self._done.done():
            try:
                self._write_status(self._scheduler)
            except EventsError as error:
                self._unrecorded(error)

    def _start_cycle(self, start: Start, now: float) -> None:
        number = self._take_id()
        self._cycles[number] = _Cycle(start, now)
        intended = round(time.time() - (self._loop.time() - start.intended), 6)
        self._events.write("start", task=start.task, seq=start.seq, intended=intended)
        self._driver.send({"type": "run", "id": number, "task": start.task, "seq": start.seq})

    def _end_cycle(
        self, scheduler: Scheduler, cycle: _Cycle, error: Optional[str], detail: Any = None
    ) -> None:
        now, start = self._loop.time(), cycle.start
        fields: Dict[str, Any] = {"task": start.task, "seq": start.seq, "success": error is None}
        if error is not None:
            fields["error"] = error
        fields["duration"] = round(now - cycle.started, 6)
        fields["latency"] = round(now - start.intended, 6)
        if isinstance(detail, dict) and len(json.dumps(detail)) <= MAX_DETAIL:
            fields["detail"] = detail
        self._events.write("finish", **fields)
        scheduler.finished(start.task, error is None, now)

    def _failed(self, reason: str) -> None:
        _say(reason)
        if not self._options.fail_fast or self._first_failure is not None:
            return
        self._first_failure = reason
        if self._scheduler is not None:
            self._to_prepare.clear()
            self._reconfigure(self._scheduler, {})
        self._loop.call_later(self._options.wind_down, self._finish, EXIT_TASK_FAILED)

    def _driver_gone(self, reason: str) -> None:
        """Record that the cycles in flight have failed, before anything else."""
        _say(reason)
        if self._scheduler is not None:
            for cycle in self._cycles.values():
                self._end_cycle(self._scheduler, cycle, reason)
            self._cycles.clear()
        self._events.write(
            "driver", state="exit", expected=False, reason=reason, code=self._driver.exit_code
        )

    def _write_status(self, scheduler: Scheduler) -> None:
        self._events.write("status", status=scheduler.status())

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def serve(options: Options) -> int:
    """Run the service to its end; the exit code."""
    try:
        events = EventLog(options.events)
    except EventsError as error:
        _say(str(error))
        return EXIT_INTERNAL
    return await Service(options, events).run()


def _one_line(text: object) -> str:
    return " ".join(clip(text).split())


def _say(text: str) -> None:
    print("load service: " + text, file=sys.stderr, flush=True)  # noqa: T201 - the role's log
