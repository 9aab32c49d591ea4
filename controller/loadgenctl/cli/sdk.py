"""`loadgenctl sdk`: SDKs built and kept in the cache."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from loadgenctl.cli.inputs import Inputs
from loadgenctl.cli.making import make_ready
from loadgenctl.cli.output import print_json
from loadgenctl.cli.tables import moment, print_table, size
from loadgenctl.cli.wiring import image_store, sdk_cache
from loadgenctl.errors import EngineUnavailable, UsageError
from loadgenctl.run.making import BuiltSdk
from loadgenctl.sources.cache import CacheEntry, SdkCache

Tags = Mapping[str, str]
"""Image id → tag."""


def list_sdks(*, as_json: bool) -> None:
    """Every built SDK, newest first."""
    show_sdks(sdk_cache(), _tags(), as_json=as_json)


def show_sdks(cache: SdkCache, tags: Tags | None, *, as_json: bool) -> None:
    """Every build in `cache`; `tags` are the engine's images, None if no engine answers."""
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


def build_sdk(given: Inputs, *, as_json: bool, quiet: bool) -> None:
    """Build an SDK or find it built; nothing is run. Raises `BuildError`."""
    made = make_ready(given, quiet=quiet)
    show_made(sdk_cache(), made, as_json=as_json)


def show_made(cache: SdkCache, made: BuiltSdk, *, as_json: bool) -> None:
    """What came out of a build: where it is, and of which image."""
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
    """Remove builds; those that a run uses stay, and then `UsageError` is raised at the end."""
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
    """Its tag; of a build that is never used again, because its image is gone, that it is."""
    short = image.removeprefix("sha256:")[:12]
    if tags is None:
        return short
    return tags.get(image, f"{short} (gone)")
