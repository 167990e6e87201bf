"""Whatever is thrown at the lab's wire is answered, and the next request is well."""

from __future__ import annotations

import base64
import pickle
import socket
import struct
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from fake_endpoint import DEADLINE, PASSWORD, USER, FakeService, command, pool, site
from hypothesis import given, settings
from hypothesis import strategies as st
from psrpcore.types import PSRPMessageType

from umkit.lab.model import LabSecret
from umkit.lab.wire import auth, clixml
from umkit.lab.wire.clixml import BadClixml, Reader
from umkit.lab.wire.envelope import ADDRESSING, SHELL, SOAP, TRANSFER, WSMAN
from umkit.lab.wire.psrp import FRAGMENT, MAX_MESSAGE, BadMessage, Outgoing, Pool
from umkit.lab.wire.site import Site

BASIC = b"Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode())
RESOURCE = "http://schemas.microsoft.com/powershell/Microsoft.Exchange"


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    service = FakeService()
    service.max_shells = 100
    with site(service) as one:
        yield one
        with pool(one.exchange) as opened:
            assert command(opened, "Get-Value", Value="alive").invoke() == ["alive"]


def raw(running: Site, data: bytes, *, half: bool = False) -> tuple[int, bytes]:
    """Send bytes as they are; the answer's status, 0 when the connection was closed, and body."""
    with socket.create_connection(("127.0.0.1", urlsplit(running.exchange).port), DEADLINE) as connection:
        connection.sendall(data)
        if half:
            connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb")
        try:
            status, length = answer.readline().split(b" "), 0
            while (line := answer.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            return int(status[1]), answer.read(length)
        except (ConnectionError, IndexError):
            return 0, b""


def post(running: Site, body: bytes, *, path: str = "/PowerShell/", kind: str = "application/soap+xml") -> Any:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nAuthorization: "
    return raw(running, head.encode() + BASIC + b"\r\n\r\n" + body)


def envelope(action: str = f"{SHELL}/Receive", body: str = "", header: str = "") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:w="{WSMAN}" xmlns:rsp="{SHELL}"><s:Header>'
        f"<a:Action>{action}</a:Action><a:MessageID>uuid:{uuid.uuid4()}</a:MessageID>"
        f"<w:ResourceURI>{RESOURCE}</w:ResourceURI>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def created(content: str, header: str = "") -> bytes:
    inner = f'<creationXml xmlns="http://schemas.microsoft.com/powershell">{content}</creationXml>'
    return envelope(f"{TRANSFER}/Create", f"<rsp:Shell>{inner}</rsp:Shell>", header)


def fault(answer: tuple[int, bytes]) -> int:
    status, body = answer
    assert status == 500
    detail = ElementTree.fromstring(body).find(".//{http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}WSManFault")
    assert detail is not None
    return int(detail.attrib["Code"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x00\xff\xfe garbage", 2150858819),
        (b"<a", 2150858819),
        (b"<a/>", 2150858819),
        (b"\xff\xfe<\x00", 2150858819),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 2150858819),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"), 2150858819),
        (f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(), 2150858819),
        (envelope("http://nowhere/Explode"), 2150858753),
        (envelope(), 2150858843),
        (envelope().replace(b"MessageID", b"Message"), 2150858819),
        (envelope().replace(RESOURCE.encode(), b"http://other"), 2150858811),
        (envelope(header="<w:OperationTimeout>soon</w:OperationTimeout>"), 2150858881),
        (envelope(header="<w:OperationTimeout>PT99999999999999S</w:OperationTimeout>"), 2150858881),
        (envelope(header="<w:MaxEnvelopeSize>-1</w:MaxEnvelopeSize>"), 2150858878),
        (envelope(header="<w:MaxEnvelopeSize>100</w:MaxEnvelopeSize>"), 2150858878),
        (envelope(f"{TRANSFER}/Create"), 2150858810),
        (created("%%%"), 2150858810),
        (created(base64.b64encode(b"short").decode()), 2150858810),
        (created(base64.b64encode(FRAGMENT.pack(1, 0, 3, 99)).decode()), 2150858810),
        (created(base64.b64encode(FRAGMENT.pack(1, 0, 3, 50) + b"\xff" * 50).decode()), 2150858810),
        (created(base64.b64encode(FRAGMENT.pack(1, 7, 2, 1) + b"x").decode()), 2150858810),
        (b"<a>" * 100_000 + b"</a>" * 100_000, 2150858819),
    ],
)
def test_bad_envelopes_become_faults(running: Site, body: bytes, code: int) -> None:
    assert fault(post(running, body)) == code


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /PowerShell/ HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /wsman HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404),
        (b"POST /PowerShell/ HTTP/1.1\r\nHost: x\r\n\r\n", 411),
        (b"POST /PowerShell/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST /PowerShell/ HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /PowerShell/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
        (b"POST /PowerShell/ HTTP/1.1\r\nHost: x\r\nContent-Length: 67108865\r\n\r\n", 413),
        (b"POST /PowerShell/ HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"POST /PowerShell/ HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"POST /PowerShell/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 401),
        *(
            (b"POST /PowerShell/ HTTP/1.1\r\nContent-Length: 0\r\nAuthorization: " + value + b"\r\n\r\n", 401)
            for value in (
                b"Basic",
                b"Basic %%%",
                b"Basic " + base64.b64encode(b"nocolon"),
                b"Basic " + base64.b64encode(b"\xff\xfe:\xff"),
                b"Digest abc",
                b"Negotiate",
                b"Negotiate " + base64.b64encode(b"NTLMSSP\x00\x01"),
                b"Negotiate " + base64.b64encode(b"NTLMSSP\x00\x03" + b"\x00" * 100),
                b"Negotiate " + base64.b64encode(b"\x60\x82\xff\xff" + b"\x06" * 50),
                b"NTLM " + base64.b64encode(b"\xff" * 100),
            )
        ),
    ],
)
def test_bad_http_is_answered(running: Site, data: bytes, status: int) -> None:
    assert raw(running, data)[0] == status


