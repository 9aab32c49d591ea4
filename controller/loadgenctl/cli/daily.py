"""`loadgenctl daily`: the service that follows a branch, on the real seams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.cli.inputs import read_for_many
from loadgenctl.cli.many import Speaker, many_runs, run_options, seconds
from loadgenctl.cli.wiring import engine_ready, git_source, sdk_cache
from loadgenctl.daily.disk import Pruner, Retention
from loadgenctl.daily.service import PREFIX, BranchService, FollowOptions
from loadgenctl.errors import Interrupted, UsageError
from loadgenctl.model import ResolvedRevision, RunPlan
from loadgenctl.plan.arguments import parse_value
from loadgenctl.plan.options import Option
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.git import DEFAULT_REPOSITORY, GitSource
from loadgenctl.sources.giturl import check_revision, parse_repository
from loadgenctl.sources.mirror import DEFAULT_BRANCH

_HINT = "daily follows a branch: --branch, --sdk-repo; results go below the working directory"
_MAX_DISK = Option("max-disk", "bytes", None, "room for all attempts", "")


@dataclass(frozen=True, slots=True)
class Limits:
    """The service's own options, as they were typed."""

    poll: str
    """Minutes, or a time with units."""
    attempts: int
    retry_after: str
    """The same."""
    keep: int
    max_disk: str | None

    def retention(self) -> Retention:
        """Raises `UsageError` for what is no size."""
        size = self.max_disk
        most = None if size is None else parse_value(_MAX_DISK, size, "--max-disk")
        return Retention(self.keep, most)


def follow(
    args: Sequence[str],
    config: Path | None,
    *,
    branch: str | None,
    limits: Limits,
    once: bool,
    quiet: bool = False,
) -> int:
    """Follow the branch until stopped, or do what is due once; the exit code.

    Raises `UsageError` for what was asked of the service, and with `once` what a look raises. With
    `quiet` only what has gone wrong is reported.
    """
    given = read_for_many(args, config, hint=_HINT)
    plan = given.plan()
    retention = limits.retention()
    options = FollowOptions(
        branch=branch,
        repository=_followable(plan, branch),
        options=run_options(given, args, PREFIX.rstrip("-")),
        poll=seconds(limits.poll, "--poll"),
        attempts=limits.attempts,
        retry_after=seconds(limits.retry_after, "--retry-after"),
    )
    say, interrupts = Speaker(quiet), Interrupts()
    source = git_source(given.site(), say.unless_same)
    with many_runs("daily", config, say, interrupts) as attempts:
        service = BranchService(
            options=options,
            attempts=attempts,
            pruner=Pruner(attempts.root, PREFIX, retention, attempts.clock, sdk_cache()),
            journal=attempts.journal,
            clock=attempts.clock,
            newest=_newest(source, plan, branch),
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
            # A service that its manager ends by SIGTERM, and that ends well, has not failed.
            return 0 if interrupts.name == "SIGTERM" and not once else error.exit_code


def _followable(plan: RunPlan, branch: str | None) -> str:
    """The repository's public address. Raises `UsageError` for what waiting would not fix."""
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
    # By its full name: a tag, or a commit's beginning, may read the same.
    plain = branch in DEFAULT_BRANCH or branch.startswith("refs/")
    name = branch if plain else f"refs/heads/{branch}"
    request = SourceRequest(plan.sdk, name, plan.repository)
    return lambda: source.resolve(request)
