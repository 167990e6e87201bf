"""Get-Date: the host's clock."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from umkit.lab import records
from umkit.lab.objects import Enumeration, Noted, Scalar

if TYPE_CHECKING:
    from umkit.lab.call import Call

_PARTS = ("Year", "Month", "Day", "Hour", "Minute", "Second", "Millisecond")
_HINTS = ("Date", "Time", "DateTime")
_FORMATS = {"o": "%Y-%m-%dT%H:%M:%S.%f0%z", "s": "%Y-%m-%dT%H:%M:%S", "u": "%Y-%m-%d %H:%M:%SZ"}


def get_date(call: Call) -> None:
    """Tell the time of the host, or a given one with some parts replaced."""
    call.simulates("Date", *_PARTS, "DisplayHint", "Format")
    now = datetime.now(call.organisation.timezone)
    moment = call.get("Date") or now
    parts = {name.lower(): call.get(name) for name in _PARTS if name in call}
    if "millisecond" in parts:
        parts["microsecond"] = parts.pop("millisecond") * 1000
    try:
        moment = moment.replace(**parts)
    except ValueError as error:
        raise records.Refusal(
            str(error),
            error_id=f"System.ArgumentOutOfRangeException,{call.cmdlet.type_name}",
            category="InvalidArgument",
            exception_type="System.ArgumentOutOfRangeException",
            terminating=True,
        ) from None
    form = call.get("Format")
    if form is not None:
        if form not in _FORMATS:
            raise records.not_simulated(f"format {form} of Get-Date; it knows o, s and u")
        text = moment.strftime(_FORMATS[form])
        call.output(Scalar("S", text[:-2] + ":" + text[-2:] if form == "o" and moment.tzinfo else text))
        return
    hint = call.get("DisplayHint", "DateTime")
    note = Enumeration("Microsoft.PowerShell.Commands.DisplayHintType", hint, _HINTS.index(hint))
    call.output(Noted(Scalar("DT", moment), {"DisplayHint": note}))
