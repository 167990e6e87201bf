"""Just enough of EWS over HTTP for one calendar: ConvertId, GetFolder and FindItem.

Elements and response codes are those of Microsoft's schema (messages.xsd, types.xsd, errors.xsd).
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

_ENVELOPE = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header><h:ServerVersionInfo
 MajorVersion="15" MinorVersion="2" MajorBuildNumber="1118" MinorBuildNumber="7" Version="V2017_07_11"
 xmlns:h="http://schemas.microsoft.com/exchange/services/2006/types"/></s:Header><s:Body
 xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types">{body}</s:Body></s:Envelope>"""
_MESSAGE = """<m:{operation}Response><m:ResponseMessages><m:{operation}ResponseMessage ResponseClass="{kind}">
{text}<m:ResponseCode>{code}</m:ResponseCode>{content}</m:{operation}ResponseMessage>
</m:ResponseMessages></m:{operation}Response>"""
_FOLDER = """<m:Folders><t:{element}><t:FolderId Id="{id}" ChangeKey="AQ=="/><t:FolderClass>{kind}</t:FolderClass>
<t:DisplayName>{id}</t:DisplayName><t:TotalCount>9</t:TotalCount><t:ChildFolderCount>0</t:ChildFolderCount>
</t:{element}></m:Folders>"""
_FAULT = """<s:Fault xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><faultcode
 xmlns:a="http://schemas.microsoft.com/exchange/services/2006/types">a:{code}</faultcode>
<faultstring xml:lang="en-US">{text}</faultstring><detail><e:ResponseCode
 xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">{code}</e:ResponseCode><e:Message
 xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">{text}</e:Message></detail></s:Fault>"""


class FakeEws:
    """What the server does and what it was asked.

    Arguments:
        account: user name and password that Basic accepts.
        items: how many items the calendar has.
        fault: response code and text with which every impersonated request is refused.
        offers: what ``WWW-Authenticate`` says; without, nobody has to log in.
        raw: status, headers and body of every answer, instead of all that.
    """

    def __init__(
        self,
        account: tuple[str, str] = ("", ""),
        *,
        items: int = 0,
        fault: tuple[str, str] | None = None,
        offers: tuple[str, ...] = ("Negotiate", 'Basic realm="ews"'),
        raw: tuple[int, dict[str, str], bytes] | None = None,
    ) -> None:
        self.authorization = "Basic " + base64.b64encode(":".join(account).encode()).decode()
        self.items, self.fault, self.offers, self.raw = items, fault, offers, raw
        self.asked: list[tuple[str | None, str]] = []

    def answer(self, authorization: str | None, request: str) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body of the answer to one request."""
        self.asked.append((authorization, request))
        if self.raw:
            return self.raw[0], list(self.raw[1].items()), self.raw[2]
        if self.offers and authorization != self.authorization:
            return 401, [("WWW-Authenticate", offer) for offer in self.offers], b""
        status, body = self._operation(request)
        return status, [("Content-Type", "text/xml; charset=utf-8")], _ENVELOPE.format(body=body).encode()

    def _operation(self, request: str) -> tuple[int, str]:
        if "<m:ConvertId" in request:
            text = "<m:MessageText>Id is malformed.</m:MessageText>"
            return 200, _message("ConvertId", text=text, kind="Error", code="ErrorInvalidIdMalformed")
        if "ExchangeImpersonation" in request and self.fault:
            return 500, _FAULT.format(code=self.fault[0], text=self.fault[1])
        if "<m:GetFolder" in request:
            calendar = 'Id="calendar"' in request
            folder = _FOLDER.format(
                element="CalendarFolder" if calendar else "Folder",
                id="calendar" if calendar else "root",
                kind="IPF.Appointment" if calendar else "",
            )
            return 200, _message("GetFolder", folder)
        items = "".join(
            f'<t:CalendarItem><t:ItemId Id="item{n}" ChangeKey="AQ=="/></t:CalendarItem>' for n in range(self.items)
        )
        found = (
            f'<m:RootFolder TotalItemsInView="{self.items}" IncludesLastItemInRange="true"><t:Items>{items}</t:Items>'
        )
        return 200, _message("FindItem", f"{found}</m:RootFolder>")


def _message(operation: str, content: str = "", *, text: str = "", kind: str = "Success", code: str = "NoError") -> str:
    return _MESSAGE.format(operation=operation, kind=kind, text=text, code=code, content=content)


@contextlib.contextmanager
def serving(ews: FakeEws) -> Iterator[str]:
    """Serve on loopback; gives the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout: ClassVar[float] = 10.0

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, headers, body = ews.answer(self.headers["Authorization"], request)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/EWS/Exchange.asmx"
        finally:
            server.shutdown()
            thread.join()
