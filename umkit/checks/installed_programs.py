"""Installed programs: what must be gone before Outlook comes, and whether the XPhone server is there.

A person installs and uninstalls; the kit reads the Uninstall keys of both registry views.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar

from umkit.errors import HostNotNamed, RemoteError
from umkit.outcome import Report
from umkit.site import Site
from umkit.windows import xphone_host
from umkit.windows.programs import is_messaging_api, is_old_office
from umkit.windows.registry import Program, programs


def read_programs(site: Site, report: Report) -> list[Program] | None:
    """The programs of the XPhone server; nothing, with a finding, where they cannot be read."""
    try:
        found = programs(site.host(xphone_host(site)))
    except (HostNotNamed, RemoteError) as error:
        report.add_unseen(f"the installed programs were not looked at: {error.what}", error.next)
        return None
    for program in found:
        if program.problem:
            report.add_unseen(
                f"{program.key} cannot be read: {program.problem}",
                "look in Programs and Features; a malformed value in this key hides the program",
            )
    return found


class ProgramAbsent(ABC):
    """A program that must not be on the XPhone server when the customer migrates from an older Exchange."""

    what: ClassVar[str]

    @staticmethod
    @abstractmethod
    def unwanted(program: Program) -> bool:
        """Whether a program is the unwanted one."""

    def run(self, site: Site) -> Report:
        """One finding for each unwanted program, or one *ok*."""
        report = Report()
        if site.inputs.run.migrating_from is None:
            report.add("ok", f"no migration, so {self.what} is not looked for")
            return report
        if (found := read_programs(site, report)) is None:
            return report
        unwanted = [program for program in found if self.unwanted(program)]
        for program in unwanted:
            report.add(
                "open",
                f"{program} is still installed ({program.bits}-bit view)",
                "uninstall it in Control Panel, Programs and Features",
            )
        if not report.findings:
            report.add("ok", f"{self.what} is not among the {len(found)} installed programs")
        return report


class OldMessagingApi(ProgramAbsent):
    """Messaging API and Collaboration Data Objects 1.2.1 is uninstalled."""

    what = "Messaging API and Collaboration Data Objects"

    @staticmethod
    def unwanted(program: Program) -> bool:
        """Whether it is that program."""
        return is_messaging_api(program)


class OldOffice(ProgramAbsent):
    """Office 2013 and older are uninstalled."""

    what = "Office 2013 or older"

    @staticmethod
    def unwanted(program: Program) -> bool:
        """Whether it is such an Office."""
        return is_old_office(program)


class XPhoneInstalled:
    """The XPhone Connect Server is installed, in the version that the customer file names."""

    def run(self, site: Site) -> Report:
        """The server's name and version; *open* where it is missing or another version."""
        report = Report()
        if (found := read_programs(site, report)) is None:
            return report
        wanted = site.inputs.xphone
        entries = [program for program in found if _called(program.name, wanted.program)]
        if not entries:
            report.add(
                "open",
                f"{wanted.program} is not among the {len(found)} installed programs",
                "install it; or correct xphone.program, the name under Programs and Features",
            )
        for program in entries:
            if _is_version(program.version, wanted.version):
                report.add("ok", f"{program} is installed")
            else:
                report.add(
                    "open", f"{program} is installed, wanted is {wanted.version}", "update it to the latest release"
                )
        return report


def _called(name: str, wanted: str) -> bool:
    """Whether a display name is the wanted one, with or without a version behind it."""
    have, want = name.strip().casefold(), wanted.strip().casefold()
    return have == want or re.fullmatch(re.escape(want) + r"\s+(v|version)?\s*[0-9][0-9. ]*", have) is not None


def _is_version(version: str, wanted: str) -> bool:
    """Whether a version is the wanted one, or begins with it, part by part."""
    parts = wanted.strip().split(".") if wanted.strip() else []
    return version.split(".")[: len(parts)] == parts
