"""What a soak does, run by run: drawn from a seed, the same for the same seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

SETTINGS: Final = (
    "[chain]\nblock_time = 0.3\n"
    "[solo]\nstart_seconds = 0.1\n"
    '[vats]\nstatic = ["bank", "zoe"]\ndynamic = 3\n'
)
"""What makes the simulated SDK light: three blocks a second, five vats."""
CHILD_EVERY: Final = 4
"""Of so many runs one is a process of its own that gets a signal."""
_SAMPLING: Final = ("--sample-interval", "1", "--monitor-interval", "0.1")
_LOAD: Final = ("--stage.loadgen.faucet.interval", "2", "--stage.loadgen.amm.interval", "3")
_SECONDS: Final = 12.0
"""A stage's usual length."""


@dataclass(frozen=True, slots=True)
class Action:
    """What is done to a run from outside, `delay` seconds after a role's container runs."""

    what: str
    """`kill`, `pause` or `hold` (a pause that ends) a role's container; `agent`: kill the agent;
    `signal`: send one to the controller.
    """
    role: str
    delay: float
    signal: str = ""
    """Of `signal`: SIGINT, SIGTERM or SIGKILL."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """How a run has to end."""

    exit_code: int
    outcomes: tuple[str, ...]
    role: str | None = None
    """Which role is named as the cause; None: none is asked for."""
    says: str = ""
    """What stands in the reason."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run."""

    number: int
    kind: str
    options: tuple[str, ...]
    expected: Expectation
    faults: tuple[str, ...] = ()
    """Bodies of `[[fault]]` tables."""
    action: Action | None = None

    @property
    def child(self) -> bool:
        """True if the run is a process of its own."""
        return self.action is not None and self.action.what == "signal"

    @property
    def settings(self) -> str:
        """The simulated SDK's TOML."""
        return SETTINGS + "".join(f"[[fault]]\n{fault}\n" for fault in self.faults)


PASSES: Final = Expectation(0, ("passed",))
INTERRUPTED: Final = Expectation(130, ("interrupted",))
KILLED: Final = Expectation(-9, ("running", "killed"))
_Draw = Callable[[random.Random], tuple[tuple[str, ...], tuple[str, ...], Expectation]]
"""→ options beside the usual, faults, expectation."""


def cases(seed: int) -> Iterator[Case]:
    """Runs without end: every fourth a child with a signal, a third of the others without fault."""
    number = 0
    while True:
        number += 1
        # A run depends on its own number only: one can be done again alone.
        yield case(seed, number)


def case(seed: int, number: int) -> Case:
    """Run `number`, counted from 1."""
    luck = random.Random(f"{seed}/{number}")
    if number % CHILD_EVERY == 0:
        return _signalled(luck, number)
    kind = luck.choices(("plain", "sim", "container"), (3, 5, 3))[0]
    if kind == "plain":
        return Case(number, "no fault", _whole(luck), PASSES)
    if kind == "container":
        return _in_container(luck, number)
    name = luck.choice(sorted(_SIM))
    options, faults, expected = _SIM[name](luck)
    return Case(number, name, (*_stages(1), *options), expected, faults)


def _stages(count: int, seconds: float = _SECONDS) -> tuple[str, ...]:
    """So many stages; of one, it is under load."""
    words = ("--stages", str(count), "--stage.duration", f"{seconds / 60:.4f}", *_SAMPLING)
    if count == 1:
        # A stage that is the first and the last is loaded only if it has a load of its own.
        load = (word.replace("--stage.", "--stage.0.") for word in _LOAD)
        return (*words, "--stage.0.duration", f"{seconds / 60:.4f}", *load)
    return (*words, *_LOAD)


def _whole(luck: random.Random) -> tuple[str, ...]:
    """Stages with restarts between them; storage saved in half of the runs."""
    words = _stages(luck.choice((3, 4)), luck.uniform(6, 14))
    return words if luck.random() < 0.5 else (*words, "--stage.save-storage")


def _signalled(luck: random.Random, number: int) -> Case:
    signal = luck.choice(("SIGINT", "SIGTERM", "SIGKILL"))
    role = luck.choice(("holder", "chain", "solo", "loadgen"))
    action = Action("signal", role, round(luck.uniform(0, 6), 3), signal)
    expected = KILLED if signal == "SIGKILL" else INTERRUPTED
    # Three stages: long enough for the signal to come before the end.
    return Case(number, f"{signal} at {role}", _stages(3, 20), expected, action=action)


