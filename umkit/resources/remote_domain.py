"""Remote domain: how Exchange forms messages to one domain.

The vendor's page numbers eight settings, because the unified-messaging services
read unformatted text only. ``New-RemoteDomain`` takes name and domain name and
nothing else, and ``Set-RemoteDomain`` cannot change the domain name: the rest is
set afterwards, and another domain name means a new remote domain.
Source: vendor's chapter "Message formats"; Microsoft's pages of New- and Set-RemoteDomain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from umkit.kinds import BOOL, ENUM, NAME
from umkit.resource import Property, Resource
from umkit.site import Site


class RemoteDomain(Resource):
    """A remote domain for one UM service.

    Arguments:
        name: the remote domain's name, at most 64 characters.
        domain: the domain it speaks for, for example ``fax.example.org``.
    """

    noun = "RemoteDomain"
    title = "remote domain"
    #: Of a new remote domain (Microsoft's page of Set-RemoteDomain); MeetingForwardNotificationEnabled is left out (?).
    new_values: ClassVar[Mapping[str, Any]] = {
        "AutoForwardEnabled": True,
        "DisplaySenderName": True,
        "NDRDiagnosticInfoEnabled": True,
        "IsInternal": False,
        "TargetDeliveryDomain": False,
        "TrustedMailInboundEnabled": False,
        "TrustedMailOutboundEnabled": False,
        "UseSimpleDisplayName": False,
        "LineWrapSize": "Unlimited",
        "ByteEncoderTypeFor7BitCharsets": "Undefined",
        "PreferredInternetCodePageForShiftJis": "Undefined",
        "MessageCountThreshold": 2147483647,
    }
    properties: ClassVar[tuple[Property, ...]] = (
        Property("Name", NAME, step="FMT-0"),
        Property("DomainName", NAME, step="FMT-0", update=False),
        Property("CharacterSet", ENUM, step="FMT-1", number=1, wanted="iso-8859-1", create=False),
        Property("NonMimeCharacterSet", ENUM, step="FMT-2", number=2, wanted="iso-8859-1", create=False),
        Property("AllowedOOFType", ENUM, step="FMT-3", number=3, wanted="None", create=False),
        Property("AutoReplyEnabled", BOOL, step="FMT-4", number=4, wanted=False, create=False),
        Property("DeliveryReportEnabled", BOOL, step="FMT-5", number=5, wanted=False, create=False),
        Property("NDREnabled", BOOL, step="FMT-6", number=6, wanted=False, create=False),
        Property("ContentType", ENUM, step="FMT-7", number=7, wanted="MimeText", create=False),
        Property("TNEFEnabled", BOOL, step="FMT-8", number=8, wanted=False, create=False),
    )

    def __init__(self, name: str, domain: str) -> None:
        super().__init__(name, {"DomainName": domain})

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """One remote domain for each UM service."""
        return [cls(service.name, service.domain) for service in site.inputs.um_services]

    def rival(self, objects: Sequence[Any]) -> str:
        """Exchange allows one remote domain for a domain name, so another one with it stands in the way."""
        domain = self.wanted["DomainName"]
        for found in objects:
            if NAME.same(found.get("DomainName"), domain):
                return f"remote domain {found.get('Name')} already speaks for {domain}"
        return ""
