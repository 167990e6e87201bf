"""What a Windows host holds by its role, before its own file says more.

Exchange's services are those of real 2016 and 2019 servers (shared fixture
E16_GetService_imap_subset.xml); accounts, command lines and the XPhone
server's service names are (?).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from umkit.lab.sections import FileSection, ServiceSection

EXCHANGE_PATH = "C:\\Program Files\\Microsoft\\Exchange Server\\V15"
IMAP_CONFIGURATION = f"{EXCHANGE_PATH}\\ClientAccess\\PopImap\\Microsoft.Exchange.Imap4.exe.config"
_SYSTEM = "C:\\Windows\\System32"

#: The settings at the end are those of the vendor's page (chapter IMAP4 access); what stands above them is usual.
_IMAP_CONFIGURATION = f"""<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <runtime>
    <gcServer enabled="true" />
    <generatePublisherEvidence enabled="false" />
    <assemblyBinding xmlns="urn:schemas-microsoft-com:asm.v1">
      <probing privatePath="..\\..\\bin" />
    </assemblyBinding>
  </runtime>
  <appSettings>
    <add key="MaxIoThreadsPerCPU" value="0" />
    <add key="ConnectionCacheSize" value="250" />
    <add key="ProtocolLog" value="false" />
    <add key="LogPath" value="{EXCHANGE_PATH.removesuffix(chr(92) + "V15")}\\Logging\\Imap4" />
    <add key="AgeQuotaInHours" value="24" />
    <add key="SizeQuota" value="10000000" />
    <add key="PerFileSizeQuota" value="1000000" />
    <add key="AllowCrossSiteSessions" value="false" />
  </appSettings>
</configuration>
"""
#: The page shows Exchange/mapi/RoHFlagsUseRoH; the root element and its neighbours are (?).
_ATLAS = """<?xml version="1.0" encoding="utf-8"?>
<atlas>
  <Server>
    <LogLevel>info</LogLevel>
  </Server>
  <Exchange>
    <mapi>
      <RoHFlagsUseRoH>on</RoHFlagsUseRoH>
    </mapi>
  </Exchange>
