"""The customer file's other sections; each key with its type, default and a line of explanation.

The models are the one source for validation, schema.json, example.yaml and a form.
Defaults are the vendor page's values where it names any.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Literal

from pydantic import Field

from umkit.customer.connection import Section
from umkit.customer.types import (
    Address,
    Addresses,
    Domain,
    Identity,
    Line,
    Moment,
    Name,
    Names,
    Notes,
    Reference,
    Servers,
    Slug,
    SmartHost,
    WindowsPath,
)

Port = Annotated[int, Field(ge=1, le=65535)]


class Customer(Section):
    """Whom this file is about."""

    name: Slug = Field(
        description="Short name; the file is called the same, and so is the folder of the records.",
        examples=["example"],
    )
    title: Line = Field(
        "",
        description="The customer's name as it stands in the handover; empty: the short name.",
        examples=["Example Corporation"],
    )
    contact: Line = Field("", description="Whom to ask at the customer's: name, telephone, e-mail.")
    notes: Notes = Field("", description="What a colleague has to know about this site; stands in the handover.")


class XPhone(Section):
    """The XPhone Connect Server."""

    address: Address = Field(
        description="Its IP address; send connectors route to it, the relay accepts it.", examples=["192.0.2.10"]
    )
    install_path: WindowsPath = Field(
        "C:\\Program Files\\C4B\\XPhone Connect",
        description="Installation folder, with atlas.xml and CalendarSyncExchange.config.xml.",
    )
    server_service: Name = Field(
        "XPhone Connect Server",
        description="The Windows service that is stopped and started; its name or display name.",
    )
    services: Names = Field(
        (),
        description="All Windows services that run under the MAPI account, by name or display name; empty: those whose"
        " display name begins with XPhone.",
    )
    program: Name = Field("XPhone Connect Server", description="The server's name among the installed programs.")
    version: Line = Field("", description="Version that has to be installed, or its beginning; empty: any.")


class UmService(Section):
    """One UM service with a mail domain of its own."""

    name: Name = Field(description="Short name, also that of the remote domain: fax, sms or another.", examples=["fax"])
    domain: Domain = Field(
        description="Domain of the addresses that go to this service.", examples=["fax.corp.example"]
    )
    connector: Name | None = Field(
        None, description="Name of the send connector; null: XPhone Connect and the service's name."
    )
    port: Port = Field(
        25,
        description="TCP port on the smart host. The page leaves 25; the vendor's services listen on 2533 (fax) and"
        " 2544 (sms) by default.",
    )
    smart_host: SmartHost | None = Field(None, description="Where the mail is routed to; null: xphone.address.")
    source_servers: Servers = Field((), description="Exchange servers that send; empty: all mailbox servers.")
    cost: Annotated[int, Field(ge=1, le=100)] = Field(1, description="Cost of the address space; the lower wins.")

    @property
    def connector_name(self) -> str:
        """Name of the send connector, chosen or made from the service's name."""
        return self.connector or f"XPhone Connect {self.name}"


class Imap4(Section):
    """IMAP4 access, for voicemail by telephone. null: this customer does not want it."""

    servers: Servers = Field((), description="Exchange servers to configure; empty: all mailbox servers.")
    login_type: Literal["PlainTextLogin", "PlainTextAuthentication", "SecureLogin"] = Field(
        "PlainTextLogin", description="How clients may log in; the UM server needs PlainTextLogin."
    )
    mime_format: Literal[
        "TextOnly",
        "HtmlOnly",
        "HtmlAndTextAlternative",
        "TextEnrichedOnly",
        "TextEnrichedAndTextAlternative",
        "BestBodyFormat",
        "Tnef",
    ] = Field("TextOnly", description="How messages are delivered; the UM server needs TextOnly.")
    protocol_log: bool | None = Field(None, description="Protocol log on (true), off (false) or left as it is (null).")
    install_path: WindowsPath = Field(
        "C:\\Program Files\\Microsoft\\Exchange Server\\V15",
        description="Exchange's installation folder on the servers, for the protocol log.",
    )
    port: Port = Field(143, description="TCP port of the login probe.")
    test_account: Identity | None = Field(
        None, description="Account for the login probe; null: only the port's offer is looked at."
    )
    test_password: Reference | None = Field(None, description="Where the test account's password is kept.")
    plain_text_accepted_by: Line = Field(
        "", description="Who at the customer's accepts that passwords cross the network in clear."
    )


