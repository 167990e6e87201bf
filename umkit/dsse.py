"""DSSE envelopes around in-toto Statements: who says what about which files, and whether it was they.

Sources: the DSSE specification (envelope, protocol 1.0), in-toto's Statement v1.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from umkit.keys import PublicKey, SigningKey

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Envelope:
    """One signed statement; nothing in it is proven before :meth:`is_signed_by`.

    Arguments:
        payload: the statement as JSON.
        keyid: the fingerprint of the key that signed it, as the envelope says.
        signature: the raw Ed25519 signature.
    """

    payload: bytes
    keyid: str
    signature: bytes

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether this key signed it."""
        return key.verifies(self.signature, pae(PAYLOAD_TYPE, self.payload))

    def __bytes__(self) -> bytes:
        entry = {"keyid": self.keyid, "sig": base64.b64encode(self.signature).decode("ascii")}
        envelope = {
            "payload": base64.b64encode(self.payload).decode("ascii"),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [entry],
        }
        return json.dumps(envelope, indent=1).encode("ascii") + b"\n"


def sign(statement: Mapping[str, Any], key: SigningKey) -> Envelope:
    """Sign a statement."""
    payload = json.dumps(statement, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return Envelope(payload, key.public.fingerprint, key.private.sign(pae(PAYLOAD_TYPE, payload)))


def parse(data: bytes) -> Envelope:
    """Read an envelope with one signature.

    The caller compares what it makes (``bytes``) with what was there: the kit writes it in one way only.

    Raises ``ValueError``, ``KeyError``, ``TypeError``, ``AttributeError`` or ``RecursionError`` when it is none.
    """
    envelope = json.loads(data)
    [entry] = envelope["signatures"]
    payload = base64.b64decode(envelope["payload"], validate=True)
    return Envelope(payload, str(entry["keyid"]), base64.b64decode(entry["sig"], validate=True))


def pae(payload_type: str, payload: bytes) -> bytes:
    """What a DSSE signature is made over: its pre-authentication encoding."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
