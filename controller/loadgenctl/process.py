"""The only user of subprocess: run to the end, or start and shut down gracefully."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadgenctl.errors import DeadlineExceeded, UsageError

INTERPRETER: Final = sys.executable
"""The Python that loadgenctl runs on."""
_PACKAGES: Final = Path(__file__).resolve().parents[1]
"""The folder that the package loadgenctl was imported from."""
_KEPT: Final = frozenset(
    {
        # The encoding of file names, which parent and child must share.
        "PYTHONCOERCECLOCALE",
        "PYTHONUTF8",
        # Where this Python looks for what the person installed.
        "PYTHONNOUSERSITE",
        "PYTHONUSERBASE",
        # What is written beside the modules, and what a stuck process prints.
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONFAULTHANDLER",
        "PYTHONPYCACHEPREFIX",
    }
)
"""Variables of Python that a child of ours inherits."""


def own_python(module: str, *arguments: str, interpreter: str = INTERPRETER) -> tuple[str, ...]:
    """The command line of a Python process of our own: `python -m MODULE ARGUMENTS`.

    Every such process is started with it. -P: a file in the current folder that has the name of a
    module is not imported. `own_environment` does the rest.
    """
    return (interpreter, "-P", "-m", module, *arguments)


def own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` for a Python process of our own, which other projects' settings do not change.

    PYTHONPATH would add foreign modules, PYTHONIOENCODING would change what is written into our
    files, PYTHONSAFEPATH would hide the modules beside a script. PYTHONPATH stays only as far as it
    names the folder that loadgenctl itself is imported from.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("PYTHON") or name in _KEPT
    }
    named = environment.get("PYTHONPATH", "").split(os.pathsep)
    if any(entry and Path(entry).resolve() == _PACKAGES for entry in named):
        kept["PYTHONPATH"] = str(_PACKAGES)
    return kept


def _environment(argv: Sequence[str], added: Mapping[str, str] | None) -> dict[str, str]:
    """The environment of a command: this process's and `added`."""
    merged = {**os.environ, **(added or {})}
    return own_environment(merged) if argv[0] == INTERPRETER else merged


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished command."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: bytes
    stderr: bytes

    def text(self) -> str:
        """Standard output, decoded and stripped."""
        return self.stdout.decode("utf-8", "replace").strip()

    def last_lines(self, count: int = 20) -> str:
        """The end of standard error (or output, when there is none), for an error's detail."""
        text = (self.stderr or self.stdout).decode("utf-8", "replace")
        return "\n".join(text.strip().splitlines()[-count:])


