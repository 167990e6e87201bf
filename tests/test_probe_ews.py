"""The EWS probe: exchangelib itself against a small EWS server on loopback."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from fake_ews import FakeEws, serving
from probe_site import NoSite, closed_port, hang, served

from umkit.outcome import Finding
from umkit.probes.ews_impersonation import EwsImpersonation

ACCOUNT, PASSWORD, USER = "MAPIAccount@acme.example", "correct horse", "testuser@acme.example"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMKIT_TEST_EWS", PASSWORD)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def exchangelib() -> Any:
    return pytest.importorskip("exchangelib", reason="the extra umkit[ews] is not installed")


def probed(url: str | None, *, answer: float = 5, more: str = "") -> Finding:
    given = f", url: '{url}'" if url else ""
    site = NoSite(f"ews: {{test_user: {USER}, password: 'env:UMKIT_TEST_EWS'{given}}}\n{more}")
    report = EwsImpersonation(answer=answer).run(site)
    assert PASSWORD not in repr(report)
    [finding] = report.findings
    assert finding.result == "ok" or finding.next
    return finding


def asked(ews: FakeEws) -> Finding:
    with serving(ews) as url:
        return probed(url)


@pytest.mark.parametrize(("items", "told"), [(0, "0 items"), (1, "1 item in"), (3, "3 items")])
def test_the_calendar_is_read(items: int, told: str, exchangelib: Any) -> None:
    ews = FakeEws((ACCOUNT, PASSWORD), items=items)
    finding = asked(ews)
    assert finding.result == "ok"
    assert f"{ACCOUNT} reads the calendar of {USER}" in finding.text
    assert told in finding.text
    requests = [request for _, request in ews.asked]
    assert ews.asked[0][0] is None, "the server is asked what it offers without the account"
    for request in (request for request in requests if "<m:ConvertId" not in request):
        assert f"<t:ConnectingSID><t:PrimarySmtpAddress>{USER}</t:PrimarySmtpAddress>" in request
    assert "<t:BaseShape>IdOnly</t:BaseShape>" in requests[-1]
    assert "<m:CalendarView" in requests[-1]
    assert "AdditionalProperties" not in requests[-1], "ids are read, nothing of the appointments"


@pytest.mark.parametrize(
    ("code", "next"),
    [
        ("ErrorImpersonateUserDenied", "ApplicationImpersonation"),
        ("ErrorNonExistentMailbox", "ews.test_user"),
        ("ErrorMailboxStoreUnavailable", "mounted"),
        ("ErrorInvalidUserSid", "list of EWS response codes"),
    ],
)
def test_a_refusal_fails_with_what_to_do(code: str, next: str, exchangelib: Any) -> None:
    finding = asked(FakeEws((ACCOUNT, PASSWORD), fault=(code, "The account may not do that.")))
    assert finding.result == "failed"
    assert f"{code}: The account may not do that." in finding.text
    assert next in finding.next


def test_a_wrong_password(exchangelib: Any) -> None:
    finding = asked(FakeEws((ACCOUNT, "another")))
    assert (finding.result, "UnauthorizedError" in finding.text) == ("failed", True)
    assert "ews.account and its password" in finding.next


@pytest.mark.parametrize("offers", [("Negotiate",), ("Digest realm=x",), ()])
def test_the_password_is_given_to_basic_and_ntlm_only(offers: tuple[str, ...], exchangelib: Any) -> None:
    ews = FakeEws((ACCOUNT, PASSWORD), offers=offers)
    assert asked(ews).result == "open"
    assert {authorization for authorization, _ in ews.asked} == {None}


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {}, b"\x00 garbage"),
        (200, {}, b"<html>a portal</html>"),
        (302, {"Location": "https://elsewhere.invalid/owa"}, b""),
        (503, {}, b"busy"),
        (503, {"Connection": "close"}, b"busy"),
        (404, {}, b"x" * 5000),
    ],
)
def test_what_does_not_speak_ews_was_not_tried(
    status: int, headers: dict[str, str], body: bytes, exchangelib: Any
) -> None:
    finding = asked(FakeEws(raw=(status, headers, body)))
    assert (finding.result, "not tried" in finding.text or "not be tried" in finding.text) == ("open", True)
    assert len(finding.text) < 400


def test_ews_that_breaks_after_the_login_was_not_tried(exchangelib: Any) -> None:
    class Breaking(FakeEws):
        def _operation(self, request: str) -> tuple[int, str]:
            return (200, "<m:Nonsense/>") if "ExchangeImpersonation" in request else super()._operation(request)

    finding = asked(Breaking((ACCOUNT, PASSWORD)))
    assert (finding.result, "could not be tried" in finding.text) == ("open", True)


def test_nobody_listens_or_nobody_answers(exchangelib: Any) -> None:
    assert probed(f"http://127.0.0.1:{closed_port()}/EWS/Exchange.asmx").result == "open"
    with served(hang) as port:
        finding = probed(f"http://127.0.0.1:{port}/EWS/Exchange.asmx", answer=0.2)
    assert (finding.result, "could not be tried" in finding.text) == ("open", True)


def test_exchangelib_is_left_as_it_was_found(exchangelib: Any) -> None:
    from exchangelib.protocol import BaseProtocol, CachingProtocol

    before = BaseProtocol.TIMEOUT, BaseProtocol.HTTP_ADAPTER_CLS
    asked(FakeEws((ACCOUNT, PASSWORD)))
    after = BaseProtocol.TIMEOUT, BaseProtocol.HTTP_ADAPTER_CLS
    assert after == before
    assert not CachingProtocol._protocol_cache, "a kept session would keep the password"


@pytest.mark.parametrize(
    ("url", "certificate", "verified"),
    [
        (None, "true", True),
        (None, "false", False),
        ("https://other.acme.example/EWS/Exchange.asmx", "false", True),
        ("https://other.acme.example/EWS/Exchange.asmx", "'ca.pem'", "ca.pem"),
    ],
)
def test_how_the_certificate_is_checked(
    url: str | None, certificate: str, verified: bool | str, exchangelib: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter below is faked: no TLS is spoken, only what it is asked for is looked at."""
    from requests import ConnectionError
    from requests.adapters import HTTPAdapter

    sent: list[tuple[str, object]] = []

    def send(self: HTTPAdapter, request: Any, *, verify: object, **kwargs: object) -> None:
        sent.append((request.url, verify))
        raise ConnectionError("far away")

    monkeypatch.setattr(HTTPAdapter, "send", send)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    assert probed(url, more=f"exchange: {{certificate: {certificate}}}").result == "open"
    assert sent == [(url or "https://ex01.acme.example/EWS/Exchange.asmx", verified)]


