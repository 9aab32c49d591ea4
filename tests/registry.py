"""A read-only container registry on loopback that serves one image of the engine under test."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from docker import DockerClient

_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar"


class Registry:
    """Serves `image` under every name and tag that is asked for."""

    def __init__(self, client: DockerClient, image: str, folder: Path) -> None:
        """Unpack the image into `folder` and listen on a free port."""
        self._blobs: dict[str, Path] = {}
        self._manifest = json.dumps(self._save(client, image, folder)).encode()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            """The three paths that a pull asks for."""

            def do_HEAD(self) -> None:
                registry._answer(self, body=False)

            def do_GET(self) -> None:
                registry._answer(self, body=True)

            def log_message(self, *_: Any) -> None:
                """Tests are silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Closed at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _save(self, client: DockerClient, image: str, folder: Path) -> Mapping[str, object]:
        saved = folder / "saved.tar"
        with saved.open("wb") as file:
            for chunk in client.images.get(image).save():
                file.write(chunk)
        # By hand: `extractall` wants a filter from Python 3.12 on and knows none before 3.11.4.
        with tarfile.open(saved) as archive:
            for member in archive:
                source = archive.extractfile(member) if member.isfile() else None
                if source is not None:
                    target = folder / member.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with source, target.open("wb") as file:
                        shutil.copyfileobj(source, file)
        saved.unlink()
        index = json.loads((folder / "manifest.json").read_text())[0]
        return {
            "schemaVersion": 2,
            "mediaType": _TYPE,
            "config": self._blob(folder / index["Config"], _CONFIG_TYPE),
            "layers": [self._blob(folder / layer, _LAYER_TYPE) for layer in index["Layers"]],
        }

    def _blob(self, path: Path, media_type: str) -> Mapping[str, object]:
        with path.open("rb") as file:
            digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        self._blobs[digest] = path
        return {"mediaType": media_type, "size": path.stat().st_size, "digest": digest}

    def _answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        kind, data = "application/json", b"{}"
        name = request.path.rpartition("/")[2]
        if "/manifests/" in request.path:
            kind, data = _TYPE, self._manifest
        elif "/blobs/" in request.path:
            kind, data = "application/octet-stream", self._blobs[name].read_bytes()
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(data)))
        if "/manifests/" in request.path:
            digest = hashlib.sha256(data).hexdigest()
            request.send_header("Docker-Content-Digest", f"sha256:{digest}")
        request.end_headers()
        if body:
            request.wfile.write(data)
