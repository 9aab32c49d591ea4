"""Which Docker engine is used: the one of the `docker` command, and what is said of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from docker.errors import DockerException

from loadgenctl.clock import SystemClock
from loadgenctl.engines.docker_connection import DEFAULT_ADDRESS, connect, find_address, open_tunnel
from loadgenctl.errors import EngineUnavailable

SOCKET = "unix:///tmp/nowhere.sock"


class Home:
    """A home folder with Docker's files in it."""

    def __init__(self, folder: Path) -> None:
        self.docker = folder / ".docker"
        self.environment = {"HOME": str(folder)}

    def context(self, name: str, endpoint: Any, *tls: str) -> None:
        identity = hashlib.sha256(name.encode()).hexdigest()
        meta = self.docker / "contexts" / "meta" / identity
        meta.mkdir(parents=True)
        document = {"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}
        (meta / "meta.json").write_text(json.dumps(document))
        for file in tls:
            folder = self.docker / "contexts" / "tls" / identity / "docker"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()

    def use(self, name: str) -> None:
        self.docker.mkdir(exist_ok=True)
        (self.docker / "config.json").write_text(json.dumps({"currentContext": name}))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_without_settings_it_is_the_socket_of_this_machine(home: Home) -> None:
    found = find_address(home.environment)
    assert (found.url, found.context, found.origin) == (DEFAULT_ADDRESS, None, "")


def test_the_context_in_use_names_the_engine(home: Home) -> None:
    home.context("alt", {"Host": SOCKET})
    home.use("alt")
    found = find_address(home.environment)
    assert (found.url, found.context) == (SOCKET, "alt")
    assert "docker context use default" in found.hint


def test_a_context_of_the_variable_needs_no_config_file(home: Home) -> None:
    home.context("alt", {"Host": SOCKET})
    found = find_address(home.environment | {"DOCKER_CONTEXT": "alt"})
    assert (found.url, found.context, found.origin) == (SOCKET, "alt", "DOCKER_CONTEXT")
    assert "unset DOCKER_CONTEXT" in found.hint


def test_the_variable_goes_over_the_context_in_use(home: Home) -> None:
    home.context("alt", {"Host": SOCKET})
    home.use("alt")
    found = find_address(home.environment | {"DOCKER_CONTEXT": "default"})
    assert (found.url, found.context) == (DEFAULT_ADDRESS, None)


def test_docker_host_goes_over_every_context(home: Home) -> None:
    home.context("alt", {"Host": SOCKET})
    home.use("alt")
    host = {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_CONTEXT": "alt"}
    found = find_address(home.environment | host)
    assert (found.url, found.context, found.origin) == ("tcp://127.0.0.1:1", None, "DOCKER_HOST")
    assert "unset DOCKER_HOST" in found.hint


def test_another_folder_of_docker_s_settings_is_heeded(home: Home, tmp_path: Path) -> None:
    home.context("alt", {"Host": SOCKET})
    home.use("alt")
    found = find_address({"HOME": "/", "DOCKER_CONFIG": str(tmp_path / ".docker")})
    assert found.url == SOCKET


@pytest.mark.parametrize("by", ["variable", "file"])
def test_a_context_that_does_not_exist_is_named_with_what_names_it(home: Home, by: str) -> None:
    if by == "file":
        home.use("gone")
    environment = home.environment | ({"DOCKER_CONTEXT": "gone"} if by == "variable" else {})
    with pytest.raises(EngineUnavailable, match="no Docker context 'gone'") as raised:
        find_address(environment)
    assert "docker context ls" in str(raised.value.hint)


@pytest.mark.parametrize("content", ["{", "[]", '{"Endpoints": 3}', "\xff"])
def test_a_damaged_context_is_named(home: Home, content: str) -> None:
    home.context("alt", {"Host": SOCKET})
    for file in home.docker.rglob("meta.json"):
        file.write_text(content, encoding="latin-1")
    with pytest.raises(EngineUnavailable, match=r"meta\.json"):
        find_address(home.environment | {"DOCKER_CONTEXT": "alt"})


@pytest.mark.parametrize("skip", [True, False])
def test_a_context_s_own_certificates_are_used(home: Home, skip: bool) -> None:
    endpoint = {"Host": "tcp://127.0.0.1:2376", "SkipTLSVerify": skip}
    home.context("tls", endpoint, "ca.pem", "cert.pem", "key.pem")
    tls = find_address(home.environment | {"DOCKER_CONTEXT": "tls"}).tls
    assert tls is not None
    assert tls.verify is not skip
    assert str(tls.ca_cert).endswith("ca.pem")


def test_the_tls_variables_are_those_of_docker(home: Home, tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / f"{name}.pem").touch()
    host = {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_CERT_PATH": str(tmp_path)}
    assert find_address(home.environment | host).tls is None
    tls = find_address(home.environment | host | {"DOCKER_TLS_VERIFY": "1"}).tls
    assert tls is not None
    assert tls.verify
    tls = find_address(home.environment | host | {"DOCKER_TLS": "1"}).tls
    assert tls is not None
    assert not tls.verify


def test_missing_certificates_are_named(home: Home) -> None:
    host = {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1"}
    with pytest.raises(EngineUnavailable, match=r"\.docker/ca\.pem is missing"):
        find_address(home.environment | host)


def test_an_engine_that_does_not_answer_is_named_with_its_context(home: Home) -> None:
    home.context("alt", {"Host": "tcp://127.0.0.1:9"})
    home.use("alt")
    with pytest.raises(EngineUnavailable) as raised:
        connect(home.environment)
    assert "no Docker engine answers at tcp://127.0.0.1:9 (context 'alt'" in raised.value.message
    assert "docker context use default" in str(raised.value.hint)


def test_an_engine_that_may_not_be_used_names_the_group(home: Home) -> None:
    def factory(**_settings: object) -> object:
        raise DockerException("PermissionError(13, 'Permission denied')")

    with pytest.raises(EngineUnavailable, match="permission denied") as caught:
        connect(home.environment, factory)  # type: ignore[arg-type]
    assert "group" in str(caught.value.hint)
    assert DEFAULT_ADDRESS in caught.value.message


def test_an_address_that_is_none_is_told_as_such(home: Home) -> None:
    with pytest.raises(EngineUnavailable, match="garbage") as caught:
        connect(home.environment | {"DOCKER_HOST": "garbage://x"})
    assert "unix:///PATH" in str(caught.value.hint)


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs the docker command")
def test_contexts_that_docker_makes_are_found_as_docker_finds_them(home: Home) -> None:
    environment = {**os.environ, **home.environment}
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        environment.pop(name, None)

    def docker(*words: str, **more: str) -> str:
        return subprocess.run(
            ["docker", *words],
            env=environment | more,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def shown(**more: str) -> str:
        return docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}", **more)

    docker("context", "create", "alt", "--docker", f"host={SOCKET}")
    assert find_address(environment).url == shown()
    alt = {"DOCKER_CONTEXT": "alt"}
    assert find_address(environment | alt).url == shown(**alt) == SOCKET
    docker("context", "use", "alt")
    assert find_address(environment).url == shown() == SOCKET


ECHO = b"answer"
SSH = """
import os, socket, sys, threading
words = sys.argv[1:]
with open(os.environ["SSH_SAID"], "w") as file:
    file.write(" ".join(words))
if words[-2] == "refuses":
    sys.exit("Permission denied (publickey).")
here, there = words[words.index("-L") + 1].split(":")
listener = socket.socket(socket.AF_UNIX)
listener.bind(here)
listener.listen()
def serve():
    taken, _ = listener.accept()
    with socket.socket(socket.AF_UNIX) as far:
        far.connect(there)
        taken.sendall(far.recv(100))
    taken.close()
threading.Thread(target=serve, daemon=True).start()
sys.stdin.read()
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for ssh that forwards a socket of this machine; the file of its arguments."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{SSH}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("SSH_SAID", str(tmp_path / "said"))
    return tmp_path / "said"


def test_an_engine_behind_ssh_is_reached_by_a_forwarded_socket(ssh: Path, tmp_path: Path) -> None:
    far = socket.socket(socket.AF_UNIX)
    far.bind(str(tmp_path / "far.sock"))
    far.listen()

    def answer() -> None:
        taken, _ = far.accept()
        taken.sendall(ECHO)
        taken.close()

    thread = threading.Thread(target=answer)
    thread.start()
    tunnel = open_tunnel(f"ssh://me@there:2222{tmp_path}/far.sock", SystemClock(), within=20)
    with socket.socket(socket.AF_UNIX) as near:
        near.connect(tunnel.url.removeprefix("unix://"))
        assert near.recv(100) == ECHO
    thread.join()
    far.close()
    tunnel.close()
    assert not tunnel.folder.exists()
    assert not tunnel.child.running
    said = ssh.read_text()
    assert "-p 2222 -l me" in said
    assert "BatchMode=yes" in said
    assert said.endswith("-- there cat >/dev/null")


def test_what_ssh_says_is_told_with_a_way_to_try_it_by_hand(ssh: Path) -> None:
    with pytest.raises(EngineUnavailable, match="Permission denied") as raised:
        connect({"DOCKER_HOST": "ssh://me@refuses"})
    assert "ssh me@refuses docker version" in str(raised.value.hint)
    assert ssh.exists()


def test_without_ssh_the_missing_program_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="ssh is not installed"):
        connect({"DOCKER_HOST": "ssh://there"})


@pytest.mark.parametrize("url", ["ssh://", "ssh://h:port", "ssh://-oProxyCommand=x"])
def test_an_address_that_ssh_could_take_for_an_option_is_refused(url: str) -> None:
    with pytest.raises(EngineUnavailable, match="not an address of an engine"):
        connect({"DOCKER_HOST": url})
