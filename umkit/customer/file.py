"""The customer file as a whole: its sections, and what they mean together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, Field, PrivateAttr, SerializerFunctionWrapHandler, model_serializer

from umkit.customer.checks import LAB
from umkit.customer.connection import Exchange, Host, Hosts, Section
from umkit.customer.mapi import Ews, Mapi, Sessions, WebAdministration
from umkit.customer.models import Consent, Customer, Imap4, Relay, Run, UmService, XPhone
from umkit.errors import UsageError
from umkit.secrets import SecretReference


class CustomerFile(Section):
    """All inputs of one customer, or the sections of it that a chapter was given.

    A section that was not given, or that the customer does not want (null in the file), raises ``UsageError`` when it
    is asked for. Made by :func:`umkit.customer.load` and :func:`umkit.customer.parse` only.
    """

    customer: Customer
    exchange: Exchange
    hosts: Hosts = Hosts()
    xphone: XPhone
    um_services: Annotated[tuple[UmService, ...], Field(strict=False)] = Field(
        description="The UM services, each with a mail domain of its own; [] where there are none."
    )
    imap4: Imap4
    relay: Relay
    mapi: Mapi
    sessions: Sessions = Sessions()
    ews: Ews
    web_administration: WebAdministration = WebAdministration()
    consent: Consent = Consent()
    run: Run = Run()

    _source: str = PrivateAttr("")
    _declined: frozenset[str] = PrivateAttr(frozenset())

    @classmethod
    def of(cls, sections: dict[str, Any], *, source: str) -> CustomerFile:
        """Put checked sections together; ``None`` is a section that the customer does not want.

        Arguments:
            sections: section name → its model; what is missing was not given.
            source: the file's path, or words for where the values came from.
        """
        file = cls.model_construct(**{name: section for name, section in sections.items() if section is not None})
        file._source = source
        file._declined = frozenset(name for name, section in sections.items() if section is None)
        return file

    @property
    def source(self) -> str:
        """The file's path, or words for where the values came from."""
        return self._source

    def has(self, name: str) -> bool:
        """Whether a section was given, or has a default, and is wanted."""
        return name in self.__dict__

    def declines(self, name: str) -> bool:
        """Whether the customer does not want a section: it is null in the file."""
        return name in self._declined

    def section(self, name: str) -> Any:
        """One section as plain JSON-ready values, as papermill takes them; ``None`` where there is none."""
        if name not in SECTIONS:
            raise UsageError(f"a customer file has no section {name}", expected="one of " + ", ".join(SECTIONS))
        return self.dump().get(name)

    def dump(self) -> dict[str, Any]:
        """All sections as plain JSON-ready values; a secret is its reference, ``None`` a section that is not wanted."""
        return self.model_dump(mode="json")

    def references(self) -> dict[str, SecretReference]:
        """Every reference to a secret, by dotted key."""
        return dict(_references(self, ""))

    def smart_host(self, service: UmService) -> str:
        """Where a UM service's mail is routed to."""
        return service.smart_host or self.xphone.address

    def relay_addresses(self) -> tuple[str, ...]:
        """The hosts that may relay."""
        return self.relay.remote_addresses or (self.xphone.address,)

    def ews_account(self) -> str:
        """The account that impersonates over EWS."""
        return self.ews.account or self.mapi.account

    def outlook_profile(self) -> str:
        """Name of the Outlook profile on the XPhone server, also where the customer does not use MAPI."""
        return str(Mapi.model_fields["outlook_profile"].default) if self.declines("mapi") else self.mapi.outlook_profile

    @property
    def uses_lab(self) -> bool:
        """Whether any endpoint is the lab's."""
        named = [self.exchange.endpoint] if self.has("exchange") else []
        named += [host.endpoint for host in self.hosts.all()] if self.has("hosts") else []
        return LAB in named

    def against_lab(self) -> CustomerFile:
        """The same file with the lab in place of every endpoint, and without the accounts for them."""
        lab = {
            "endpoint": LAB,
            "auth": "basic",
            "username": None,
            "password": None,
            "certificate": True,
            "spn_host": None,
        }

        def moved(host: Host | None) -> Host | None:
            return host and host.model_copy(update=lab)

        update: dict[str, Any] = {}
        if self.has("exchange"):
            update["exchange"] = self.exchange.model_copy(update=lab | {"domain_controller": None})
        if self.has("hosts"):
            hosts = self.hosts
            exchange = tuple(host.model_copy(update=lab) for host in hosts.exchange)
            update["hosts"] = hosts.model_copy(
                update={"exchange": exchange, "xphone": moved(hosts.xphone), "directory": moved(hosts.directory)}
            )
        return self.model_copy(update=update)

    @model_serializer(mode="wrap")
    def _with_declined(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values = {**handler(self), **dict.fromkeys(self._declined)}
        return {name: values[name] for name in SECTIONS if name in values}

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in SECTIONS:
                why = "is null: this customer does not want it" if self.declines(name) else "is missing"
                raise UsageError(
                    f"the section {name} {why}",
                    where={"inputs": self._source},
                    next=f"give the section {name} in the customer file, or leave out the chapter that needs it",
                )
            return super().__getattr__(name)


#: The sections, in the order of the file.
SECTIONS: Final = tuple(CustomerFile.model_fields)
#: Sections that a customer file has to decide on: given, or null where the customer does not want it.
DECIDED: Final = ("imap4", "relay", "mapi", "ews")
#: Sections that a customer file has to give.
REQUIRED: Final = ("customer", "exchange", "xphone", "um_services")


def _references(value: Any, key: str) -> Iterator[tuple[str, SecretReference]]:
    if isinstance(value, SecretReference):
        yield key, value
    elif isinstance(value, BaseModel):
        for name, inner in value.__dict__.items():
            yield from _references(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from _references(inner, f"{key}[{index}]")
