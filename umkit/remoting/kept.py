"""Sessions that a chapter leaves open for the next one of its run.

Opening a session costs an Exchange server seconds, and a user has 18 of them (reference: exchange.md, throttling). All
chapters of a run are carried out by one process, one after the other, so a session is opened once and handed on. A
chapter that ends badly ends that process, and its sessions with it.
"""

from __future__ import annotations

import atexit
import contextlib
import os

from umkit.errors import UmkitError
from umkit.remoting.endpoint import Endpoint
from umkit.remoting.session import Session

#: Environment variable: whoever carries out several chapters in this process says so with ``1``.
VARIABLE = "UMKIT_KEEP_SESSIONS"

_left: dict[Endpoint, Session] = {}


def take(endpoint: Endpoint) -> Session:
    """The session that was left for this endpoint, same account and password; else a new one, not open yet."""
    return _left.pop(endpoint, None) or Session(endpoint)


def leave(session: Session) -> None:
    """Leave a session to the next chapter, where this process carries out several; else close it.

    Raises what :meth:`Session.close` raises.
    """
    if os.environ.get(VARIABLE) == "1" and session.is_open and session.endpoint not in _left:
        _left[session.endpoint] = session
    else:
        session.close()


@atexit.register
def close() -> None:
    """Close every session that was left."""
    while _left:
        _, session = _left.popitem()
        with contextlib.suppress(UmkitError):
            session.close()
