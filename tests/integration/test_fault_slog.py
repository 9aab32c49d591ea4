"""A slog that is damaged while it grows: the run goes on."""

from __future__ import annotations

import pytest
from tests.integration.faulty import assert_whole, observe
from tests.integration.loadgenctl_process import SIM, Desk

pytestmark = pytest.mark.docker


def test_torn_huge_and_binary_lines_do_not_end_a_run(desk: Desk) -> None:
    faults = (
        'kind = "slog-torn"\nafter_blocks = 6',
        'kind = "slog-garbage"\nafter_blocks = 9',
        'kind = "slog-huge"\nafter_blocks = 12',
    )
    words = ("--stages", "1", "--chain-only", "--stage.0.duration", "0.15")
    run = observe(desk, *SIM, *words, *desk.settings(*faults))
    assert run.ended.exit_code == 0, run.ended.stderr
    assert run.left == []
    heights = [row["blockHeight"] for row in run.records.rows("blocks.jsonl")]
    assert heights[-1] > 15
    assert heights == sorted(set(heights))
    assert_whole(desk, run.records)