class Runner:
    """Runs commands; a seam, so that tests give a fake one."""

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run to the end. `env` is added to the environment. `UsageError` if the program is not
        there, `DeadlineExceeded` if it takes longer than `timeout` seconds.

        It runs in a session of its own: a terminal's Ctrl-C reaches this process alone, which
        decides what becomes of the command, and ends all of it if it does not wait for the end.
        """
        try:
            child = subprocess.Popen(  # noqa: S603 - argv lists only, never a shell
                list(argv),
                cwd=cwd,
                env=_environment(argv, env),
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise UsageError(
                f"the program {argv[0]!r} is not installed", hint=f"install {argv[0]} and try again"
            ) from error
        with child:
            try:
                stdout, stderr = child.communicate(stdin, timeout)
            except subprocess.TimeoutExpired as error:
                shut_down(child)
                raise DeadlineExceeded(
                    f"{argv[0]} did not finish within {timeout:.0f} s"
                ) from error
            except BaseException:
                shut_down(child)
                raise
        return Completed(tuple(argv), child.returncode, stdout, stderr)

    def stream(
        self,
        argv: Sequence[str],
        on_line: Callable[[bytes], None],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Run to the end, handing over each line of output as it comes; the exit code."""
        try:
            child = subprocess.Popen(  # noqa: S603
                list(argv),
                cwd=cwd,
                env=_environment(argv, env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise UsageError(
                f"the program {argv[0]!r} is not installed", hint=f"install {argv[0]} and try again"
            ) from error
        with child:
            try:
                for line in child.stdout or ():
                    on_line(line.rstrip(b"\n"))
            except BaseException:
                shut_down(child)
                raise
        return child.returncode

    def begin(
        self, argv: Sequence[str], output: Path, *, keep_open: Sequence[int] = ()
    ) -> Background:
        """Start in a session of its own; what it says is added to the file `output`.

        A file, not a pipe: should this process die, the command goes on undisturbed. `keep_open`
        are descriptors that the command inherits. Raises `OSError`.
        """
        with output.open("ab") as stream:
            return Background(
                subprocess.Popen(  # noqa: S603
                    list(argv),
                    env=_environment(argv, None),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=tuple(keep_open),
                )
            )

    def start(self, argv: Sequence[str]) -> Child:
        """Start in the background, in a group of its own."""
        return self._start(argv, stdin=subprocess.DEVNULL)

    def start_held(self, argv: Sequence[str]) -> Child:
        """The same with a standard input that ends when this process does, whatever ends it.

        Raises `OSError`.
        """
        return self._start(argv, stdin=subprocess.PIPE)

    def _start(self, argv: Sequence[str], *, stdin: int) -> Child:
        return Child(
            subprocess.Popen(  # noqa: S603
                list(argv),
                stdin=stdin,
                env=_environment(argv, None),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        )


class Child:
    """A command in the background; it says nothing but errors."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """See `Runner.start`."""
        self._process = process

    @property
    def running(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def finish(self, timeout: float) -> str | None:
        """Wait for its end: None if all went well, else the last line of what it said.

        A command that takes longer than `timeout` seconds is ended.
        """
        try:
            _, stderr = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.end()
            return f"did not finish within {timeout:.0f} s"
        if self._process.returncode == 0:
            return None
        last = stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return "".join(last) or f"exit code {self._process.returncode}"

    def end(self) -> None:
        """End it if it still runs."""
        shut_down(self._process, grace=1.0)
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None:
                stream.close()


class Background:
    """A command that goes on for long; see `Runner.begin`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """See `Runner.begin`."""
        self._process = process

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended is left alone. May be called while it is waited for,
        by a signal handler.
        """
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end, however long: its exit code, 128 + N if signal N ended it.

        Whatever is raised while waiting ends it.
        """
        with self._process as process:
            try:
                code = process.wait()
            except BaseException:
                shut_down(process)
                raise
        return 128 - code if code < 0 else code


class Job:
    """A process whose maker waits for it together with others; see `begin_job`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """See `begin_job`."""
        self._process = process
        self.pid = process.pid

    def exit_code(self) -> int | None:
        """None while it runs; as a shell gives it, 128 and more for a signal."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code


def begin_job(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    output: int,
    prepare: Callable[[], None] | None = None,
) -> Job:
    """Start in a session of its own, both outputs into one file descriptor, nothing to read.

    `env` is the whole environment. `prepare` runs in the child before the program: only a process
    without threads may give one. Raises `OSError` when the program or the folder is not there.
    """
    return Job(
        subprocess.Popen(  # noqa: S603 - no shell
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - see above
        )
    )


def spawn_session(argv: Sequence[str], *, env: Mapping[str, str], output: int, errors: Path) -> int:
    """Start a program that may outlive this one, in a session of its own; its pid.

    Its standard output is the file descriptor, its errors are appended to the file, and there is
    nothing to read. Whoever stays has to `reap` it. Raises `OSError`.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        argv[0],
        list(argv),
        dict(env),
        file_actions=(
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_OPEN, 2, str(errors), flags, 0o600),
        ),
        setsid=True,
    )


def reap(pid: int) -> bool:
    """True if a child that `spawn_session` started has ended; it is then no zombie any more."""
    # Reaped already, by another thread or in an earlier call: ended all the same.
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True


def shut_down(child: subprocess.Popen[bytes], *, grace: float = 10.0) -> int:
    """Interrupt, then terminate, then kill the child's whole process group; its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if child.poll() is not None:
            return child.returncode
        _signal_group(child.pid, number)
        try:
            return child.wait(timeout=grace)
        except subprocess.TimeoutExpired:
            continue
    _signal_group(child.pid, signal.SIGKILL)
    return child.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
