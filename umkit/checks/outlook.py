"""Outlook: one of version 16.0 (2016 or 2019), 32-bit, and no other Office beside it.

Told from the Office keys of both registry views, so installations by MSI and by Click-to-Run are both seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from umkit.channel import Channel
from umkit.checks.installed_programs import read_programs
from umkit.errors import HostNotNamed, RemoteError
from umkit.outcome import Report
from umkit.site import Site
from umkit.windows import registry, xphone_host
from umkit.windows.programs import is_old_office

_VIEWS = {64: "HKLM:\\SOFTWARE\\Microsoft\\Office", 32: "HKLM:\\SOFTWARE\\Wow6432Node\\Microsoft\\Office"}
_CLICK_TO_RUN = "HKLM:\\SOFTWARE\\Microsoft\\Office\\ClickToRun\\Configuration"
_VERSIONS = {"16.0": "2016 or 2019", "15.0": "2013", "14.0": "2010", "12.0": "2007", "11.0": "2003"}


@dataclass(frozen=True)
class Outlook:
    """An Outlook on a host.

    Arguments:
        version: Office's version, for example ``16.0``.
        bitness: ``x86`` or ``x64``; empty where nothing tells it.
        source: ``MSI`` or ``Click-to-Run`` with its version.
    """

    version: str
    bitness: str
    source: str

    def __str__(self) -> str:
        bits = {"x86": "32-bit", "x64": "64-bit"}.get(self.bitness, f"bitness {self.bitness or 'not told'}")
        return f"Outlook {_VERSIONS.get(self.version, self.version)} ({self.version}, {bits}, {self.source})"


def installed(channel: Channel) -> list[Outlook]:
    """Every Outlook that the registry tells of, newest first; one that both views name counts once."""
    versions = dict(zip(_VIEWS, registry.subkeys_of(channel, [*_VIEWS.values()]), strict=True))
    places = [(version, bits) for version in _VERSIONS for bits in _VIEWS if version in versions[bits]]
    keys = {place: f"{_VIEWS[place[1]]}\\{place[0]}\\Outlook" for place in places}
    told = registry.values_of(
        channel,
        {
            _CLICK_TO_RUN: ["Platform", "VersionToReport", "ProductReleaseIds"],
            **{key: ["Bitness"] for key in keys.values()},
            **{f"{key}\\InstallRoot": ["Path"] for key in keys.values()},
        },
    )
    quick = told.get(_CLICK_TO_RUN, {})
    found: dict[tuple[str, str], Outlook] = {}
    for (version, bits), key in keys.items():
        said = told.get(key, {}).get("Bitness")
        if said is None and not told.get(f"{key}\\InstallRoot", {}).get("Path"):
            continue
        by_click = str(quick.get("VersionToReport") or "").partition(".")[0] == version.partition(".")[0]
        source = f"Click-to-Run {quick['VersionToReport']}" if by_click else "MSI"
        own = {64: "x64", 32: "x86"}[bits]
        bitness = str(said or (by_click and quick.get("Platform")) or own).casefold()
        found.setdefault((version, bitness), Outlook(version, bitness, source))
    return list(found.values())


class OutlookInstalled:
    """Outlook 2016 or 2019 in 32 bits is on the XPhone server, and no other Office version."""

    def run(self, site: Site) -> Report:
        """What is installed, and what of it is wrong; *open* where no Outlook is there yet."""
        report = Report()
        try:
            outlooks = installed(site.host(xphone_host(site)))
        except (HostNotNamed, RemoteError) as error:
            report.add_unseen(f"Outlook was not looked for: {error.what}", error.next)
            return report
        programs = read_programs(site, report) or []
        if not outlooks:
            report.add("open", "no Outlook is installed", "install Outlook 2016 or 2019, 32-bit")
        right = [outlook for outlook in outlooks if (outlook.version, outlook.bitness) == ("16.0", "x86")]
        for outlook in outlooks:
            if outlook in right:
                report.add("ok", f"{outlook} is installed")
            elif outlook.version == "16.0":
                report.add(
                    "failed",
                    f"{outlook} is installed, but XPhone needs 32 bits",
                    "uninstall it and install the 32-bit edition; Office's setup takes 64-bit unless told otherwise",
                )
            else:
                report.add(
                    "failed", f"{outlook} is installed, an older one", "uninstall it: only 2016 or 2019 may be there"
                )
        for program in programs:
            if is_old_office(program):
                report.add(
                    "failed", f"a second Office is installed: {program}", "uninstall it: no other version may be there"
                )
        return report
