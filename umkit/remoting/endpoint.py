"""An endpoint: where a session leads, as whom, and by which protocol."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from umkit.errors import AuthenticationFailed, ConnectionFailed, UsageError, WrongEndpoint
from umkit.remoting.values import SupportsReveal

#: The session configuration of Exchange's own endpoint; every other one is a Windows host's.
EXCHANGE = "Microsoft.Exchange"
PROTOCOLS = ("kerberos", "negotiate", "basic")


@dataclass(frozen=True)
class Endpoint:
    """Where a session leads, as whom, and by which protocol.

    Arguments:
        name: what errors and the journal call it: ``exchange`` or the host's name.
        url: ``http(s)://host[:port]/path``; the port is 80 or 443 unless given.
        configuration: ``Microsoft.Exchange`` or ``Microsoft.PowerShell``.
        auth: ``kerberos`` (never anything else), ``negotiate`` (Kerberos or NTLM) or ``basic`` (over https; over http
            to this machine only).
        username: the account; ``user@domain`` for Kerberos. None takes the logged-on account or its ticket.
        password: its password, as a Secret.
        certificate: True checks the server's certificate, a path names a file of trusted certificates, False checks
            nothing and belongs only where the customer file says so.
        spn_host: the host in the service principal name, where it is not the one in the URL.
        deadline: seconds for one command, and for opening, unless a call says otherwise.
    """

    name: str
    url: str
    configuration: str = EXCHANGE
    auth: str = "kerberos"
    username: str | None = None
    password: SupportsReveal | None = field(default=None, repr=False)
    certificate: bool | str = True
    spn_host: str | None = None
    deadline: float = 120.0

    def __post_init__(self) -> None:
        if "@" in urlsplit(self.url).netloc:
            raise UsageError(
                f"the endpoint {self.name} has an account in its address",
                expected="the account in username and password",
            )
        if self.password is not None and not isinstance(self.password, SupportsReveal):
            raise UsageError(
                f"the endpoint {self.name} has a password that is no Secret", expected="umkit.secrets.Secret"
            )
        if self.deadline <= 0:
            raise UsageError(f"the endpoint {self.name} has no time", expected="a deadline of more than 0 seconds")

    @property
    def where(self) -> dict[str, str]:
        """The place, as errors say it."""
        return {"host": self.name, "endpoint": self.url}

    @property
    def parts(self) -> SplitResult:
        """The parts of the address."""
        return urlsplit(self.url)

    @property
    def loopback(self) -> bool:
        """Whether the address is this machine's own."""
        host = self.parts.hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    def check(self) -> None:
        """Refuse what cannot go well, or must not go over a network, before anything is contacted.

        Raises ``WrongEndpoint``, ``AuthenticationFailed`` or ``ConnectionFailed``.
        """
        try:
            usable = self.parts.scheme in ("http", "https") and self.parts.hostname and self.parts.port != 0
        except ValueError:  # a port that is no number
            usable = False
        if not usable:
            raise WrongEndpoint(
                f"{self.url!r} is no address of an endpoint", where=self.where, expected="http(s)://host[:port]/path"
            )
        if self.auth not in PROTOCOLS:
            raise AuthenticationFailed(
                f"the protocol {self.auth!r} is not known", where=self.where, expected=", ".join(PROTOCOLS)
            )
        if self.auth == "basic" and self.parts.scheme == "http" and not self.loopback:
            raise ConnectionFailed(
                "basic authentication over plain http would send the password readable; nothing was contacted",
                where=self.where,
                expected="https, or kerberos or negotiate over http, which encrypt every message themselves",
                next="change the endpoint's address to https, or auth to kerberos or negotiate",
            )
        if self.auth == "basic" and (self.username is None or self.password is None):
            raise AuthenticationFailed(
                "basic authentication needs an account and its password",
                where=self.where,
                next="give username and password",
            )
        if self.auth == "kerberos" and "\\" in (self.username or ""):
            raise AuthenticationFailed(
                f"Kerberos does not know the form of the account {self.username}",
                where=self.where,
                expected="user@domain",
                next="write the account as user@domain",
            )
