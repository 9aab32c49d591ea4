"""From options to a plan: applies defaults and refuses contradictions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from loadgenctl.errors import UsageError
from loadgenctl.file_errors import resolved
from loadgenctl.model import HIGHEST_PORT, RELAYED, Limits, Ports, RunPlan, StageSpec
from loadgenctl.plan.network_options import LOCAL, network_options, require_local
from loadgenctl.plan.options import ROLES, WAITS
from loadgenctl.plan.settings import DEFAULT, Settings
from loadgenctl.plan.times import with_seconds

DEFAULT_LOAD: Mapping[str, Any] = {"faucet": {"interval": 60}}
MAX_STAGES = 1000
COMPUTE_LIMIT: Final = "chain.compute-limit"
WALLETS_LIMIT: Final = 65_000_000
"""The default with wallets, in computrons per block, as on Agoric's main network. The SDK's default
of 8 million is the cost of one offer by a wallet, so the load would measure the limit.
"""
UNTIL_INTERRUPTED = -1.0
"""The duration of a stage that has no end of its own, in minutes or seconds."""


def make_plan(settings: Settings, *, now: float, cwd: Path) -> RunPlan:
    """`now` in epoch seconds names the default results folder. Raises `UsageError`."""
    return _plan(settings, _stages(settings), now, cwd)


def make_plan_by_hand(settings: Settings, *, now: float, cwd: Path) -> RunPlan:
    """The plan of `loadgenctl up`: one stage until Ctrl-C, with published ports.

    Options of stages are ignored.
    """
    require_local(settings)
    plan = _plan(settings, (_stage_by_hand(settings),), now, cwd)
    return replace(plan, publish=plan.engine != "local", by_hand=True)


def _plan(settings: Settings, stages: tuple[StageSpec, ...], now: float, cwd: Path) -> RunPlan:
    sdk = settings.get("sdk")
    source_dir = settings.get("src")
    repository = settings.get("sdk-repo")
    revision = settings.get("revision")
    if settings.get("sim-config") is not None and sdk != "sim":
        raise UsageError("--sim-config requires --sdk sim")
    if sdk == "sim" and revision is not None and repository is None and source_dir is None:
        raise UsageError(
            "the bundled simulated SDK has no revisions",
            hint="leave --revision out, or name a git repository with --sdk-repo",
        )
    if settings.get("engine") == "local":
        _check_local(settings)
    network, client = network_options(settings, cwd), settings.get("client")
    output = _absolute(settings.get("output-dir"), cwd) or cwd / "results" / f"run-{int(now)}"
    return RunPlan(
        sdk=sdk,
        revision=revision,
        repository=repository,
        source_dir=_absolute(source_dir, cwd),
        profile=network.profile,
        output_dir=output,
        state_dir=_absolute(settings.get("state-dir"), cwd) or output / "state",
        stages=stages,
        monitor_interval_s=float(settings.get("monitor-interval")) * 60,
        light_interval_s=float(settings.get("sample-interval")),
        reset=settings.get("reset"),
        engine=settings.get("engine"),
        ports=_ports(settings, sdk),
        limits={role: _limits(settings, role) for role in ROLES},
        publish=settings.get("publish"),
        test_data=settings.tree("test-data") or {},
        sim_config=_absolute(settings.get("sim-config"), cwd),
        fail_fast=settings.get("fail-fast"),
        keep_state=settings.get("keep-state"),
        disk_needed=settings.get("disk.needed"),
        disk_reserve=settings.get("disk.reserve"),
        slog_codec=settings.get("slog-codec"),
        timeouts_s={
            role: float(value)
            for role in (*ROLES, *WAITS)
            if (value := settings.get(f"timeout.{role}")) is not None
        },
        origin=network.origin,
        monitor=network.monitor,
        state_sync=network.state_sync,
        provision_command=network.provision_command,
        network=network.network,
        traces=network.traces,
        bootstrap=network.bootstrap,
        client=client,
        compute_limit=_compute_limit(settings, client),
        sdk_bootstrap=network.sdk_bootstrap,
        snapshot_interval=network.snapshot_interval,
        message_file=network.message_file,
    )


def _compute_limit(settings: Settings, client: str) -> int | None:
    """Computrons per block; None: the SDK's default. Raises `UsageError` on other networks."""
    limit: int | None = settings.get(COMPUTE_LIMIT)
    if settings.get("profile") == LOCAL:
        return WALLETS_LIMIT if limit is None and client == "wallet" else limit
    if client == "wallet":
        raise UsageError(
            f"{_origin(settings, 'client')}: a run makes and funds its wallets on a local chain",
            hint="use --profile local, or --client solo",
        )
    if limit is not None:
        raise UsageError(
            f"{_origin(settings, COMPUTE_LIMIT)}: the genesis of a network exists already",
            hint="it requires --profile local",
        )
    return None


