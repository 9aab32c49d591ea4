"""`loadgenctl daily`: measure each new revision of a branch; and what it shares with `queue`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadgenctl.cli.parameters import Config, OptionsCommand
from loadgenctl.cli.standard_streams import keep_going
from loadgenctl.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from loadgenctl.cli.merged_options import Inputs
    from loadgenctl.daily.branch_service import FollowOptions
    from loadgenctl.daily.make_attempt import Attempts
    from loadgenctl.daily.pruning import Retention
    from loadgenctl.model import ResolvedRevision, RunPlan
    from loadgenctl.run.interrupt import Interrupts
    from loadgenctl.sources.git import GitSource

_HINT = "daily follows a branch: --branch, --sdk-repo; results go below the working directory"
_LONGEST_WAIT_MIN = 7 * 24 * 60.0

RetryAfter = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Pause after the first failure, in minutes or with a unit (90s). It doubles with each"
        " further failure, up to 60 minutes.",
    ),
]
QuietMany = Annotated[bool, typer.Option("--quiet", help="Print problems and failed runs only.")]


class ManyRunsCommand(OptionsCommand):
    """Takes a run's options, except those of a single run."""

    purpose = "many"


_Branch = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Branch to follow. Default: the repository's default branch."
    ),
]
_Keep = Annotated[
    int,
    typer.Option(
        min=0, metavar="N", help="Keep raw data and build of the newest N finished revisions."
    ),
]
_MaxDisk = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Disk space for all attempts, e.g. 200g. Default: no limit."),
]


def daily_command(
    ctx: typer.Context,
    branch: _Branch = None,
    poll: Annotated[
        str,
        typer.Option(metavar="TIME", help="Polling interval, in minutes or with a unit (90s)."),
    ] = "10",
    attempts: Annotated[
        int, typer.Option(min=1, metavar="N", help="Give up on a revision after N failures.")
    ] = 3,
    retry_after: RetryAfter = "5",
    keep: _Keep = 10,
    max_disk: _MaxDisk = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="Run the newest revision once, if it is due, then exit."),
    ] = False,
    quiet: QuietMany = False,
    config: Config = None,
) -> None:
    """Follow a branch: measure its newest revision, then wait for the next one.

    Results are in `daily-perf-REVISION/attempt-N` below the working directory. A revision that
    passed is not run again, even after a restart. One that failed is retried after a pause, unless
    there is a newer one. See docs/daily.md.

    It also takes the options of `loadgenctl run` below, for every run.

    Exit codes: 130 after Ctrl-C, 0 after SIGTERM, 2 bad usage. With --once: that of the run, or 0
    if nothing was due.
    """
    from loadgenctl.cli.merged_options import read_for_many
    from loadgenctl.daily.branch_service import PREFIX, FollowOptions
    from loadgenctl.daily.pruning import Retention
    from loadgenctl.plan.arguments import parse_value
    from loadgenctl.plan.options import Option

    keep_going(code_stays=True)
    given = read_for_many(ctx.args, config, hint=_HINT)
    plan = given.plan()
    size = Option("max-disk", "bytes", None, "", "")
    most = None if max_disk is None else parse_value(size, max_disk, "--max-disk")
    options = FollowOptions(
        branch=branch,
        repository=_followable(plan, branch),
        options=run_options(given, ctx.args, PREFIX.rstrip("-")),
        poll=seconds(poll, "--poll"),
        attempts=attempts,
        retry_after=seconds(retry_after, "--retry-after"),
    )
    code = _follow(options, Retention(keep, most), plan, given, config, once=once, quiet=quiet)
    raise typer.Exit(code)


def _follow(
    options: FollowOptions,
    retention: Retention,
    plan: RunPlan,
    given: Inputs,
    config: Path | None,
    *,
    once: bool,
    quiet: bool,
) -> int:
    """Follow the branch until stopped, or with `once` do what is due; return the exit code."""
    from loadgenctl.cli.wiring import engine_ready, git_source, sdk_cache
    from loadgenctl.daily.branch_service import PREFIX, BranchService
    from loadgenctl.daily.pruning import Pruner
    from loadgenctl.run.interrupt import Interrupts

    say, interrupts = Speaker(quiet), Interrupts()
    source = git_source(given.site(), say.unless_same)
    with many_runs("daily", config, say, interrupts) as attempts:
        service = BranchService(
            options=options,
            attempts=attempts,
            pruner=Pruner(attempts.root, PREFIX, retention, attempts.clock, sdk_cache()),
            journal=attempts.journal,
            clock=attempts.clock,
            newest=_newest(source, plan, options.branch),
            ready=engine_ready,
            check=interrupts.check,
        )
        try:
            if once:
                return service.once()
            service.forever()
        except Interrupted as error:
            attempts.journal.record(
                "stopped", f"stopped by {interrupts.name}", signal=interrupts.name
            )
            # A service manager's SIGTERM is an ordinary end, not a failure.
            return 0 if interrupts.name == "SIGTERM" and not once else error.exit_code


