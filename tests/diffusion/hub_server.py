"""A hub on this machine: serves a folder as a model's repository, whole or with the faults of real connections."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What is served, and what goes wrong."""

    folder: Path
    cut_after: int | None = None
    """Bytes of a weights file after which the connection breaks, once."""
    falsified: bool = False
    """Whether weights arrive with one byte changed."""
    web_page: str | None = None
    """Name of a file in whose place a proxy's page comes."""
    served: list[tuple[str, int]] = field(default_factory=list)
    """Every file sent, with the byte from which on."""
    address: str = ""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = self.path.split("?")[0]
            if path.startswith("/api/models/"):
                told = _tree(hub.folder) if "/tree/" in path else {"id": "someone/model", "sha": COMMIT}
                self._send(json.dumps(told).encode(), {"Content-Type": "application/json"}, body, 0)
                return
            name = path.split("/resolve/", 1)[1].split("/", 1)[1]
            file = hub.folder / name
            if not file.is_file():
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            if name == hub.web_page:
                content = b"<!DOCTYPE html><html><body>Please log in to the network</body></html>"
            if hub.falsified and name.endswith(".safetensors"):
                content = content[:-1] + bytes([content[-1] ^ 1])
            headers = {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            begin = int((self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
            if body:
                hub.served.append((name, begin))
            self._send(content, headers, body, begin, cuttable=name.endswith(".safetensors"))

        def _send(
            self, content: bytes, headers: dict[str, str], body: bool, begin: int, cuttable: bool = False
        ) -> None:
            self.send_response(206 if begin else 200)
            for name, value in headers.items():
                self.send_header(name, value)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            if not body:
                return
            if cuttable and hub.cut_after is not None and hub.cut_after < len(content) - begin:
                self.wfile.write(content[begin : begin + hub.cut_after])
                hub.cut_after = None
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(content[begin:])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _tree(folder: Path) -> list[dict[str, object]]:
    files = [one for one in sorted(folder.rglob("*")) if one.is_file()]
    return [_entry(one.relative_to(folder).as_posix(), one.read_bytes()) for one in files]


def _entry(name: str, content: bytes) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    told: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": digest[:40]}
    if name.endswith(".safetensors"):
        told["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
    return told
