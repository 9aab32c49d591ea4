"""From arguments, environment and options file to a plan and site settings."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from loadgenctl.building.site import SiteSettings, parse_site
from loadgenctl.formatting import harmless
from loadgenctl.model import RunPlan
from loadgenctl.plan.accepted_options import (
    check_build,
    check_by_hand,
    check_initial_load,
    check_many,
    check_up,
)
from loadgenctl.plan.file_checks import check_files, check_load, placed
from loadgenctl.plan.planner import make_plan, make_plan_by_hand
from loadgenctl.plan.settings import Settings, merge
from loadgenctl.plan.trust import find_config
from loadgenctl.roles.load_config import validate_config
from loadgenctl.sources.fill_folder import is_blank
from loadgenctl.sources.installed import installed_tree

IN_CONTAINERS = ("--engine", "docker")
"""For commands that always use containers, whatever file and environment prefer for runs."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """A run's options, merged, and the file that some of them came from."""

    settings: Settings
    tables: Mapping[str, Any]
    """Of the options file; empty without one."""
    config_file: Path | None

    @property
    def unnamed(self) -> bool:
        """True if the results folder has its default name."""
        return self.settings.get("output-dir") is None

    def plan(self, *, only_build: bool = False) -> RunPlan:
        """The checked plan; with `only_build`, without checks of the load. Raises `UsageError`."""
        plan = _checked(make_plan(self.settings, now=time.time(), cwd=Path.cwd()))
        warning = None if only_build else check_load(plan, self.settings, validate_config)
        if warning is not None:
            note = Text(f"warning: {warning}", style="yellow")
            Console(stderr=True).print(note, soft_wrap=True)
        return plan

    def plan_by_hand(self) -> RunPlan:
        """The checked plan of `loadgenctl up`. Raises `UsageError`."""
        plan = _checked(make_plan_by_hand(self.settings, now=time.time(), cwd=Path.cwd()))
        validate_config(plan.stages[0].load or {})
        return plan

    def site(self) -> SiteSettings:
        """The site settings of the options file; defaults without one. Raises `UsageError`."""
        file = self.config_file
        return parse_site(self.tables, file.parent if file else Path.cwd(), str(file or ""))


def _checked(plan: RunPlan) -> RunPlan:
    plan = placed(plan, is_blank=is_blank, installed=installed_tree)
    check_files(plan)
    return plan


def read(args: Sequence[str], config: Path | None, *, named: bool = True) -> Inputs:
    """Merge all sources of options; `config` is the file given with --config.

    With `named`, the options file is named on standard error. Raises `UsageError`.
    """
    tables, config_file = find_config(config, os.environ)
    if named and config_file is not None:
        line = Text(f"options from {harmless(str(config_file.absolute()))}")
        Console(stderr=True).print(line, soft_wrap=True)
    settings = merge(args, os.environ, tables.get("run"), str(config_file))
    return Inputs(settings, tables, config_file)


def read_for_build(args: Sequence[str], config: Path | None) -> Inputs:
    """`read` for a command that only builds. Raises `UsageError`.

    Only arguments are restricted to `BUILD_KEYS`: file and environment serve runs, too.
    """
    check_build(args)
    return read([*args, *IN_CONTAINERS], config)


def read_by_hand(args: Sequence[str], config: Path | None) -> Inputs:
    """`read` for `compose`, which has no stages, samples or results. Raises `UsageError`."""
    check_by_hand(args)
    return read([*args, *IN_CONTAINERS], config)


def read_for_many(
    args: Sequence[str], config: Path | None, *, hint: str, named: bool = True
) -> Inputs:
    """`read` for a command that makes many runs. `hint`: see `check_many`. Raises `UsageError`."""
    given = read(args, config, named=named)
    check_many(given.settings, hint=hint)
    return given


def read_for_up(args: Sequence[str], config: Path | None) -> Inputs:
    """`read` for `up`. Raises `UsageError`."""
    check_up(args)
    given = read(args, config)
    check_initial_load(args, given.settings)
    return given
