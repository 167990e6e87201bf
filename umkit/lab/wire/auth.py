"""Who is asking: Basic, and Negotiate with NTLM; state per TCP connection.

pyspnego's own NTLM acceptor takes passwords from the file that the
process-wide NTLM_USER_FILE names. Several labs in one process, each with its
own password, need them from the organisation instead. Kerberos is not
offered: it would need a KDC.
"""

from __future__ import annotations

import base64
import hmac
import re
import struct
from dataclasses import dataclass, field
from typing import Any, Protocol

from spnego import ContextProxy, NTLMHash
from spnego._context import GSSMech
from spnego._negotiate import NegotiateProxy
from spnego._ntlm import NTLMProxy
from spnego._ntlm_raw.crypto import compute_response_v2, ntowfv1, ntowfv2, rc4k
from spnego._ntlm_raw.messages import Authenticate, AvFlags, AvId, NegotiateFlags, NTClientChallengeV2
from spnego.exceptions import InvalidTokenError

#: What a client may choose in the customer file.
AUTH = ["basic", "negotiate"]

_OFFER = ["Negotiate", 'Basic realm="WSMAN"']
_NTLM_V1_LENGTH = 24


class Accounts(Protocol):
    """What the wire asks the organisation about its accounts."""

    def check_password(self, username: str, password: str) -> bool:
        """Whether ``DOMAIN\\user``, ``user@domain`` or ``user`` has this password."""

    def password_of(self, username: str) -> str | None:
        """The account's password, or None for an unknown account."""


class _Ntlm(NTLMProxy):
    """An NTLMv2 acceptor that asks the organisation for passwords."""

    def __init__(self, accounts: Accounts) -> None:
        # As an acceptor the base class insists on NTLM_USER_FILE; the credential given here is never used.
        super().__init__(NTLMHash(username="lab", nt_hash="0" * 32))
        self.usage = "accept"
        self.principal: str | None = None
        self._accounts = accounts

    def _step_accept_authenticate(self, token: bytes, channel_bindings: Any) -> None:
        proof = Authenticate.unpack(token)
        negotiate, challenge = self._temp_negotiate, self._temp_challenge
        response = proof.nt_challenge_response or b""
        if negotiate is None or challenge is None or not proof.user_name or len(response) <= _NTLM_V1_LENGTH:
            raise InvalidTokenError(context_msg="only NTLMv2 with a user name is accepted")
        name = f"{proof.domain_name}\\{proof.user_name}" if proof.domain_name else proof.user_name
        password = self._accounts.password_of(name)
        if password is None:
            raise InvalidTokenError(context_msg="unknown account")
        given = NTClientChallengeV2.unpack(response[16:])
        expected, _, key = compute_response_v2(
            ntowfv2(proof.user_name, ntowfv1(password), proof.domain_name),
            challenge.server_challenge,
            given.challenge_from_client,
            given.time_stamp,
            given.av_pairs,
        )
        if not hmac.compare_digest(response, expected):
            raise InvalidTokenError(context_msg="wrong password")
        signed = proof.flags & (NegotiateFlags.sign | NegotiateFlags.seal)
        if proof.flags & NegotiateFlags.key_exch and signed:
            key = rc4k(key, proof.encrypted_random_session_key or b"")
        if given.av_pairs.get(AvId.flags, 0) & AvFlags.mic:
            stated, proof.mic = proof.mic, b"\x00" * 16
            if stated != self._calculate_mic(key, negotiate.pack(), challenge.pack(), proof.pack()):
                raise InvalidTokenError(context_msg="the messages were changed on the way")
        self._session_key = key
        self._context_attr = proof.flags
        self._complete = True
        self.principal = name


@dataclass
class Verdict:
    """What authentication makes of one request.

    Arguments:
        user: who it is, as the client wrote the name, or None: answer 401.
        headers: values of WWW-Authenticate for the answer.
    """

    user: str | None
    headers: list[str] = field(default_factory=list)


