"""The HTTP side of a session: what is added to, and taken from, pypsrp.

What leans on private names of pypsrp 0.9.1 stands here and in :mod:`umkit.remoting.decoder`; a test holds those names.
"""

from __future__ import annotations

import logging
import math
import ssl
import time
from http.client import BadStatusLine, RemoteDisconnected
from typing import Any

import requests
from pypsrp._pool_manager import DisableNewConnectionsContext, NewConnectionDisabled
from pypsrp.complex_objects import RunspacePoolState
from pypsrp.exceptions import WinRMTransportError, WSManFaultError
from pypsrp.negotiate import HTTPNegotiateAuth
from pypsrp.powershell import RunspacePool
from pypsrp.wsman import SelectorSet, WSMan
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError

from umkit.remoting.decoder import Decoder
from umkit.remoting.endpoint import Endpoint

#: A fault that only says "nothing yet": OperationTimeout.
TIMED_OUT = 2150858793
#: Seconds until an operation is answered "nothing yet", until silence counts as a lost connection, and for connecting.
OPERATION_TIMEOUT = 20
READ_TIMEOUT = 30
CONNECT_TIMEOUT = 10
#: Seconds that the answer to a poll may come after the deadline, so that the connection need not be given up.
GRACE = 1.0
#: Pauses before a refused connection is tried again; a service that restarts is back within them.
BACKOFF = (0.5, 1.0, 2.0)
#: Runspaces of one pool: so many commands of run_many() run at once.
RUNSPACES = 5

logging.getLogger("pypsrp").addHandler(logging.NullHandler())  # or its warnings go to a notebook's stderr


class NeverLeft(Exception):
    """The message did not leave this machine; the cause says why."""


class Guard:
    """Stands before pypsrp's transport: keeps the deadline and the encryption in step with the connection.

    A message is encrypted for the connection that was authenticated. When that one is gone, stock pypsrp sends the old
    context's ciphertext over a new one, which the server refuses from then on. So a request is first tried without
    leave to connect; where that fails nothing was sent, and the sockets and the context are given up together.

    Arguments:
        transport: the transport of a WSMan.
    """

    def __init__(self, transport: Any) -> None:
        self.end = math.inf
        self.pauses: tuple[float, ...] = BACKOFF
        self._transport = transport
        self._send = transport.send
        transport.send = self.send

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.end - time.monotonic()

    def reset(self) -> None:
        """Give up the connections and the encryption context, but keep the cookies: they lead to the same server."""
        if self._transport.session is not None:
            self._transport.session.close()
        self._transport.encryption = None

    def send(self, message: bytes, *, retries_on_read_timeout: int = 0, timeout: float | None = None) -> bytes:
        """Send one message and bring back the answer, within the deadline.

        Only Receive asks for retries: the server answers the same message again, so it may be repeated after silence.

        Raises ``NeverLeft`` when the message was certainly not sent, and what pypsrp and requests raise.
        """
        pauses = list(self.pauses)
        while True:
            left = self.left()
            if left <= 0:
                raise NeverLeft from TimeoutError("the deadline had passed")
            grace = GRACE if retries_on_read_timeout else 0.0
            read_timeout = min(timeout or READ_TIMEOUT, left + grace)
            try:
                return self._once(message, (min(CONNECT_TIMEOUT, left), read_timeout))
            except NeverLeft as exc:
                if not _refused(exc.__cause__) or not pauses or pauses[0] >= self.left():
                    raise
                time.sleep(pauses.pop(0))
            except requests.ReadTimeout:
                retries_on_read_timeout -= 1
                if retries_on_read_timeout < 0 or self.left() <= 0:
                    raise

    def _once(self, message: bytes, timeout: tuple[float, float]) -> bytes:
        try:
            if self._transport.session is None:
                return self._sent(message, timeout)
            try:
                with DisableNewConnectionsContext():
                    return self._sent(message, timeout)
            except NewConnectionDisabled:
                self.reset()
                return self._sent(message, timeout)
        except WinRMTransportError as exc:
            if "Envelope" not in str(exc.response_text):  # not WSMan's own answer: who knows what it has decrypted
                self.reset()
            raise
        except NewConnectionDisabled:
            raise
        except BaseException as exc:
            unsent = isinstance(exc, Exception) and self._unsent(exc)
            self.reset()
            if unsent:
                raise NeverLeft from exc
            raise

    def _sent(self, message: bytes, timeout: tuple[float, float]) -> bytes:
        answer: bytes = self._send(message, timeout=timeout)
        if self._transport.session is not None:  # it has the environment's proxies; to look for them with each message
            self._transport.session.trust_env = False  # takes a tenth of a command's time
        return answer

    def _unsent(self, exc: Exception) -> bool:
        if self._transport.wrap_required and self._transport.encryption is None:
            return True  # still authenticating: the message itself was to follow
        return unreachable(exc)


