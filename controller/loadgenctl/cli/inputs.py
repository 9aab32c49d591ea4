"""From what a person gave (arguments, environment, options file) to a plan and site settings."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from loadgenctl.building.site import SiteSettings, parse_site
from loadgenctl.cli.console import clean
from loadgenctl.errors import UsageError
from loadgenctl.model import RunPlan
from loadgenctl.plan.arguments import parse
from loadgenctl.plan.lookup import find
from loadgenctl.plan.planner import make_plan, make_plan_by_hand
from loadgenctl.plan.purposes import BUILD_KEYS, BY_HAND_KEYS, ONE_RUN_KEYS, UP_KEYS
from loadgenctl.plan.settings import CONFIG_VARIABLE, DEFAULT, Settings, load_file, load_toml, merge
from loadgenctl.plan.times import with_seconds
from loadgenctl.plan.trust import require_owner, require_trust
from loadgenctl.records.reader import MAX_DOCUMENT
from loadgenctl.roles.loadconfig import validate_config
from loadgenctl.sources.inplace import is_blank
from loadgenctl.sources.installed import installed_tree

IN_CONTAINERS = ("--engine", "docker")
"""For commands that have nothing to do with runs without containers, whatever file and environment
prefer for those.
"""
CONFIG_NAMES = (Path("loadgenctl.toml"), Path("~/.config/loadgenctl/loadgenctl.toml"))


@dataclass(frozen=True, slots=True)
class Inputs:
    """A run's options, merged, and the file they were completed from."""

    settings: Settings
    tables: Mapping[str, Any]
    """Of the options file; empty without one."""
    config_file: Path | None

    @property
    def unnamed(self) -> bool:
        """True if the results folder has its default name."""
        return self.settings.get("output-dir") is None

    def plan(self, *, only_build: bool = False) -> RunPlan:
        """The plan, checked as a whole; with `only_build`, as far as a build needs it.

        Raises `UsageError`.
        """
        plan = _placed(make_plan(self.settings, now=time.time(), cwd=Path.cwd()))
        check_files(plan)
        if not only_build:
            _check_load(plan, self.settings)
        return plan

    def plan_by_hand(self) -> RunPlan:
        """The plan of what a person drives until Ctrl-C. Raises `UsageError`."""
        plan = _placed(make_plan_by_hand(self.settings, now=time.time(), cwd=Path.cwd()))
        check_files(plan)
        validate_config(plan.stages[0].load or {})
        return plan

    def site(self) -> SiteSettings:
        """The site settings of the options file; defaults without one. Raises `UsageError`."""
        file = self.config_file
        return parse_site(self.tables, file.parent if file else Path.cwd(), str(file or ""))


def read(args: Sequence[str], config: Path | None, *, told: bool = True) -> Inputs:
    """Everything that was given, merged; `config` is the options file if one was named.

    The file that options came from is `told` on standard error. Raises `UsageError`.
    """
    tables, config_file = find_config(config, os.environ)
    if told and config_file is not None:
        line = Text(f"options from {clean(str(config_file.absolute()))}")
        Console(stderr=True).print(line, soft_wrap=True)
    settings = merge(args, os.environ, tables.get("run"), str(config_file))
    return Inputs(settings, tables, config_file)


def read_for_build(args: Sequence[str], config: Path | None) -> Inputs:
    """The same for a command that only builds. Raises `UsageError`.

    Arguments may name no other options than `BUILD_KEYS`; file and environment may, because they
    serve runs, too.
    """
    for origin in _others(args, BUILD_KEYS):
        known = ", ".join(f"--{key}" for key in BUILD_KEYS)
        raise UsageError(f"{origin} does not change what is built", hint=f"what does: {known}")
    return read([*args, *IN_CONTAINERS], config)


def read_by_hand(args: Sequence[str], config: Path | None) -> Inputs:
    """The same for roles that are driven by hand, which know no stages, watching or results."""
    _refuse_others(args, BY_HAND_KEYS, hint="see loadgenctl compose --help")
    return read([*args, *IN_CONTAINERS], config)


def read_for_many(
    args: Sequence[str], config: Path | None, *, hint: str, told: bool = True
) -> Inputs:
    """The same for a command that makes many runs, and so chooses what belongs to a single one.

    Not even file and environment may say that: it would not be heeded. `hint` says how the command
    chooses.
    """
    given = read(args, config, told=told)
    for path, origin in given.settings.origins.items():
        if ".".join(path) in ONE_RUN_KEYS and origin != DEFAULT:
            raise UsageError(
                f"{origin} sets the {path[0]} of one run, and here many are made", hint=hint
            )
    if given.settings.get("engine") == "local":
        raise UsageError(
            f"{given.settings.origins['engine',]}: revisions are built and run in containers here",
            hint="give --engine docker",
        )
    return given


