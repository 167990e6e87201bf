"""Address spaces: whether anything else takes mail for a UM service's domain.

Another enabled connector for the same domain shares its mail or takes all of it;
a domain that is an accepted domain of the organisation never leaves it.
"""

from __future__ import annotations

from umkit.kinds import NAME
from umkit.outcome import Report
from umkit.resources.send_connector import SendConnector
from umkit.site import Site


def domain_of(space: str) -> str:
    """The domain of an address space such as ``SMTP:fax.example.org;1``; empty where it is not SMTP."""
    kind, colon, rest = space.partition(":")
    if not colon:
        kind, rest = "SMTP", space
    return rest.partition(";")[0].strip().casefold() if kind.strip().casefold() == "smtp" else ""


class AddressSpaceConflicts:
    """No other enabled send connector and no accepted domain claims a service's domain."""

    def run(self, site: Site) -> Report:
        """One finding for each conflict, or one *ok* for each service."""
        report = Report()
        channel = site.organisation()
        with channel.asked_ahead([("SendConnector", {}), ("AcceptedDomain", {})]):
            connectors, accepted = channel.list("SendConnector"), channel.list("AcceptedDomain")
        for service, own in zip(site.inputs.um_services, SendConnector.wanted_by(site), strict=True):
            domain = service.domain.casefold()
            before = len(report.findings)
            for connector in connectors:
                if NAME.same(connector["Name"], own.name) or not connector["Enabled"]:
                    continue
                if domain in {domain_of(str(space)) for space in connector["AddressSpaces"]}:
                    report.add(
                        "failed",
                        f"send connector {connector['Name']} claims {service.domain} too",
                        "disable it, or take the address space away from it",
                    )
            for entry in accepted:
                if _covers(str(entry["DomainName"]).casefold(), bool(entry.get("MatchSubDomains")), domain):
                    report.add(
                        "failed",
                        f"{service.domain} is covered by accepted domain {entry['DomainName']} ({entry['DomainType']}):"
                        " mail to it never leaves the organisation",
                        "choose another domain for the service, or remove the accepted domain",
                    )
            if len(report.findings) == before:
                report.add("ok", f"only {own.name} claims {service.domain}")
        return report


def _covers(accepted: str, subdomains: bool, domain: str) -> bool:
    bare = accepted.removeprefix("*.")
    if subdomains or bare != accepted:
        return domain == bare or domain.endswith("." + bare)
    return accepted == domain
