"""`loadgenctl list`, `stats`, `top` and `slog`: commands that need no engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadgenctl.cli.parameters import Csv, Json, Junit, Markdown, QuickGroup, Runs

slog_app = typer.Typer(
    cls=QuickGroup,
    no_args_is_help=True,
    help="Numbers from a chain's slog: .slog, .slog.gz or .slog.zst, also one that is cut off.",
)

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE", help="Slogs; those of stages in the order of stages."),
]
Perf = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The run's perf.jsonl, from which the times of chain ready and shutdown are read.",
    ),
]
Stage = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Stage of the slog in perf.jsonl; by default by the file's name."
    ),
]
JsonOfRuns = Annotated[bool, typer.Option("--json", help="Print JSON; of several runs, a list.")]
CsvOfRuns = Annotated[bool, typer.Option("--csv", help="Print CSV: a row per run, by commit time.")]
Parquet = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Write blocks, cycles and samples there as Parquet; needs the extra parquet.",
    ),
]


def list_command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Folders that contain runs; results/ if not given."),
    ] = None,
    json_output: Json = False,
    csv_output: Csv = False,
) -> None:
    """List runs, the newest first: SDK, outcome, duration, stages, cycles.

    Attempts of `daily` and `queue` are found one level deeper.
    """
    from loadgenctl.cli.list_runs import show_list

    show_list(folders or [], as_json=json_output, as_csv=csv_output)


def stats_command(
    runs: Runs = None,
    json_output: JsonOfRuns = False,
    csv_output: CsvOfRuns = False,
    parquet: Parquet = None,
    junit: Junit = None,
    markdown: Markdown = None,
) -> None:
    """Show what runs measured, recomputed from their records.

    Folders of the original load generator are read, too. Of several paths, those without a
    readable run are left out with a warning; the exit code is 2 only if no run is left.
    """
    from functools import cache
    from sys import stdout

    from rich.console import Console

    from loadgenctl.cli.find_runs import find_runs
    from loadgenctl.cli.print_data import print_csv, print_json, width_for
    from loadgenctl.cli.report_files import ReportFiles
    from loadgenctl.errors import UsageError
    from loadgenctl.reports.facts import read_facts
    from loadgenctl.reports.table_model import WIDTH
    from loadgenctl.reports.text import print_runs

    folders, files = find_runs(runs or []), ReportFiles(junit, markdown)
    if sum((json_output, csv_output, parquet is not None, files.prints)) > 1:
        raise UsageError(
            "--json, --csv, --parquet and --markdown - exclude each other", hint="give one of them"
        )
    files.check()
    facts = cache(lambda: [read_facts(run) for run in folders])
    # Before anything is printed: the reader of the output may be gone.
    troubles = files.write(facts)
    if csv_output:
        from loadgenctl.stats.run_rows import run_row, table

        print_csv(*table(run_row(run) for run in folders))
    elif parquet is not None:
        from loadgenctl.reports.parquet import load_polars, write_tables
        from loadgenctl.stats.columnar import tables

        # Missing polars is reported at once, not after the folders were read.
        polars = load_polars()
        stdout.writelines(f"{file}\n" for file in write_tables(parquet, tables(folders), polars))
    elif json_output:
        summaries = [run.summary for run in facts()]
        print_json(summaries[0] if len(summaries) == 1 else summaries)
    elif not files.prints:
        console = Console()
        print_runs(console, facts(), width_for(console, WIDTH))
    for trouble in troubles:
        raise trouble


def top_command(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|live",
            help="Results folder, name below results/ or id; `live`: the run in progress.",
        ),
    ] = "live",
    results: Annotated[
        Path | None,
        typer.Option(metavar="DIR", show_default="results", help="Where `live` searches for runs."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one picture and exit.")] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the same as a JSON document and exit.")
    ] = False,
) -> None:
    """Watch a run: blocks, cycles, vats, containers, storage. Only its folder is read.

    On a terminal the picture is drawn every second until the run ends, or q or Ctrl-C is pressed.
    Elsewhere, and for a run that has ended, one picture is printed.
    """
    from loadgenctl.cli.find_runs import find_run
    from loadgenctl.cli.top import LIVE, show_top

    named = run if run == LIVE else str(find_run(run))
    show_top(named, results, once=once, as_json=json_output)


@slog_app.command("blocks")
def slog_blocks_command(
    files: Files,
    json_output: Json = False,
    csv_output: Csv = False,
    perf: Perf = None,
    stage: Stage = None,
) -> None:
    """Show the numbers of every block.

    Without --perf, the time when the chain was ready is not known: every block counts as catch-up
    (liveMode false) and as before the shutdown, as in the original tool's replay of a slog.
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
        Path,
        typer.Argument(metavar="FILE|RUN", help="A slog that grows, or a run as for `stats`."),
    ],
    blocks: Annotated[
        int | None, typer.Option("--for", min=1, metavar="N", help="Exit after N blocks.")
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print a JSON object per block.")
    ] = False,
) -> None:
    """Follow a running chain, block by block; Ctrl-C ends it.

    Shows the last 10 blocks, then every new one: a table on a terminal, lines
    elsewhere. In a results folder it follows the run from stage to stage and ends with it.
    """
    from loadgenctl.cli.find_runs import find_run
    from loadgenctl.cli.tail import show_tail
    from loadgenctl.slog.files import STANDARD_INPUT

    # `-` means standard input, even if there is a run of that name.
    found = file if str(file) in STANDARD_INPUT else find_run(file)
    show_tail(found, blocks=blocks, as_json=json_output)