def _origin(settings: Settings, key: str) -> str:
    return settings.origins.get(tuple(key.split(".")), DEFAULT)


def _absolute(path: Path | None, cwd: Path) -> Path | None:
    return None if path is None else resolved(cwd / path)


def _check_local(settings: Settings) -> None:
    """Refuse what requires containers. Raises `UsageError`."""
    for path, origin in settings.origins.items():
        if path[0] == "limit":
            raise UsageError(
                f"{origin}: processes of this machine cannot be limited",
                hint="limits need containers: leave it out, or run with --engine docker",
            )
    if settings.get("publish"):
        raise UsageError(
            "--publish: processes of this machine listen on its own ports already",
            hint="leave it out, or run with --engine docker",
        )
    named = settings.get("revision") or settings.get("sdk-repo")
    if settings.get("sdk") == "agoric" and named and settings.get("src") is None:
        raise UsageError(
            "--engine local runs the SDK that is installed, or one in a folder of yours",
            hint="name an empty folder by --src to build it there, or leave --engine local out",
        )


def _ports(settings: Settings, sdk: str) -> Ports:
    given = {role: port for role in ROLES if (port := settings.get(f"port.{role}")) is not None}
    if sdk != "sim" and set(given) - {"loadgen"}:
        raise UsageError(
            "only the simulated SDK's chain and client can listen on other ports",
            hint="--port.loadgen works with every SDK",
        )
    for role, port in given.items():
        if port > HIGHEST_PORT:
            raise UsageError(f"--port.{role} must be at most {HIGHEST_PORT}")
    ports = Ports(**given)
    all_three = {ports.chain, ports.solo, ports.loadgen}
    if len(all_three | {port + RELAYED for port in all_three}) < 2 * len(ROLES):
        raise UsageError(
            f"--port: the three ports must differ, and not by {RELAYED}",
            hint=f"the relay listens on the ports that are {RELAYED} higher",
        )
    return ports


def _limits(settings: Settings, role: str) -> Limits:
    if settings.get("engine") == "local":
        return Limits()
    cpus = settings.get(f"limit.{role}.cpus")
    return Limits(
        cpus=None if cpus is None else float(cpus),
        memory_bytes=settings.get(f"limit.{role}.memory"),
        pids=settings.get(f"limit.{role}.pids"),
    )


def _stages(settings: Settings) -> tuple[StageSpec, ...]:
    count = settings.get("stages")
    if count > MAX_STAGES:
        raise UsageError(f"--stages: at most {MAX_STAGES}")
    if settings.get("stage.duration") < 0:
        raise UsageError(
            "--stage.duration cannot be negative",
            hint="for one stage that runs until interrupted: --stage.N.duration -1",
        )
    if settings.get("stage.load-duration") is not None and settings.given("stage.duration"):
        raise _two_ends(settings, "stage")
    if settings.switch("stage.loadgen") is not None:
        raise UsageError(
            "--stage.loadgen takes options below it, such as --stage.loadgen.faucet.interval 10",
            hint="no load in any stage: --chain-only; in stage N: --no-stage.N.loadgen",
        )
    for path, origin in settings.origins.items():
        if path[0] == "stage" and path[1].isdecimal() and int(path[1]) >= count:
            raise UsageError(
                f"{origin} names stage {path[1]}, but the run has {count} stages (0 to {count - 1})"
            )
    first, *others = (_stage(settings, index, count) for index in range(count))
    if first.chain_only:
        later = [task for stage in others for task in stage.load or {}]
        first = replace(first, prepare=tuple(dict.fromkeys(later)))
    return first, *others


def _stage_by_hand(settings: Settings) -> StageSpec:
    """A stage until interrupted, under the given load or none."""
    chain_only = bool(settings.get("chain-only"))
    load = with_seconds(settings.tree("stage.loadgen") or {})
    load.pop("cycles", None)
    return StageSpec(
        index=0,
        chain_only=chain_only,
        duration_s=UNTIL_INTERRUPTED,
        save_storage=False,
        load=None if chain_only else load,
    )