def test_basic_is_not_given_to_an_unchecked_server(exchangelib: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from exchangelib import BASIC
    from exchangelib.protocol import Protocol

    monkeypatch.setattr(Protocol, "get_auth_type", lambda self: BASIC)
    finding = probed(None, more="exchange: {certificate: false}")
    assert (finding.result, "certificate is not checked" in finding.text) == ("open", True)


def test_a_password_is_never_sent_in_clear(exchangelib: Any) -> None:
    finding = probed("http://ex01.acme.example/EWS/Exchange.asmx")
    assert (finding.result, "in clear" in finding.text) == ("open", True)


def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchangelib", None)
    finding = probed(None)
    assert (finding.result, "umkit[ews]" in finding.next) == ("open", True)


@pytest.mark.parametrize(
    ("ews", "why"),
    [
        ("ews: {}", "no ews.test_user and ews.password is given"),
        (f"ews: {{test_user: {USER}}}", "no ews.password is given"),
        ("ews: {password: 'env:UMKIT_TEST_EWS'}", "no ews.test_user is given"),
        ("ews: {test_user: test, password: 'env:UMKIT_TEST_EWS'}", "test is no address"),
        (
            "exchange: {endpoint: lab, auth: basic, username: null, password: null}\n"
            f"ews: {{test_user: {USER}, password: 'env:UMKIT_TEST_EWS'}}",
            "the lab simulates no EWS",
        ),
    ],
)
def test_what_cannot_be_tried_says_why(ews: str, why: str) -> None:
    [finding] = EwsImpersonation().run(NoSite(ews)).findings
    assert (finding.result, why in finding.text, bool(finding.next)) == ("open", True, True)


def test_a_password_that_cannot_be_had(exchangelib: Any) -> None:
    site = NoSite(f"ews: {{test_user: {USER}, password: 'env:UMKIT_TEST_NOT_SET'}}")
    [finding] = EwsImpersonation().run(site).findings
    assert (finding.result, "UMKIT_TEST_NOT_SET" in finding.text) == ("open", True)
