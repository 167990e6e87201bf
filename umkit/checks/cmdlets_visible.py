"""Cmdlets: what the account may run, asked of the endpoint itself.

Exchange shows an account only the cmdlets of its management roles; the endpoint's
own ``Get-Command`` lists them (reference: "The Microsoft.Exchange endpoint").
"""

from __future__ import annotations

from collections.abc import Iterable

from umkit.chapters import chapters
from umkit.command import Command
from umkit.outcome import Report
from umkit.site import Site

#: The management role that usually carries a noun's changing cmdlets (?); a customer may have changed the roles.
ROLES = {
    "SendConnector": "Send Connectors",
    "ReceiveConnector": "Receive Connectors",
    "RemoteDomain": "Remote and Accepted Domains",
    "AcceptedDomain": "Remote and Accepted Domains",
    "ImapSettings": "POP3 And IMAP4 Protocols",
    "ADPermission": "Active Directory Permissions",
    "MailboxPermission": "Mail Recipients",
    "Mailbox": "Mail Recipients",
    "MailboxDatabase": "Databases",
    "ThrottlingPolicy": "Recipient Policies",
    "ThrottlingPolicyAssociation": "Recipient Policies",
    "RoleGroup": "Role Management",
    "RoleGroupMember": "Role Management",
    "ManagementRoleAssignment": "Role Management",
}


class CmdletsVisible:
    """Every cmdlet that the chosen chapters call is visible to the account.

    Arguments:
        names: the chapters that are wanted; all of them without.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        wanted = list(names) or list(chapters())
        self.needed = sorted({cmdlet for name in wanted for cmdlet in chapters()[name].needs})

    def run(self, site: Site) -> Report:
        """One finding: all there, or which are missing, by role."""
        report = Report()
        visible = site.organisation().read(Command("Get-Command"), pin=False).outputs
        names = {
            str(command.get("Name", command) if hasattr(command, "get") else command).casefold() for command in visible
        }
        missing = [cmdlet for cmdlet in self.needed if cmdlet.casefold() not in names]
        if not missing:
            report.add("ok", f"all {len(self.needed)} cmdlets that the chapters need are visible to the account")
        by_role: dict[str, list[str]] = {}
        for cmdlet in missing:
            by_role.setdefault(ROLES.get(cmdlet.partition("-")[2], "View-Only Configuration"), []).append(cmdlet)
        for role, cmdlets in sorted(by_role.items()):
            report.add(
                "failed",
                f"not visible to the account: {', '.join(cmdlets)}",
                f"give the account the management role {role}, then open a new session",
            )
        return report
