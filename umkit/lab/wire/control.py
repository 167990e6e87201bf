"""The control address: the organisation's state, the counts, and faults to order.

Loopback only. A page in a browser must not reach it: other Host names than
loopback's are refused (DNS rebinding), and so is whatever carries an Origin.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from umkit.errors import LabError
from umkit.lab.wire import faults
from umkit.lab.wire.faults import Faults
from umkit.lab.wire.http import Counts

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_MAX_BODY = 1024 * 1024
_IDLE_SECONDS = 60.0


class Control:
    """What the control address can see and steer.

    Arguments:
        state: the organisation as JSON-ready values.
        counts: the requests so far.
        faults: what is to break.
    """

    def __init__(self, state: Callable[[], dict[str, Any]], counts: Counts, faults: Faults) -> None:
        self.state = state
        self.counts = counts
        self.faults = faults

    def serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        """Serve one connection to its end."""
        _Handler(connection, address, self)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "umkit-lab"
    sys_version = ""
    timeout = _IDLE_SECONDS
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, address: tuple[str, int], control: Control) -> None:
        self._control = control
        super().__init__(connection, address, control)  # type: ignore[arg-type]  # only kept as .server

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        """Answer /, /state and /requests."""
        if not self._allowed():
            return
        path = self.path.partition("?")[0]
        if path == "/state":
            self._send(200, self._control.state())
        elif path == "/requests":
            self._send(200, self._control.counts.as_dict())
        elif path == "/":
            paths = {
                "GET /state": "the organisation",
                "GET /requests": "HTTP requests to the endpoints so far",
                "POST /faults": 'a list such as [{"at_request": 3, "do": "drop-before"}]; replaces the list before',
            }
            self._send(200, {"lab": paths, "do": list(faults.ACTIONS)})
        else:
            self._send(404, {"error": f"there is no {path[:100]}; GET / lists what there is"})

    def do_POST(self) -> None:
        """Take /faults."""
        if not self._allowed():
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or int(length[:9]) > _MAX_BODY:
            self.close_connection = True
            self._send(413 if length else 411, {"error": f"a body of at most {_MAX_BODY} bytes is needed"})
            return
        body = self.rfile.read(int(length))
        if self.path != "/faults":
            self._send(404, {"error": "POST takes /faults only"})
            return
        try:
            orders = faults.parse(json.loads(body.decode("utf-8")))
        except LabError as error:
            self._send(400, {"error": str(error)})
        except ValueError as error:
            self._send(400, {"error": f"not JSON: {error}"})
        else:
            self._control.faults.set(orders)
            self._send(200, {"faults": len(orders)})

    def _allowed(self) -> bool:
        host = self.headers.get("Host", "").strip().lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name in _LOOPBACK and self.headers.get("Origin") is None:
            return True
        self.close_connection = True
        self._send(403, {"error": "only for programs on this machine that name it 127.0.0.1 or localhost"})
        return False

    def _send(self, status: int, value: Any) -> None:
        body = (json.dumps(value, ensure_ascii=True, default=str) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
