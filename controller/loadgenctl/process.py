"""The only user of subprocess: run commands to their end, or start and stop them."""

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
        # Where this Python finds what the person installed.
        "PYTHONNOUSERSITE",
        "PYTHONUSERBASE",
        # What is written beside the modules, and what a hanging process prints.
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONFAULTHANDLER",
        "PYTHONPYCACHEPREFIX",
    }
)
"""Python's variables that a Python child process inherits."""


def own_python(module: str, *arguments: str, interpreter: str = INTERPRETER) -> tuple[str, ...]:
    """The command line of one of loadgenctl's own Python processes: `python -m MODULE ARGUMENTS`.

    All of them are started this way. -P: a file in the current folder that has the name of a module
    is not imported. `own_environment` does the rest.
    """
    return (interpreter, "-P", "-m", module, *arguments)


def own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` for loadgenctl's own Python processes, without other projects' settings.

    PYTHONPATH would add foreign modules, PYTHONIOENCODING would change the encoding of files,
    PYTHONSAFEPATH would hide the modules beside a script. Of PYTHONPATH only the folder is kept
    from which loadgenctl itself is imported.
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
    """Runs commands; a seam for tests."""

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run to the end; `env` is added to the environment.

        The command has its own session: a terminal's Ctrl-C reaches only this process, which stops
        the command's process group if it does not wait for the end. Raises `UsageError` if the
        program is not installed, `DeadlineExceeded` if it takes longer than `timeout` seconds.
        """
        child = _popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
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
        """Run to the end, passing on each line of output at once; the exit code."""
        child = _popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
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
        """Start in its own session; both outputs are appended to the file `output`.

        A file, not a pipe: if this process dies, the command continues undisturbed. `keep_open`
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
        """Start in the background, in its own process group."""
        return self._start(argv, stdin=subprocess.DEVNULL)

    def start_held(self, argv: Sequence[str]) -> Child:
        """The same with a standard input that ends when this process ends for any reason.

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


def _popen(
    argv: Sequence[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: int,
    stderr: int,
) -> subprocess.Popen[bytes]:
    """Start with a pipe for the output. Raises `UsageError` if the program is not installed."""
    try:
        return subprocess.Popen(  # noqa: S603 - argv lists only, never a shell
            list(argv),
            cwd=cwd,
            env=_environment(argv, env),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise UsageError(
            f"the program {argv[0]!r} is not installed", hint=f"install {argv[0]} and try again"
        ) from error


class Child:
    """A command in the background; only its standard error is read."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """See `Runner.start`."""
        self._process = process

    @property
    def running(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def finish(self, timeout: float) -> str | None:
        """Wait for its end: None after success, else the last line of its standard error.

        A command that takes longer than `timeout` seconds is stopped.
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
        """Stop it if it still runs."""
        shut_down(self._process, grace=1.0)
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None:
                stream.close()


class Background:
    """A long-running command; see `Runner.begin`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """See `Runner.begin`."""
        self._process = process

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended. A signal handler may call this during `wait`."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end without a limit: its exit code, 128 + N if signal N ended it.

        An exception during the wait stops it.
        """
        with self._process as process:
            try:
                code = process.wait()
            except BaseException:
                shut_down(process)
                raise
        return 128 - code if code < 0 else code


class Job:
    """A process that is waited for together with others; see `begin_job`."""

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
    """Start in its own session, without input, both outputs into one file descriptor.

    `env` is the complete environment. `prepare` runs in the child before the program: only a
    process without threads may pass one. Raises `OSError` if program or folder is missing.
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
    """Start a program that may outlive this one, in its own session, without input; its pid.

    Its standard output is the file descriptor, its errors are appended to the file. A parent that
    outlives it has to `reap` it. Raises `OSError`.
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
    """True if a child of `spawn_session` has ended; it is then no longer a zombie."""
    # Reaped already, by another thread or in an earlier call: it has ended.
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True


def shut_down(child: subprocess.Popen[bytes], *, grace: float = 10.0) -> int:
    """Interrupt, then terminate, then kill the child's process group; its exit code."""
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
