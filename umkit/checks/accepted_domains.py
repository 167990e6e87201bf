"""Accepted domains: what the organisation takes mail for, and why none is added.

An accepted domain lets every computer that reaches the server by SMTP send to it; the relay connector lets the UM
server alone.
"""

from __future__ import annotations

from umkit.kinds import ENUM
from umkit.outcome import Report, Row
from umkit.site import Site


class AcceptedDomains:
    """The organisation's accepted domains, and the reason to add no outside domain."""

    def run(self, site: Site) -> Report:
        """One row for each domain; one finding for a domain that lets everybody relay, else one in all."""
        report = Report()
        domains = site.organisation().list("AcceptedDomain", fresh=True)
        for domain in domains:
            name, kind = str(domain["DomainName"]), str(domain["DomainType"])
            report.rows.append(Row(f"accepted domain {domain['Name']}", "DomainName", name, name, True, note=kind))
            if name == "*" and ENUM.same(kind, "ExternalRelay"):
                report.add(
                    "failed",
                    f"accepted domain {domain['Name']} is * ({kind}): whoever reaches the server may relay through it",
                    "remove this accepted domain; the relay connector is there for the UM server",
                )
        report.add(
            "ok",
            f"{len(domains)} accepted domains; outside domains are not added to them, for then every computer that"
            " reaches the server could send to them: the receive connector lets the UM server alone",
        )
        return report
