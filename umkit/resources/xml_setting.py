"""XML setting: one value in a configuration file that a program brought along; the file is never made.

Source: vendor's chapters "IMAP4 access" (protocol log) and "MAPI", Exchange 2016 / 2019 (atlas.xml).
"""

from __future__ import annotations

from typing import ClassVar, Self

from umkit.kinds import BOOL, ENUM
from umkit.resource import Property
from umkit.resources.text_file import TextFile
from umkit.site import Site
from umkit.windows import xphone_host
from umkit.xml_bytes import Place, has_element, value_of, with_element


class XmlSetting(TextFile):
    """One value in an existing XML file."""

    title = "configuration file"
    way_out = "install what brings the file, or name the right folder in the customer file"


class ImapProtocolLog(XmlSetting):
    """IMAP4 protocol log, on or off; it begins or ends when the service restarts."""

    place = Place(("configuration", "appSettings", "add"), "value", {"key": "ProtocolLog"})
    properties: ClassVar[tuple[Property, ...]] = (Property("ProtocolLog", BOOL, step="IMAP-5"),)

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The file on each chosen server; none where the log is left as it is."""
        log = site.inputs.imap4.protocol_log
        if log is None:
            return []
        servers = site.inputs.imap4.servers or site.mailbox_servers()
        return [cls(protocol_log_file(site), server, "true" if log else "false") for server in servers]


class RpcOverHttp(XmlSetting):
    """RPC over HTTP for the XPhone server's MAPI, which Exchange 2016 and 2019 no longer need.

    The page shows the element within Exchange and mapi; where only these are there, it is added and nothing else.
    """

    place = Place(("Exchange", "mapi", "RoHFlagsUseRoH"))
    parent = Place(("Exchange", "mapi"))
    properties: ClassVar[tuple[Property, ...]] = (Property("RoHFlagsUseRoH", ENUM, step="OUT-2"),)

    def __init__(self, path: str, host: str, value: str = "off") -> None:
        super().__init__(path, host, value)

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """atlas.xml in the XPhone installation folder, where the customer migrates from an older Exchange."""
        if site.inputs.run.migrating_from is None:
            return []
        return [cls(site.inputs.xphone.install_path.rstrip("\\") + "\\atlas.xml", xphone_host(site))]

    def lacking(self, content: bytes) -> str:
        """The element can be added to its parent, but its parent is not made up."""
        if has_element(content, self.parent):
            return ""
        return f"{self.name} on {self.host} has no {self.parent}, so where RoHFlagsUseRoH belongs cannot be told"

    def changed(self, content: bytes) -> bytes:
        """The content with the value, in an element of its own where there was none."""
        if value_of(content, self.place) is not None:
            return super().changed(content)
        return with_element(content, self.parent, self.place.path[-1], str(self.wanted["RoHFlagsUseRoH"]))


def protocol_log_file(site: Site) -> str:
    """The IMAP4 service's configuration file on an Exchange server."""
    folder = site.inputs.imap4.install_path.rstrip("\\")
    return f"{folder}\\ClientAccess\\PopImap\\Microsoft.Exchange.Imap4.exe.config"
