"""`loadgenctl stats` and `loadgenctl slog`: what is there already, without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadgenctl.cli.commands.group import QuickGroup

slog_app = typer.Typer(
    cls=QuickGroup,
    no_args_is_help=True,
    help="Numbers from a chain's slog: .slog, .slog.gz or .slog.zst, also one that is cut off.",
)

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Slogs; of stages, in their order.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")]
Perf = Annotated[
    Path | None,
    typer.Option(help="The run's perf.jsonl: tells when the chain was ready and shut down."),
]
Stage = Annotated[
    int | None,
    typer.Option(help="Stage of the slog in perf.jsonl; by default by the file's name."),
]


def stats_command(
    run: Annotated[Path, typer.Argument(help="A results folder, also of a killed run.")],
    json_output: Json = False,
) -> None:
    """Show what a run measured, recomputed from its records."""
    from loadgenctl.cli.stats import show_stats

    show_stats(run, as_json=json_output)


@slog_app.command("blocks")
def slog_blocks_command(
    files: Files,
    json_output: Json = False,
    csv_output: Csv = False,
    perf: Perf = None,
    stage: Stage = None,
) -> None:
    """Show the numbers of every block.

    Without --perf nobody knows when the chain was ready: every block counts as catch-up
    (liveMode false) and as before the shutdown, as in the original tool's own replay of a slog.
    """
    from loadgenctl.cli.slog import show_blocks

    show_blocks(files, perf, stage, as_json=json_output, as_csv=csv_output)


@slog_app.command("stats")
def slog_stats_command(
    files: Files, json_output: Json = False, perf: Perf = None, stage: Stage = None
) -> None:
    """Show summaries of blocks, the startup, all event types, and what is odd in the file."""
    from loadgenctl.cli.slog import show_stats

    show_stats(files, perf, stage, as_json=json_output)


@slog_app.command("vats")
def slog_vats_command(files: Files, json_output: Json = False, csv_output: Csv = False) -> None:
    """Show deliveries, computrons and time of every vat, the busiest first."""
    from loadgenctl.cli.slog import show_vats

    show_vats(files, as_json=json_output, as_csv=csv_output)
