"""run.json: what is run and on what."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadgenctl.records.recorded import plan_document
from loadgenctl.run import host
from loadgenctl.run.making import NO_IMAGE, ImageRef
from loadgenctl.run.walk import Walk


def run_document(walk: Walk) -> Mapping[str, Any]:
    """run.json: what is run and on what. Units: seconds, bytes."""
    plan, resolved = walk.plan, walk.wanted.resolved
    return {
        "run_id": walk.run_id,
        "sdk": {
            **asdict(resolved),
            "era": walk.family.era,
            "deviations": list(walk.wanted.deviations),
            "simulated": walk.family.simulated,
        },
        "image": _image(walk.image),
        # The address as typed may hold a password.
        "plan": _plain(
            plan_document(plan)
            | {
                "repository": plan.repository and resolved.repository,
                "provision_command": plan.provision_command and "given",
            }
        ),
        "network": None if walk.found is None else asdict(walk.found.network),
        "test_data": dict(plan.test_data),
        "site": walk.services.site_name,
        "engine": asdict(walk.engine_info),
        "host": host.describe(),
        "python": platform.python_version(),
    }


def _image(image: ImageRef | None) -> dict[str, str] | None:
    if image is None or image is NO_IMAGE:
        return None
    return {"tag": image.tag, "id": image.id}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
