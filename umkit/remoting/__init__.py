"""Remoting: one session to one endpoint, commands out, plain Python values back.

Structured cmdlets only, over WSMan and PSRP (pypsrp); no script text ever goes over the wire.
"""

from umkit.remoting.clixml import EnumText, Record
from umkit.remoting.endpoint import Endpoint
from umkit.remoting.result import Result
from umkit.remoting.session import Session

__all__ = ["Endpoint", "EnumText", "Record", "Result", "Session"]
