"""What a chapter reaches: its Exchange endpoint, the servers behind it, its Windows hosts."""

from __future__ import annotations

from dataclasses import dataclass

from umkit.chapters import ChapterInfo
from umkit.checks.cmdlets_visible import CmdletsVisible
from umkit.command import Command
from umkit.customer.connection import Host
from umkit.errors import AuthenticationFailed, UmkitError
from umkit.outcome import Finding
from umkit.secrets import SecretReference
from umkit.site import Site
from umkit.versions import edition

#: What :class:`~umkit.checks.cmdlets_visible.CmdletsVisible` needs for each chapter; this one looks for all of them.
_START = "00-start"


@dataclass(frozen=True)
class HostSeen:
    """A Windows host of the customer file.

    Arguments:
        name: its name.
        answers: whether it answered; ``None`` while nobody has asked it.
        text: what it said, or why it did not.
        refused: where it did not accept the account, the password's reference.
    """

    name: str
    answers: bool | None
    text: str = ""
    refused: SecretReference | None = None


@dataclass(frozen=True)
class Reached:
    """What is known of a chapter's connection.

    Arguments:
        endpoint: the address of the Exchange endpoint; empty where there is no session to it.
        account: as whom.
        protocol: which protocol was negotiated: ``basic``, ``ntlm`` or ``kerberos``.
        servers: each Exchange server's name, version as it reports it, and product; the last is empty for one that the
            chapters are not written for.
        controller: the domain controller of all reads and changes.
        cmdlets: what :class:`CmdletsVisible` found; none while nobody has looked.
        hosts: the Windows hosts.
    """

    endpoint: str = ""
    account: str = ""
    protocol: str = ""
    servers: tuple[tuple[str, str, str], ...] = ()
    controller: str = ""
    cmdlets: tuple[Finding, ...] = ()
    hosts: tuple[HostSeen, ...] = ()


def open_channels(site: Site) -> frozenset[str]:
    """The names of the endpoints to which there is a session."""
    return frozenset(channel.endpoint.name for channel in site.channels() if channel.protocol)


def known(site: Site) -> Reached:
    """What the sessions that are open tell; no other one is opened, and what was read is not read again.

    To be called where the sessions are: in the sitting's own thread.
    """
    there = open_channels(site)
    hosts = tuple(HostSeen(host.name, True if host.name in there else None) for host in _hosts(site))
    return _exchange(site, hosts, ()) if "exchange" in there else Reached(hosts=hosts)


def connect(site: Site, chapter: ChapterInfo) -> Reached:
    """Open every session anew, and ask what the account may run and which hosts answer.

    To be called where the sessions are: in the sitting's own thread.

    Arguments:
        site: the customer's servers.
        chapter: the chapter, for the cmdlets that it needs.

    Raises what stands in the way of the Exchange endpoint; a host that does not answer is told.
    """
    site.renew()
    site.organisation().list("ExchangeServer", fresh=True)
    cmdlets = CmdletsVisible(() if chapter.name == _START else (chapter.name,)).run(site).findings
    return _exchange(site, tuple(_asked(site, host) for host in _hosts(site)), tuple(cmdlets))


def reference_of(site: Site, endpoint: str) -> SecretReference | None:
    """Where the password for an endpoint alone is kept; none where there is none, or a host takes that of exchange.

    That one is not wrong because one host does not take the account.
    """
    if endpoint == "exchange":
        return site.inputs.exchange.password
    named = next((host for host in _hosts(site) if host.name == endpoint), None)
    return named.password if named is not None else None


def _exchange(site: Site, hosts: tuple[HostSeen, ...], cmdlets: tuple[Finding, ...]) -> Reached:
    endpoint = site.exchange.endpoint
    servers = [(str(each["Name"]), str(each["AdminDisplayVersion"])) for each in site.exchange.list("ExchangeServer")]
    return Reached(
        endpoint.url,
        endpoint.username or "",
        site.exchange.protocol,
        tuple((name, version, edition(version) or "") for name, version in servers),
        site.domain_controller,
        cmdlets,
        hosts,
    )


def _asked(site: Site, host: Host) -> HostSeen:
    query = Command("Get-CimInstance", {"ClassName": "Win32_OperatingSystem", "Property": ["CSName", "Caption"]})
    try:
        system = site.host(host.name).read(query, pin=False).one()
    except UmkitError as error:
        refused = reference_of(site, host.name) if isinstance(error, AuthenticationFailed) else None
        site.renew(host.name)  # else it would go on with this password
        return HostSeen(host.name, False, "; ".join(filter(None, (error.what, error.next))), refused)
    return HostSeen(host.name, True, str(system["Caption"]))


def _hosts(site: Site) -> tuple[Host, ...]:
    return tuple(site.inputs.hosts.all()) if site.inputs.has("hosts") else ()
