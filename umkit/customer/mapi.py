"""MAPI, its session limit, EWS and calendar synchronisation: the sections mapi, sessions, ews, web_administration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from umkit.customer.checks import no_doubles
from umkit.customer.connection import Section
from umkit.customer.types import Checked, Identity, Line, Name, Names, Reference, Servers, Upn, WebAddress

Use = Literal["directory", "calendar", "voicemail"]
_USES = "a list of at least one of directory, calendar, voicemail, each once"


class Mapi(Section):
    """The MAPI account and what it serves. null: this customer does not use MAPI."""

    account: Identity = Field(
        description="The account of the XPhone services, a full domain account with a mailbox.",
        examples=["MAPIAccount@corp.example"],
    )
    office365: bool = Field(
        False, description="Whether mailboxes are in Office 365; then MAPI serves public and shared contacts only."
    )
    uses: Annotated[
        tuple[Use, ...], Field(strict=False, min_length=1), Checked(no_doubles, _USES, uniqueItems=True)
    ] = Field(
        ("directory", "calendar", "voicemail"), description="What MAPI is used for; not calendar where EWS serves it."
    )
    private_contacts: bool = Field(
        True, description="Whether private contact folders are data sources of the directory too."
    )
    databases: Names = Field((), description="Mailbox databases that get the rights; empty: all.")
    servers: Servers = Field((), description="Instead of databases: all databases of these servers; empty: of all.")
    test_mailbox: Identity | None = Field(
        None, description="A non-critical mailbox for the spot check of the rights; null: none is checked."
    )
    outlook_profile: Name = Field("Outlook", description="Name of the Outlook profile on the XPhone server.")


class Sessions(Section):
    """MAPI sessions against Exchange's limit of 32."""

    xphone_servers: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="XPhone servers that run under the MAPI account (N)."
    )
    public_sources: Annotated[int, Field(ge=0, le=1000)] = Field(
        1, description="Public Outlook data sources in the directory (O)."
    )
    private_sources: Annotated[int, Field(ge=0, le=1000)] = Field(
        1, description="Private Outlook data sources in the directory (P), usually 0 or 1."
    )
    policy: Name = Field("NoThrottlingPolicy", description="Name of the throttling policy.")
    event_days: Annotated[int, Field(ge=1, le=365, json_schema_extra={"x-unit": "days"})] = Field(
        7, description="How far back the event logs are searched, in days."
    )
    registry_limit: bool = Field(
        False, description="Whether the limit is raised in the registry too: only where the policy did not help."
    )
    registry_sessions: Annotated[int, Field(ge=33, le=65535)] = Field(
        128, description="Sessions allowed then; more where the sources need more."
    )

    @property
    def needed(self) -> int:
        """Sessions needed by the page's formula, N * 5 * (O + P)."""
        return self.xphone_servers * 5 * (self.public_sources + self.private_sources)


class Ews(Section):
    """EWS for the server's calendar synchronisation. null: this customer does not use EWS."""

    account: Identity | None = Field(None, description="The account that impersonates; null: mapi.account.")
    users: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        None, description="How many users are synchronised; null: not known yet."
    )
    advise: Literal["EwsStream", "EwsPull"] = Field(
        "EwsStream", description="EwsStream: at once, recommended above 500 users; EwsPull: less load, some delay."
    )
    role_group: Name = Field(
        "EwsImpersonationRoleGroup", description="Role group with the role ApplicationImpersonation."
    )
    create_user: bool = Field(
        False, description="Whether the account is created where it is missing; false: a person creates it."
    )
    user_principal_name: Upn | None = Field(
        None, description="User principal name of the created account.", examples=["MAPIAccount@corp.example"]
    )
    display_name: Name | None = Field(
        None, description="Name of the created account; null: the user principal name up to the @."
    )
    organizational_unit: Identity | None = Field(
        None, description="Organizational unit of the created account; null: the default one."
    )
    initial_password: Reference | None = Field(None, description="Where the created account's first password is kept.")
    database: Name | None = Field(None, description="Mailbox database of a new mailbox; null: Exchange chooses.")
    url: WebAddress | None = Field(
        None, description="EWS URL for the probe; null: /EWS/Exchange.asmx on the server of exchange.endpoint."
    )
    test_user: Identity | None = Field(None, description="Whose calendar the probe reads; null: nothing is probed.")
    password: Reference | None = Field(None, description="Where the account's own password is kept, for the probe.")


class WebAdministration(Section):
    """What a person sets in XPhone's Web Administration for calendar synchronisation."""

    address: WebAddress | None = Field(None, description="Where Web Administration opens; null: not known yet.")
    days_in_advance: Annotated[int, Field(ge=1, le=365, json_schema_extra={"x-unit": "days"})] = Field(
        30, description="How far ahead appointments are synchronised, in days."
    )
    profile_template: Line = Field(
        "", description="Standard profile template for synchronised appointments; empty: chosen in the window."
    )
    subject_as_presence_text: bool = Field(
        False, description="Whether an appointment's subject is shown as presence text."
    )
    reset_existing_users: bool = Field(
        False, description="Whether users with settings of their own are reset to these."
    )
