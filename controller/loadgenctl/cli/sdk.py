"""`loadgenctl sdk`: built SDKs, kept in the cache; and builds without a run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from loadgenctl.cli.parameters import PASS_ON, BuildCommand, Config, Json, QuickGroup, Quiet
from loadgenctl.cli.standard_streams import keep_going
from loadgenctl.errors import BuildError, EngineUnavailable, UsageError

if TYPE_CHECKING:
    from loadgenctl.cli.merged_options import Inputs
    from loadgenctl.cli.wiring import Wiring
    from loadgenctl.model import RunPlan
    from loadgenctl.run.context import Services
    from loadgenctl.run.sdk_build import BuiltSdk
    from loadgenctl.sources.sdk_cache import CacheEntry, SdkCache

Tags = Mapping[str, str]
"""Image id → tag."""
KEPT_LOGS = 20

sdk_app = typer.Typer(
    cls=QuickGroup, no_args_is_help=True, help="List, build and remove SDKs, kept for later runs."
)


@sdk_app.command("list")
def list_command(json_output: Json = False) -> None:
    """List the built SDKs: revision, size, image."""
    from loadgenctl.cli.wiring import sdk_cache

    show_sdks(sdk_cache(), _tags(), as_json=json_output)


@sdk_app.command("build", cls=BuildCommand, context_settings=PASS_ON)
def build_command(
    ctx: typer.Context, json_output: Json = False, quiet: Quiet = False, config: Config = None
) -> None:
    """Build an SDK revision for later runs, without running it.

    Builds its image first, if necessary. With --src, your own folder is built in place, as the
    folder's owner.

    Exit codes: 0 built, or found built; 2 bad usage; 3 build failed; 130 interrupted.
    """
    from loadgenctl.cli.merged_options import read_for_build
    from loadgenctl.cli.wiring import sdk_cache
    from loadgenctl.run.sdk_build import make

    keep_going()
    with making(read_for_build(ctx.args, config), quiet=quiet) as work:
        made = make(work.plan, work.services, work.log)
    show_made(sdk_cache(), made, as_json=json_output)


@sdk_app.command("remove")
def remove_command(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY", help="Keys shown by `sdk list`.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove all built SDKs.")] = False,
) -> None:
    """Remove built SDKs. SDKs in use by a run are kept."""
    from loadgenctl.cli.wiring import sdk_cache

    keep_going()
    remove_sdks(sdk_cache(), keys or [], everything=everything)


def show_sdks(cache: SdkCache, tags: Tags | None, *, as_json: bool) -> None:
    """Print the builds in `cache`, newest first.

    `tags` are the engine's images; None if no engine answers.
    """
    from loadgenctl.cli.print_data import print_json, print_table
    from loadgenctl.formatting import size

    entries = cache.list()
    if as_json:
        print_json([_document(entry, tags) for entry in entries])
        return
    if not entries:
        sys.stdout.write(f"no built SDKs in {cache.root}\n")
        return
    heads = ("key", "family", "revision", "commit time", "built", "size", "image")
    print_table(heads, [_row(entry, tags) for entry in entries], right="size")
    total = sum(entry.record.size_bytes for entry in entries)
    sys.stdout.write(f"{size(total)} in {cache.root}\n")


def show_made(cache: SdkCache, made: BuiltSdk, *, as_json: bool) -> None:
    """Print the result of a build: its folder and its image."""
    from loadgenctl.cli.print_data import print_json
    from loadgenctl.formatting import size

    entry = next((entry for entry in cache.list() if entry.source == made.source_dir), None)
    if as_json:
        document: dict[str, Any] = {
            "source": str(made.source_dir),
            "commit": made.sdk.resolved.commit,
            "image": made.image.tag,
            "image_id": made.image.id,
        }
        if entry is not None:
            document |= _document(entry, {made.image.id: made.image.tag})
        print_json(document)
    elif entry is not None:
        sys.stdout.write(f"{entry.key} ({size(entry.record.size_bytes)}) in {entry.source}\n")
    else:
        sys.stdout.write(f"{made.source_dir}\n")


def remove_sdks(cache: SdkCache, keys: Sequence[str], *, everything: bool) -> None:
    """Remove builds.

    Raises `UsageError` when the others are removed, if a build is in use or a key is unknown.
    """
    from loadgenctl.formatting import size

    if everything == bool(keys):
        raise UsageError(
            "say which SDKs to remove: KEY… or --all",
            hint="`loadgenctl sdk list` shows what is there",
        )
    if everything:
        cache.sweep()
    refused: list[UsageError] = []
    for key in cache.keys() if everything else keys:
        try:
            freed = cache.remove(key)
        except UsageError as error:
            refused.append(error)
        else:
            sys.stdout.write(f"removed {key} ({size(freed)})\n")
    if refused:
        raise UsageError("; ".join(error.message for error in refused), hint=refused[0].hint)


def _tags() -> Tags | None:
    from loadgenctl.cli.wiring import image_store

    try:
        with image_store() as store:
            return {info.id: info.tag for info in store.list()}
    except EngineUnavailable:
        return None


def _document(entry: CacheEntry, tags: Tags | None) -> dict[str, Any]:
    """Times in seconds since the epoch, size in bytes; `image` is null if the engine lacks it."""
    record = entry.record
    return {
        "key": entry.key,
        "family": record.family,
        "revision": record.requested,
        "commit": record.commit,
        "commit_time": record.commit_time,
        "repository": record.repository,
        "built_at": record.built_at,
        "size_bytes": record.size_bytes,
        "image": (tags or {}).get(record.image),
        "image_id": record.image,
        "source": str(entry.source),
    }


def _row(entry: CacheEntry, tags: Tags | None) -> tuple[str, ...]:
    from loadgenctl.formatting import moment, size

    record = entry.record
    return (
        entry.key,
        record.family,
        record.requested,
        moment(record.commit_time),
        moment(record.built_at),
        size(record.size_bytes),
        _image(record.image, tags),
    )


def _image(image: str, tags: Tags | None) -> str:
    """The image's tag; `ID (gone)` for a build that is never used again, as its image is gone."""
    short = image.removeprefix("sha256:")[:12]
    if tags is None:
        return short
    return tags.get(image, f"{short} (gone)")


class Work(NamedTuple):
    """What a build needs."""

    plan: RunPlan
    wiring: Wiring
    services: Services
    log: Path
    """For the build's output; kept only if the build fails."""


@contextmanager
def making(given: Inputs, *, quiet: bool) -> Iterator[Work]:
    """Build something on the Docker engine, without a run.

    Raises `EngineUnavailable`, `UsageError`; passes on `BuildError`, and prints where the log is.
    """
    from loadgenctl.cli.wiring import at_work
    from loadgenctl.resources import cache_dir

    plan = given.plan(only_build=True)
    with at_work(given.site(), quiet=quiet) as wiring:
        services = wiring.services(plan)
        log = new_log(cache_dir() / "logs", f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
        try:
            yield Work(plan, wiring, services, log)
        except BuildError as error:
            if log.exists() and str(log) not in (error.hint or ""):
                services.progress.note(f"the complete output is in {log}")
            raise
        except BaseException:
            log.unlink(missing_ok=True)
            raise
        log.unlink(missing_ok=True)


def new_log(folder: Path, name: str) -> Path:
    """The path for a new build log; removes all but the newest logs beside it."""
    from loadgenctl.file_errors import file_error

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("build-*.log"))[: -KEPT_LOGS + 1]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise file_error(error) from error
    return folder / f"build-{name}.log"
