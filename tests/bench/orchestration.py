"""The part `orchestration`: what a run itself takes beside the chain it measures.

A run of the simulated SDK in stages without load or length goes from chain to chain. From a stage's
end to the line by which the next chain says that its kernel starts, perf.jsonl has the time; beside
it stands the time from `docker run` of the same container to the same line.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from tests.bench.measure import PYTHON, BenchError, Spread, run
from tests.bench.report import table
from tests.bench.settings import Settings

STAGES: Final = 6
PROGRAM: Final = Path(PYTHON).with_name("loadgenctl")
LAUNCHED: Final = b"Launching SwingSet kernel"
TARGET: Final = 1.0
"""Seconds that a run may take more than the container alone."""


def measure(settings: Settings) -> list[str]:
    """Return the section's lines."""
    folder = settings.scratch / "run"
    stages = ("--stages", str(STAGES), "--chain-only", "--quiet")
    run([PROGRAM, "run", "--sdk", "sim", *stages, "--output-dir", folder])
    between = Spread.of(list(gaps(folder / "perf.jsonl")))

    by_hand = settings.scratch / "by-hand"
    run([PROGRAM, "compose", "--sdk", "sim", "--into", by_hand])
    services = yaml.safe_load((by_hand / "compose.yaml").read_text(encoding="utf-8"))["services"]
    run(["docker", "run", "--rm", *arguments(services["create-chain"])])
    alone = Spread.of([until_launched(services["chain"]) for _ in range(STAGES - 1)])

    more = between.median - alone.median
    rows = [
        ["from a stage's end to the next chain's kernel", between.text(3), ""],
        ["`docker run` of the same container, to the same line", alone.text(3), ""],
        ["difference of the medians", f"{more:.3f}", f"{TARGET:g} or less"],
    ]
    return [
        f"{STAGES} stages of no length on the simulated SDK, and {STAGES - 1} containers by hand.",
        "",
        *table(["what", "wall, s", "target"], rows),
    ]


def gaps(perf: Path) -> Iterator[float]:
    """Seconds from each stage's end to the next chain's kernel."""
    ended: float | None = None
    for line in perf.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["type"] == "perf-stage-finish":
            ended = row["timestamp"]
        elif row["type"] == "perf-run-chain-finish" and ended is not None:
            yield row["timestamp"] - ended


def until_launched(service: Mapping[str, Any]) -> float:
    """Seconds from `docker run` to the chain's line; the container is removed again."""
    name = f"loadgenctl-bench-{os.getpid()}"
    began = time.perf_counter()
    with subprocess.Popen(
        ["docker", "run", "--rm", "--name", name, *arguments(service)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as child:
        assert child.stdout is not None
        said = b""
        try:
            for line in child.stdout:
                said += line
                if LAUNCHED in line:
                    return time.perf_counter() - began
        finally:
            subprocess.run(["docker", "kill", name], check=False, capture_output=True)
    raise BenchError(f"the chain said no {LAUNCHED.decode()!r}: {said.decode()[-500:]}")


def arguments(service: Mapping[str, Any]) -> list[str]:
    """What `docker run` is told of a service of the compose file, but with a network of its own."""
    words = ["--init", "--network", "none", "--user", service["user"]]
    words += ["--workdir", service["working_dir"], "--entrypoint", service["entrypoint"][0]]
    words += [f"--cap-drop={name}" for name in service["cap_drop"]]
    words += [f"--security-opt={option}" for option in service["security_opt"]]
    for variable, value in service["environment"].items():
        words += ["--env", f"{variable}={value}"]
    for volume in service["volumes"]:
        ending = ":ro" if volume["read_only"] else ""
        words += ["--volume", f"{volume['source']}:{volume['target']}{ending}"]
    return [*words, service["image"], *service["command"]]
