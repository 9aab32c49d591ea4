"""`loadgenctl load`: the load of a running run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from loadgenctl.cli.output import print_json
from loadgenctl.cli.runs import RUN_ID, find_run
from loadgenctl.cli.wiring import DOCKER, LOCAL, connect
from loadgenctl.engines import labels
from loadgenctl.engines.base import Engine, ExecResult, Handle, Leftover
from loadgenctl.errors import EngineUnavailable, UsageError
from loadgenctl.plan.times import with_seconds
from loadgenctl.records.reader import RunFolder
from loadgenctl.roles.loadclient import LoadClient
from loadgenctl.roles.loadconfig import validate_config

LOADGEN = "loadgen"
TIMEOUT = 15.0
"""Seconds the service may take to answer."""


def get_config(run: str | None) -> None:
    """Print the load config in force."""
    with _engines() as engines:
        print_json(client_of(engines, run).get())


def set_config(words: Sequence[str]) -> None:
    """Set the load config, `[RUN] JSON`, and print the one that is then in force."""
    run, text = split(words)
    config = parse(text)
    with _engines() as engines:
        client = client_of(engines, run)
        client.put(config)
        print_json(client.get())


def split(words: Sequence[str]) -> tuple[str | None, str]:
    """The run, if one is named, and the config. Raises `UsageError`."""
    if len(words) not in {1, 2}:
        raise UsageError(
            "give the config, after the run if there are several",
            hint="""e.g. loadgenctl load config set '{"faucet": {"interval": 10}}'""",
        )
    return (words[0] if len(words) > 1 else None), words[-1]


def parse(text: str) -> dict[str, Any]:
    """The config as it is sent. Raises `UsageError` for what the service would refuse."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"the load config is not valid JSON: {error}",
            hint="""write e.g. '{"faucet": {"interval": 60}}', quoted for the shell""",
        ) from error
    return dict(validate_config(with_seconds(config) if isinstance(config, dict) else config))


@contextmanager
def _engines() -> Iterator[list[Engine]]:
    """The engines that may have a run. Raises `EngineUnavailable`."""
    with ExitStack() as stack:
        local = stack.enter_context(connect(LOCAL))
        engines = [local]
        try:
            engines.append(stack.enter_context(connect(DOCKER)))
        except EngineUnavailable:
            # It does not matter to a run that is in progress on the other one.
            if not any(_goes_on(item) for item in local.leftovers()):
                raise
        yield engines


def client_of(engines: Sequence[Engine], run: str | None) -> LoadClient:
    """Speaks to the load service of a run: a results folder, a run's id, or the only one."""
    engine, handle = find_loadgen(engines, None if run is None else run_id(run))

    def execute(argv: Sequence[str]) -> ExecResult:
        return engine.exec(handle, argv, timeout=TIMEOUT)

    return LoadClient(execute)


def run_id(run: str) -> str:
    """The id of the run that a person named. Raises `UsageError`."""
    if RUN_ID.fullmatch(run) and not Path(run).exists():
        return run
    folder = RunFolder(find_run(run))
    found = folder.run.get("run_id")
    if not isinstance(found, str):
        raise UsageError(f"{run} does not say which run it is of", hint="has it just begun?")
    if folder.outcome != "running":
        raise UsageError(f"the run in {run} is over: {folder.outcome}")
    return found


def find_loadgen(engines: Sequence[Engine], run: str | None) -> tuple[Engine, Handle]:
    """The load generator of that run, or of the only run that has one. Raises `UsageError`."""
    found: dict[str, tuple[Engine, Handle]] = {}
    runs = set()
    for engine, item in [(each, item) for each in engines for item in each.leftovers()]:
        name = item.labels.get(labels.RUN, "")
        if run not in (None, name) or not _goes_on(item):
            continue
        runs.add(name)
        handle = Handle(item.name, item.id, LOADGEN)
        if item.labels.get(labels.ROLE) == LOADGEN and engine.state(handle).running:
            found[name] = engine, handle
    if not found:
        raise _nothing(run, runs)
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} runs have a load generator: {', '.join(sorted(found))}",
            hint="name one of them, or its results folder, before the config",
        )
    return next(iter(found.values()))


def _goes_on(item: Leftover) -> bool:
    return item.kind == "container" and not labels.owned_by_dead_process(item.labels)


def _nothing(run: str | None, runs: set[str]) -> UsageError:
    hint = "a load generator runs in the stages with load, once the chain is ready"
    if run is not None and not runs:
        return UsageError(
            f"the run {run} is not running", hint="`loadgenctl list` shows the runs in results/"
        )
    who = f"the run {run}" if run is not None else "no run" if runs else ""
    if not who:
        return UsageError("no run is running", hint="start a run: loadgenctl run")
    verb = "has no load generator now" if run is not None else "has a load generator now"
    return UsageError(f"{who} {verb}", hint=hint)
