"""`loadgenctl stats`, `regen`, `top` and `slog`: what is there already, without an engine."""

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
Junit = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write a JUnit report there, whatever the outcome."),
]
Markdown = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write a page in Markdown there; - prints it instead of the tables."
    ),
]
Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN…", help="Results folders, also of killed runs.")
]


def stats_command(
    runs: Runs,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON; of several runs, a list.")
    ] = False,
    csv_output: Annotated[
        bool, typer.Option("--csv", help="Print CSV: a row per run, by commit time.")
    ] = False,
    parquet: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write blocks, cycles and samples there as Parquet; needs the extra parquet.",
        ),
    ] = None,
    junit: Junit = None,
    markdown: Markdown = None,
) -> None:
    """Show what runs measured, recomputed from their records.

    Folders of the original load generator are read too.
    """
    from loadgenctl.cli.reporting import ReportFiles
    from loadgenctl.cli.stats import show_stats

    files = ReportFiles(junit, markdown)
    show_stats(runs, as_json=json_output, as_csv=csv_output, parquet=parquet, files=files)


def regen_command(
    runs: Runs,
    json_output: Json = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also runs of other machines that say they still go on."),
    ] = False,
) -> None:
    """Make blocks.jsonl, cycles.jsonl and summary.json of ended runs anew; say what changed.

    From slogs, events, samples and perf.jsonl, which stay as they are; also of
    runs that were killed, and of the original load generator's folders.
    """
    from loadgenctl.cli.regen import regenerate_folders
    from loadgenctl.cli.streams import keep_going

    keep_going()
    regenerate_folders(runs, as_json=json_output, force=force)


def top_command(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN|live", help="Results folder, or `live`: the run that goes on."),
    ] = "live",
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default="results", help="Where `live` looks for folders of runs."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the same as a JSON document and end.")
    ] = False,
) -> None:
    """Watch a run: blocks, cycles, vats, containers, storage. Only its folder is read.

    On a terminal it is drawn anew every second until the run ends, q or Ctrl-C; elsewhere, and of a
    run that has ended, there is one picture.
    """
    from loadgenctl.cli.top import show_top

    show_top(run, results, once=once, as_json=json_output)


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


@slog_app.command("tail")
def slog_tail_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A slog that grows, or a run's results folder.")
    ],
    blocks: Annotated[
        int | None, typer.Option("--for", min=1, metavar="N", help="End after N blocks.")
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print a JSON object per block.")
    ] = False,
) -> None:
    """Follow a running chain, block by block; Ctrl-C ends it.

    Shows the last 10 blocks, then every new one: a table on a terminal, lines
    elsewhere. In a results folder it goes on from stage to stage and ends with
    the run.
    """
    from loadgenctl.cli.tail import show_tail

    show_tail(file, blocks=blocks, as_json=json_output)
