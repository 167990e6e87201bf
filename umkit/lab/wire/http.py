"""One HTTP connection to an endpoint's port."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from umkit.lab.wire import auth, faults
from umkit.lab.wire.auth import Accounts, Authentication, Unsealable
from umkit.lab.wire.endpoint import Endpoint
from umkit.lab.wire.faults import Faults, Interference

MAX_BODY = 64 * 1024 * 1024
#: Seconds a connection may be silent before the server closes it, as http.sys does (?).
IDLE_SECONDS = 120.0

# As a browser is served: not well-formed XML, so that no client takes it for an envelope.
_PAGE = "<!DOCTYPE html><html><head><title>{0}</title><meta charset=us-ascii></head><body><h2>{0}</h2><hr></body>"
_SOAP = "application/soap+xml;charset=UTF-8"


class Counts:
    """How many HTTP requests came, and what they asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = 0
        self._actions: Counter[str] = Counter()

    def request(self) -> None:
        """Count a request."""
        with self._lock:
            self._requests += 1

    def action(self, name: str) -> None:
        """Count what a request asked for."""
        with self._lock:
            self._actions[name] += 1

    def as_dict(self) -> dict[str, Any]:
        """The counts as GET /requests answers them."""
        with self._lock:
            return {"requests": self._requests, "by_action": dict(sorted(self._actions.items()))}


class Front:
    """One port: its endpoints by path.

    Arguments:
        endpoints: path → endpoint.
        accounts: the organisation's accounts.
        faults: what is to break.
        counts: where requests are counted.
        kill: called when a fault kills the lab.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        accounts: Accounts,
        faults: Faults,
        counts: Counts,
        kill: Callable[[], None],
    ) -> None:
        self._endpoints = {_folded(path): endpoint for path, endpoint in endpoints.items()}
        self.accounts = accounts
        self.faults = faults
        self.counts = counts
        self.kill = kill

    def endpoint(self, path: str) -> Endpoint | None:
        """The endpoint under a path; case, a final slash and the query do not count."""
        return self._endpoints.get(_folded(path))

    def serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        """Serve one connection to its end."""
        _Handler(connection, address, self)


def _folded(path: str) -> str:
    return path.partition("?")[0].rstrip("/").casefold()


class _Handler(BaseHTTPRequestHandler):
    """Lives as long as its TCP connection, and so does its authentication."""

    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    sys_version = ""
    timeout = IDLE_SECONDS
    # Unbuffered writes with Nagle's algorithm cost 90 ms a cmdlet (reference/wire.md §1).
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, address: tuple[str, int], front: Front) -> None:
        self._front = front
        self._auth = Authentication(front.accounts)
        self._strike: str | None = None
        super().__init__(connection, address, front)  # type: ignore[arg-type]  # only kept as .server

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the trace and the counts say what came."""

    def do_POST(self) -> None:
        """Answer a WSMan request."""
        front = self._front
        front.counts.request()
        self._strike = front.faults.on_request()
        try:
            if self._strike in (faults.DROP_BEFORE, faults.KILL):
                raise Interference(self._strike)
            body = self._body()
            if body is None:
                return
            if self._strike == faults.HTTP_503:
                raise Interference(self._strike)
            self._handle(body)
        except Interference as struck:
            self._struck(struck.action)

    def do_GET(self) -> None:
        """Refuse: WSMan is POST only."""
        self._front.counts.request()
        self._front.counts.action("Other")
        self._strike = self._front.faults.on_request()
        self.close_connection = True  # whatever body came with it stays unread
        if self._strike is not None and self._strike not in (faults.DROP_AFTER, faults.HANG, faults.LOSE_SHELL):
            self._struck(self._strike)
        elif self._front.endpoint(self.path) is None:
            self._page(404, "404 - File or directory not found.")
        else:
            self._page(405, "405 - HTTP verb used to access this page is not allowed.")

    def _handle(self, body: bytes) -> None:
        front, count = self._front, self._front.counts.action
        endpoint = front.endpoint(self.path)
        if endpoint is None:
            count("Other")
            self._page(404, "404 - File or directory not found.")
            return
        verdict = self._auth.check(self.headers.get("Authorization"))
        if verdict.user is None or not body:
            count("Authentication")
            if self._strike == faults.LOSE_SHELL:
                endpoint.close()
            self._send(401 if verdict.user is None else 200, b"", "", verdict.headers)
            return
        sealed = self.headers.get("Content-Type", "").lower().startswith("multipart/encrypted")
        if sealed:
            try:
                body = auth.unseal(self._auth.context, body)
            except Unsealable:
                # What http.sys answers to a stale context (reference/wire.md §3.5); the key stream is lost with it.
                count("Other")
                self.close_connection = True
                self._send(400, b"", "")
                return
        answer = endpoint.answer(body, verdict.user, lose_shell=self._strike == faults.LOSE_SHELL)
        count(answer.action)
        self._strike = answer.effect.then or self._strike
        if self._strike in (faults.DROP_AFTER, faults.HANG):
            answer.effect.settle()
        kind, content = _SOAP, answer.body
        if sealed and self._auth.context is not None:
            iis = endpoint.service.configuration == "Microsoft.Exchange"
            kind, content = auth.seal(self._auth.context, content, iis=iis)
        self._send(answer.status, content, kind, verdict.headers)

    def _body(self) -> bytes | None:
        """The request's body, or None when the connection is of no more use."""
        lengths = self.headers.get_all("Content-Length", [])
        length = lengths[0].strip() if len(lengths) == 1 else ""
        status = 0
        if self.headers.get("Transfer-Encoding") or not lengths:
            status = 411
        elif not (length.isascii() and length.isdigit()):
            status = 400
        elif len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
            status = 413
        if status:
            self._front.counts.action("Other")
            self.close_connection = True
            self._page(status, str(status))
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return body

    def _struck(self, action: str) -> None:
        if action == faults.HTTP_503:
            self._page(503, "Service Unavailable")
            return
        if action == faults.KILL:
            self._front.kill()
        self.close_connection = True

    def _page(self, status: int, title: str) -> None:
        self._send(status, _PAGE.format(title).encode(), "text/html")

    def _send(self, status: int, body: bytes, kind: str, challenges: list[str] | None = None) -> None:
        if self._strike in (faults.DROP_AFTER, faults.HANG):
            self.close_connection = True
            if self._strike == faults.HANG:
                # Ends when the client goes, or when the lab stops and shuts the connection down.
                self.connection.settimeout(None)
                self.connection.recv(1)
            return
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        for challenge in challenges or []:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