def unreachable(exc: BaseException) -> bool:
    """Whether no connection came about at all, or none that is to be trusted."""
    return isinstance(exc, requests.ConnectTimeout | requests.exceptions.InvalidURL) or any(
        isinstance(part, NewConnectionError | ConnectTimeoutError | ProxyError | ssl.SSLCertVerificationError)
        for part in causes(exc)
    )


def causes(exc: BaseException) -> list[BaseException]:
    """An exception and all that it was made from; requests and urllib3 keep that in arguments and in ``reason``.

    Not what was merely being handled when it was raised: that may be an earlier call's.
    """
    found: list[BaseException] = []
    waiting: list[Any] = [exc]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, BaseException) and part not in found:
            found.append(part)
            waiting += [*part.args, getattr(part, "reason", None), part.__cause__]
    return found


def _refused(exc: BaseException | None) -> bool:
    """Whether a connection was refused by a machine that is there."""
    return any(isinstance(part, ConnectionRefusedError) for part in causes(exc)) if exc is not None else False


def speaks_something_else(exc: BaseException) -> bool:
    """Whether the answer was not HTTP at all."""
    return any(isinstance(part, BadStatusLine) and not isinstance(part, RemoteDisconnected) for part in causes(exc))


def name_unknown(exc: BaseException) -> bool:
    """Whether the host's name has no address."""
    return any(isinstance(part, NameResolutionError) for part in causes(exc))


def build(endpoint: Endpoint) -> tuple[RunspacePool, Guard]:
    """A runspace pool that is not open yet, and the guard before its transport."""
    quiet()
    parts = endpoint.parts
    tls = parts.scheme == "https"
    wsman = WSMan(
        parts.hostname or "",
        port=parts.port or (443 if tls else 80),
        ssl=tls,
        path=parts.path.removeprefix("/") + (f"?{parts.query}" if parts.query else ""),
        auth=endpoint.auth,
        username=_header(endpoint, endpoint.username),
        password=None if endpoint.password is None else _header(endpoint, endpoint.password.reveal()),
        cert_validation=endpoint.certificate,  # type: ignore[arg-type]  # a path is understood as well
        encryption="never" if endpoint.auth == "basic" else "auto",
        operation_timeout=OPERATION_TIMEOUT,
        connection_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        reconnection_retries=0,  # the guard does that, within the deadline
        no_proxy=endpoint.loopback,
        locale="en-US",
        negotiate_service="HTTP",
        negotiate_hostname_override=endpoint.spn_host,
    )
    guard = Guard(wsman.transport)
    pool = RunspacePool(wsman, configuration_name=endpoint.configuration, min_runspaces=1, max_runspaces=RUNSPACES)
    pool._serializer = pool._fragmenter.serializer = Decoder()
    return pool, guard


def _header(endpoint: Endpoint, text: str | None) -> Any:
    """An account or password as pypsrp takes it; requests' Basic knows Latin-1, RFC 7617 has UTF-8 for the rest."""
    if text is None or endpoint.auth != "basic":
        return text
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")
    return text


def open_pool(pool: RunspacePool) -> None:
    """Open a pool; a server that takes longer than one operation is asked again until the guard's deadline."""
    begun = False
    while not begun or pool.state == RunspacePoolState.NEGOTIATION_SENT:
        try:
            if begun:
                pool._receive()
            else:
                begun = True
                pool.open()
        except WSManFaultError as exc:
            if exc.code != TIMED_OUT or pool.state != RunspacePoolState.NEGOTIATION_SENT:
                raise


def presume_open(pool: RunspacePool) -> None:
    """Take a pool for open whose Create went unanswered, so that its shell is deleted; its id is the client's own."""
    if not pool.shell.opened:
        pool.shell.opened = True
        pool.shell._selector_set = SelectorSet()
        pool.shell._selector_set.add_option("ShellId", pool.id)


def protocol(pool: RunspacePool) -> str:
    """The negotiated protocol: ``basic``, ``ntlm`` or ``kerberos``; ``none`` where the server asked for none."""
    auth: Any = pool.connection.transport.session and pool.connection.transport.session.auth
    if not isinstance(auth, HTTPNegotiateAuth):
        return "basic"
    contexts = list(auth.contexts.values())
    return str(contexts[0].negotiated_protocol).lower() if contexts else "none"


def quiet() -> None:
    """Keep pypsrp's loggers at WARNING: below that they write whole messages, with values as they are sent."""
    for name in [name for name in logging.Logger.manager.loggerDict if name.partition(".")[0] == "pypsrp"]:
        logger = logging.getLogger(name)
        if name == "pypsrp" or logger.level != logging.NOTSET:
            logger.setLevel(max(logger.level, logging.WARNING))