class Authentication:
    """The authentication of one TCP connection.

    Arguments:
        accounts: the organisation's accounts.
    """

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._ntlm: _Ntlm | None = None
        self._user: str | None = None
        #: The established security context, which seals messages; None without Negotiate.
        self.context: ContextProxy | None = None
        self._pending: ContextProxy | None = None

    def check(self, authorization: str | None) -> Verdict:
        """Judge one request by its Authorization header; a Negotiate connection stays authenticated."""
        if not authorization:
            return Verdict(self._user, [] if self._user else _OFFER)
        scheme, _, rest = authorization.strip().partition(" ")
        try:
            token = base64.b64decode(rest.strip(), validate=True)
        except ValueError:
            return self._refuse()
        if scheme.lower() == "basic":
            user = self._basic(token)
            return Verdict(user) if user else self._refuse()
        if scheme.lower() in ("negotiate", "ntlm"):
            return self._negotiate(scheme, token)
        return self._refuse()

    def _refuse(self) -> Verdict:
        self._pending = self.context = self._user = None
        return Verdict(None, _OFFER)

    def _basic(self, token: bytes) -> str | None:
        # RFC 7617 names no charset: requests sends Latin-1, others UTF-8.
        for encoding in ("utf-8", "latin-1"):
            try:
                user, colon, password = token.decode(encoding).partition(":")
            except UnicodeDecodeError:
                continue
            if colon and self._accounts.check_password(user, password):
                return user
        return None

    def _negotiate(self, scheme: str, token: bytes) -> Verdict:
        if self._pending is None or self._ntlm is None:
            self._user = self.context = None
            self._ntlm = _Ntlm(self._accounts)
            self._pending = NegotiateProxy(
                usage="accept", protocol="negotiate", _negotiate_contexts={GSSMech.ntlm: self._ntlm}
            )
        try:
            out = self._pending.step(token)
        except Exception:  # the raw token parsers raise whatever a hostile token makes them raise
            return self._refuse()
        header = [f"{scheme} {base64.b64encode(out).decode()}"] if out else []
        if not self._pending.complete:
            return Verdict(None, header or _OFFER)
        self.context, self._pending = self._pending, None
        self._user = self._ntlm.principal
        return Verdict(self._user, header)


_SEALED = re.compile(
    rb"--[ ]?Encrypted Boundary\r\n"
    rb"[ \t]*Content-Type:[ ]?([^\r\n]+)\r\n"
    rb"[ \t]*OriginalContent:[ ]?[^\r\n]*;Length=(\d{1,9})\r\n"
    rb"--[ ]?Encrypted Boundary\r\n"
    rb"[ \t]*Content-Type:[ ]?application/octet-stream\r\n"
)
_SEALED_END = re.compile(rb"--[ ]?Encrypted Boundary--(?:\r\n)?\Z")
_PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"


class Unsealable(Exception):
    """A body that this connection's security context cannot open."""


def unseal(context: ContextProxy | None, body: bytes) -> bytes:
    """Open a body that WinRM's message encryption sealed.

    Raises:
        Unsealable: no context, another context's, or not of the form.
    """
    head, end = _SEALED.match(body), _SEALED_END.search(body, max(len(body) - 64, 0))
    if context is None or head is None or end is None or end.start() < head.end() + 4:
        raise Unsealable("not sealed for this connection")
    data = body[head.end() : end.start()]
    (signature_length,) = struct.unpack_from("<I", data)
    sealed = data[4:]
    if signature_length > len(sealed):
        raise Unsealable("the signature is cut short")
    try:
        plain = context.unwrap_winrm(sealed[:signature_length], sealed[signature_length:])
    except Exception as error:
        raise Unsealable(str(error)) from error
    if len(plain) != int(head.group(2)):
        raise Unsealable("the length is not as stated")
    return plain


def seal(context: ContextProxy, plain: bytes, *, iis: bool) -> tuple[str, bytes]:
    """Seal an answer; its Content-Type and its body.

    Arguments:
        context: the connection's security context.
        plain: the envelope.
        iis: whether the boundary is written with Exchange's extra blank.
    """
    sealed = context.wrap_winrm(plain)
    boundary = "-- Encrypted Boundary" if iis else "--Encrypted Boundary"
    head = (
        f"{boundary}\r\n\tContent-Type: {_PROTOCOL}\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;"
        f"Length={len(plain) + sealed.padding_length}\r\n{boundary}\r\n\tContent-Type: application/octet-stream\r\n"
    )
    body = head.encode() + struct.pack("<I", len(sealed.header)) + sealed.header + sealed.data
    return (
        f'multipart/encrypted;protocol="{_PROTOCOL}";boundary="Encrypted Boundary"',
        body + f"{boundary}--\r\n".encode(),
    )
