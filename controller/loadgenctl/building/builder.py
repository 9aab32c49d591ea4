"""Build an SDK in a builder container, once per revision and image."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import orjson

from loadgenctl.building.failure import failure, missing_versions, versions_missing, written
from loadgenctl.clock import Clock
from loadgenctl.engines.base import Engine, Handle, LogFollower, RoleState
from loadgenctl.errors import BuildError, UsageError, VersionsMissing, cleaned_up
from loadgenctl.masking import Mask
from loadgenctl.model import Command, Mount, ResolvedRevision, RoleSpec
from loadgenctl.sdks.base import SRC, BuildRecipe
from loadgenctl.sources.base import SdkSource
from loadgenctl.sources.fill_folder import filling
from loadgenctl.sources.giturl import slug_of
from loadgenctl.sources.locks import exclusive
from loadgenctl.sources.sdk_cache import SOURCE, SdkCache, disk_usage, key_of, record_of

_STEP_TIMEOUT = 2 * 3600.0
"""Time limit, in seconds, of a step without its own."""
_POLL_SECONDS = 0.5
_TAIL_LINES = 30
# Two streams would reach the log by two pipes in any order: the reason of a failure could be
# anywhere before the end of the log.
_ONE_STREAM = ("/bin/sh", "-c", 'exec "$@" 2>&1', "sh")


def _ignore(_text: str) -> None:
    return None


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class SdkBuild:
    """What is to be built, by which steps, and in which image."""

    source: SdkSource
    resolved: ResolvedRevision
    recipe: BuildRecipe
    image: str
    """The image's id."""


