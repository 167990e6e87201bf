"""WSMan envelopes: SOAP in, SOAP out, and the faults of the service.

Sans-IO. What is answered is written as text, not as a tree: the shapes are
few and fixed. Codes and wording of the faults: reference/wire.md §1 and §2,
reference/exchange.md §3 g; codes marked (?) follow the Windows SDK's list of
WSMan errors and were not seen on a wire.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from umkit.lab.wire.clixml import duration

Element = ElementTree.Element

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
POWERSHELL = "http://schemas.microsoft.com/powershell"
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
_FAULT_ACTION = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"

#: Actions the lab answers, by the short name that GET /requests counts under.
ACTIONS = {
    "Create": f"{TRANSFER}/Create",
    "Get": f"{TRANSFER}/Get",
    "Delete": f"{TRANSFER}/Delete",
    "Command": f"{SHELL}/Command",
    "Receive": f"{SHELL}/Receive",
    "Send": f"{SHELL}/Send",
    "Signal": f"{SHELL}/Signal",
}
_NAMES = {uri: name for name, uri in ACTIONS.items()}

#: What a Windows server allows unless told otherwise: MaxEnvelopeSizekb 500, OperationTimeout 60 s.
MAX_ENVELOPE = 512_000
DEFAULT_ENVELOPE = 153_600
MIN_ENVELOPE = 8_192  # (?)
DEFAULT_TIMEOUT = timedelta(seconds=60)


class Fault(Exception):
    """A WSMan fault, answered as HTTP 500 with a SOAP body.

    Arguments:
        code: the WSManFault code, or None where Windows sends no WSManFault.
        subcode: qualified name, for example ``w:InvalidSelectors``.
        reason: the sentence.
        sender: whether the client is to blame (``s:Sender``) or the service (``s:Receiver``).
    """

    def __init__(self, code: int | None, subcode: str, reason: str, *, sender: bool = True) -> None:
        super().__init__(reason)
        self.code = code
        self.subcode = subcode
        self.reason = reason
        self.sender = sender


def unknown_shell() -> Fault:
    """No such shell, or none of this user's; the same fault serves unknown commands."""
    return Fault(
        2150858843,
        "w:InvalidSelectors",
        "The WS-Management service cannot process the request because the request contained invalid selectors "
        "for the resource.",
    )


def unknown_resource() -> Fault:
    """The resource URI is not served under this path."""
    return Fault(
        2150858811,
        "w:InvalidResourceURI",
        "The WS-Management service cannot process the request. The resource URI is missing or it has an incorrect "
        "format.",
    )


def timed_out() -> Fault:
    """Nothing to receive within OperationTimeout."""
    return Fault(
        2150858793,
        "w:TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
        sender=False,
    )


def aborted() -> Fault:
    """The shell went away under a waiting Receive (?)."""
    return Fault(
        995,
        "w:InternalError",
        "The I/O operation has been aborted because of either a thread exit or an application request.",
        sender=False,
    )


def too_many_shells(allowed: int) -> Fault:
    """The user's quota of shells is used up."""
    return Fault(
        2150859173,
        "w:QuotaLimit",
        "The WS-Management service cannot process the request. This user is allowed a maximum number of "
        f"{allowed} concurrent shells, which has been exceeded. Close existing shells or raise the quota for this "
        "user.",
    )


def too_many_commands() -> Fault:
    """The shell holds too many commands that were never terminated (jborean93/pypsrp#148)."""
    return Fault(
        None,
        "w:InternalError",
        "The WS-Management service cannot process the request. The maximum number of concurrent commands per shell "
        "has been exceeded. Retry the request later or raise the Maximum Commands per Shell quota.",
        sender=False,
    )


def bad_xml(why: str) -> Fault:
    """The request is not XML, or not an envelope (?)."""
    return Fault(2150858819, "w:SchemaValidationError", f"The request's XML is invalid: {why}")


def bad_message(why: str) -> Fault:
    """The envelope is well and what it carries is not (?)."""
    return Fault(2150858810, "w:InvalidParameter", f"A parameter for the operation is not valid: {why}")


def failed(why: str) -> Fault:
    """The lab itself failed; never to be seen (?)."""
    return Fault(2150858883, "w:InternalError", f"The service failed to process the request: {why}", sender=False)


@dataclass(frozen=True)
class Request:
    """One WSMan request.

    Arguments:
        action: short name of the action, a key of ACTIONS.
        message_id: the client's MessageID, ``uuid:…``.
        resource_uri: what the request is for.
        timeout: how long an answer may take.
        max_envelope: bytes an answer may have.
        shell: the ShellId selector, upper case, or None.
        body: the first element of the SOAP body, or None.
    """

    action: str
    message_id: str
    resource_uri: str
    timeout: timedelta
    max_envelope: int
    shell: str | None
    body: Element | None