@pytest.mark.parametrize(
    "data", [b"GARBAGE\r\n\r\n", b"POST / HTTP/3.0\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n", b"POST /"]
)
def test_what_is_not_http_ends_the_connection(running: Site, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(running.exchange).port), DEADLINE) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


def test_a_body_cut_short_is_nobodys_request(running: Site) -> None:
    before = running.counts.as_dict()["by_action"]
    head = b"POST /PowerShell/ HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\nAuthorization: " + BASIC
    assert raw(running, head + b"\r\n\r\n<s:Envelope", half=True) == (0, b"")
    assert running.counts.as_dict()["by_action"] == before


def test_a_sealed_body_without_its_connection_is_refused(running: Site) -> None:
    kind = 'multipart/encrypted;protocol="x";boundary="Encrypted Boundary"'
    for body in (b"", b"--Encrypted Boundary", b"--Encrypted Boundary--\r\n" * 2):
        assert post(running, body, kind=kind)[0] == (400 if body else 200)


def test_bad_pipelines_become_faults(running: Site) -> None:
    with pool(running.exchange) as opened:
        rpid = uuid.UUID(opened.id)

        def send(data: bytes, pipeline: uuid.UUID) -> int:
            body = (
                f'<rsp:CommandLine CommandId="{pipeline}"><rsp:Command/><rsp:Arguments>'
                f"{base64.b64encode(data).decode()}</rsp:Arguments></rsp:CommandLine>"
            )
            selector = f'<w:SelectorSet><w:Selector Name="ShellId">{opened.id}</w:Selector></w:SelectorSet>'
            return fault(post(running, envelope(f"{SHELL}/Command", body, selector)))

        def message(content: str, kind: int = PSRPMessageType.CreatePipeline, id: uuid.UUID | None = None) -> bytes:
            named = id or uuid.uuid4()
            data = struct.pack("<II", 2, kind) + rpid.bytes_le + named.bytes_le + content.encode()
            return FRAGMENT.pack(99, 0, 3, len(data)) + data

        commands = '<Obj><MS><Obj N="PowerShell"><MS><Obj N="Cmds"><LST>{}</LST></Obj></MS></Obj></MS></Obj>'
        argument = (
            '<Obj><MS><S N="Cmd">x</S><B N="IsScript">false</B><Obj N="Args"><LST><Obj><MS>{}</MS></Obj></LST></Obj>'
            "</MS></Obj>"
        )
        deep = '<Obj N="V"><LST>' + "<Obj><LST>" * 500 + "</LST></Obj>" * 501
        for content in (
            "<Obj",
            "<!DOCTYPE a><Obj/>",
            "<Obj/>",
            commands.format(""),
            commands.format("<S>x</S>"),
            *(
                commands.format(argument.format(value))
                for value in (
                    '<I32 N="V">x</I32>',
                    '<B N="V">maybe</B>',
                    '<Ref N="V" RefId="77"/>',
                    '<Bang N="V"/>',
                    '<SS N="V">AAAA</SS>',
                    '<G N="V">x</G>',
                    '<C N="V">99999999</C>',
                    '<BA N="V">%</BA>',
                    '<DT N="V">never</DT>',
                    '<TS N="V">P</TS>',
                    '<D N="V">1,5</D>',
                    '<Obj N="V"><DCT><En/></DCT></Obj>',
                    '<Obj N="V"><DCT><En><Obj N="Key"><LST/></Obj><S N="Value">x</S></En></DCT></Obj>',
                    '<Obj N="V" RefId="1"><LST><Ref RefId="1"/></LST></Obj>',
                    deep,
                )
            ),
        ):
            id = uuid.uuid4()
            assert send(message(content, id=id), id) == 2150858810, content[:200]
        assert send(message("<S/>"), uuid.uuid4()) in (2150858810, 2150858843)  # not the id it came under
        assert send(message("<S/>", PSRPMessageType.PipelineOutput), uuid.uuid4()) == 2150858810
        assert send(message("<S/>", 0x77777777), uuid.uuid4()) == 2150858810
        assert command(opened, "Get-Value", Value="well").invoke() == ["well"]


