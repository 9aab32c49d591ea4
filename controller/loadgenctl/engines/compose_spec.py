"""`RoleSpec` → a service of a compose file. Pure.

The way leads through Docker's own arguments (`docker_spec`), so that a container started by hand is
held as tightly as one that a run makes: what this module does not know how to say, it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from loadgenctl.engines.docker_spec import container_arguments, host_config_arguments
from loadgenctl.errors import LoadgenError
from loadgenctl.model import RoleSpec

_JOINED = "container:"


def service(spec: RoleSpec) -> dict[str, Any]:
    """The service's keys and values, as compose names them.

    A network to be joined is that of the service with the joined role's name.
    """
    given = {**host_config_arguments(spec), **container_arguments(spec)}
    unknown = set(given) - set(_KEYS)
    if unknown:
        raise LoadgenError(f"a compose file cannot say {', '.join(sorted(unknown))}")
    keys: dict[str, Any] = {}
    for name, say in _KEYS.items():
        value = given.get(name)
        if value is not None and value is not False and value not in ([], {}):
            keys |= say(value)
    return keys


def _same(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {name: value}


def _no_key(_value: Any) -> dict[str, Any]:
    return {}


def _mounts(mounts: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "volumes": [
            {
                "type": mount["Type"],
                "source": mount["Source"],
                "target": mount["Target"],
                "read_only": bool(mount.get("ReadOnly")),
            }
            for mount in mounts
        ]
    }


def _network(mode: str) -> dict[str, Any]:
    joined = mode.removeprefix(_JOINED)
    return {"network_mode": mode if joined == mode else f"service:{joined}"}


def _logging(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"logging": {"driver": config["Type"], "options": dict(config["Config"])}}


def _tmpfs(folders: Mapping[str, str]) -> dict[str, Any]:
    return {"tmpfs": [f"{path}:{options}" for path, options in folders.items()]}


def _ports(bindings: Mapping[int, tuple[str, int]]) -> dict[str, Any]:
    return {
        "ports": [
            f"{address}:{outside}:{inside}" for inside, (address, outside) in bindings.items()
        ]
    }


_KEYS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "image": _same("image"),
    "entrypoint": _same("entrypoint"),
    "command": _same("command"),
    "environment": _same("environment"),
    "working_dir": _same("working_dir"),
    "user": _same("user"),
    "labels": lambda labels: {"labels": dict(labels)},
    "init": _same("init"),
    "read_only": _same("read_only"),
    "cap_drop": _same("cap_drop"),
    "security_opt": _same("security_opt"),
    "pids_limit": _same("pids_limit"),
    "mem_limit": _same("mem_limit"),
    "memswap_limit": _same("memswap_limit"),
    "nano_cpus": lambda nano: {"cpus": nano / 1e9},
    "stop_signal": _same("stop_signal"),
    "network_mode": _network,
    "mounts": _mounts,
    "tmpfs": _tmpfs,
    "log_config": _logging,
    "port_bindings": _ports,
    "ports": _no_key,  # the same ports as in `port_bindings`
    "name": _no_key,  # compose names containers after the project
    "use_config_proxy": _no_key,  # the compose tool decides that by itself
}
