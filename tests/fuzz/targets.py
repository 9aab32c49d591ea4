"""All fuzz targets by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.fuzz import http, loadconfig, options, results, slog, toml
from tests.fuzz.target import Target

TARGETS: Final[Mapping[str, Target]] = {
    module.TARGET.name: module.TARGET for module in (options, toml, loadconfig, http, slog, results)
}
