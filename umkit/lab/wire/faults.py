"""Faults to order: what breaks, and at which request or mutation."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umkit.errors import LabError

DROP_BEFORE = "drop-before"
DROP_AFTER = "drop-after"
HTTP_503 = "http-503"
HANG = "hang"
LOSE_SHELL = "lose-shell"
KILL = "kill"
ACTIONS = (DROP_BEFORE, DROP_AFTER, HTTP_503, HANG, LOSE_SHELL, KILL)


class Interference(Exception):
    """A fault strikes before the request was handled; ``action`` is one of ACTIONS."""

    def __init__(self, action: str) -> None:
        super().__init__(action)
        self.action = action


@dataclass(frozen=True)
class Order:
    """One ordered fault.

    Arguments:
        do: one of ACTIONS.
        at_request: strikes at this HTTP request, from 1, or 0.
        at_mutation: strikes at this mutating pipeline, from 1, or 0.
    """

    do: str
    at_request: int = 0
    at_mutation: int = 0


def parse(orders: Any) -> list[Order]:
    """Read a list of faults as in a faults file.

    Raises:
        LabError: an entry is not understood; says which and why.
    """
    if not isinstance(orders, list):
        raise LabError("faults are not a list", expected='[{"at_request": 3, "do": "drop-before"}]')
    return [_order(number, order) for number, order in enumerate(orders, 1)]


def _order(number: int, order: Any) -> Order:
    expected = f'one of "at_request" and "at_mutation" (a number from 1), and "do": one of {", ".join(ACTIONS)}'
    problem = LabError(f"fault {number} is not understood", seen=repr(order)[:200], expected=expected)
    if not isinstance(order, dict) or set(order) not in ({"do", "at_request"}, {"do", "at_mutation"}):
        raise problem
    at = order.get("at_request", order.get("at_mutation"))
    if order["do"] not in ACTIONS or isinstance(at, bool) or not isinstance(at, int) or at < 1:
        raise problem
    return Order(**order)


def load(path: Path) -> list[Order]:
    """Read a faults file.

    Raises:
        LabError: it cannot be read or understood.
    """
    try:
        orders = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LabError("the faults file cannot be read", where={"file": str(path)}, seen=str(error)) from error
    return parse(orders)


class Faults:
    """The faults now ordered; counting starts when they are set."""

    def __init__(self, orders: Sequence[Order] = ()) -> None:
        self._lock = threading.Lock()
        self.set(orders)

    def set(self, orders: Sequence[Order]) -> None:
        """Replace all faults and count from 1 again."""
        with self._lock:
            self._at_request = {order.at_request: order.do for order in orders if order.at_request}
            self._at_mutation = {order.at_mutation: order.do for order in orders if order.at_mutation}
            self._requests = 0
            self._mutations = 0

    def on_request(self) -> str | None:
        """Count an HTTP request; what is to happen to it."""
        with self._lock:
            self._requests += 1
            return self._at_request.get(self._requests)

    def on_mutation(self) -> str | None:
        """Count a mutating pipeline; what is to happen to it."""
        with self._lock:
            self._mutations += 1
            return self._at_mutation.get(self._mutations)
