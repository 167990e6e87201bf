"""Win32_OperatingSystem: what a host runs.

Properties that tell the system from another; a real object has 64, most of
them about memory and boot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from umkit.lab.objects import Node, Scalar, texts

if TYPE_CHECKING:
    from umkit.lab.call import Call

CLASS = "Win32_OperatingSystem"
PARENTS = ("CIM_OperatingSystem", "CIM_LogicalElement", "CIM_ManagedSystemElement")


def instances(call: Call) -> Iterable[Mapping[str, Node]]:
    """The one operating system of the host."""
    host = call.service.host
    caption, version = host.operating_system.caption, host.operating_system.version
    # A domain controller is 2, any other server 3.
    product = 2 if host.fqdn in call.organisation.controllers else 3
    yield {
        "Status": Scalar("S", "OK"),
        "Name": Scalar("S", f"{caption}|C:\\Windows|\\Device\\Harddisk0\\Partition4"),
        "BuildNumber": Scalar("S", version.rpartition(".")[2]),
        "BuildType": Scalar("S", "Multiprocessor Free"),
        "Caption": Scalar("S", caption),
        "CodeSet": Scalar("S", "1252"),
        "CountryCode": Scalar("S", "1"),
        "CSCreationClassName": Scalar("S", "Win32_ComputerSystem"),
        "CreationClassName": Scalar("S", CLASS),
        "CSDVersion": Scalar("S", None),
        "CSName": Scalar("S", host.name),
        "CurrentTimeZone": Scalar("I16", int(_offset(call))),
        "InstallDate": Scalar("DT", call.organisation.founded.astimezone(call.organisation.timezone)),
        "LocalDateTime": Scalar("DT", call.organisation.now().astimezone(call.organisation.timezone)),
        "Locale": Scalar("S", "0409"),
        "Manufacturer": Scalar("S", "Microsoft Corporation"),
        "MUILanguages": texts(["en-US"], ("System.String[]", "System.Array", "System.Object")),
        "OSArchitecture": Scalar("S", "64-bit"),
        "OSLanguage": Scalar("U32", 1033),
        "OSType": Scalar("U16", 18),
        "ProductType": Scalar("U32", product),
        "SystemDirectory": Scalar("S", r"C:\Windows\system32"),
        "SystemDrive": Scalar("S", "C:"),
        "Version": Scalar("S", version),
        "WindowsDirectory": Scalar("S", r"C:\Windows"),
    }


def _offset(call: Call) -> float:
    """Minutes of local time ahead of UTC."""
    offset = call.organisation.timezone.utcoffset(None)
    return offset.total_seconds() / 60
