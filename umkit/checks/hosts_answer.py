"""Windows hosts: whether each one answers on its own endpoint."""

from __future__ import annotations

from umkit.command import Command
from umkit.errors import UmkitError
from umkit.outcome import Report
from umkit.site import Site


class HostsAnswer:
    """Each Windows host that the customer file names answers, and says its name."""

    def run(self, site: Site) -> Report:
        """One finding for each host; *open* when none is named."""
        report = Report()
        query = Command(
            "Get-CimInstance", {"ClassName": "Win32_OperatingSystem", "Property": ["CSName", "Caption", "Version"]}
        )
        for host in site.inputs.hosts.all():
            try:
                system = site.host(host.name).read(query, pin=False).one()
            except UmkitError as error:
                report.add("failed", f"{host.name}: {error.what}", error.next)
                continue
            name = str(system["CSName"])
            if name.casefold() == host.name.partition(".")[0].casefold():
                report.add("ok", f"{host.name} answers: {system['Caption']} {system['Version']}")
            else:
                report.add(
                    "failed",
                    f"{host.name} answers under the name {name}",
                    "check the endpoint's address in the customer file",
                )
        if not report.findings:
            report.add(
                "open",
                "the customer file names no Windows host, so steps on Windows cannot be done or checked",
                "name the Exchange servers and the XPhone server under hosts",
            )
        return report
