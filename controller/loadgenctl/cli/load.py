"""`loadgenctl load`: the load of a run in progress."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadgenctl.cli.parameters import QuickGroup
from loadgenctl.cli.standard_streams import keep_going
from loadgenctl.errors import EngineUnavailable, UsageError

if TYPE_CHECKING:
    from loadgenctl.engines.base import Engine, ExecResult, Handle, Leftover
    from loadgenctl.roles.load_client import LoadClient

LOADGEN = "loadgen"
TIMEOUT_S = 15.0
"""Time limit for an answer of the service."""

load_app = typer.Typer(
    cls=QuickGroup, no_args_is_help=True, help="Show or change the load of a run in progress."
)
config_app = typer.Typer(
    cls=QuickGroup, no_args_is_help=True, help="Show or change the load config."
)
load_app.add_typer(config_app, name="config")


@config_app.command("get")
def get_command(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Results folder, name below results/, or run id. Default: the only run in"
            " progress.",
        ),
    ] = None,
) -> None:
    """Print the current load config as JSON."""
    from loadgenctl.cli.print_data import print_json

    with _engines() as engines:
        print_json(client_of(engines, run).get())


@config_app.command("set")
def set_command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] JSON", help="""The new config, e.g. '{"faucet": {"interval": 10}}'."""
        ),
    ],
) -> None:
    """Set the load config of the running stage, and print the resulting config.

    Tasks that are left out are turned off. {} turns all tasks off. Times may have units
    (`"interval": "2m"`). The end of the stage and the next stages do not change.
    """
    from loadgenctl.cli.print_data import print_json

    keep_going()
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
    from loadgenctl.plan.times import with_seconds
    from loadgenctl.roles.load_config import validate_config

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
    from loadgenctl.cli.wiring import DOCKER, LOCAL, connect

    with ExitStack() as stack:
        local = stack.enter_context(connect(LOCAL))
        engines = [local]
        try:
            engines.append(stack.enter_context(connect(DOCKER)))
        except EngineUnavailable:
            # A run on the local engine needs no Docker.
            if not any(_in_progress(item) for item in local.leftovers()):
                raise
        yield engines


def client_of(engines: Sequence[Engine], run: str | None) -> LoadClient:
    """A client for the load service of a run: a results folder, a run's id, or the only one."""
    from loadgenctl.roles.load_client import LoadClient

    engine, handle = find_loadgen(engines, None if run is None else run_id(run))

    def execute(argv: Sequence[str]) -> ExecResult:
        return engine.exec(handle, argv, timeout=TIMEOUT_S)

    return LoadClient(execute)


def run_id(run: str) -> str:
    """The id of the run that a person named. Raises `UsageError`."""
    from loadgenctl.cli.find_runs import RUN_ID, find_run
    from loadgenctl.records.reader import RunFolder

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
    from loadgenctl.engines import ownership_labels
    from loadgenctl.engines.base import Handle

    found: dict[str, tuple[Engine, Handle]] = {}
    runs = set()
    for engine, item in [(each, item) for each in engines for item in each.leftovers()]:
        name = item.labels.get(ownership_labels.RUN, "")
        if run not in (None, name) or not _in_progress(item):
            continue
        runs.add(name)
        handle = Handle(item.name, item.id, LOADGEN)
        if item.labels.get(ownership_labels.ROLE) == LOADGEN and engine.state(handle).running:
            found[name] = engine, handle
    if not found:
        raise _nothing(run, runs)
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} runs have a load generator: {', '.join(sorted(found))}",
            hint="name one of them, or its results folder, before the config",
        )
    return next(iter(found.values()))


def _in_progress(item: Leftover) -> bool:
    from loadgenctl.engines import ownership_labels

    return item.kind == "container" and not ownership_labels.owned_by_dead_process(item.labels)


def _nothing(run: str | None, runs: set[str]) -> UsageError:
    if run is None and not runs:
        return UsageError("no run is running", hint="start a run: loadgenctl run")
    if run is not None and not runs:
        return UsageError(
            f"the run {run} is not running", hint="`loadgenctl list` shows the runs in results/"
        )
    hint = "a load generator runs in the stages with load, once the chain is ready"
    if run is not None:
        return UsageError(f"the run {run} has no load generator now", hint=hint)
    return UsageError("no run has a load generator now", hint=hint)