class Relay(Section):
    """A receive connector that relays to any domain for the UM server alone. null: this customer does not want it."""

    connector: Name = Field("XPhone Connect relay", description="Name of the receive connector.")
    servers: Servers = Field((), description="Exchange servers that get the connector; empty: all mailbox servers.")
    port: Port = Field(2500, description="TCP port on which the connector listens.")
    remote_addresses: Addresses = Field(
        (), description="The sending hosts, one address each; empty: xphone.address alone."
    )
    permission: Literal["anonymous", "externally-secured", "as-page"] = Field(
        "anonymous",
        description="anonymous: anonymous users and the right to any recipient; externally-secured: trusted without a"
        " check; as-page: as the page leaves it, so nothing is accepted.",
    )


class Permission(Section):
    """The customer's consent to one kind of interruption or removal, for a time."""

    allowed_by: Name = Field(description="Who at the customer's allowed it.", examples=["A. Example, head of IT"])
    starts: Moment | None = Field(None, description="When the maintenance window opens; null: at once.")
    until: Moment = Field(
        description="When it closes; a date alone: at the end of that day where the runbook runs.",
        examples=["2026-12-31"],
    )

    def holds(self, now: datetime) -> bool:
        """Whether the consent is good at a time; ``now`` carries its zone."""
        return (self.starts is None or _instant(self.starts, time.min) <= now) and now <= _instant(self.until, time.max)

    @property
    def in_order(self) -> bool:
        """Whether the window opens before it closes."""
        return self.starts is None or _instant(self.starts, time.min) < _instant(self.until, time.max)


class Consent(Section):
    """What the customer allowed that disturbs users or cannot simply be repeated; what is null is not allowed."""

    customer: Slug | None = Field(
        None,
        description="customer.name again, as soon as anything is allowed: so a copied file carries no consent along.",
        examples=["example"],
    )
    restarts: Permission | None = Field(
        None, description="Services may be restarted: IMAP4 on Exchange, XPhone Connect Server."
    )
    information_store: Permission | None = Field(
        None, description="The Information Store may be restarted; mailboxes are away meanwhile."
    )
    removal: Permission | None = Field(
        None, description="Receive-As and Send-As of the MAPI account may be removed (chapter 21)."
    )
    further_removal: Permission | None = Field(
        None, description="The policy's assignment and the membership in the role group may be taken back too."
    )


class Run(Section):
    """How the runbook itself runs."""

    language: Literal["en", "de"] = Field("en", description="Language of the handover.")
    site: Name | None = Field(
        None, description="Network from which the customer is reached, for a fleet of workers; null: any."
    )
    records: Line = Field(
        "records", description="Folder of the records; a relative one starts where the runbook is started."
    )
    cell_deadline: Annotated[int, Field(ge=1, le=86400, json_schema_extra={"x-unit": "seconds"})] = Field(
        3600,
        description="How long one cell may take without a person, in seconds; a cell restarts a service on each server "
        "in turn, and one restart alone may take 900.",
    )
    replication_wait: Annotated[int, Field(ge=0, le=3600, json_schema_extra={"x-unit": "seconds"})] = Field(
        30, description="How long a changed value may take until it is read back, in seconds."
    )
    migrating_from: Literal[2003, 2007, 2010, 2013] | None = Field(
        None, description="Exchange version that is left, 2013 or older; null: no migration."
    )


def _instant(moment: date, at: time) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.combine(moment, at).astimezone()
