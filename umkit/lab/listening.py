"""Where a receive connector listens and whom it lets in.

Local bindings, remote address ranges, and when those of two connectors of
one server conflict (reference/exchange.md §3 b).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from umkit.lab import quantities

_BINDING = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[\d.]+)):(?P<port>\d{1,5})")
#: First and last address of a range as numbers, with the IP version.
_Range = tuple[int, int, int]


def binding(text: str) -> str:
    """A local binding as Exchange prints it: ``0.0.0.0:25``, ``[::]:25``."""
    found = _BINDING.fullmatch(text.strip())
    if not found or not 1 <= int(found["port"]) <= 65535:
        raise ValueError(f"'{text}' isn't a valid IP address and port; enter it as 0.0.0.0:25 or [::]:25.")
    address = quantities.ip_address(found["six"] or found["four"])
    if (":" in address) != bool(found["six"]):
        raise ValueError(f"'{text}' isn't a valid IP address and port; enter it as 0.0.0.0:25 or [::]:25.")
    return f"[{address}]:{int(found['port'])}" if found["six"] else f"{address}:{int(found['port'])}"


def ip_range(text: str) -> str:
    """A range of remote addresses; an address, a CIDR block and a pair stay in the form in which they were given."""
    given = text.strip()
    _bounds(given)
    return given


def _bounds(text: str) -> _Range:
    """First and last address; raises ValueError when it is no range."""
    try:
        if "-" in text:
            low, _, high = text.partition("-")
            first, last = ipaddress.ip_address(low.strip()), ipaddress.ip_address(high.strip())
        elif "/" in text:
            block = ipaddress.ip_network(text, strict=False)
            first, last = block[0], block[-1]
        else:
            first = last = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"'{text}' isn't a valid IP address range.") from None
    if first.version != last.version or int(first) > int(last):
        raise ValueError(f"'{text}' isn't a valid IP address range.")
    return int(first), int(last), first.version


def _meet(one: str, other: str) -> bool:
    """Whether two bindings want the same address and port; an unspecified address means every one (?)."""
    (left, _, port), (right, _, other_port) = one.rpartition(":"), other.rpartition(":")
    if port != other_port or (":" in left) != (":" in right):
        return False
    return left == right or {left, right} & {"0.0.0.0", "[::]"} != set()  # noqa: S104 - compared, not bound


def _clash(one: _Range, other: _Range) -> bool:
    """Whether two ranges overlap and neither lies strictly within the other."""
    if one[2] != other[2] or one[1] < other[0] or other[1] < one[0]:
        return False
    within = one[0] >= other[0] and one[1] <= other[1]
    around = one[0] <= other[0] and one[1] >= other[1]
    return within == around


def conflict(values: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], bool] | None:
    """The connector of the same server that these values conflict with, and whether its transport role differs.

    Connectors of different roles need different bindings; those of one role need different ranges on one binding, of
    which one may contain the other.
    """
    ranges = [_bounds(each) for each in values["RemoteIPRanges"]]
    for other in others:
        if not any(_meet(one, each) for one in values["Bindings"] for each in other["Bindings"]):
            continue
        if other["TransportRole"] != values["TransportRole"]:
            return other, True
        if any(_clash(one, _bounds(each)) for one in ranges for each in other["RemoteIPRanges"]):
            return other, False
    return None
