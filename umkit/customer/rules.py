"""What cannot be wanted together: checks over several keys, run when each key is right by itself.

A rule is a generator over the file; it yields a problem for each thing that is wrong and asks nothing of sections that
were not given.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from umkit.customer.checks import LAB
from umkit.customer.connection import Exchange, Host
from umkit.customer.file import CustomerFile
from umkit.customer.models import Permission
from umkit.errors import Problem

Rule = Callable[[CustomerFile], Iterator[Problem]]

_FRONTEND_PORTS = (25, 587, 717)  # Exchange's own front-end connectors listen there; a hub connector cannot


def broken(file: CustomerFile) -> Iterator[Problem]:
    """Every problem that the rules find in a file."""
    for rule, needs in _RULES.items():
        if all(file.has(name) for name in needs):
            yield from rule(file)


def _connections(file: CustomerFile) -> Iterator[Problem]:
    exchange = file.exchange
    yield from _connection("exchange", exchange)
    if not file.has("hosts"):
        return
    for key, host in _hosts(file):
        yield from _connection(key, host.inheriting(exchange))
        if (host.endpoint == LAB) != (exchange.endpoint == LAB):
            yield Problem(
                f"{key}.endpoint",
                "the lab and real servers cannot be mixed in one run",
                found=host.endpoint,
                allowed="lab everywhere, or nowhere",
            )


def _connection(key: str, asked: Exchange | Host) -> Iterator[Problem]:
    if asked.endpoint == LAB:
        return
    url = urlsplit(asked.endpoint)
    server = url.hostname or ""
    if asked.password and not asked.username:
        yield Problem(f"{key}.password", "is given without a username", allowed="username and password, or neither")
    if asked.auth == "basic":
        if not (asked.username and asked.password):
            yield Problem(
                f"{key}.auth",
                "basic needs a username and a password",
                found="basic",
                allowed="username and password given",
            )
        if url.scheme == "http" and not _loopback(server):
            yield Problem(
                f"{key}.auth",
                "basic over http would send the password in clear across the network",
                found=f"basic with {asked.endpoint}",
                allowed="basic with https://, or kerberos",
            )
        if url.scheme == "https" and asked.certificate is False and not _loopback(server):
            yield Problem(
                f"{key}.certificate",
                "basic would send the password to whoever answers, because the certificate is not checked",
                found="false",
                allowed="true, or the path of the server's CA file",
            )
    if asked.auth == "kerberos":
        if asked.username and "@" not in asked.username:
            yield Problem(
                f"{key}.username", "kerberos needs the form name@domain", found=asked.username, allowed="name@domain"
            )
        if _is_address(server) and not asked.spn_host and not _loopback(server):
            yield Problem(
                f"{key}.endpoint",
                "kerberos needs the server's full name, an address has no service name",
                found=asked.endpoint,
                allowed="the server's name in the URL, or spn_host given",
            )


def _lab_name(file: CustomerFile) -> Iterator[Problem]:
    if file.customer.name == LAB and file.exchange.endpoint != LAB:
        yield Problem(
            "customer.name",
            "lab is the simulated organisation's own file; a real one needs a name of its own",
            found=LAB,
            allowed="another name, or exchange.endpoint: lab",
        )


def _host_names(file: CustomerFile) -> Iterator[Problem]:
    seen: dict[str, tuple[str, Host]] = {}
    for key, host in _hosts(file):
        name = host.name.casefold()
        if name not in seen:
            seen[name] = key, host
        elif key.startswith("hosts.exchange") or seen[name][1] != host:
            yield Problem(
                f"{key}.name", f"is named at {seen[name][0]} already", found=host.name, allowed="each host once"
            )


def _um_services(file: CustomerFile) -> Iterator[Problem]:
    services = file.um_services
    places = [f"um_services[{index}]" for index in range(len(services))]
    yield from _doubles((f"{place}.name", service.name) for place, service in zip(places, services, strict=True))
    yield from _doubles((f"{place}.domain", service.domain) for place, service in zip(places, services, strict=True))
    yield from _doubles(
        (f"{place}.connector", service.connector_name) for place, service in zip(places, services, strict=True)
    )
    for place, service in zip(places, services, strict=True):
        length = len(service.connector_name.encode("utf-16-le")) // 2
        if length > 64:
            yield Problem(
                f"{place}.connector",
                f"the connector's name made from the service's name would be {length} characters long",
                allowed="a connector name of at most 64 characters, given here",
            )


def _imap4(file: CustomerFile) -> Iterator[Problem]:
    if (file.imap4.test_account is None) != (file.imap4.test_password is None):
        lacking = "test_password" if file.imap4.test_account else "test_account"
        yield Problem(
            f"imap4.{lacking}", "the login probe needs both", allowed="test_account and test_password, or neither"
        )


def _imap4_hosts(file: CustomerFile) -> Iterator[Problem]:
    known = {host.name.partition(".")[0].casefold(): host.name for host in file.hosts.exchange}
    for index, server in enumerate(file.imap4.servers if known else ()):
        if server.partition(".")[0].casefold() not in known:
            near = difflib.get_close_matches(server, known.values(), 1, 0.5)
            yield Problem(
                f"imap4.servers[{index}]",
                "its IMAP4 services cannot be reached: it is not among hosts.exchange",
                found=server,
                allowed="one of " + ", ".join(known.values()),
                nearest=near[0] if near else "",
            )


def _relay(file: CustomerFile) -> Iterator[Problem]:
    if file.relay.port in _FRONTEND_PORTS:
        yield Problem(
            "relay.port",
            "belongs to Exchange's own front-end connectors",
            found=str(file.relay.port),
            allowed="a port of its own; the page takes 2500",
        )


def _mapi(file: CustomerFile) -> Iterator[Problem]:
    mapi = file.mapi
    if mapi.databases and mapi.servers:
        yield Problem("mapi.servers", "is given together with databases", allowed="databases or servers, not both")
    if not mapi.office365:
        return
    default = "" if "uses" in mapi.model_fields_set else " (the default)"
    for index, use in enumerate(mapi.uses):
        if use != "directory":
            what = "server-side calendar synchronisation" if use == "calendar" else "remote access to voicemail"
            yield Problem(
                f"mapi.uses[{index}]",
                f"with Office 365 there is no {what} over MAPI",
                found=use + default,
                allowed="uses: [directory] with office365: true"
                + (", and the section ews for the calendar" if use == "calendar" else ""),
            )
    if mapi.private_contacts:
        given = "private_contacts" in mapi.model_fields_set
        yield Problem(
            "mapi.private_contacts",
            "with Office 365 there are no private contact folders over MAPI",
            found="true" if given else "true (the default)",
            allowed="private_contacts: false with office365: true",
        )


def _ews(file: CustomerFile) -> Iterator[Problem]:
    ews = file.ews
    if ews.create_user and ews.user_principal_name is None:
        yield Problem("ews.user_principal_name", "an account that is to be created needs one", allowed="name@domain")
    if ews.create_user and ews.initial_password is None:
        yield Problem(
            "ews.initial_password", "an account that is to be created needs one", allowed="a reference to a secret"
        )
    if ews.account is None and file.declines("mapi"):
        yield Problem(
            "ews.account", "is not given, and there is no mapi.account to take instead", allowed="the account's name"
        )


def _hosts(file: CustomerFile) -> Iterator[tuple[str, Host]]:
    for index, host in enumerate(file.hosts.exchange):
        yield f"hosts.exchange[{index}]", host
    if file.hosts.xphone:
        yield "hosts.xphone", file.hosts.xphone
    if file.hosts.directory:
        yield "hosts.directory", file.hosts.directory


def _permissions(file: CustomerFile) -> Iterator[tuple[str, Permission]]:
    for name, value in file.consent:
        if isinstance(value, Permission):
            yield name, value


def _doubles(entries: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for key, value in entries:
        first = seen.setdefault(value.casefold(), key)
        if first != key:
            yield Problem(
                key,
                f"is the same as {first}",
                found=value,
                allowed="each once, told apart without upper and lower case",
            )


def _loopback(server: str) -> bool:
    return server == "localhost" or (_is_address(server) and ip_address(server).is_loopback)


def _is_address(server: str) -> bool:
    try:
        ip_address(server)
    except ValueError:
        return False
    return True


def _consent_windows(file: CustomerFile) -> Iterator[Problem]:
    for name, permission in _permissions(file):
        if not permission.in_order:
            yield Problem(
                f"consent.{name}.until",
                "the window closes before it opens",
                found=permission.until.isoformat(),
                allowed=f"later than {permission.starts.isoformat() if permission.starts else 'now'}",
            )


def _consent_customer(file: CustomerFile) -> Iterator[Problem]:
    if any(_permissions(file)) and file.consent.customer != file.customer.name:
        yield Problem(
            "consent.customer",
            "the consent below has to name the customer who gave it, so that a copied file carries none along",
            found=file.consent.customer or "",
            allowed=file.customer.name,
        )


_RULES: dict[Rule, tuple[str, ...]] = {
    _lab_name: ("customer", "exchange"),
    _connections: ("exchange",),
    _host_names: ("hosts",),
    _um_services: ("um_services",),
    _imap4: ("imap4",),
    _imap4_hosts: ("imap4", "hosts"),
    _relay: ("relay",),
    _mapi: ("mapi",),
    _ews: ("ews",),
    _consent_windows: ("consent",),
    _consent_customer: ("consent", "customer"),
}