def decode(data: bytes) -> Element:
    """Parse an envelope's bytes; UTF-8 and UTF-16 with a byte order mark, no document type.

    Raises:
        Fault: not an envelope.
    """
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
        if "<!DOCTYPE" in text:
            raise bad_xml("a document type is not allowed")
        root = ElementTree.fromstring(text)  # noqa: S314 - document types are refused above
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise bad_xml(str(error)) from None
    if root.tag != f"{{{SOAP}}}Envelope":
        raise bad_xml("the root element is not a SOAP 1.2 envelope")
    return root


def message_id(root: Element) -> str:
    """The MessageID of a parsed envelope, or empty."""
    return (root.findtext(f"{{{SOAP}}}Header/{{{ADDRESSING}}}MessageID") or "").strip()


def parse(root: Element) -> Request:
    """Read a parsed envelope.

    Raises:
        Fault: a header is missing or wrong.
    """
    header = root.find(f"{{{SOAP}}}Header")
    body = root.find(f"{{{SOAP}}}Body")
    if header is None or body is None:
        raise bad_xml("the envelope has no header or no body")
    uri = (header.findtext(f"{{{ADDRESSING}}}Action") or "").strip()
    if uri not in _NAMES:
        raise Fault(2150858753, "wsa:ActionNotSupported", "The WS-Addressing action URI is invalid.")
    identity = message_id(root)
    if not identity:
        raise bad_xml("the header has no MessageID")
    size = (header.findtext(f"{{{WSMAN}}}MaxEnvelopeSize") or str(DEFAULT_ENVELOPE)).strip()
    if not size.isascii() or not size.isdigit() or int(size) < MIN_ENVELOPE:
        raise Fault(2150858878, "w:EncodingLimit", "The envelope size in the request is too small.")
    timeout = DEFAULT_TIMEOUT
    stated = header.findtext(f"{{{WSMAN}}}OperationTimeout")
    if stated is not None:
        try:
            timeout = max(duration(stated.strip()), timedelta())
        except (ValueError, OverflowError):
            raise Fault(2150858881, "w:InvalidTimeout", "The timeout header in the request is invalid.") from None
    selectors = {s.get("Name"): (s.text or "").strip() for s in header.iterfind(f".//{{{WSMAN}}}Selector")}
    return Request(
        action=_NAMES[uri],
        message_id=identity,
        resource_uri=(header.findtext(f"{{{WSMAN}}}ResourceURI") or "").strip(),
        timeout=timeout,
        max_envelope=min(int(size), MAX_ENVELOPE),
        shell=selectors["ShellId"].upper() if "ShellId" in selectors else None,
        body=next(iter(body), None),
    )


def bytes_of(element: Element | None, what: str) -> bytes:
    """The base64 content of an element.

    Raises:
        Fault: the element is missing or not base64.
    """
    if element is None:
        raise bad_message(f"{what} is missing")
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except ValueError:
        raise bad_message(f"{what} is not base64") from None


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    relates = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:w="{WSMAN}" '
        f'xmlns:x="{TRANSFER}" xmlns:rsp="{SHELL}">'
        f"<s:Header><a:Action>{action}</a:Action>"
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID><a:To>{ANONYMOUS}</a:To>{relates}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode("utf-8", "xmlcharrefreplace")


def response(request: Request, body: str = "") -> bytes:
    """The answer to a request, its body as XML text."""
    return _envelope(f"{ACTIONS[request.action]}Response", request.message_id, body)


def fault(problem: Fault, relates_to: str, machine: str) -> bytes:
    """A fault's envelope."""
    code = "s:Sender" if problem.sender else "s:Receiver"
    reason = escape(problem.reason)
    detail = ""
    if problem.code is not None:
        detail = (
            f'<s:Detail><f:WSManFault xmlns:f="{FAULT}" Code="{problem.code}" Machine={quoteattr(machine)}>'
            f"<f:Message>{reason}</f:Message></f:WSManFault></s:Detail>"
        )
    return _envelope(
        _FAULT_ACTION,
        relates_to,
        f"<s:Fault><s:Code><s:Value>{code}</s:Value><s:Subcode><s:Value>{problem.subcode}</s:Value></s:Subcode>"
        f'</s:Code><s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason>{detail}</s:Fault>',
    )


def receive_body(fragments: Iterable[bytes], command: str | None, *, done: bool) -> str:
    """A ReceiveResponse: one stream a fragment, and the command's state when it is done."""
    target = f" CommandId={quoteattr(command)}" if command else ""
    streams = "".join(
        f'<rsp:Stream Name="stdout"{target}>{base64.b64encode(fragment).decode()}</rsp:Stream>'
        for fragment in fragments
    )
    state = ""
    if done:
        code = "<rsp:ExitCode>0</rsp:ExitCode>"
        state = f'<rsp:CommandState{target} State="{SHELL}/CommandState/Done">{code}</rsp:CommandState>'
    return f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>"
