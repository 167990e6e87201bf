"""Database availability groups: Get-DatabaseAvailabilityGroup.

No dump of a real one was found: the property list and its element kinds are
(?), but for those that the cmdlet's page names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from umkit.lab.shapes import CONFIGURATION_OBJECT, Property, Shape, flag, many, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation


def _server(organisation: Organisation, value: str) -> str:
    """The name of a member server."""
    return organisation.find_latest("ExchangeServer", value).name


def _servers(name: str) -> Property:
    return many(name, "Directory.ADObjectId", canonical=_server)


SHAPE = Shape(
    noun="DatabaseAvailabilityGroup",
    types=("Microsoft.Exchange.Data.Directory.SystemConfiguration.DatabaseAvailabilityGroup", *CONFIGURATION_OBJECT),
    properties=(
        _servers("Servers"),
        text("WitnessServer"),
        text("WitnessDirectory"),
        text("AlternateWitnessServer"),
        text("AlternateWitnessDirectory"),
        text("NetworkCompression", "InterSubnetOnly"),
        text("NetworkEncryption", "InterSubnetOnly"),
        flag("ManualDagNetworkConfiguration"),
        text("DatacenterActivationMode", "Off"),
        _servers("StoppedMailboxServers"),
        _servers("StartedMailboxServers"),
        many("DatabaseAvailabilityGroupIpv4Addresses", default=("255.255.255.255",)),
        many("DatabaseAvailabilityGroupIpAddresses", default=("255.255.255.255",)),
        flag("AllowCrossSiteRpcClientAccess"),
        many("OperationalServers"),
        text("PrimaryActiveManager"),
        many("ServersInMaintenance"),
        text("ThirdPartyReplication", "Disabled"),
        number("ReplicationPort", 0),
        many("NetworkNames"),
        text("WitnessShareInUse"),
        text("FileSystem", "ReFS"),
    ),
    container="CN=Database Availability Groups,{group}",
    category="ms-Exch-MDB-Availability-Group",
    classes=("top", "msExchMDBAvailabilityGroup"),
    version="0.1 (8.0.535.0)",
)


def get_database_availability_group(call: Call) -> None:
    """List the database availability groups.

    With ``-Status`` also operational servers, primary active manager, replication port, network names and the share
    in use; without it these are blank (the cmdlet's page).
    """
    for entry in call.wanted():
        if call.get("Status"):
            servers = entry.values["Servers"]
            now = {
                "OperationalServers": servers,
                "PrimaryActiveManager": servers[0] if servers else None,
                "ReplicationPort": 64327,
                "NetworkNames": ["MapiDagNetwork"],
                "WitnessShareInUse": "Primary",
            }
            entry = replace(entry, values={**entry.values, **now})
        call.emit(entry)
