"""How a stage's end is reported: roles that crash while they stop, and a load that had stalled."""

from __future__ import annotations

import pytest
from tests.integration.test_local_run import ONE_STAGE, Bench, bench

__all__ = ["bench"]

CYCLES = ("--stage.0.loadgen.cycles", "2")


@pytest.mark.parametrize("role", ["chain", "solo"])
def test_a_role_that_crashes_while_it_stops_fails_the_run(bench: Bench, role: str) -> None:
    command, records = bench.run(
        *ONE_STAGE, *CYCLES, faults=f'[[fault]]\nkind = "stop-crash"\nrole = "{role}"\n'
    )
    with command:
        ended = command.end()
    assert ended.exit_code == 4
    assert f"{role} crashed while it stopped: killed by SIGSEGV" in ended.stderr
    status = records.status
    assert (status["outcome"], status["role"], status["step"]) == ("died", role, "stop")
    assert status["role_exit_code"] == 139
    assert any("simulated crash while stopping" in line for line in status["last_lines"])
    bench.assert_nothing_left()
    again = bench.do("run", "--resume", str(records.folder), "--dry-run")
    assert "stopped the chain" not in again.stdout


def test_a_load_that_had_stalled_when_its_time_was_over_fails_the_run(bench: Bench) -> None:
    minutes = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1")
    command, records = bench.run(
        *minutes,
        *("--stage.load-duration", "0.1", "--timeout.cycle", "7"),
        faults='[[fault]]\nkind = "driver-hang"\nat_cycle = 2\n',
    )
    with command:
        ended = command.end()
    assert ended.exit_code == 4
    status = records.status
    assert (status["outcome"], status["step"], status["stage"]) == ("stalled", "stalled", 0)
    assert "1 cycle did not finish within 7 s of the load's end" in status["reason"]
    summary = records.document("summary.json")
    assert summary["totals"]["cycles"]["faucet"]["unfinished"] == 1
    # The driver would wait 10 s more for the cycle that is lost.
    spans = summary["stages"][0]["durations"]
    assert spans["loaded_s"] == pytest.approx(6, abs=1)
    assert spans["shutdown_s"] < 8
    bench.assert_nothing_left()
