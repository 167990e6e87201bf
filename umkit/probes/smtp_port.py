"""SMTP port: whether each source server reaches the smart host.

``Test-NetConnection`` runs on the source server itself, so the answer is that of
the way the mail will take. The vendor's services listen on 2533 (fax) and 2544
(text messages) by default, while the wizard leaves port 25.
"""

from __future__ import annotations

from umkit.command import Command
from umkit.errors import UmkitError, UsageError
from umkit.outcome import Report
from umkit.resources.send_connector import SendConnector
from umkit.site import Site


class SmtpPort:
    """From each source server, the smart host answers on the connector's port."""

    def run(self, site: Site) -> Report:
        """One finding for each pair of server and service; *open* where a server cannot be asked."""
        report = Report()
        for connector in SendConnector.wanted_by(site):
            host, port = connector.wanted["SmartHosts"][0], connector.wanted["Port"]
            for server in connector.wanted["SourceTransportServers"]:
                self._try(report, site, server, host, port)
        if not report.findings:
            report.add(
                "open", "no source server is known, so nothing was tried", "name the servers in the customer file"
            )
        return report

    def _try(self, report: Report, site: Site, server: str, host: str, port: int) -> None:
        command = Command("Test-NetConnection", {"ComputerName": host, "Port": port})
        try:
            answer = site.host(server).read(command, pin=False).one()
        except UsageError:
            why = f"the customer file names no endpoint for {server}"
            report.add("open", f"{server} → {host}:{port} was not tried: {why}", f"add {server} under hosts.exchange")
        except UmkitError as error:
            report.add("open", f"{server} → {host}:{port} was not tried: {error.what}", error.next)
        else:
            if answer["TcpTestSucceeded"]:
                report.add("ok", f"{server} reaches {host}:{port}")
            else:
                report.add(
                    "failed",
                    f"{server} does not reach {host}:{port}",
                    "check that the service listens on this port (by default 2533 for fax, 2544 for text messages), the"
                    " firewall between the two, and um_services.port in the customer file",
                )
