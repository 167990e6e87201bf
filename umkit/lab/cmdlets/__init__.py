"""The lab's cmdlets: one noun a file, found by looking, nothing to register.

A file in ``exchange`` or ``windows`` serves a cmdlet by a function of its
name: ``def get_remote_domain(call)`` is Get-RemoteDomain, because both read
``getremotedomain`` without case, dash and underscores. It may also hold

* ``SHAPE``: the form of the noun's objects (umkit.lab.shapes),
* ``built_in(organisation)``: the property tables of objects that are there
  from the beginning,
* ``complete(organisation, values)``: the rules between properties; returns
  the values with what follows from them, or raises TaskRefusal,
* ``shown(organisation, entry)``: an object with what follows from others, for
  the organisation's state,
* ``DESCRIBED_IN``: the key of an organisation's file under which its objects
  are said, where that is not ``objects``,
* ``CMDLETS``: cmdlets that the shared reference's table does not have,
* ``NATIVE``: programs, by lower-case file name.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType

from umkit.lab import tables
from umkit.lab.service import Command


@functools.cache
def nouns(package: str) -> tuple[ModuleType, ...]:
    """The modules of one folder, each a noun.

    Arguments:
        package: ``exchange`` or ``windows``.
    """
    home = importlib.import_module(f"{__name__}.{package}")
    found = [info.name for info in pkgutil.iter_modules(home.__path__) if not info.ispkg]
    return tuple(importlib.import_module(f"{home.__name__}.{name}") for name in sorted(found))


@functools.cache
def commands(package: str) -> Mapping[str, Command]:
    """The cmdlets that the files of a folder serve, by lower-case name.

    Arguments:
        package: ``exchange`` or ``windows``. Exchange's endpoint has some of Windows' own cmdlets too.
    """
    known = dict(tables.cmdlets("windows")) | (dict(tables.cmdlets("exchange")) if package == "exchange" else {})
    for module in nouns(package):
        known |= {each.name.lower(): each for each in getattr(module, "CMDLETS", ())}
    plain = {name.replace("-", ""): cmdlet for name, cmdlet in known.items()}
    found = {}
    for module in nouns(package):
        for name, value in vars(module).items():
            cmdlet = plain.get(name.replace("_", "").lower())
            if cmdlet is not None and callable(value):
                found[cmdlet.name.lower()] = Command(cmdlet, value)
        for name, program in getattr(module, "NATIVE", {}).items():
            found[name] = Command(tables.Cmdlet(name, name, {}, ()), program, native=True)
    return found
