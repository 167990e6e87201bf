"""Get-ADDomain: names and SID of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import NAMESPACE_DNS, uuid5

from umkit.lab.active_directory import directory, sid_node
from umkit.lab.objects import Complex, Many, Node, Scalar
from umkit.lab.providers import refusal

if TYPE_CHECKING:
    from umkit.lab.call import Call

_TYPES = "Microsoft.ActiveDirectory.Management."
_LIST = (_TYPES + "ADPropertyValueCollection", "System.Collections.CollectionBase", "System.Object")


def get_ad_domain(call: Call) -> None:
    """Show the domain; a forest has no other in the lab."""
    call.simulates("Identity", "Current", "Server", "Credential")
    found, organisation = directory(call), call.organisation
    wanted = str(call.get("Identity") or organisation.domain).lower()
    if wanted not in (organisation.domain.lower(), organisation.netbios.lower(), found.dn.lower(), found.sid.lower()):
        text = f"Cannot find an object with identity: '{call.get('Identity')}' under: '{found.dn}'."
        gone = _TYPES + "ADIdentityNotFoundException"
        raise refusal(call, text, f"ActiveDirectoryCmdlet:{gone}", "ObjectNotFound", gone, wanted, ends=True)
    controllers = tuple(Scalar("S", each.upper()) for each in organisation.controllers)
    table: dict[str, Node] = {
        "ComputersContainer": Scalar("S", f"CN=Computers,{found.dn}"),
        "DistinguishedName": Scalar("S", found.dn),
        "DNSRoot": Scalar("S", organisation.domain),
        "DomainControllersContainer": Scalar("S", f"OU=Domain Controllers,{found.dn}"),
        "DomainSID": sid_node(found.sid),
        "Forest": Scalar("S", organisation.domain),
        "InfrastructureMaster": Scalar("S", organisation.controllers[0]),
        "Name": Scalar("S", organisation.domain.partition(".")[0]),
        "NetBIOSName": Scalar("S", organisation.netbios),
        "ObjectClass": Scalar("S", "domainDNS"),
        "ObjectGUID": Scalar("G", uuid5(NAMESPACE_DNS, organisation.domain)),
        "PDCEmulator": Scalar("S", organisation.controllers[0]),
        "ReplicaDirectoryServers": Many(_LIST, controllers),
        "RIDMaster": Scalar("S", organisation.controllers[0]),
        "UsersContainer": Scalar("S", f"CN=Users,{found.dn}"),
    }
    types = tuple(_TYPES + each for each in ("ADDomain", "ADPartition", "ADObject", "ADEntity"))
    call.output(Complex((*types, "System.Object"), found.dn, table))