@dataclass(slots=True)
class Builder:
    """Where and how SDKs are built; one per command."""

    engine: Engine
    clock: Clock
    cache: SdkCache
    packages: Path
    """Folder of the package managers' caches, kept between builds."""
    user: str
    """`uid:gid` of the build, and later of every role."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The site's variables, for every step."""
    mounts: Sequence[Mount] = ()
    """The site's mounts."""
    mask: Mask = field(default_factory=Mask)
    """Masks the site's secrets in what the steps print."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The owner of the builder containers."""
    on_step: Callable[[str], None] = _ignore
    """Called with the name of each step that begins."""
    on_line: Callable[[str], None] = _ignore
    """Called with every line of output."""
    check: Callable[[], None] = _nothing
    """Called several times per second; raises to stop the build."""
    cleaning: Callable[[], AbstractContextManager[object]] = nullcontext
    """Entered during the removal of a builder container, which a second Ctrl-C must not prevent."""

    def build(self, what: SdkBuild, log: Path) -> Path:
        """The built tree of a revision: from the cache, or built now. Raises `BuildError`.

        `log` gets the output of every step. Of several simultaneous builds of one revision and
        image, one builds, and the others wait for it and use the result. An interrupted build
        leaves nothing.
        """
        record = record_of(what.resolved, what.image, recipe_id(what.recipe))
        found = self.cache.lookup(record)
        if found:
            return found.source
        key = key_of(record)
        waiting = f"waiting for another build of {what.resolved.short}"
        with self.cache.building(
            key, self.clock, on_wait=lambda: self.on_step(waiting), check=self.check
        ):
            found = self.cache.lookup(record)
            if found:
                return found.source
            partial = self.cache.partial(key)
            with self._discarded_on_error(key):
                tree = partial / SOURCE
                durations = self._make(what, tree, log)
                done = replace(
                    record,
                    built_at=self.clock.wall(),
                    durations=durations,
                    size_bytes=disk_usage(tree),
                )
                return self.cache.finish(key, partial, done).source

    def in_use(self, tree: Path) -> AbstractContextManager[None]:
        """Protects a built tree from removal; hold it while roles have the tree mounted."""
        return self.cache.in_use(tree)

    def build_in_place(self, folder: Path, recipe: BuildRecipe, image: str, log: Path) -> Path:
        """Run the steps in a person's own folder, as its owner. Raises `BuildError`."""
        owner = folder.stat()
        mine = replace(self, user=f"{owner.st_uid}:{owner.st_gid}")
        mine.run_steps(recipe, image, folder, log, of=str(folder.resolve()))
        return folder

    def fill(self, what: SdkBuild, folder: Path, log: Path) -> Path:
        """Check out and build in a person's own empty folder, as its owner. Raises `BuildError`.

        A caller who is not root builds as itself. A build that fails or is interrupted leaves the
        folder empty.
        """
        owner = folder.stat()
        user = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        mine = replace(self, user=f"{user[0]}:{user[1]}")
        with filling(folder, self.cleaning):
            mine._make(what, folder, log)
        return folder

    def run_steps(
        self, recipe: BuildRecipe, image: str, tree: Path, log: Path, *, of: str
    ) -> dict[str, float]:
        """Run a recipe's steps, `tree` mounted at /src; step → seconds.

        `of` is the tree's repository or folder: its builds share the package managers' caches.
        """
        if not recipe.steps:
            return {}
        durations: dict[str, float] = {}
        log.parent.mkdir(parents=True, exist_ok=True)
        with self._package_caches(recipe, of) as mounts, log.open("ab") as file:
            for number, step in enumerate(recipe.steps, 1):
                label = step.label or " ".join(step.argv)
                self.on_step(label)
                file.write(f"==> {label}\n".encode())
                began, begun = self.clock.monotonic(), file.tell()
                everything = [Mount(str(tree), SRC), *mounts, *recipe.mounts]
                try:
                    self._run_step(self._spec(step, number, image, everything), label, file, log)
                except VersionsMissing:
                    if recipe.ask_modules is not None:
                        asking = self._spec(recipe.ask_modules, number + 1, image, everything)
                        self._ask_modules(asking, label, begun, file, log)
                    raise
                durations[label] = round(self.clock.monotonic() - began, 3)
        return durations

    def _make(self, what: SdkBuild, tree: Path, log: Path) -> dict[str, float]:
        began, resolved = self.clock.monotonic(), what.resolved
        self.on_step(f"checking out {resolved.short}")
        what.source.materialize(resolved, what.recipe, tree)
        hand_over(tree, self.user)
        checkout = round(self.clock.monotonic() - began, 3)
        steps = self.run_steps(what.recipe, what.image, tree, log, of=resolved.repository)
        return {"checkout": checkout, **steps}

    def _spec(self, step: Command, number: int, image: str, mounts: Sequence[Mount]) -> RoleSpec:
        # HOME: most users have no entry in the container's passwd, and tools refuse to run in /.
        env = {"HOME": "/tmp", **step.env, **self.env}  # noqa: S108 - a path in the container
        unique = hashlib.sha256(repr((mounts[0], self.clock.wall())).encode()).hexdigest()[:8]
        return RoleSpec(
            name=f"loadgenctl-builder-{os.getpid()}-{unique}-{number}",
            role="builder",
            image=image,
            command=replace(
                step, argv=(*_ONE_STREAM, *step.argv), env=env, workdir=step.workdir or SRC
            ),
            mounts=(*mounts, *self.mounts),
            user=self.user,
            network="own",
            labels=self.labels,
        )

    def _run_step(self, spec: RoleSpec, label: str, file: BinaryIO, log: Path) -> None:
        handle: Handle | None = None

        def clean() -> None:
            with self.cleaning():
                self._remove(spec.name, handle)

        with cleaned_up(clean):
            handle, begun = self.engine.create(spec), file.tell()
            self.engine.start(handle)
            state = self._watch(handle, spec.command, label, file)
            if state.exit_code != 0:
                tail = self._last_lines(handle)
                raise failure(label, state, tail, written(log, begun), log)

    def _ask_modules(
        self, spec: RoleSpec, label: str, begun: int, file: BinaryIO, log: Path
    ) -> None:
        """Go stops at the first missing module: fetch the others, to name all that are missing.

        Raises `VersionsMissing` if the step lacks a Go module.
        """
        if not any(one.ecosystem == "go" for one in missing_versions(written(log, begun))):
            return
        self.on_step("looking for other missing Go modules")
        with suppress(BuildError):
            self._run_step(spec, label, file, log)
        raise versions_missing(label, missing_versions(written(log, begun)), log)

    def _last_lines(self, handle: Handle) -> list[str]:
        return [self.mask(line) for line in self.engine.tail(handle, _TAIL_LINES)]

    def _watch(self, handle: Handle, step: Command, label: str, file: BinaryIO) -> RoleState:
        limit = step.timeout if step.timeout is not None else _STEP_TIMEOUT
        deadline = self.clock.monotonic() + limit
        output = _Output(file, self.on_line, self.mask)
        follower = self.engine.follow(handle)
        try:
            while True:
                self.check()
                state = self.engine.wait(handle, _POLL_SECONDS)
                output.add(follower.poll())
                if not state.running:
                    break
                if self.clock.monotonic() > deadline:
                    raise BuildError(
                        f"the build step {label!r} did not finish within {limit:.0f} s",
                        hint="the end of its output is below; is a server it needs down?",
                        detail="\n".join(self._last_lines(handle)),
                    )
            output.complete(self.engine, handle, follower)
        finally:
            output.close()
            follower.close()
        return state

    def _remove(self, name: str, handle: Handle | None) -> None:
        if handle is not None:
            self.engine.remove(handle)
            return
        # Interrupted during its creation: the engine may have it although there is no handle.
        for item in self.engine.leftovers():
            if item.name == name:
                self.engine.remove_leftover(item)

    @contextmanager
    def _package_caches(self, recipe: BuildRecipe, of: str) -> Iterator[list[Mount]]:
        """Hold a repository's caches: two builds that fill one at the same time corrupt it.

        Every repository has its own, because a build can write programs into its caches that later
        builds run.
        """
        mounts, place = [], slug_of(of)
        with ExitStack() as held:
            for name, target in sorted(recipe.caches.items()):
                waiting = f"waiting for another build, which uses the {name} cache"
                held.enter_context(
                    exclusive(
                        self.packages / ".locks" / f"{place}-{name}.lock",
                        self.clock,
                        on_wait=lambda text=waiting: self.on_step(text),  # type: ignore[misc]
                        check=self.check,
                    )
                )
                folder = self.packages / place / name
                folder.mkdir(parents=True, exist_ok=True)
                if not _owned(folder, self.user):
                    hand_over(folder, self.user)
                mounts.append(Mount(str(folder.resolve()), target))
            yield mounts

    @contextmanager
    def _discarded_on_error(self, key: str) -> Iterator[None]:
        def clean() -> None:
            with self.cleaning():
                self.cache.discard_partial(key)

        with cleaned_up(clean):
            try:
                yield
            except OSError as error:
                raise BuildError(
                    f"the SDK's tree cannot be written: {error.strerror or error}",
                    hint=f"is there space on the disk of {self.cache.root}?",
                ) from error


