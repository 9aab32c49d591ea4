"""Named behaviours of a container: a shell script for real engines, a `Script` for the fake one."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes import FakeExec, Reaction, Script

CHATTY_LINES = 3000


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a container does, in both languages."""

    shell: str
    script: Script


class _Files:
    """Executions of the sleeper: a file made by one is seen by the next."""

    def __init__(self) -> None:
        self.made = False

    def __call__(self, argv: tuple[str, ...]) -> FakeExec:
        """Answer as the real programs would."""
        match argv:
            case ("sh", "-c", "echo out; echo err >&2; exit 7"):
                return FakeExec(7, b"out\nerr\n")
            case ("sleep", "30"):
                return FakeExec(seconds=30.0)
            case ("sh", "-c", "echo made >/tmp/made"):
                self.made = True
                return FakeExec()
            case ("cat", "/tmp/made"):
                return FakeExec(0, b"made\n") if self.made else FakeExec(1, b"cat: not there\n")
            case _:
                return FakeExec(127)


def behaviours() -> dict[str, Behaviour]:
    """All of them, by name; fresh ones, because some remember."""
    chatty = tuple((0.0, f"line {n} of a log that talks a lot") for n in range(CHATTY_LINES))
    return {
        "short": Behaviour(
            "echo one; echo two >&2; echo three; exit 3",
            Script(lines=((0, "one"), (0, "two"), (0, "three")), exit_after=0.1, exit_code=3),
        ),
        "silent": Behaviour("exit 0", Script(exit_after=0.1)),
        "sleeper": Behaviour("exec sleep 600", Script(execs=_Files())),
        "interruptible": Behaviour(
            "trap 'echo stopping; exit 0' INT; echo ready; while :; do sleep 0.05; done",
            Script(
                lines=((0.1, "ready"),),
                on_signal={"SIGINT": Reaction(exit_code=0, delay=0.05, line="stopping")},
            ),
        ),
        "stubborn": Behaviour(
            "trap '' INT TERM; echo ready; while :; do sleep 0.05; done",
            Script(
                lines=((0.1, "ready"),),
                on_signal={"SIGINT": Reaction(None), "SIGTERM": Reaction(None)},
            ),
        ),
        "talker": Behaviour(
            "for n in 1 2 3 4 5; do echo line $n; sleep 0.1; done",
            Script(lines=tuple((0.1 * n, f"line {n + 1}") for n in range(5)), exit_after=0.5),
        ),
        "chatty": Behaviour(
            f"n=0; while [ $n -lt {CHATTY_LINES} ];"
            " do echo line $n of a log that talks a lot; n=$((n+1)); done",
            Script(lines=chatty, exit_after=0.2),
        ),
        "painter": Behaviour(
            r"printf '\033[1;31mred\033[0m\n 10%%\r100%%\nbell\007\nno end'",
            Script(
                lines=((0, "\x1b[1;31mred\x1b[0m"), (0, " 10%\r100%"), (0, "bell\x07\nno end\\c")),
                exit_after=0.1,
            ),
        ),
        "greeter": Behaviour(
            'echo "$GREETING from $PWD"',
            Script(lines=((0, "hello from /usr"),), exit_after=0.1),
        ),
    }
