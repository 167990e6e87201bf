"""Ranges of addresses and bindings: which hosts a receive connector serves, and where it listens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from umkit.kinds import BINDING, IP_RANGE

_ALL = {"0.0.0.0", "[::]"}  # noqa: S104  # compared with, not listened on


@dataclass(frozen=True)
class Range:
    """Addresses from the first to the last.

    Arguments:
        version: 4 or 6.
        first: the lowest address as a number.
        last: the highest one.
    """

    version: int
    first: int
    last: int

    @property
    def width(self) -> int:
        """How many addresses it holds."""
        return self.last - self.first + 1

    @property
    def everywhere(self) -> bool:
        """Whether it is every address there is."""
        return self.width == (1 << (32 if self.version == 4 else 128))

    def holds(self, other: Range) -> bool:
        """Whether every address of the other one is in this one."""
        return self.version == other.version and self.first <= other.first and other.last <= self.last

    def meets(self, other: Range) -> bool:
        """Whether the two have an address in common."""
        return self.version == other.version and self.first <= other.last and other.first <= self.last


def ranges(values: Iterable[Any] | None) -> list[Range]:
    """The ranges of a connector's ``RemoteIPRanges``; raises ValueError on what is none."""
    found = []
    for value in values or ():
        low, _, high = str(IP_RANGE.normalise(value)).partition("-")
        first, last = ip_address(low), ip_address(high or low)
        found.append(Range(first.version, int(first), int(last)))
    return found


def same_place(some: Iterable[Any] | None, others: Iterable[Any] | None) -> bool:
    """Whether two connectors with these ``Bindings`` listen on a common address and port."""
    return any(_meet(BINDING.normalise(a), BINDING.normalise(b)) for a in some or () for b in others or ())


def _meet(some: str, other: str) -> bool:
    (host, _, port), (other_host, _, other_port) = some.rpartition(":"), other.rpartition(":")
    if port != other_port or host.startswith("[") != other_host.startswith("["):
        return False
    return host == other_host or bool(_ALL & {host, other_host})
