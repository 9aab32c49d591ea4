"""The rules of a load config: the load service's own, read from its file in `images/`.

So a bad config is refused before anything starts.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from loadgenctl.errors import UsageError
from loadgenctl.resources import images

TASKS = ("faucet", "amm", "vault")
"""What the drivers of all SDK families can run."""


@cache
def rules() -> ModuleType:
    """The module `loadservice.config` of the load service."""
    path = images("loadgen", "service", "loadservice", "config.py")
    spec = spec_from_file_location("loadgenctl_service_config", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python module")
    module = module_from_spec(spec)
    # Its dataclasses look their module up by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def validate_config(config: object) -> dict[str, dict[str, float]]:
    """The config with every default applied, tasks that are off left out, in the order of `TASKS`.

    Raises `UsageError`, with the nearest known name for an unknown one.
    """
    service = rules()
    try:
        checked = service.check_config(config, TASKS)
    except service.ConfigError as error:
        raise UsageError(error.message, hint=error.hint) from error
    normal: dict[str, dict[str, float]] = service.config_as_json(checked)
    return normal
