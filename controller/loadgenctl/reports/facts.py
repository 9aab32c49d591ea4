"""What reports show of a run besides its numbers: what ran where, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadgenctl.formatting import clean, log_line
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.status import Status
from loadgenctl.stats.summary import summarize

Summary = Mapping[str, Any]
"""What `stats.summary.summarize` makes, or a part of it."""

PASSED: Final = "passed"
UNKNOWN: Final = "unknown"
"""The outcome of folders of the original load generator, which do not contain it."""
_OPEN: Final = frozenset({"running", UNKNOWN})
_LINES: Final = 20


def part(source: Summary | None, name: str) -> Summary:
    """The document of that name; an empty one where there is none."""
    value = None if source is None else source.get(name)
    return value if isinstance(value, Mapping) else {}


def parts(source: Summary, name: str) -> Sequence[Summary]:
    """The list of that name; an empty one where there is none."""
    value = source.get(name)
    return value if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run as reports see it. Strings are unchanged: make them harmless where they are shown."""

    summary: Summary
    """As `stats.summary.summarize` makes it."""
    document: Mapping[str, Any]
    """run.json; empty for the original's folders."""
    status: Status
    """As found: a run whose process is gone was killed. Empty for the original's folders."""
    outcome: str
    """Of `schema.Outcome`, or `UNKNOWN`."""

    @property
    def run(self) -> Summary:
        """The summary's part about the run."""
        return part(self.summary, "run")

    @property
    def passed(self) -> bool:
        """True for a run that passed."""
        return self.outcome == PASSED

    @property
    def went_wrong(self) -> bool:
        """True for a run that has ended and not passed."""
        return not self.passed and self.outcome not in _OPEN

    @property
    def simulated(self) -> bool:
        """True where the numbers say nothing about a real chain."""
        return self.run.get("simulated") is True

    @property
    def stages(self) -> Mapping[int, Summary]:
        """The stages that began, by number."""
        return {stage["stage"]: stage for stage in parts(self.summary, "stages")}

    @property
    def planned(self) -> Mapping[int, Summary]:
        """The stages of the plan, by number; those that never began too."""
        plan = part(self.document, "plan")
        return {
            index: stage
            for stage in parts(plan, "stages")
            if isinstance(index := stage.get("index"), int)
        }

    @property
    def last_lines(self) -> list[str]:
        """The end of the role's log, or other evidence, if the run went wrong; harmless lines."""
        lines = self.status.last_lines[-_LINES:] if self.went_wrong else ()
        return [log_line(line) for line in lines]

    @property
    def ending(self) -> dict[str, str]:
        """Why it did not pass, as far as known, harmless, by name."""
        status = self.status
        found = {
            "reason": status.reason,
            "role": status.role,
            "step": status.step,
            "stage": status.stage,
            "hint": status.hint,
            "exit code of the role": status.role_exit_code,
            "memory": "the role ran out of memory" if status.oom_killed else None,
            "exit code": status.exit_code,
        }
        if not self.went_wrong:
            return {}
        return {name: clean(value) for name, value in found.items() if value is not None}

    @property
    def what(self) -> dict[str, str]:
        """What was run, harmless, by name; unknown values are left out."""
        sdk, run = part(self.document, "sdk"), self.run
        made = run.get("commit_time")
        found = {
            "sdk": run.get("sdk"),
            "simulated": "true" if self.simulated else None,
            "revision": run.get("revision"),
            "commit": run.get("commit"),
            "commit time": utc_time(made),
            "uncommitted changes": "true" if run.get("dirty") else None,
            "deviations": "; ".join(map(str, run.get("deviations") or ())) or None,
            "repository": sdk.get("repository"),
        }
        return _known(found)

    @property
    def where(self) -> dict[str, str]:
        """With what and on which machine it was run, harmless, by name."""
        host, image = part(self.document, "host"), part(self.document, "image")
        engine = part(self.document, "engine")
        memory = host.get("memory_bytes")
        found = {
            "run": self.run.get("run_id") or self.run.get("folder"),
            "attempt": self.run.get("attempt"),
            "resumed at stage": self.run.get("resumed_at_stage"),
            "image": image.get("tag"),
            "image id": image.get("id"),
            "host": host.get("hostname"),
            "cpu": host.get("cpu"),
            "cpus": host.get("cpus"),
            "memory": f"{memory / 2**30:.1f} GiB" if isinstance(memory, int) else None,
            "kernel": host.get("kernel"),
            "engine": " ".join(
                str(engine[name]) for name in ("kind", "version") if engine.get(name)
            ),
            "loadgenctl": self.run.get("loadgenctl"),
        }
        return _known(found)


def read_facts(folder: Path, summary: Summary | None = None) -> RunFacts:
    """Read a results folder; the summary is computed unless `summary` is given.

    Raises `OutputFolderError` if there is no run.
    """
    records = RunFolder(folder)
    written = records.status
    status = Status() if written is None else written.as_found()
    return RunFacts(
        summary=summarize(folder) if summary is None else summary,
        document=records.run,
        status=status,
        outcome=UNKNOWN if written is None else status.outcome,
    )


def utc_time(seconds: object) -> str | None:
    """Epoch seconds as `2022-01-31T17:04:59`, UTC; None for what is no time."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        # A commit may claim any time.
        return None


def _known(found: Mapping[str, object]) -> dict[str, str]:
    return {name: clean(value) for name, value in found.items() if value not in (None, "")}


def tasks_of(stage: Summary, planned: Summary) -> Sequence[str]:
    """The load tasks of a stage, planned or seen, in the order of their names."""
    wanted = {task for task, load in part(planned, "load").items() if load is not None}
    return sorted((set(part(stage, "cycles")) | wanted) - {"all"})
