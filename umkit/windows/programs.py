"""Programs that must be gone from the XPhone server before Outlook comes: how they are told by name and version.

Source: vendor's chapter "MAPI", migration.
"""

from __future__ import annotations

import re

from umkit.windows.registry import Program

_YEAR = re.compile(r"\b(97|2000|XP|2003|2007|2010|2013)\b")
#: Parts of names of what is called Microsoft Office and is none.
_NO_OFFICE = ("web components", "primary interop", "compatibility pack", "file validation", "access database engine")


def is_old_office(program: Program) -> bool:
    """Whether a program is Office 2013 or older, or one of its applications; 16.0 is 2016 and 2019."""
    name = program.name.casefold()
    if not name.startswith(("microsoft office", "microsoft outlook")) or any(part in name for part in _NO_OFFICE):
        return False
    major = program.version.partition(".")[0]
    return int(major) < 16 if major.isdecimal() else bool(_YEAR.search(program.name))


def is_messaging_api(program: Program) -> bool:
    """Whether a program is Messaging API and Collaboration Data Objects 1.2.1."""
    name = program.name.casefold()
    return "collaboration data objects" in name or "messaging api" in name