@dataclass(slots=True)
class _Output:
    """A step's output, for the log and the person: by lines, as a chunk may split a secret."""

    file: BinaryIO
    on_line: Callable[[str], None]
    mask: Mask
    taken: int = 0
    rest: bytes = b""

    def add(self, data: bytes) -> None:
        if not data:
            return
        self.taken += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            text = self.mask(line.decode("utf-8", "surrogateescape"))
            masked = text.encode("utf-8", "surrogateescape")
            self.file.write(masked + b"\n")
            self.on_line(masked.decode("utf-8", "replace").rstrip("\r"))
        self.file.flush()

    def complete(self, engine: Engine, handle: Handle, follower: LogFollower) -> None:
        """After the container's end: the follower may lag, so read the rest from the log itself."""
        self.add(follower.poll())
        skip = self.taken
        for chunk in engine.logs(handle):
            self.add(chunk[skip:])
            skip = max(0, skip - len(chunk))
        self.close()

    def close(self) -> None:
        """A last line may lack its end."""
        if self.rest:
            rest, self.rest = self.rest, b""
            self.add(rest + b"\n")


def recipe_id(recipe: BuildRecipe) -> str:
    """A hash of the build: its steps and what is checked out."""
    steps = [(step.argv, sorted(step.env.items()), step.workdir) for step in recipe.steps]
    document = (steps, recipe.sparse, sorted(recipe.submodules.items()))
    return hashlib.sha256(orjson.dumps(document)).hexdigest()[:16]


def hand_over(tree: Path, user: str) -> None:
    """Give a tree to `uid:gid` if the caller is root; else `uid` must be the caller."""
    uid, gid = owner_ids(user)
    if os.geteuid() != 0:
        if uid != os.geteuid():
            raise UsageError(
                f"only root can build as another user ({user})",
                hint="omit the user: the build then runs as you",
            )
        return
    os.chown(tree, uid, gid)
    for folder, names, files in os.walk(tree):
        for name in (*names, *files):
            os.chown(Path(folder, name), uid, gid, follow_symlinks=False)


def owner_ids(user: str) -> tuple[int, int]:
    """`uid:gid` or `uid` (the group then has the same number)."""
    uid, _, gid = user.partition(":")
    if not uid.isdigit() or not (gid or uid).isdigit():
        raise UsageError(f"{user!r} is not a user", hint="give numbers: UID:GID")
    return int(uid), int(gid or uid)


def _owned(folder: Path, user: str) -> bool:
    return folder.stat().st_uid == owner_ids(user)[0]
