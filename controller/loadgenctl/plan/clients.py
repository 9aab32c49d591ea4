"""The options that say what the load acts through, and what a block may compute. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from loadgenctl.errors import UsageError
from loadgenctl.plan.networks import LOCAL
from loadgenctl.plan.settings import DEFAULT, Settings

COMPUTE_LIMIT: Final = "chain.compute-limit"
WALLETS_LIMIT: Final = 65_000_000
"""Computrons of a block where wallets make the load, unless another number is given: Agoric's main
network has it. The SDK's own default, 8 million, is the cost of one offer by a wallet, so the load
would measure the limit.
"""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """The options, checked; see the fields of `RunPlan`."""

    client: Literal["solo", "wallet"]
    compute_limit: int | None


def client_options(settings: Settings) -> ClientOptions:
    """What the options say. Raises `UsageError` for what does not go with a network of others."""
    client, limit = settings.get("client"), settings.get(COMPUTE_LIMIT)
    if settings.get("profile") != LOCAL:
        _refuse_on_network(settings, client, limit)
    if limit is None and client == "wallet":
        limit = WALLETS_LIMIT
    return ClientOptions(client, limit)


def _refuse_on_network(settings: Settings, client: str, limit: int | None) -> None:
    if client == "wallet":
        raise UsageError(
            f"{_origin(settings, 'client')}: a run makes and funds its wallets on a local chain",
            hint="use --profile local, or --client solo",
        )
    if limit is not None:
        raise UsageError(
            f"{_origin(settings, COMPUTE_LIMIT)}: the genesis of a network exists already",
            hint="it goes with --profile local",
        )


def _origin(settings: Settings, key: str) -> str:
    return settings.origins.get(tuple(key.split(".")), DEFAULT)
