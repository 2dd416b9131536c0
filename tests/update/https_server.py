"""A real HTTPS server on the loopback, with a certificate of its own making and the faults of the wild."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Site:
    """What is served. ``files``: by path. ``redirects``: from path to address. ``lose_after``: bytes."""

    url: str = ""
    certificate: Path = Path()
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    lose_after: int | None = None
    says_length: bool = True
    knows_ranges: bool = True
    stalls: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0


def make_certificate(folder: Path, name: str = "localhost") -> Path:
    """A certificate and its key in one file."""
    both = folder / f"{name}.pem"
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        f"/CN={name}",
    ]
    command += ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


@contextmanager
def serving(certificate: Path, tls: bool = True) -> Iterator[Site]:
    site = Site(certificate=certificate)
    handler: Any = type("SiteHandler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients hang up on purpose
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    site.url = f"{'https' if tls else 'http'}://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=60)


class _Handler(BaseHTTPRequestHandler):
    site: Site
    timeout = 60

    def do_GET(self) -> None:
        site = self.site
        site.asked.append((self.path, self.headers.get("Range", "")))
        if self.path in site.redirects:
            self.send_response(302)
            self.send_header("Location", site.redirects[self.path])
            self.end_headers()
        elif self.path in site.files:
            self._send(site.files[self.path], site.tags.get(self.path, '"one"'))
        else:
            self.send_error(404)

    def _send(self, body: bytes, tag: str) -> None:
        site, start = self.site, 0
        asked = self.headers.get("Range", "")
        if site.knows_ranges and asked and self.headers.get("If-Range") == tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("ETag", tag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if site.says_length:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:] if site.lose_after is None else body[start : start + site.lose_after]
        site.sent += len(rest)
        self.wfile.write(rest)
        if site.stalls:
            self.wfile.flush()
            self.rfile.read(1)  # until the client has gone

    def log_message(self, *_: object) -> None:
        pass
