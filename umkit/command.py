"""A command: one cmdlet with typed parameters, and its text for people.

A command is data from the moment it is planned to the moment it is sent;
:meth:`Command.powershell` is only for people to read and copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What a parameter may be. ``bool`` serves Boolean and switch parameters alike; a ``dict`` becomes a hashtable;
#: a ``Secret`` (umkit.secrets) becomes a SecureString.
Value = Any

_READING_VERBS = frozenset({"Get", "Test", "Select", "Measure"})


@dataclass(frozen=True)
class Command:
    """One cmdlet with typed parameters.

    Arguments:
        name: the cmdlet, for example ``Set-RemoteDomain``.
        parameters: parameter name without dash → value: ``None``, ``bool``, ``int``, ``float``, ``str``, ``bytes``,
            ``list`` of these, ``dict``, ``datetime``, ``timedelta``, ``Decimal``, ``UUID`` or ``Secret``.
    """

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)

    @property
    def mutating(self) -> bool:
        """Whether the cmdlet can change something, told by its verb."""
        return self.name.partition("-")[0] not in _READING_VERBS
