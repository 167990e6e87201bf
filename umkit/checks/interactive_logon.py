"""Interactive logon: whether the service account may log on at the XPhone server, as Outlook needs it to.

Allowed is who has SeInteractiveLogonRight, by itself or through a group, and has not SeDenyInteractiveLogonRight,
which overrides it. SecEdit exports both to a file, so the check looks only in a run that may change the host.
"""

from __future__ import annotations

from umkit.accounts import Account, account_of
from umkit.channel import Channel
from umkit.errors import HostNotNamed, RecordError, RemoteError, UmkitError
from umkit.journal import read
from umkit.kinds import NAME
from umkit.memberships import Group, by_directory, by_exchange
from umkit.outcome import Report
from umkit.site import Site
from umkit.windows import rights, xphone_host

_ALLOW, _DENY = "seinteractivelogonright", "sedenyinteractivelogonright"
#: Everyone, INTERACTIVE, Authenticated Users: whoever logs on is one of them.
_ALWAYS = {"S-1-1-0": "Everyone", "S-1-5-4": "INTERACTIVE", "S-1-5-11": "Authenticated Users"}
_BY_HAND = "look in secpol.msc, Local Policies, User Rights Assignment: Allow log on locally, Deny log on locally"


class InteractiveLogon:
    """The MAPI account may log on locally at the XPhone server."""

    acts = (
        "SecEdit writes the user rights into a file in C:\\Windows\\Temp on the XPhone server; it is read and removed"
    )

    def run(self, site: Site) -> Report:
        """One finding, with the way to the right or to what denies it; *open* where it was not looked at."""
        report = Report()
        if not _may_write(site):
            report.add(
                "open",
                "who may log on at the XPhone server was not looked at: SecEdit exports that to a file on the host, and"
                " this run changes nothing",
                f"apply this step, or {_BY_HAND}",
            )
            return report
        try:
            channel = site.host(xphone_host(site))
            account = account_of(site, "mapi")
            if account is None:
                report.add("open", f"there is no user {site.inputs.mapi.account}", "see to MAPI-3 first")
                return report
            self._judge(report, channel, account, _groups(site, account), rights.export(channel))
        except HostNotNamed as error:
            report.add("open", f"who may log on was not looked at: {error.what}", _BY_HAND)
        except UmkitError as error:
            if isinstance(error, RecordError):
                raise
            report.add("open", f"who may log on at the XPhone server could not be read: {error.what}", _BY_HAND)
        return report

    def _judge(
        self, report: Report, channel: Channel, account: Account, groups: list[Group], held: dict[str, list[str]]
    ) -> None:
        who, host = account.upn or account.name, channel.endpoint.name
        denied, unknown = _ways(channel, account, groups, held.get(_DENY, []))
        allowed, unsure = _ways(channel, account, groups, held.get(_ALLOW, []))
        if denied:
            report.add(
                "failed",
                f"{who} may not log on at {host}: denied through {'; '.join(denied)}",
                "take it out of Deny log on locally, where a policy of the domain may set that",
            )
        elif unknown or (unsure and not allowed):
            names = ", ".join(unknown or unsure)
            report.add(
                "open", f"whether {who} may log on at {host} cannot be told: members of {names} unknown", _BY_HAND
            )
        elif allowed:
            report.add("ok", f"{who} may log on at {host}: through {'; '.join(allowed)}")
        else:
            holders = ", ".join(held.get(_ALLOW, [])) or "nobody"
            report.add(
                "failed",
                f"{who} may not log on at {host}: Allow log on locally has {holders}",
                f"give it Allow log on locally, or put it into the group Users of {host}",
            )


def _ways(channel: Channel, account: Account, groups: list[Group], entries: list[str]) -> tuple[list[str], list[str]]:
    """Through what an account is among the holders of a right; and the groups whose members cannot be read."""
    own = {account.sid: account.name, **_ALWAYS}
    own |= {group.sid: " → ".join(group.path) for group in groups if group.sid}
    own.setdefault(account.sid.rpartition("-")[0] + "-513", "Domain Users")  # the primary group of nearly every user
    ways, unknown = [], []
    for entry in entries:
        if entry in own:
            ways.append(own[entry])
        elif entry.startswith("S-1-5-32-") or not entry.startswith("S-1-"):
            group = next((group for group in groups if NAME.same(entry.rpartition("\\")[2], group.name)), None)
            if group is not None or account.named(entry):
                ways.append(" → ".join(group.path) if group else account.name)
                continue
            try:
                members = rights.members(channel, entry) or {}
            except RemoteError:  # one member that nobody can name any more is enough for that
                unknown.append(entry)
                continue
            ways += [f"{entry} → {own[sid]}" for sid in members if sid in own][:1]
    return ways, unknown


def _groups(site: Site, account: Account) -> list[Group]:
    directory = site.inputs.hosts.directory
    if directory is not None:
        try:
            return by_directory(site.host(directory.name), account)
        except UmkitError:
            pass  # Exchange knows them too, but for the primary group
    return by_exchange(site.organisation(), account)


def _may_write(site: Site) -> bool:
    """Whether this run may change anything: its journal says the mode, or a person has just agreed."""
    if site.journal is None:
        return False
    if site.agreed is not None:
        return True
    modes = [event.get("mode") for event in read(site.journal.path) if event["event"] == "run-start"]
    return modes[-1:] == ["apply"]
