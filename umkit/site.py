"""A customer's site: the channels to its servers, and what all steps share.

The site opens nothing by itself: each channel opens with its first command.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umkit.channel import Channel
from umkit.command import Command
from umkit.customer import LAB, CustomerFile
from umkit.customer.connection import Host
from umkit.errors import Blocked, HostNotNamed, Unreadable, UsageError
from umkit.journal import Journal, read
from umkit.remoting import Endpoint
from umkit.remoting.endpoint import EXCHANGE
from umkit.versions import edition

if TYPE_CHECKING:
    from umkit.lab import Lab

_started: list[Lab] = []


class Site:
    """One customer's servers, as one chapter speaks to them.

    Arguments:
        inputs: the customer file, whole or the sections that the chapter needs.
        chapter: the chapter, for the journal.
        journal: where commands are written down; without one nothing can be changed.
        records: the folder of all customers' records.
        interactive: whether a person is there to be asked for a secret.
        described: what ``Lab.describe()`` says, where a lab stands in; else see :func:`lab`.
        controller: the domain controller to speak to; chosen at the first Exchange command where none is given.
    """

    def __init__(
        self,
        inputs: CustomerFile,
        *,
        chapter: str = "",
        journal: Journal | None = None,
        records: Path | None = None,
        interactive: bool = False,
        described: Mapping[str, Any] | None = None,
        controller: str | None = None,
    ) -> None:
        self.inputs = inputs
        self.chapter = chapter
        self.journal = journal
        self.records = records
        self.interactive = interactive
        self._described = described
        self.step = ""
        self._hosts: dict[str, Channel] = {}
        self._controller = controller
        #: The commands that a person agreed to; nothing else is sent to change anything. None: whatever is planned.
        self.agreed: Sequence[Command] | None = None
        # START-2 asks for rights and START-3 for versions; neither may be hidden by the other.
        self._versions_seen = chapter == "00-start"

    @cached_property
    def exchange(self) -> Channel:
        """The channel to the organisation's Exchange endpoint."""
        asked = self.inputs.exchange
        if asked.endpoint == LAB:
            endpoint = self._lab_endpoint("exchange", self._lab()["exchange"], EXCHANGE, asked.auth, asked.deadline)
        else:
            endpoint = Endpoint(
                name="exchange",
                url=str(asked.endpoint),
                auth=asked.auth,
                username=asked.username,
                password=asked.password.resolve(interactive=self.interactive) if asked.password else None,
                certificate=asked.certificate,
                spn_host=asked.spn_host,
                deadline=asked.deadline,
            )
        return Channel(endpoint, journal=self.journal, chapter=self.chapter, domain_controller=lambda: self._controller)

    def host(self, name: str) -> Channel:
        """The channel to a Windows host's own endpoint.

        Raises ``HostNotNamed`` when the customer file names no such host.
        """
        if name not in self._hosts:
            asked = next(
                (host for host in self.inputs.hosts.all() if _first_label(host.name) == _first_label(name)), None
            )
            if asked is None:
                raise HostNotNamed(
                    f"the customer file names no Windows host {name}",
                    expected="one of " + ", ".join(h.name for h in self.inputs.hosts.all())
                    if self.inputs.hosts.all()
                    else "a host under hosts",
                    next="add it under hosts in the customer file",
                )
            self._hosts[name] = Channel(self._host_endpoint(asked), journal=self.journal, chapter=self.chapter)
        channel = self._hosts[name]
        channel.step = self.step
        return channel

    @property
    def domain_controller(self) -> str:
        """The one domain controller of this run; chosen at the first Exchange command.

        It is the customer file's, or the one an earlier chapter of the run chose, or the one that answered the first
        read: every Exchange object names it as ``OriginatingServer``.
        """
        if self._controller is None:
            chosen = self.inputs.exchange.domain_controller or self._pinned_before()
            if chosen is None:
                self.exchange.step = self.step
                servers = self.exchange.read(Command("Get-ExchangeServer"), pin=False).outputs
                if not servers:
                    raise Unreadable(
                        "the organisation lists no Exchange server, so no domain controller can be chosen",
                        next="check what the account may see, or name exchange.domain_controller in the customer file",
                    )
                chosen = str(servers[0]["OriginatingServer"])
                self.exchange.keep("ExchangeServer", servers)
            self._controller = chosen
            if self.journal is not None and self._pinned_before() != chosen:
                self.journal.append("pinned", chapter=self.chapter, domain_controller=chosen)
        return self._controller

    def organisation(self) -> Channel:
        """The Exchange channel with the domain controller pinned, for the step under way.

        Raises ``Blocked`` where a server runs a version that the chapters are not written for: a chapter that is named
        alone must not pass START-3 by.
        """
        _ = self.domain_controller
        self.exchange.step = self.step
        if not self._versions_seen:
            self._refuse_other_versions()
            self._versions_seen = True
        return self.exchange

    def _refuse_other_versions(self) -> None:
        if any(event["event"] == "step" and event["step"] == "START-3" for event in self._events()):
            return  # seen in this run; a failure there has stopped it
        servers = self.exchange.list("ExchangeServer")
        others = [each for each in servers if edition(str(each["AdminDisplayVersion"])) is None]
        if others:
            raise Blocked(
                "an Exchange server runs a version that the chapters are not written for",
                seen="; ".join(f"{each['Name']}: {each['AdminDisplayVersion']}" for each in others),
                expected="Exchange 2016 or 2019",
                next="take the old server out of the organisation first, or do the chapter by hand",
            )

    def mailbox_servers(self) -> list[str]:
        """Names of the organisation's mailbox servers."""
        servers = self.organisation().list("ExchangeServer")
        return [str(server["Name"]) for server in servers if server.get("IsMailboxServer")]

    def channels(self) -> list[Channel]:
        """The channels that were asked for so far."""
        exchange = [self.exchange] if "exchange" in self.__dict__ else []
        return [*self._hosts.values(), *exchange]

    def write_to(self, journal: Journal | None) -> None:
        """Write everything down in this journal from now on; without one nothing can be changed."""
        self.journal = journal
        for channel in self.channels():
            channel.write_to(journal)
        if journal is not None and self._controller is not None:
            journal.append("pinned", chapter=self.chapter, domain_controller=self._controller)

    def forget(self) -> None:
        """Read everything anew from now on."""
        for channel in self.channels():
            channel.forget()

    def close(self) -> None:
        """Close every session; the server's quota of shells is small."""
        for channel in self.channels():
            channel.close()

    def renew(self, endpoint: str = "") -> None:
        """Close every session, and make the channels anew when they are asked for: with the secrets as they are then.

        Arguments:
            endpoint: only the one of this name, ``exchange`` or a host's.
        """
        for channel in self.channels():
            if endpoint in ("", channel.endpoint.name):
                channel.close()
        for name, channel in list(self._hosts.items()):
            if endpoint in ("", channel.endpoint.name):
                del self._hosts[name]
        if endpoint in ("", "exchange"):
            self.__dict__.pop("exchange", None)

    def _pinned_before(self) -> str | None:
        pinned = [event["domain_controller"] for event in self._events() if event["event"] == "pinned"]
        return pinned[-1] if pinned else None

    def _events(self) -> list[dict[str, Any]]:
        return read(self.journal.path) if self.journal is not None else []

    def _host_endpoint(self, named: Host) -> Endpoint:
        asked = named.inheriting(self.inputs.exchange)
        auth, deadline = asked.auth or "kerberos", asked.deadline or self.inputs.exchange.deadline
        if asked.endpoint == LAB:
            urls = {name.casefold(): url for name, url in self._lab()["hosts"].items()}
            if asked.name.casefold() not in urls:
                raise UsageError(
                    f"the lab has no host {asked.name}",
                    expected="one of " + ", ".join(self._lab()["hosts"]),
                    next="name one of the lab's hosts under hosts in the customer file",
                )
            url = urls[asked.name.casefold()]
            return self._lab_endpoint(asked.name, url, "Microsoft.PowerShell", auth, deadline)
        return Endpoint(
            name=asked.name,
            url=str(asked.endpoint),
            configuration="Microsoft.PowerShell",
            auth=auth,
            username=asked.username,
            password=asked.password.resolve(interactive=self.interactive) if asked.password else None,
            certificate=True if asked.certificate is None else asked.certificate,
            spn_host=asked.spn_host,
            deadline=deadline,
        )

    def _lab(self) -> Mapping[str, Any]:
        return self._described or lab()

    def _lab_endpoint(self, name: str, url: str, configuration: str, auth: str, deadline: float) -> Endpoint:
        from umkit.secrets import Secret

        offered = self._lab()
        return Endpoint(
            name=name,
            url=url,
            configuration=configuration,
            auth=auth if auth in offered["auth"] else "basic",
            username=offered["username"],
            password=Secret(offered["password"]),
            deadline=deadline,
        )


def _first_label(name: str) -> str:
    """A host's own name: Exchange says ``EX01`` where a customer file may say ``ex01.example.org``."""
    return name.partition(".")[0].casefold()


def lab() -> dict[str, Any]:
    """The lab to speak to: the one that ``UMKIT_LAB`` describes, or one started in this process.

    ``UMKIT_LAB`` holds the line that ``umkit lab --json`` prints (design §4.3).
    """
    given = os.environ.get("UMKIT_LAB")
    if given:
        try:
            described = json.loads(given)
            return {key: described[key] for key in ("exchange", "hosts", "control", "username", "password", "auth")}
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                "UMKIT_LAB does not describe a lab",
                expected="the line that umkit lab --json prints",
                seen=type(error).__name__,
            ) from None
    if not _started:
        from umkit.lab import Lab  # only here does the client touch the lab: to start it for the endpoint named lab

        started = Lab().start()
        atexit.register(started.stop)
        _started.append(started)
    return _started[0].describe()