def test_a_message_without_end_is_refused() -> None:
    received: list[Outgoing] = []
    pool_side = Pool(received.append, lambda: 0)
    piece = b"x" * (16 * 1024 * 1024)
    for number in range(MAX_MESSAGE // len(piece) - 1):
        assert pool_side.feed(FRAGMENT.pack(1, number, int(number == 0), len(piece)) + piece) == []
    with pytest.raises(BadMessage, match="longer than"):
        pool_side.feed(FRAGMENT.pack(1, 3, 0, len(piece)) + piece)
    assert received == []


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_no_message(data: bytes) -> None:
    with suppress(BadMessage):
        assert Pool(lambda _: None, lambda: 0).feed(data) == []


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_text_survives_clixml(value: str) -> None:
    element = ElementTree.fromstring(f"<S>{clixml.text(value)}</S>")
    whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    assert Reader(element, str).value(element) == whole
    ElementTree.fromstring(f"<S>{clixml.sendable(clixml.text(value))}</S>")
    assert clixml.sendable("<S>" + clixml.text(value) + "</S>") == "<S>" + clixml.text(value) + "</S>"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_random_bodies_are_not_sealed(body: bytes) -> None:
    with pytest.raises(auth.Unsealable):
        auth.unseal(None, body)


def test_values_by_reference_and_with_notes() -> None:
    root = clixml.parse(
        b'<Obj RefId="0"><LST><Obj RefId="1"><TN RefId="0"><T>System.Object[]</T></TN><LST><S>a</S></LST></Obj>'
        b'<Ref RefId="1"/><Obj RefId="2"><I32>3</I32><MS><S N="Note">n</S></MS></Obj>'
        b'<Obj RefId="3"><ToString>name</ToString></Obj><SS>eA==</SS></LST></Obj>'
    )
    values = Reader(root, lambda text: f"open {text}").value(root)
    assert values == [["a"], ["a"], 3, "name", LabSecret("open eA==")]
    with pytest.raises(BadClixml):
        clixml.parse(b"\xff")


def test_durations() -> None:
    assert clixml.duration("PT0.25S").total_seconds() == 0.25
    assert clixml.duration("-P1DT2H3M4.1234567S").total_seconds() == -(86400 + 7200 + 180 + 4.123456)
    for text in ("", "P", "PT", "1", "P1Y", "PT1", "PT-1S", "PT1S ", "PT١S"):
        with pytest.raises(ValueError, match="not a duration"):
            clixml.duration(text)


def test_a_secret_gives_itself_away_only_on_request() -> None:
    secret = LabSecret("canary")
    assert "canary" not in f"{secret} {secret!r} {secret:>20} {[secret]}"
    assert secret.reveal() == "canary"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