def read_for_up(args: Sequence[str], config: Path | None) -> Inputs:
    """The same where there are records, too, and a load at first."""
    _refuse_others(
        args,
        UP_KEYS,
        hint="they run, with their ports published, until Ctrl-C; see loadgenctl up --help",
    )
    given = read(args, config)
    typed = merge(args, {}, None, "").tree("stage.loadgen") or {}
    if "cycles" in typed:
        raise UsageError("what is driven by hand ends by Ctrl-C, not after some cycles")
    if typed and given.settings.get("chain-only"):
        raise UsageError(
            f"{given.settings.origins['chain-only',]} leaves no load generator to be configured",
            hint="drop it, or --stage.loadgen.*",
        )
    return given


def _refuse_others(args: Sequence[str], keys: Sequence[str], *, hint: str) -> None:
    for origin in _others(args, keys):
        raise UsageError(f"{origin} means nothing for roles that are driven by hand", hint=hint)


def _others(args: Sequence[str], keys: Sequence[str]) -> Iterator[str]:
    """The arguments that set options beside `keys`, as they were typed."""
    for setting in parse(args):
        match = find(setting.path)
        if match is None or match.option.key not in keys:
            yield setting.origin


def find_config(
    given: Path | None, environment: Mapping[str, str], names: Sequence[Path] = CONFIG_NAMES
) -> tuple[dict[str, Any], Path | None]:
    """The options file's tables and the file: the one asked for, else the first of `names`.

    Raises `UsageError` for one that is asked for and not there, that cannot be read, or that sets
    what it has to be asked for, see `plan.trust`.
    """
    named = given or (Path(text) if (text := environment.get(CONFIG_VARIABLE)) else None)
    if named is not None:
        if not named.is_file():
            raise UsageError(f"no such file: {named}", hint="--config names a TOML file")
        return load_file(named), named
    for candidate in names:
        try:
            path = candidate.expanduser()
        except RuntimeError:
            continue  # a user without a home folder
        if path.is_file():
            tables = load_file(path, partial(require_owner, path))
            require_trust(tables, path)
            return tables, path
    return {}, None


def _placed(plan: RunPlan) -> RunPlan:
    """The plan with the SDK's folder looked at, or found installed. Raises `UsageError`."""
    if plan.source_dir is not None and is_blank(plan.source_dir):
        return replace(plan, checkout=True)
    if plan.source_dir is not None and plan.repository is not None:
        raise UsageError(
            "--src and --sdk-repo exclude each other",
            hint="what is in the folder is used as it is; only an empty one is filled",
        )
    if plan.engine != "local" or plan.sdk != "agoric" or plan.source_dir is not None:
        return plan
    return replace(plan, source_dir=installed_tree())


def check_files(plan: RunPlan) -> None:
    """Files that the planner does not look into. Raises `UsageError`."""
    if plan.sim_config is not None:
        load_toml(plan.sim_config, hint="--sim-config names a TOML file, see docs/simulated-sdk.md")
    if plan.bootstrap is not None:
        hint = "--custom-bootstrap names a bootstrap configuration, which is JSON"
        try:
            with plan.bootstrap.open("rb") as stream:
                content = stream.read(MAX_DOCUMENT + 1)
            if len(content) <= MAX_DOCUMENT:
                json.loads(content)
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{plan.bootstrap} cannot be used: {error}", hint=hint) from error
        if len(content) > MAX_DOCUMENT:
            size = f"{MAX_DOCUMENT >> 20} MiB"
            raise UsageError(f"{plan.bootstrap} is larger than {size}", hint=hint)


def _check_load(plan: RunPlan, settings: Settings) -> None:
    """Loads, which the planner does not know. Raises `UsageError`."""
    shared = with_seconds(settings.tree("stage.loadgen") or {})
    shared.pop("cycles", None)
    for load in (shared, *(stage.load or {} for stage in plan.stages)):
        validate_config(load)
    if shared and not settings.get("chain-only") and all(s.chain_only for s in plan.stages):
        note = Text("warning: no stage runs the load; the first and the last one run the chain")
        note.append(" alone unless they have a load config, e.g. --stage.0.loadgen.faucet.interval")
        Console(stderr=True).print(note, style="yellow", soft_wrap=True)