</atlas>
"""


@dataclass(frozen=True)
class Role:
    """What a role brings.

    Arguments:
        services: name → service.
        files: path → file.
        folders: folders without files.
        registry: key → value name → text or number.
        rights: right → SIDs; ``-512`` is one of the domain.
        groups: SID of a local group → SIDs of its members in the domain, or names.
    """

    services: dict[str, ServiceSection] = field(default_factory=dict)
    files: dict[str, FileSection] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    registry: dict[str, dict[str, str | int]] = field(default_factory=dict)
    rights: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)


def _service(
    display: str, start: str, status: str, path: str, account: str = "LocalSystem", *needs: str
) -> ServiceSection:
    return ServiceSection.model_validate(
        {
            "display_name": display,
            "start_type": start,
            "status": status,
            "account": account,
            "path": path,
            "depends_on": list(needs),
        }
    )


def _windows() -> Role:
    shared = f"{_SYSTEM}\\svchost.exe -k"
    network, local = "NT AUTHORITY\\NetworkService", "NT AUTHORITY\\LocalService"
    automatic = ("Automatic", "Running")
    return Role(
        services={
            "EventLog": _service("Windows Event Log", *automatic, f"{shared} LocalServiceNetworkRestricted -p", local),
            "RpcSs": _service("Remote Procedure Call (RPC)", *automatic, f"{shared} rpcss -p", network),
            "Spooler": _service("Print Spooler", *automatic, f"{_SYSTEM}\\spoolsv.exe", "LocalSystem", "RpcSs"),
            "W32Time": _service("Windows Time", *automatic, f"{shared} LocalService", local),
            "Winmgmt": _service("Windows Management Instrumentation", *automatic, f"{shared} netsvcs -p"),
            "WinRM": _service(
                "Windows Remote Management (WS-Management)", *automatic, f"{shared} NetworkService -p", network
            ),
        },
        folders=("C:\\Windows\\System32", "C:\\Windows\\Temp", "C:\\Temp", "C:\\Program Files", "C:\\ProgramData"),
        registry={
            "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall": {},
            "HKLM\\SOFTWARE\\Wow6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall": {},
            "HKLM\\SOFTWARE\\Clients\\Mail": {},
            "HKLM\\SOFTWARE\\Wow6432Node\\Clients\\Mail": {},
        },
        # The rights of a member server as it is installed (windows.md §f names the accounts).
        rights={
            "SeNetworkLogonRight": ("S-1-1-0", "S-1-5-32-544", "S-1-5-32-545", "S-1-5-32-551"),
            "SeInteractiveLogonRight": ("S-1-5-32-544", "S-1-5-32-545", "S-1-5-32-551"),
            "SeRemoteInteractiveLogonRight": ("S-1-5-32-544", "S-1-5-32-555"),
            "SeBatchLogonRight": ("S-1-5-32-544", "S-1-5-32-551", "S-1-5-32-559"),
            "SeServiceLogonRight": ("S-1-5-80-0",),
            "SeBackupPrivilege": ("S-1-5-32-544", "S-1-5-32-551"),
            "SeShutdownPrivilege": ("S-1-5-32-544", "S-1-5-32-551"),
        },
        groups={"S-1-5-32-544": ("-512",), "S-1-5-32-545": ("S-1-5-11", "-513"), "S-1-5-32-546": ()},
    )


def _exchange() -> Role:
    bin_, topology = f'"{EXCHANGE_PATH}\\Bin', "MSExchangeADTopology"

    def own(display: str, program: str, start: str = "Automatic", status: str = "Running") -> ServiceSection:
        return _service(f"Microsoft Exchange {display}", start, status, f'{bin_}\\{program}"', "LocalSystem", topology)

    def protocol(display: str, program: str, folder: str) -> ServiceSection:
        path = f'"{EXCHANGE_PATH}\\{folder}\\PopImap\\{program}"'
        account = "NT AUTHORITY\\NetworkService"
        return _service(f"Microsoft Exchange {display}", "Manual", "Stopped", path, account, topology)

    services = {
        topology: _service(
            "Microsoft Exchange Active Directory Topology",
            *("Automatic", "Running", f'{bin_}\\Microsoft.Exchange.Directory.TopologyService.exe"'),
        ),
        "MSExchangeIS": own("Information Store", "Microsoft.Exchange.Store.Service.exe"),
        "MSExchangeTransport": own("Transport", "MSExchangeTransport.exe"),
        "MSExchangeFrontEndTransport": own("Frontend Transport", "MSExchangeFrontendTransport.exe"),
        "MSExchangeDelivery": own("Mailbox Transport Delivery", "MSExchangeDelivery.exe"),
        "MSExchangeSubmission": own("Mailbox Transport Submission", "MSExchangeSubmission.exe"),
        "MSExchangeRPC": own("RPC Client Access", "Microsoft.Exchange.RpcClientAccess.Service.exe"),
        "MSExchangeServiceHost": own("Service Host", "Microsoft.Exchange.ServiceHost.exe"),
        "MSExchangeHM": own("Health Manager", "MSExchangeHMHost.exe"),
        "MSExchangeMailboxAssistants": own("Mailbox Assistants", "MSExchangeMailboxAssistants.exe"),
        "MSExchangeRepl": own("Replication", "msexchangerepl.exe"),
        "MSExchangeThrottling": own("Throttling", "MSExchangeThrottling.exe"),
        "MSExchangeImap4": protocol("IMAP4", "Microsoft.Exchange.Imap4Service.exe", "FrontEnd"),
        "MSExchangeIMAP4BE": protocol("IMAP4 Backend", "Microsoft.Exchange.Imap4Service.exe", "ClientAccess"),
        "MSExchangePop3": protocol("POP3", "Microsoft.Exchange.Pop3Service.exe", "FrontEnd"),
        "MSExchangePOP3BE": protocol("POP3 Backend", "Microsoft.Exchange.Pop3Service.exe", "ClientAccess"),
        "W3SVC": _service(
            "World Wide Web Publishing Service", "Automatic", "Running", f"{_SYSTEM}\\svchost.exe -k iissvcs"
        ),
    }
    return Role(
        services=services,
        files={IMAP_CONFIGURATION: FileSection(text=_IMAP_CONFIGURATION, encoding="utf-8-sig")},
        registry={
            "HKLM\\SOFTWARE\\Microsoft\\ExchangeServer\\v15\\Setup": {"MsiInstallPath": EXCHANGE_PATH + "\\"},
            "HKLM\\SYSTEM\\CurrentControlSet\\Services\\MSExchangeIS\\ParametersSystem": {},
        },
        groups={"S-1-5-32-544": ("Organization Management", "Exchange Trusted Subsystem")},
    )


def _controller() -> Role:
    automatic = ("Automatic", "Running")
    service = f"{_SYSTEM}\\lsass.exe"
    only = ("S-1-5-32-544", "S-1-5-32-548", "S-1-5-32-549", "S-1-5-32-550", "S-1-5-32-551", "S-1-5-9")
    return Role(
        services={
            "NTDS": _service("Active Directory Domain Services", *automatic, service),
            "ADWS": _service(
                "Active Directory Web Services",
                *automatic,
                "C:\\Windows\\ADWS\\Microsoft.ActiveDirectory.WebServices.exe",
            ),
            "Kdc": _service("Kerberos Key Distribution Center", *automatic, service, "LocalSystem", "NTDS", "RpcSs"),
            "Netlogon": _service("Netlogon", *automatic, service),
            "DNS": _service("DNS Server", *automatic, f"{_SYSTEM}\\dns.exe", "LocalSystem", "NTDS"),
        },
        rights={"SeInteractiveLogonRight": only, "SeRemoteInteractiveLogonRight": ("S-1-5-32-544",)},
    )


def _xphone(install_path: str, account: str) -> Role:
    begin = install_path.rstrip("\\")

    def own(display: str, program: str) -> ServiceSection:
        path = f'"{begin}\\{program}"'
        return _service(f"XPhone Connect {display}", "Automatic", "Running", path, account, "RpcSs")

    return Role(
        services={
            "XPhoneConnectServer": own("Server", "XPhoneConnectServer.exe"),
            "XPhoneConnectDirectory": own("Directory", "XPhoneConnectDirectory.exe"),
            "XPhoneConnectFaxService": own("Fax Service", "XPhoneConnectFaxService.exe"),
        },
        files={f"{begin}\\atlas.xml": FileSection(text=_ATLAS)},
    )


def roles(name: str, install_path: str = "", account: str = "LocalSystem") -> list[Role]:
    """What a host of a role holds, later ones over earlier ones.

    Arguments:
        name: ``controller``, ``exchange``, ``xphone`` or ``server``.
        install_path, account: the XPhone server's folder, and the account of its services.
    """
    further: dict[str, Callable[[], Role]] = {
        "controller": _controller,
        "exchange": _exchange,
        "xphone": lambda: _xphone(install_path, account),
    }
    return [_windows(), *([further[name]()] if name in further else [])]
