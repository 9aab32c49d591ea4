"""Which SDK a plan would run, found out without an engine and without fetching anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadgenctl.clock import SystemClock
from loadgenctl.errors import RevisionNotFound, UsageError
from loadgenctl.model import RunPlan
from loadgenctl.process import Runner
from loadgenctl.resources import cache_dir
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.git import DEFAULT_REPOSITORY, GitSource
from loadgenctl.sources.giturl import parse_repository

RewriteGit = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The SDK of a plan."""

    where: str
    """A folder, `bundled`, or a revision and its repository, without credentials."""
    commit: str | None = None
    """Of a repository's revision, where it is known."""
    note: str | None = None
    """Why it is not."""


def foresee(plan: RunPlan, rewrite: RewriteGit) -> Foreseen:
    """Ask the repository for the plan's revision; `rewrite` is the site's rule for addresses.

    A repository on the network that does not answer is a note. Raises `RevisionNotFound`, and
    `UsageError` for an address that cannot be one, or a folder that is no repository.
    """
    if plan.source_dir is not None and not plan.checkout:
        return Foreseen(str(plan.source_dir))
    into = f", to be built in {plan.source_dir}" if plan.checkout else ""
    if plan.sdk == "sim" and plan.repository is None:
        return Foreseen(f"bundled{into}")
    repository = parse_repository(plan.repository or DEFAULT_REPOSITORY)
    where = f"revision {plan.revision or 'HEAD'} of {repository.public}{into}"
    source = GitSource(Runner(), cache_dir(), rewrite, SystemClock())
    try:
        commit = source.look(SourceRequest(plan.sdk, plan.revision, plan.repository))
    except RevisionNotFound:
        raise
    except UsageError as error:
        if repository.local is not None:
            raise
        return Foreseen(where, note=f"the revision was not checked: {error.message}")
    if commit is None:
        return Foreseen(where, note="the run fetches the repository to look for this commit")
    return Foreseen(where, commit)
