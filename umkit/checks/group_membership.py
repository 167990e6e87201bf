"""Forbidden groups: those whose members Exchange denies access to mailboxes.

A group is told by what no language changes: the domain's own administrators by the end of their SID, Exchange's groups
by their place in the OU Microsoft Exchange Security Groups, where they keep their English names. The page's
"Organisation Admins" are Enterprise Admins in a German directory and Organization Management in Exchange: both count.
Source: vendor's chapter on the MAPI account; reference "Who is denied mailbox access".
"""

from __future__ import annotations

from umkit.accounts import Role, account_name, account_of
from umkit.errors import UmkitError
from umkit.kinds import IDENTITY
from umkit.memberships import Group, by_directory, by_exchange
from umkit.outcome import Report
from umkit.site import Site

#: Ends of the SIDs of a domain's administrators.
_ENDS = {"512": "Domain Admins", "519": "Enterprise Admins"}
_EXCHANGE = ("Exchange Servers", "Organization Management", "Exchange Organization Administrators")
_UNIT = "microsoft exchange security groups"


def forbidden(group: Group) -> str:
    """The group's English name if its members are denied access to mailboxes; else empty."""
    if group.sid.startswith("S-1-5-21-") and (name := _ENDS.get(group.sid.rpartition("-")[2])):
        return name
    place = IDENTITY.normalise(group.dn)
    if place is None or place.form != "dn" or _UNIT not in place.whole:
        return ""
    return next((name for name in _EXCHANGE if name.casefold() == place.last), "")


class ForbiddenGroups:
    """The account is in none of the groups that are denied access to mailboxes.

    Arguments:
        role: the MAPI account or the EWS account.
    """

    def __init__(self, role: Role = "mapi") -> None:
        self.role: Role = role

    def run(self, site: Site) -> Report:
        """One finding for each way into a forbidden group; one *ok* where there is none."""
        report, name = Report(), account_name(site.inputs, self.role)
        account = account_of(site, self.role)
        if account is None:
            report.add("failed", f"there is no user {name}", "create it, or mend its name in the customer file")
            return report
        host = site.inputs.hosts.directory
        if host is not None:
            try:
                groups, asked = by_directory(site.host(host.name), account), host.name
            except UmkitError as error:
                report.notes.append(f"{host.name} could not be asked ({error.what}); Exchange was asked instead")
                host = None
        if host is None:
            groups, asked = by_exchange(site.organisation(), account), "Exchange"
            report.notes.append(
                "Exchange does not show an account's primary group; a domain controller under hosts.directory does"
            )
        for group in groups:
            if english := forbidden(group):
                who = name if len(group.path) == 1 else group.path[-2]
                also = "" if english.casefold() == group.name.casefold() else f" ({english})"
                report.add(
                    "failed",
                    f"{name} is in {group.name}{also}: {' → '.join((name, *group.path))}; its members are denied access"
                    " to mailboxes",
                    f"take {who} out of {group.name}, or use another account",
                )
        if not report.findings:
            report.add("ok", f"{name} is in none of the forbidden groups ({asked} knows {len(groups)} groups of it)")
        return report