def _followable(plan: RunPlan, branch: str | None) -> str:
    """The repository's public address. Raises `UsageError` for what waiting would not fix."""
    from loadgenctl.sources.git import DEFAULT_REPOSITORY
    from loadgenctl.sources.giturl import check_revision, parse_repository

    if branch is not None:
        check_revision(branch)
    if plan.sdk == "sim" and plan.repository is None:
        raise UsageError(
            "the bundled simulated SDK has no branches", hint="name a git repository by --sdk-repo"
        )
    repository = parse_repository(plan.repository or DEFAULT_REPOSITORY)
    if repository.local is not None and not repository.local.is_dir():
        raise UsageError(f"there is no repository at {repository.local}", hint="check --sdk-repo")
    return repository.public


def _newest(source: GitSource, plan: RunPlan, branch: str | None) -> Callable[[], ResolvedRevision]:
    from loadgenctl.sources.base import SourceRequest
    from loadgenctl.sources.mirror import DEFAULT_BRANCH

    # The full name: a tag or an abbreviated commit id may have the same short name.
    plain = branch in DEFAULT_BRANCH or branch.startswith("refs/")
    name = branch if plain else f"refs/heads/{branch}"
    request = SourceRequest(plan.sdk, name, plan.repository)
    return lambda: source.resolve(request)


@dataclass(slots=True)
class Speaker:
    """Prints lines with the local time to standard error."""

    quiet: bool = False
    """Leave out the lines of `unless_same` and `progress`."""
    _last: str = field(default="", init=False)

    def __call__(self, text: str) -> None:
        """Print a line."""
        from rich.console import Console
        from rich.text import Text

        from loadgenctl.formatting import harmless_lines

        line = Text(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {harmless_lines(text)}")
        Console(stderr=True).print(line, soft_wrap=True)

    def unless_same(self, text: str) -> None:
        """Print a line, unless it equals the last one printed by this method."""
        if text != self._last and not self.quiet:
            self._last = text
            self(text)

    def progress(self, text: str) -> None:
        """Print a line about a run in progress."""
        if not self.quiet:
            self(text)


@contextmanager
def many_runs(
    command: str, config: Path | None, say: Speaker, interrupts: Interrupts
) -> Iterator[Attempts]:
    """Lock the working directory, handle signals, keep the journal COMMAND.jsonl.

    Raises `UsageError` if another process holds the lock.
    """
    from loadgenctl.cli.wiring import sweep_engine
    from loadgenctl.clock import SystemClock
    from loadgenctl.daily.journal import Journal
    from loadgenctl.daily.lock import sole_instance
    from loadgenctl.daily.make_attempt import Attempts
    from loadgenctl.daily.run_process import ChildRuns, ReportedRuns
    from loadgenctl.process import Runner, own_python

    folder, clock = Path.cwd(), SystemClock()
    program = own_python("loadgenctl", "run")
    named = () if config is None else ("--config", str(config))
    with interrupts.installed(), sole_instance(folder, command, clock, say) as lock:
        child = ChildRuns(Runner(), interrupts, (*program, *named), (lock,))
        runs = ReportedRuns(child, clock, say.progress)
        journal = Journal(folder / f"{command}.jsonl", clock, say, quiet=say.quiet)
        yield Attempts(folder, clock, runs, journal, sweep_engine)


def seconds(text: str, option: str) -> float:
    """Parse a waiting time: minutes, or with units. Raises `UsageError` for another text."""
    from loadgenctl.plan.arguments import parse_value
    from loadgenctl.plan.options import Option

    minutes: float = parse_value(Option(option, "number", None, "", "", unit="min"), text, option)
    if not 0.01 <= minutes <= _LONGEST_WAIT_MIN:
        raise UsageError(f"{option} takes minutes, from 0.01 to {_LONGEST_WAIT_MIN:g} (a week)")
    return minutes * 60


def run_options(given: Inputs, args: Sequence[str], kind: str) -> tuple[str, ...]:
    """The options of every run: `args`, and the kind of test as `--test-data.test-type`.

    The original load generator sets that option, too. A value of the user's own is kept.
    """
    known = given.settings.tree("test-data") or {}
    return tuple(args) if "test-type" in known else ("--test-data.test-type", kind, *args)
