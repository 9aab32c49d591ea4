"""Two runs and those who clean up beside them, on one engine: nobody takes what another one has."""

from __future__ import annotations

from functools import partial

import pytest
from tests.integration.faulty import assert_whole
from tests.integration.loadgenctl_process import ROLES, SIM, Desk, Records

pytestmark = pytest.mark.docker

LOAD = "--stages 1 --stage.0.loadgen.faucet.interval 1 --stage.0.duration 5"


def _under_load(records: Records) -> bool:
    return records.cycles(finished_in=0) > 0


def test_two_runs_and_a_clean_leave_each_other_alone(desk: Desk) -> None:
    words = (*SIM, *LOAD.split(), "--stage.0.loadgen.cycles", "6", *desk.settings())
    runs = [desk.start(*words) for _ in range(2)]
    with runs[0][0], runs[1][0]:
        for command, records in runs:
            command.until(partial(_under_load, records), "a cycle finishes")
        would, _ = desk.do("clean", "--dry-run")
        cleaned, _ = desk.do("clean")
        assert all(command.running for command, _ in runs)
        names = [name.lstrip("/") for command, _ in runs for name in desk.engine.left(command.pid)]
        assert len(names) == 2 * len(ROLES), "both have all their containers"
        for said in (would, cleaned):
            assert said.exit_code == 0, said.stderr
            assert not any(name in said.stdout for name in names)
            assert not any(str(records.folder) in said.stdout for _, records in runs)
        ends = [command.end() for command, _ in runs]
    for ended, (command, records) in zip(ends, runs, strict=True):
        assert ended.exit_code == 0, ended.stderr
        assert records.status["outcome"] == "passed"
        assert records.cycles(finished_in=0) >= 6
        assert desk.engine.left(command.pid) == []
        assert_whole(desk, records)
    ids = {records.document("run.json")["run_id"] for _, records in runs}
    assert len(ids) == 2
