"""Mailbox databases: which of them get the account's rights."""

from __future__ import annotations

from umkit.site import Site


def chosen_databases(site: Site) -> dict[str, str]:
    """Name and distinguished name of the databases that get the rights.

    A database that the customer file names and the organisation has not is there with an empty distinguished name.
    """
    present = [
        each for each in site.organisation().list("MailboxDatabase", fresh=site.interactive) if not each.get("Recovery")
    ]
    dns = {str(each["Name"]): str(each["DistinguishedName"]) for each in present}
    asked = site.inputs.mapi if site.inputs.has("mapi") else None
    if asked is not None and asked.databases:
        known = {name.casefold(): name for name in dns}
        return {
            known.get(name.casefold(), name): dns.get(known.get(name.casefold(), ""), "") for name in asked.databases
        }
    if asked is not None and asked.servers:
        servers = {_short(server) for server in asked.servers}
        there = {str(each["Name"]) for each in present if servers & {_short(str(s)) for s in each.get("Servers") or ()}}
        return {name: dn for name, dn in dns.items() if name in there}
    return dns


def _short(server: str) -> str:
    return server.partition(".")[0].casefold()
