"""Services of a pod → the text of a compose file. Pure but for reading the template.

Whatever the template prints is quoted on its way out, so that no path, name or command can become
YAML of its own or be filled in by the compose tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from loadgenctl import resources
from loadgenctl.engines import compose_spec
from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.model import ResolvedRevision
from loadgenctl.roles.byhand import HealthCheck, Service
from loadgenctl.sdks.base import SdkFamily
from loadgenctl.version import VERSION

TEMPLATE = "loadgenctl.yaml.j2"
_BARE = re.compile(r"[a-z][a-z0-9_-]*")
_WORDS_OF_YAML = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


class _Plain(str):
    """Text that goes out as it is."""

    __slots__ = ()


def render(services: Iterable[Service], resolved: ResolvedRevision, family: SdkFamily) -> str:
    """The compose file. Raises `UsageError` for a path that YAML cannot hold."""
    values = {
        "version": _Plain(VERSION),
        "sdk": family.name,
        "revision": resolved.commit or f"{resolved.repository} ({resolved.content_id})",
        "simulated": family.simulated,
        "services": [
            {"name": service.spec.name, "about": service.about, "settings": settings(service)}
            for service in services
        ],
    }
    return render_template(resources.compose(TEMPLATE), values)


def render_template(template: Path, values: Mapping[str, Any]) -> str:
    """A template filled in with quoted values. Raises `LoadgenError`, `UsageError`."""
    environment = jinja2.Environment(  # noqa: S701 - YAML is not HTML; see `scalar`
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, finalize=_finalize
    )
    environment.filters["bare"] = bare
    environment.filters["comment"] = _comment
    try:
        return environment.from_string(template.read_text("utf-8")).render(values)
    except OSError as error:
        raise LoadgenError(f"the template {template} cannot be read: {error.strerror}") from error
    except jinja2.TemplateError as error:
        raise LoadgenError(f"the template {template} cannot be rendered: {error}") from error


def settings(service: Service) -> dict[str, Any]:
    """Everything that compose is told about a service."""
    told = compose_spec.service(service.spec)
    told["stop_grace_period"] = f"{service.stop_grace}s"
    # The engine has the image: a registry that is asked for its name could answer with another.
    told["pull_policy"] = "never"
    if service.after:
        told["depends_on"] = {
            name: {"condition": condition} for name, condition in service.after.items()
        }
    if service.health is not None:
        told["healthcheck"] = _health(service.health)
    return told


def _health(check: HealthCheck) -> dict[str, Any]:
    return {
        "test": ["CMD", *check.argv],
        "interval": f"{check.interval}s",
        "timeout": f"{check.timeout}s",
        "retries": check.retries,
        "start_period": f"{check.start_period}s",
    }


def _finalize(value: object) -> str:
    return str(value) if isinstance(value, _Plain) else scalar(value)


def bare(word: str) -> str:
    """A name that stands without quotes: of a service or of a setting."""
    if not _BARE.fullmatch(word) or word in _WORDS_OF_YAML:
        raise LoadgenError(f"{word!r} cannot stand in a compose file without quotes")
    return _Plain(word)


def _comment(text: str) -> str:
    if not text.isprintable():
        raise LoadgenError(f"{text!r} cannot stand in a comment")
    return _Plain(text)


def scalar(value: object) -> str:
    """A value as YAML on one line: texts in double quotes, lists and mappings as in JSON."""
    match value:
        case bool() | int():
            return json.dumps(value)
        case float():
            # With an exponent YAML 1.1 takes a number for a text.
            return f"{value:.9f}".rstrip("0") + ("0" if value == int(value) else "")
        case str():
            return f'"{"".join(map(_character, value))}"'
        case list() | tuple():
            return f"[{', '.join(map(scalar, value))}]"
        case dict():
            inside = (f"{scalar(key)}: {scalar(item)}" for key, item in value.items())
            return f"{{{', '.join(inside)}}}"
    raise LoadgenError(f"a compose file cannot hold {type(value).__name__}")


def _character(char: str) -> str:
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        raise UsageError(
            "a path that is not UTF-8 cannot stand in a compose file", hint="rename the folder"
        )
    match char:
        case '"' | "\\":
            return f"\\{char}"
        case "$":
            # Compose would fill a variable in.
            return "$$"
        case "\n":
            return "\\n"
    if 0x20 <= code < 0x7F:
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\U{code:08x}"
