"""SSH signatures of a file: the SSHSIG format, as ``ssh-keygen -Y verify`` reads it.

Only Ed25519 keys and SHA-512. Source: OpenSSH, PROTOCOL.sshsig (the format) and RFC 8709 (keys and signatures).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: What a signature of a record is made for; one made for anything else is not accepted.
NAMESPACE = "umkit-record"

_ALGORITHM = b"ssh-ed25519"
_MAGIC = b"SSHSIG"
_VERSION = 1
_HASH = b"sha512"
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_WIDTH = 70  # as ssh-keygen breaks its lines


@dataclass(frozen=True)
class SshSignature:
    """An SSH signature that was read; nothing is proven before :meth:`verifies`.

    Arguments:
        public: the raw public key that it carries, 32 bytes.
        namespace: what it was made for.
        signature: the raw Ed25519 signature, 64 bytes.
    """

    public: bytes
    namespace: str
    signature: bytes

    def verifies(self, message: bytes, *, namespace: str = NAMESPACE) -> bool:
        """Whether the key that it carries made it over this message, for this namespace."""
        if self.namespace != namespace:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(self.signature, _signed(message, namespace))
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        signature = _string(_ALGORITHM) + _string(self.signature)
        parts = (public_blob(self.public), self.namespace.encode(), b"", _HASH, signature)
        blob = _MAGIC + struct.pack(">I", _VERSION) + b"".join(map(_string, parts))
        text = base64.b64encode(blob).decode("ascii")
        lines = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
        return "\n".join([_BEGIN, *lines, _END, ""])


def sign(message: bytes, key: Ed25519PrivateKey, *, namespace: str = NAMESPACE) -> SshSignature:
    """Sign a message for a namespace."""
    public = key.public_key().public_bytes_raw()
    return SshSignature(public, namespace, key.sign(_signed(message, namespace)))


def parse(text: str) -> SshSignature:
    """Read a signature from its text.

    Raises ``ValueError`` when it is none, or one of another kind of key or hash.
    """
    lines = text.split("\n")
    if lines[0] != _BEGIN or lines[-2:] != [_END, ""]:
        raise ValueError("the first or the last line is not that of an SSH signature")
    try:
        blob = base64.b64decode("".join(lines[1:-2]), validate=True)
    except binascii.Error as error:
        raise ValueError("not Base64") from error
    head, rest = blob[:10], blob[10:]
    if head != _MAGIC + struct.pack(">I", _VERSION):
        raise ValueError("not an SSH signature of version 1")
    key, namespace, reserved, hashed, signature = _strings(rest, 5)
    algorithm, raw = _strings(signature, 2)
    if (reserved, hashed, algorithm, len(raw)) != (b"", _HASH, _ALGORITHM, 64):
        raise ValueError("not an Ed25519 signature over SHA-512")
    return SshSignature(raw_public(key), namespace.decode("utf-8"), raw)


def public_blob(raw: bytes) -> bytes:
    """A raw public key in SSH's form, which its fingerprint is taken of."""
    return _string(_ALGORITHM) + _string(raw)


def raw_public(blob: bytes) -> bytes:
    """The raw public key in SSH's form of it.

    Raises ``ValueError`` when it is no Ed25519 key.
    """
    algorithm, raw = _strings(blob, 2)
    if algorithm != _ALGORITHM or len(raw) != 32:
        raise ValueError("not an Ed25519 key")
    return raw


def _signed(message: bytes, namespace: str) -> bytes:
    parts = (namespace.encode(), b"", _HASH, hashlib.sha512(message).digest())
    return _MAGIC + b"".join(map(_string, parts))


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _strings(data: bytes, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        if len(data) < 4:
            raise ValueError("cut off")
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length:
            raise ValueError("cut off")
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    if data:
        raise ValueError("something follows the end")
    return found
