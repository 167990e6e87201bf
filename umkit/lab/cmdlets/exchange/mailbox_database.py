"""Mailbox databases: Get-MailboxDatabase.

No dump of a real one was found: the property list and its element kinds are
(?). Names follow the parameters of Set-MailboxDatabase.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from umkit.lab.shapes import CONFIGURATION_OBJECT, Shape, flag, many, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation


def _server(organisation: Organisation, value: str) -> str:
    """The name of a server that holds a copy."""
    return organisation.find_latest("ExchangeServer", value).name


SHAPE = Shape(
    noun="MailboxDatabase",
    types=(
        "Microsoft.Exchange.Data.Directory.SystemConfiguration.MailboxDatabase",
        "Microsoft.Exchange.Data.Directory.SystemConfiguration.Database",
        *CONFIGURATION_OBJECT,
    ),
    properties=(
        text("JournalRecipient"),
        text("MailboxRetention", "30.00:00:00"),
        text("OfflineAddressBook"),
        text("ProhibitSendReceiveQuota", "2.3 GB (2,469,396,480 bytes)"),
        text("ProhibitSendQuota", "2 GB (2,147,483,648 bytes)"),
        text("RecoverableItemsQuota", "30 GB (32,212,254,720 bytes)"),
        text("RecoverableItemsWarningQuota", "20 GB (21,474,836,480 bytes)"),
        text("IssueWarningQuota", "1.899 GB (2,039,480,320 bytes)"),
        flag("IndexEnabled", True),
        flag("IsExcludedFromProvisioning"),
        flag("IsSuspendedFromProvisioning"),
        text("ReplicationType", "Remote"),
        text("AdminDisplayVersion"),
        text("AdministrativeGroup", "Exchange Administrative Group (FYDIBOHF23SPDLT)"),
        flag("AllowFileRestore"),
        flag("BackgroundDatabaseMaintenance", True),
        flag("CircularLoggingEnabled"),
        text("DeletedItemRetention", "14.00:00:00"),
        text("Description", ""),
        text("EdbFilePath"),
        text("LogFolderPath"),
        text("LogFilePrefix", "E00"),
        text("LogFileSize", "1 MB (1,048,576 bytes)"),
        text("ExchangeLegacyDN"),
        many("DatabaseCopies"),
        many("Servers", "Directory.ADObjectId", canonical=_server),
        flag("MountAtStartup", True),
        flag("Mounted", None),
        text("MountedOnServer"),
        text("Organization"),
        flag("Recovery"),
        flag("RetainDeletedItemsUntilBackup"),
        text("Server"),
        text("ServerName"),
        text("MasterServerOrAvailabilityGroup"),
        text("MasterType", "DatabaseAvailabilityGroup"),
    ),
    container="CN=Databases,{group}",
    category="ms-Exch-Private-MDB",
    classes=("top", "msExchMDB", "msExchPrivateMDB"),
    version="0.10 (14.0.100.0)",
)


def complete(organisation: Organisation, values: dict[str, Any]) -> dict[str, Any]:
    """What follows from a database's name and its servers."""
    name = values["Name"]
    server = organisation.find_latest("ExchangeServer", values["Server"] or "")
    folder = f"C:\\Program Files\\Microsoft\\Exchange Server\\V15\\Mailbox\\{name}"
    group = "Exchange Administrative Group (FYDIBOHF23SPDLT)"
    begin = f"/o={organisation.name}/ou={group}/cn=Configuration/cn=Servers/cn={server.name}"
    servers = values["Servers"] or [server.name]
    alone = {"MasterServerOrAvailabilityGroup": server.name, "MasterType": "Server", "ReplicationType": "None"}
    return {
        **values,
        **(alone if not values["MasterServerOrAvailabilityGroup"] else {}),
        "Server": server.name,
        "ServerName": server.name,
        "Servers": servers,
        "DatabaseCopies": [f"{name}\\{each}" for each in servers],
        "AdminDisplayVersion": server.values["AdminDisplayVersion"],
        "EdbFilePath": values["EdbFilePath"] or f"{folder}\\{name}.edb",
        "LogFolderPath": values["LogFolderPath"] or folder,
        "ExchangeLegacyDN": f"{begin}/cn=Microsoft Private MDB",
        "Organization": organisation.name,
    }


def get_mailbox_database(call: Call) -> None:
    """List the mailbox databases, of one server where it is named; ``-Status`` tells whether they are mounted."""
    call.simulates("Identity", "Server", "Status", "IncludePreExchange2013")
    entries = call.wanted()
    if call.get("Server") is not None:
        server = call.find(call.get("Server"), "ExchangeServer").name
        entries = [entry for entry in entries if server in entry.values["Servers"]]
    for entry in entries:
        if call.get("Status"):
            mounted = {
                "Mounted": True,
                "MountedOnServer": f"{entry.values['Server'].lower()}.{call.organisation.domain}",
            }
            entry = replace(entry, values={**entry.values, **mounted})
        call.emit(entry)
