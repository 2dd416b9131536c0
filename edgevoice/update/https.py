"""Download a pack over HTTPS: certificate checked, size limited, going on where an earlier run stopped."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import msgspec

from edgevoice.deploy.stage import SPARE_BYTES
from edgevoice.errors import EdgevoiceError
from edgevoice.pack.reader import PEEK_BYTES, peek
from targets.render import megabytes

SILENT_SECONDS = 30.0
LONGEST_SECONDS = 3600.0
_BLOCK = 1 << 16
_AGAIN = "run it again, it goes on from there"

WhyNot = Callable[[dict[str, Any]], str]


class Mark(msgspec.Struct, frozen=True):
    """What a part belongs to. ``validator``: what the server calls this version of the file."""

    url: str
    validator: str


@dataclass(frozen=True)
class Download:
    """Where a download lies until it is whole: ``ROOT/incoming``."""

    place: Path

    @property
    def part(self) -> Path:
        return self.place / "download.part"

    @property
    def mark(self) -> Path:
        return self.place / "download.json"

    def forget(self) -> None:
        for path in (self.mark, self.part):
            path.unlink(missing_ok=True)


def fetch(url: str, ca_file: str | None, most: int, download: Download, why_not: WhyNot) -> str:
    """Have the pack at ``url`` whole in ``download.part``; returns why that was left off, or "".

    ``most``: bytes. ``why_not`` judges the pack's index, which comes first, so nothing else is transferred if
    the pack is not wanted. Raises `EdgevoiceError`; what came before a lost connection is kept for the next
    run.
    """
    opener = build_opener(HTTPSHandler(context=_context(ca_file)), _OnlyHttps())
    try:
        with _answer(opener, url, download) as response:
            return _receive(response, url, most, download, why_not)
    except HTTPError as error:
        raise EdgevoiceError(f"{url} answers {error.code} ({_line(error.reason)}): mend the source") from None
    except URLError as error:
        raise EdgevoiceError(_unreachable(url, error.reason)) from None
    except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise EdgevoiceError(
            f"the connection to {url} was lost ({error or type(error).__name__}): {_AGAIN}"
        ) from None


class _OnlyHttps(HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme != "https":
            raise EdgevoiceError(f"{req.full_url} leads to {newurl}, which is not HTTPS: mend the source")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise EdgevoiceError(f"ca_file {ca_file} cannot be used: {error}") from None


def _answer(opener: Any, url: str, download: Download) -> Any:
    have, mark = _kept(url, download)
    headers = {"User-Agent": "edgevoice", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": mark.validator}
    try:
        return opener.open(Request(url, headers=headers), timeout=SILENT_SECONDS)
    except HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        error.close()
        download.forget()
        return _answer(opener, url, download)


def _kept(url: str, download: Download) -> tuple[int, Mark]:
    """How much of this very file an earlier run has left."""
    none = Mark(url, "")
    try:
        mark = msgspec.json.decode(download.mark.read_bytes(), type=Mark)
        return (download.part.stat().st_size, mark) if mark.url == url and mark.validator else (0, none)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return 0, none


def _receive(response: Any, url: str, most: int, download: Download, why_not: WhyNot) -> str:
    start = _start_of(response, download)
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdecimal() else None
    _check_room(url, start, total, most, download)
    if not start:
        download.forget()
        download.mark.write_bytes(msgspec.json.encode(Mark(url, _validator(response.headers))))
    deadline, judged = time.monotonic() + LONGEST_SECONDS, False
    with open(download.part, "ab") as stream:
        while block := response.read1(_BLOCK):
            stream.write(block)
            stream.flush()
            if stream.tell() > most:
                raise _too_large(url, most, download)
            if not judged and (found := _index(url, download)):
                if reason := why_not(found):
                    download.forget()
                    return reason
                judged = True
            if time.monotonic() > deadline:
                raise EdgevoiceError(f"{url} took more than {LONGEST_SECONDS:g} s: {_AGAIN}")
        got = stream.tell()
    if total is not None and got < total:
        raise EdgevoiceError(
            f"the connection to {url} was lost after {megabytes(got)} of {megabytes(total)}: {_AGAIN}"
        )
    return ""


def _start_of(response: Any, download: Download) -> int:
    """At which byte the answer begins; a server that ignores the question begins anew."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    have = download.part.stat().st_size
    if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        download.forget()
        raise EdgevoiceError(f"{response.url} sent another part of the file than was asked for: run it again")
    return have


def _validator(headers: Message) -> str:
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _index(url: str, download: Download) -> dict[str, Any] | None:
    with open(download.part, "rb") as stream:
        head = stream.read(PEEK_BYTES)
    try:
        return peek(head)
    except ValueError:
        download.forget()
        raise EdgevoiceError(
            f"{url} is no pack: make one with `edgevoice pack`, or mend the source"
        ) from None


def _check_room(url: str, start: int, total: int | None, most: int, download: Download) -> None:
    if total is None:
        return
    if total > most:
        raise _too_large(url, most, download)
    free, needs = shutil.disk_usage(download.place).free, total - start + SPARE_BYTES
    if free < needs:
        raise EdgevoiceError(
            f"{download.place.parent} has {megabytes(free)} free and the download needs {megabytes(needs)}: "
            f"free {megabytes(needs - free)} and run it again"
        )


def _too_large(url: str, most: int, download: Download) -> EdgevoiceError:
    with suppress(OSError):
        download.forget()
    return EdgevoiceError(f"{url} is larger than {megabytes(most)}: raise most_megabytes, or mend the source")


def _line(reason: object) -> str:
    return " ".join(str(reason).split())


def _unreachable(url: str, reason: object) -> str:
    host = urlsplit(url).netloc
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {host} is not trusted ({reason.verify_message}): "
            "mend the server or the device's clock, or give ca_file"
        )
    said = os.strerror(reason.errno) if isinstance(reason, OSError) and reason.errno else _line(reason)
    return f"cannot reach {host}: {said}"
