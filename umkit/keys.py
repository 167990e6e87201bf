"""Signing keys: Ed25519 pairs in a folder of the user's own.

A key named ``signing`` is four files::

    signing.pem              the private key, PKCS #8, encrypted with a passphrase
    signing.pub.pem          the public key, for whoever verifies
    signing.allowed_signers  the public key as OpenSSH takes it (ssh-keygen -Y verify -f)
    signing.json             whose it is, and where its passphrase is kept (a reference, never the passphrase)

The folder is ``UMKIT_KEYS``, else ``%APPDATA%\\umkit\\keys`` on Windows, ``~/Library/Application Support/umkit/keys``
on macOS, ``$XDG_CONFIG_HOME/umkit/keys`` or ``~/.config/umkit/keys`` elsewhere.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from umkit import sshsig
from umkit.durable import cannot_write, write_atomic
from umkit.errors import SecretError, UsageError
from umkit.secrets import SecretReference, forget

#: The environment variable that names the folder of the keys.
FOLDER_VARIABLE = "UMKIT_KEYS"
#: The environment variable that names the private key which signs every run.
KEY_VARIABLE = "UMKIT_SIGNING_KEY"
#: The environment variable that holds the passphrase, where no other place is named.
PASSPHRASE_VARIABLE = "UMKIT_KEY_PASSPHRASE"  # noqa: S105 (a name, no passphrase)
#: The key that signs every run when it exists.
DEFAULT = "signing"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
#: OpenSSH separates principals by commas and takes ``*``, ``?`` and ``!`` for patterns.
_WHO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")


@dataclass(frozen=True)
class PublicKey:
    """A public key; two are equal when they are the same key.

    Arguments:
        raw: its 32 bytes.
    """

    raw: bytes

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it: ``SHA256:`` and 43 characters."""
        digest = hashlib.sha256(sshsig.public_blob(self.raw)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def pem(self) -> str:
        """The key as PEM."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    @property
    def openssh(self) -> str:
        """The key as OpenSSH writes it, without a comment."""
        return "ssh-ed25519 " + base64.b64encode(sshsig.public_blob(self.raw)).decode("ascii")

    def allowed_signer(self, who: str) -> str:
        """The line of an ``allowed_signers`` file that lets this key sign records as ``who``."""
        return f'{who} namespaces="{sshsig.NAMESPACE}" {self.openssh}\n'

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made the signature over the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """An opened private key and whose it is."""

    private: Ed25519PrivateKey
    who: str

    @property
    def public(self) -> PublicKey:
        """Its public half."""
        return PublicKey(self.private.public_key().public_bytes_raw())


@dataclass(frozen=True)
class KeyFile:
    """A private key as it lies on the disk, still closed.

    Arguments:
        path: the private key's file.
        who: whose it is.
        passphrase: where its passphrase is kept.
    """

    path: Path
    who: str
    passphrase: SecretReference

    @property
    def name(self) -> str:
        """The key's name."""
        return self.path.stem

    @property
    def public_path(self) -> Path:
        """Where the public key lies as PEM."""
        return self.path.with_suffix(".pub.pem")

    @property
    def allowed_signers_path(self) -> Path:
        """Where the public key lies as a line for OpenSSH."""
        return self.path.with_suffix(".allowed_signers")

    @property
    def public(self) -> PublicKey:
        """The public key, read from its file; the private one stays closed."""
        return load_public(self.public_path)

    def open(self, *, interactive: bool) -> SigningKey:
        """Open the private key with its passphrase.

        Arguments:
            interactive: whether a person is there to be asked.

        Raises ``UsageError`` when the file is no such key, ``SecretError`` when the passphrase is missing or wrong.
        """
        data = _read(self.path)
        if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" not in data:
            raise UsageError(
                f"{self.path.name} is not a private key that a passphrase protects",
                where={"file": str(self.path)},
                expected="PKCS #8 in PEM, encrypted",
                next="make one: umkit keys new",
            )
        secret = self.passphrase.resolve(interactive=interactive)
        try:
            key = load_pem_private_key(data, secret.reveal().encode("utf-8"))
        except (ValueError, UnsupportedAlgorithm) as error:
            forget(self.passphrase)
            raise SecretError(
                f"the passphrase does not open the key {self.name}",
                where={"file": str(self.path), "secret": str(self.passphrase)},
                seen=type(error).__name__,
                next="check the passphrase; if it is right, the file is damaged",
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageError(
                f"{self.path.name} is no Ed25519 key", where={"file": str(self.path)}, next="make one: umkit keys new"
            )
        return SigningKey(key, self.who)


def folder(given: Path | None = None) -> Path:
    """The folder of the keys: the one given, else ``UMKIT_KEYS``, else the user's own."""
    if given is not None:
        return given
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "win32":
        home = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Application Support"
    else:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "umkit" / "keys"


def new(home: Path, name: str = DEFAULT, *, who: str, passphrase: SecretReference, interactive: bool) -> KeyFile:
    """Make a key pair; an existing one is never overwritten.

    Arguments:
        home: the folder of the keys; made where it is missing, for this user alone.
        name: letters, digits, ``-`` and ``_``.
        who: whose it is, as OpenSSH names a signer: letters, digits and ``. _ @ + -``, for example a mail address.
        passphrase: where the passphrase is kept.
        interactive: whether a person is there to be asked; they are then asked twice.

    Raises ``UsageError`` for a name that is taken or cannot be one, ``SecretError`` without a passphrase,
    ``RecordError`` when nothing can be written there.
    """
    for what, text, form in (("name", name, _NAME), ("signer", who, _WHO)):
        if not form.fullmatch(text):
            raise UsageError(f"this cannot be a key's {what}", seen=text, expected=form.pattern)
    path = home / f"{name}.pem"
    taken = UsageError(
        f"there is a key {name} already", where={"file": str(path)}, next="choose another name; a key is never replaced"
    )
    if path.exists():
        raise taken
    secret = passphrase.resolve(interactive=interactive)
    if passphrase.scheme == "prompt":
        again = SecretReference("prompt", "The same passphrase again")
        same = again.resolve(interactive=interactive) == secret
        forget(again)
        if not same:
            forget(passphrase)
            raise SecretError("the two passphrases differ", where={"secret": str(passphrase)}, next="try again")
    private = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(secret.reveal().encode("utf-8"))
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_private(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    except FileExistsError:
        raise taken from None
    except OSError as error:
        raise cannot_write(path, error) from error
    made = KeyFile(path, who, passphrase)
    public = SigningKey(private, who).public
    write_atomic(made.public_path, public.pem)
    write_atomic(made.allowed_signers_path, public.allowed_signer(who))
    write_atomic(_about(path), json.dumps({"who": who, "passphrase": str(passphrase)}, indent=1) + "\n")
    return made


def listing(home: Path) -> list[KeyFile]:
    """Every key in a folder, by name."""
    return [key_file(path) for path in sorted(home.glob("*.pem")) if not path.name.endswith(".pub.pem")]


def known(home: Path) -> list[PublicKey]:
    """The public keys in a folder: the user's own, and those of others that were put there as ``NAME.pub.pem``."""
    return [load_public(path) for path in sorted(home.glob("*.pub.pem"))]


def own(home: Path) -> list[PublicKey]:
    """The public keys of the private ones that are here: those in a folder, and the one that signs every run."""
    signing = configured(home)
    files = [*listing(home), *([signing] if signing else [])]
    return [load_public(path) for path in dict.fromkeys(key.public_path for key in files) if path.is_file()]


def key_file(path: Path, *, passphrase: SecretReference | None = None) -> KeyFile:
    """A private key on the disk, with what its ``.json`` says of it.

    Arguments:
        path: the private key's file.
        passphrase: where its passphrase is kept; else as its ``.json`` says, else ``UMKIT_KEY_PASSPHRASE`` where that
            is set, else a person is asked.
    """
    try:
        about = json.loads(_about(path).read_text("utf-8"))
        who, kept = str(about["who"]), SecretReference.parse(str(about["passphrase"]))
    except FileNotFoundError:
        asked = SecretReference("prompt", f"Passphrase of the key {path.stem}")
        who, kept = account(), _given_passphrase() or asked
    except (OSError, ValueError, KeyError, TypeError, SecretError) as error:
        raise UsageError(
            f"what stands beside the key {path.stem} cannot be read",
            where={"file": str(_about(path))},
            seen=type(error).__name__,
            next='mend it: {"who": …, "passphrase": "keyring:SERVICE/USER"}, or remove it',
        ) from None
    return KeyFile(path, who, passphrase or kept)


def find(text: str, home: Path, *, passphrase: SecretReference | None = None) -> KeyFile:
    """A private key by its name in the folder of the keys, or by its file's path.

    Raises ``UsageError`` when there is none.
    """
    for path in (home / f"{text}.pem", Path(text).expanduser()):
        if path.is_file():
            return key_file(path, passphrase=passphrase)
    raise UsageError(f"there is no key {text}", where={"folder": str(home)}, next="see them: umkit keys list")


def configured(home: Path | None = None) -> KeyFile | None:
    """The key that signs every run: ``UMKIT_SIGNING_KEY``, else the default one; ``None`` where there is neither.

    Arguments:
        home: the folder of the keys; see :func:`folder`.

    Raises ``UsageError`` when the key that ``UMKIT_SIGNING_KEY`` names is not there.
    """
    if named := os.environ.get(KEY_VARIABLE):
        return find(named, folder(home), passphrase=_given_passphrase())
    path = folder(home) / f"{DEFAULT}.pem"
    return key_file(path) if path.is_file() else None


def load_public(path: Path) -> PublicKey:
    """Read a public key: PEM, or a line of OpenSSH's (``ssh-ed25519 …``, also in ``allowed_signers``).

    Raises ``UsageError`` when the file holds none.
    """
    data = _read(path)
    is_private = b"PRIVATE KEY-----" in data
    wrong = UsageError(
        f"{path.name} holds no Ed25519 public key",
        where={"file": str(path)},
        seen="a private key; nobody needs it to verify" if is_private else "",
        expected="PEM (BEGIN PUBLIC KEY) or a line ssh-ed25519 …",
        next="give the signer's public key, as umkit keys new wrote it: NAME.pub.pem",
    )
    if is_private:
        raise wrong
    try:
        if line := re.search(rb"^(?:[^#\n]*\s)?ssh-ed25519\s+([A-Za-z0-9+/=]+)", data, re.MULTILINE):
            return PublicKey(sshsig.raw_public(base64.b64decode(line[1], validate=True)))
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise wrong from None
    if not isinstance(key, Ed25519PublicKey):
        raise wrong
    return PublicKey(key.public_bytes_raw())


def account() -> str:
    """Who works here, in a form that OpenSSH takes for a signer: ``user@workstation``."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for this user, as in some containers
        user = "user"
    text = re.sub(r"[^A-Za-z0-9._@+-]", "-", f"{user}@{platform.node() or 'workstation'}")
    return text if _WHO.fullmatch(text) else f"user-{text}"[:128]


def _given_passphrase() -> SecretReference | None:
    return SecretReference("env", PASSPHRASE_VARIABLE) if PASSPHRASE_VARIABLE in os.environ else None


def _about(path: Path) -> Path:
    return path.with_suffix(".json")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the key {path.name} cannot be read", where={"file": str(path)}, seen=error.strerror or str(error)
        ) from error


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that only this user may read, and only where none is."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(number)