def _in_container(luck: random.Random, number: int) -> Case:
    what = luck.choice(("kill", "kill", "pause", "hold", "agent"))
    role = "chain" if what in {"pause", "agent"} else luck.choice(("chain", "solo", "loadgen"))
    # The last role comes up last, and there must be some load left.
    delay = round(luck.uniform(0.5, 9), 3)
    options = (*_stages(1, 25), "--timeout.block", "8", "--timeout.chain", "60")
    died = Expectation(4, ("died",), role, "ended unexpectedly: killed by SIGKILL")
    expected = {
        "kill": died,
        "pause": Expectation(4, ("stalled", "timeout"), "chain"),
        "hold": PASSES,
        "agent": PASSES,
    }[what]
    return Case(number, f"{what} {role}", options, expected, action=Action(what, role, delay))


def _blocks(luck: random.Random) -> int:
    return luck.randint(8, 30)


def _harmless(kind: str, *more: str) -> _Draw:
    def draw(luck: random.Random) -> tuple[tuple[str, ...], tuple[str, ...], Expectation]:
        return (
            (),
            ("\n".join([f'kind = "{kind}"', f"after_blocks = {_blocks(luck)}", *more]),),
            PASSES,
        )

    return draw


def _fatal(expected: Expectation, fault: str, *options: str, at_block: bool = False) -> _Draw:
    def draw(luck: random.Random) -> tuple[tuple[str, ...], tuple[str, ...], Expectation]:
        block = f"\nafter_blocks = {_blocks(luck)}" if at_block else ""
        return options, (fault + block,), expected

    return draw


def _crash(luck: random.Random) -> tuple[tuple[str, ...], tuple[str, ...], Expectation]:
    code = luck.choice((1, 3, 17))
    says = f"chain ended unexpectedly: exit code {code}"
    fault = f'kind = "chain-crash"\nafter_blocks = {_blocks(luck)}\nexit_code = {code}'
    return (), (fault,), Expectation(4, ("died",), "chain", says)


def _restart(luck: random.Random) -> tuple[tuple[str, ...], tuple[str, ...], Expectation]:
    seconds = round(luck.uniform(2, 6), 1)
    # Given twice, the later one wins.
    return (*_stages(3, 8),), (f'kind = "slow-restart"\nseconds = {seconds}',), PASSES


def _slow(luck: random.Random) -> tuple[tuple[str, ...], tuple[str, ...], Expectation]:
    return (), (f'kind = "slow-start"\nseconds = {luck.uniform(1, 4):.1f}',), PASSES


_SIM: Final[dict[str, _Draw]] = {
    "chain-crash": _crash,
    "chain-stall, short": _harmless("chain-stall", "seconds = 3.0"),
    "chain-stall": _fatal(
        Expectation(4, ("stalled",), "chain", "made no block"),
        'kind = "chain-stall"',
        *("--timeout.block", "6"),
        at_block=True,
    ),
    "consensus-failure": _fatal(
        Expectation(4, ("stalled",), "chain", ""), 'kind = "consensus-failure"', at_block=True
    ),
    "slow-start": _slow,
    "slow-start, too slow": _fatal(
        Expectation(4, ("timeout",), "chain", "did not happen within"),
        'kind = "slow-start"\nseconds = 300.0',
        *("--timeout.chain", "5"),
    ),
    "slow-restart": _restart,
    "memory-hog": _harmless("memory-hog", "mib = 64"),
    "slog-torn": _harmless("slog-torn"),
    "slog-torn, glued": _harmless("slog-torn", "newline = false"),
    "slog-huge": _harmless("slog-huge", "mib = 4"),
    "slog-garbage": _harmless("slog-garbage"),
    "solo-never-ready": _fatal(
        Expectation(4, ("timeout",), "solo", ""), 'kind = "solo-never-ready"', "--timeout.solo", "6"
    ),
    "solo-dies": _fatal(
        Expectation(4, ("died",), "solo", "exit code 5"),
        'kind = "solo-dies"\nafter_txs = 6\nexit_code = 5',
    ),
    "provision-fails": _fatal(Expectation(4, ("failed",), None, ""), 'kind = "provision-fails"'),
    "driver-silent": _fatal(
        Expectation(4, ("timeout",), "loadgen", ""),
        'kind = "driver-silent"',
        *("--timeout.loadgen", "6"),
    ),
    "driver-hang": _fatal(
        Expectation(4, ("stalled",), "loadgen", "stalled"),
        'kind = "driver-hang"\nat_cycle = 2',
        *("--timeout.cycle", "5"),
        *("--stage.0.duration", "1"),
    ),
    "cycle-fails": _fatal(
        Expectation(4, ("failed",), "loadgen", "failed in stage"),
        'kind = "cycle-fails"\nevery = 2',
    ),
    "cycle-fails, fast": _fatal(
        Expectation(4, ("failed",), "loadgen", "a cycle failed"),
        'kind = "cycle-fails"\nrate = 0.9',
        "--fail-fast",
    ),
    "prepare-fails": _fatal(
        Expectation(4, ("failed", "timeout"), "loadgen", ""), 'kind = "prepare-fails"'
    ),
}
