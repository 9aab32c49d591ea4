"""`loadgenctl queue`: measure a list of revisions."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadgenctl.cli.daily import (
    QuietMany,
    RetryAfter,
    Speaker,
    many_runs,
    run_options,
    seconds,
)
from loadgenctl.cli.parameters import Config
from loadgenctl.cli.standard_streams import keep_going
from loadgenctl.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from loadgenctl.daily.queue_service import LineResult
    from loadgenctl.model import ResolvedRevision, RunPlan
    from loadgenctl.sources.git import GitSource

_HINT = "a line of the list begins with its revision; results go below the working directory"
_MOST_BYTES = 1024 * 1024


def queue_command(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE|-", help="The list; - reads standard input.")
    ],
    attempts: Annotated[
        int, typer.Option(min=1, metavar="N", help="Skip a line after N failures.")
    ] = 1,
    retry_after: RetryAfter = "5",
    quiet: QuietMany = False,
    config: Config = None,
) -> None:
    """Measure a list of revisions, one per line, in order.

    A line may have options after the revision: those of `loadgenctl run`, quoted as for a shell.
    `#` begins a comment. Results are in `queue-REVISION/attempt-N` below the working directory. If
    restarted, it continues where it left off. See docs/daily.md.

    It also takes the options of `loadgenctl run` below, after FILE, for every run.

    Exit codes: 0 all lines passed, else that of the first line that did not; 2 also for an invalid
    list, of which nothing is run; 130 interrupted.
    """
    from loadgenctl.cli.merged_options import read_for_many
    from loadgenctl.cli.wiring import engine_ready, git_source
    from loadgenctl.daily.queue_service import PREFIX, Queue, exit_code, parse, prepare
    from loadgenctl.run.interrupt import Interrupts

    keep_going(code_stays=True)
    if str(file).startswith("--"):
        raise UsageError(
            f"the list comes before {file}", hint="loadgenctl queue FILE, then further options"
        )
    pause = seconds(retry_after, "--retry-after")
    given = read_for_many(ctx.args, config, hint=_HINT)
    lines = parse(read_list(file))
    common = run_options(given, ctx.args, PREFIX.rstrip("-"))
    say, interrupts = Speaker(quiet), Interrupts()
    plans = _Plans(git_source(given.site(), say.unless_same), config)
    with many_runs("queue", config, say, interrupts) as held:
        entries = prepare(lines, common, plans.check, plans.resolve)
        queue = Queue(
            attempts=held,
            journal=held.journal,
            clock=held.clock,
            limit=attempts,
            retry_after=pause,
            ready=engine_ready,
            check=interrupts.check,
        )
        before = queue.done(entries)
        try:
            queue.run(entries)
        except Interrupted:
            held.journal.record("stopped", f"stopped by {interrupts.name}", signal=interrupts.name)
            raise
        finally:
            results = queue.results(entries, before)
            show_results(results)
    raise typer.Exit(exit_code(results))


def read_list(file: Path) -> str:
    """The list's text; `-` is standard input. Raises `UsageError`."""
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with file.open("rb") as stream:
                content = stream.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"cannot read the list {file}: {error.strerror}",
            hint="loadgenctl queue FILE; - reads standard input",
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the list {file} is not UTF-8 text", hint="one revision per line"
        ) from error
    if len(content) > _MOST_BYTES:
        raise UsageError(f"the list {file} is longer than 1 MiB", hint="one revision per line")
    return text


def show_results(results: Sequence[LineResult]) -> None:
    """Print a table with a row per line, and the lines' own options if any line has some."""
    from loadgenctl.cli.print_data import print_table

    heads = ["line", "revision", "commit", "outcome", "attempts", "minutes", "folder"]
    rows = [_row(result) for result in results]
    if any(result.entry.line.options for result in results):
        heads.append("options")
        rows = [
            (*row, shlex.join(result.entry.line.options))
            for row, result in zip(rows, results, strict=True)
        ]
    print_table(heads, rows, right="minutes")


def _row(result: LineResult) -> tuple[str, ...]:
    line, request, last = result.entry.line, result.entry.request, result.history.decisive
    outcome = "not run" if last is None else last.outcome or "not begun"
    return (
        str(line.number),
        line.revision,
        request.commit[:12],
        f"{outcome} (before)" if result.before else outcome,
        str(len(result.history.attempts)),
        "" if last is None else f"{(last.ended_at - last.started_at) / 60:.1f}",
        request.name if last is None else f"{request.name}/{last.folder.name}",
    )


@dataclass(slots=True)
class _Plans:
    """From a line's options to the plan of its run, and to its revision."""

    source: GitSource
    config: Path | None
    _made: dict[tuple[str, tuple[str, ...]], RunPlan] = field(default_factory=dict)

    def check(self, revision: str, options: tuple[str, ...]) -> None:
        """See `daily.queue_service.Check`."""
        from loadgenctl.cli.merged_options import read, read_for_many
        from loadgenctl.sources.giturl import check_revision

        check_revision(revision)
        read_for_many(options, self.config, hint=_HINT, named=False)
        plan = read((*options, "--revision", revision), self.config, named=False).plan()
        self._made[revision, options] = plan

    def resolve(self, revision: str, options: tuple[str, ...]) -> ResolvedRevision:
        """See `daily.queue_service.Resolve`."""
        from loadgenctl.sources.base import SourceRequest

        plan = self._made[revision, options]
        return self.source.resolve(SourceRequest(plan.sdk, plan.revision, plan.repository))
