"""How long smart wallets' offers took, by stage and task, for tables of all kinds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from loadgenctl.reports.summary import Summary, part
from loadgenctl.reports.words import number, seconds

SPREAD: Final = ("p50", "p95", "max")
"""What is shown of the latencies."""
TITLE: Final = "Offers by smart wallets"
LATENCIES: Final = (("in a block", "inclusion_s"), ("settled", "settlement_s"))
"""In words, and in a summary: seconds from the sending of an offer on."""


def offer_cells(stages: Sequence[Summary]) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Stage, task, and cells: how many offers, `SPREAD` of each of `LATENCIES`, gas on average."""
    for stage in stages:
        for task, cycles in part(stage, "cycles").items():
            offers = part(cycles, "offers")
            if task == "all" or not offers:
                continue
            spreads = [part(offers, name) for _, name in LATENCIES]
            cells = (
                number(offers.get("count")),
                *(seconds(spread.get(name)) for spread in spreads for name in SPREAD),
                number(part(offers, "gas").get("avg")),
            )
            yield str(stage.get("stage")), task, cells