def _stage(settings: Settings, index: int, count: int) -> StageSpec:
    own_load = settings.tree(f"stage.{index}.loadgen")
    loaded = True if own_load else settings.switch(f"stage.{index}.loadgen")
    chain_only = _chain_only(settings, index, count, loaded=loaded)
    under_load = _load_duration(settings, index, chain_only=chain_only)
    duration = settings.get(f"stage.{index}.duration") if under_load is None else under_load
    if duration is None:
        duration = _shared_duration(settings, index, count, chain_only=chain_only)
    save = settings.get(f"stage.{index}.save-storage")
    if save is None:
        save = settings.get("stage.save-storage")
    load, cycles = _load(own_load, settings.tree("stage.loadgen"), index)
    return StageSpec(
        index=index,
        chain_only=chain_only,
        duration_s=float(duration) * 60,
        save_storage=(not chain_only or index == 0) if save is None else save,
        load=None if chain_only else load,
        cycles=None if chain_only else cycles,
        load_duration_s=None if under_load is None else float(under_load) * 60,
    )


def _shared_duration(settings: Settings, index: int, count: int, *, chain_only: bool) -> float:
    """Minutes of a stage that has no duration of its own."""
    shared: float = settings.get("stage.load-duration") or settings.get("stage.duration")
    if not chain_only:
        return shared
    if settings.get("acceptance-integration-message-file") is not None:
        # The acceptance tests end the last stage, and wait for the others.
        return UNTIL_INTERRUPTED if index == count - 1 else 0
    # A local chain alone has nothing to wait for, while a network makes blocks all the time.
    return 0 if settings.get("profile") == LOCAL else shared


def _load_duration(settings: Settings, index: int, *, chain_only: bool) -> float | None:
    """Minutes under load of a stage; None if its duration, or the shared one, ends it."""
    own: float | None = settings.get(f"stage.{index}.load-duration")
    if own is not None and settings.get(f"stage.{index}.duration") is not None:
        raise _two_ends(settings, f"stage.{index}")
    if own is not None and chain_only:
        raise UsageError(
            f"--stage.{index}.load-duration: stage {index} runs the chain alone",
            hint=f"give it a load (--stage.{index}.loadgen), or --stage.{index}.duration",
        )
    if own is not None or chain_only or settings.get(f"stage.{index}.duration") is not None:
        return own
    shared: float | None = settings.get("stage.load-duration")
    return shared


def _two_ends(settings: Settings, group: str) -> UsageError:
    names = [f"--{group}.{name}" for name in ("duration", "load-duration")]
    given = [f"{name}{settings.given_by(name)}" for name in names]
    return UsageError(
        f"{given[0]} and {given[1]} both say when a stage ends",
        hint="drop one: the first counts from the stage's start, the second from the load's",
    )


def _chain_only(settings: Settings, index: int, count: int, *, loaded: bool | None) -> bool:
    """`loaded`: whether the stage's own load is on or off; None if neither was set."""
    if settings.get("chain-only"):
        return True
    own: bool | None = settings.get(f"stage.{index}.chain-only")
    if own is not None and own == loaded:
        both = "is chain-only and has a load" if own else "is not chain-only, but has no load"
        raise UsageError(
            f"stage {index} {both}",
            hint=f"drop --stage.{index}.chain-only or --stage.{index}.loadgen",
        )
    without = not settings.get("monitor") and settings.get("profile") != LOCAL
    if without and (own or loaded is False):
        raise UsageError(
            f"stage {index} runs the chain alone, and --no-monitor runs no chain",
            hint="give the stage a load, or leave --no-monitor out",
        )
    if own is not None:
        return own
    if loaded is None:
        return not without and index in {0, count - 1}
    return not loaded


def _load(
    own: dict[str, Any] | None, shared: dict[str, Any] | None, index: int
) -> tuple[dict[str, Any], int | None]:
    """Tasks and cycle limit. A stage's own tasks replace the shared ones."""
    own_tasks, shared_tasks = with_seconds(own or {}), with_seconds(shared or {})
    own_cycles = own_tasks.pop("cycles", None)
    shared_cycles = shared_tasks.pop("cycles", None)
    cycles = shared_cycles if own_cycles is None and not own_tasks else own_cycles
    return own_tasks or shared_tasks or dict(DEFAULT_LOAD), _cycles(cycles, index)


def _cycles(value: Any, index: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"stage {index}: loadgen.cycles takes a whole number from 1")
    return value
