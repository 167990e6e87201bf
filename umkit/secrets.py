"""References to secrets, resolved at the moment of use; a Secret never prints.

A customer file holds references only::

    prompt:                          a person is asked, each time it is needed
    prompt:password of CORP\\admin    a person is asked for this, once in a process
    env:UMKIT_PASSWORD               an environment variable
    keyring:umkit/admin@corp.example the system's key store: service, then user name
    keepass:secrets.kdbx#Group/Entry a KeePass database (needs the extra umkit[keepass]); its master password is asked
                                     for, or comes from UMKIT_KEEPASS_PASSWORD

What was resolved can be taken out of any text again: :func:`redact`.
"""

from __future__ import annotations

import base64
import getpass
import hmac
import importlib
import json
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from umkit.errors import SecretError

#: What stands wherever a secret would stand.
MASK: Final = "(secret)"
SCHEMES: Final = ("prompt", "env", "keyring", "keepass")
#: The environment variable that holds the master password of a KeePass database.
KEEPASS_VARIABLE: Final = "UMKIT_KEEPASS_PASSWORD"

_SHORTEST_TO_MASK: Final = 4
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_FORMS: Final = "prompt:WHAT, env:NAME, keyring:SERVICE/USER or keepass:FILE#ENTRY"

_lock = threading.Lock()
_known: set[str] = set()
_masked: re.Pattern[str] | None = None
_answers: dict[SecretReference, Secret] = {}
#: Where a person is asked who is not asked here; empty where nobody is.
_elsewhere = ""


class Secret:
    """A secret value that never prints; its text is only had by reveal().

    It cannot be pickled or written as JSON, has no length, and a copy of it is itself.

    Arguments:
        value: the clear text.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The clear text: for the moment of use, never to be kept or shown."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK  # a width would be harmless, a precision would not; none is honoured

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash(Secret)  # the same for all: a hash of the value would be a hint

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied to another process; pass its reference")


@dataclass(frozen=True)
class SecretReference:
    """Where a secret is kept; as text it is ``scheme:rest``.

    Arguments:
        scheme: one of ``prompt``, ``env``, ``keyring``, ``keepass``.
        rest: what the scheme needs: the words of the question, the variable's name, ``service/user`` or ``file#entry``.
    """

    scheme: str
    rest: str

    @classmethod
    def parse(cls, text: str) -> SecretReference:
        """Read a reference from its text.

        Raises ``SecretError`` when the text is no reference; the text itself, which may be a password, is not named.
        """
        scheme, _, rest = text.partition(":")
        return cls(scheme if ":" in text else "", rest)

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise SecretError(
                "this is no reference to a secret; a password itself is never written down",
                seen="(hidden)",
                expected=_FORMS,
                next="keep the secret in the key store and name its place, for example keyring:umkit/USER",
            )
        if fault := self._fault():
            raise SecretError(
                f"this reference to a secret is incomplete: {fault}", seen=f"{self.scheme}: (hidden)", expected=_FORMS
            )

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"

    def resolve(self, *, interactive: bool) -> Secret:
        """Fetch the secret from where it is kept.

        From then on :func:`redact` knows it. What was asked for by ``prompt:WHAT`` is asked once in a process, and what
        a person gave by :func:`answer` stands in place of what is kept; see :func:`forget`.

        Arguments:
            interactive: whether a person is there to be asked.

        Raises ``SecretError`` with the reason and what to do next.
        """
        if self in _answers:
            return _answers[self]
        value = {"prompt": _asked, "env": _variable, "keyring": _stored, "keepass": _filed}[self.scheme](
            self, interactive
        )
        if not value:
            raise self._error("the secret is empty", "store a value there; an empty secret is never used")
        secret = Secret(value)
        remember(secret)
        if self.scheme == "prompt" and self.rest:
            _answers[self] = secret
        return secret

    @property
    def question(self) -> SecretReference:
        """What a person can answer where this leads nowhere: itself, or the master password of a KeePass database."""
        if self.scheme != "keepass" or KEEPASS_VARIABLE in os.environ:
            return self
        master = _master(self)
        return self if master in _answers else master

    def _fault(self) -> str:
        if any(ord(character) < 32 or 0xD7FF < ord(character) < 0xE000 for character in self.rest):
            return "it holds a control character or a broken one"
        service, _, user = self.rest.rpartition("/")
        file, _, entry = self.rest.partition("#")
        if self.scheme == "env" and (not self.rest or "=" in self.rest or self.rest != self.rest.strip()):
            return "env: wants the name of a variable"
        if self.scheme == "keyring" and not (service.strip() and user.strip()):
            return "keyring: wants a service and a user name, with a slash between"
        if self.scheme == "keepass" and not (file.strip() and entry.strip("/ ")):
            return "keepass: wants a file and an entry, with # between"
        return ""

    def _error(self, what: str, next: str, *, seen: str = "") -> SecretError:
        if _elsewhere:
            next = f"enter it {_elsewhere}" + ("" if self.scheme == "prompt" else f"; or {next}")
        return SecretError(f"{self}: {what}", where={"secret": str(self)}, seen=seen, next=next)


def remember(secret: Secret) -> None:
    """Let :func:`redact` know a secret that was not resolved here, as the lab's password."""
    global _masked
    with _lock:
        if secret.reveal() not in _known:
            _known.add(secret.reveal())
            _masked = None


def answer(reference: SecretReference, value: str) -> None:
    """Take a person's answer for a secret, of whatever scheme, while this process lives; :func:`redact` knows it.

    Arguments:
        reference: what it is for; see :attr:`SecretReference.question`.
        value: the clear text.

    Raises ``SecretError`` when it is empty.
    """
    if not value:
        raise reference._error("the secret is empty", "type it; an empty secret is never used")
    secret = Secret(value)
    remember(secret)
    _answers[reference] = secret


def forget(reference: SecretReference) -> None:
    """Ask again next time: what a person answered was refused by the server."""
    _answers.pop(reference, None)


def ask_elsewhere(where: str) -> None:
    """Have an error about a secret that cannot be fetched say where a person can enter it.

    Arguments:
        where: words that end "enter it …"; empty where nobody can.
    """
    global _elsewhere
    _elsewhere = where


def redact(text: str) -> str:
    """Mask every secret resolved in this process, in each form a text may hold it.

    These are the text itself and its JSON, XML, CLIXML, HTML, URL, Python, hexadecimal and Base64 forms (also inside a
    longer Base64 text, as in a Basic header), each of its lines, and its beginning where a text was cut off with ``…``.
    Secrets of less than 4 characters are left: masking them would spoil every text.
    """
    global _masked
    with _lock:
        if _masked is None:
            forms = {form for value in _known for form in _forms_of(value)}
            # the longest first, so that no form is left half masked by a shorter one
            _masked = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)) or r"(?!)")
        pattern = _masked
    masked = pattern.sub(MASK, text)
    if "\x1b[" in masked and pattern.search(bare := _COLOUR.sub("", masked)):
        return pattern.sub(MASK, bare)  # a traceback colours the parts of a text: the secret was in pieces
    return masked


def _forms_of(value: str) -> Iterator[str]:
    if len(value) < _SHORTEST_TO_MASK:
        return
    # a text is shown line by line, or in one line, before anybody masks it; or it is cut off in the middle
    in_one_line = " ".join(value.split())
    for whole in dict.fromkeys((value, in_one_line, *value.splitlines())):
        if len(whole) >= _SHORTEST_TO_MASK:
            yield from _escaped(whole)
    for whole in {value, in_one_line}:
        yield from (whole[:length] + "…" for length in range(_SHORTEST_TO_MASK, len(whole)))
    yield from _encoded(value)


def _escaped(value: str) -> Iterator[str]:
    yield value
    for once in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield once
        yield json.dumps(once)[1:-1]  # JSON inside JSON: a journal line in a notebook's output
        yield json.dumps(once, ensure_ascii=False)[1:-1]
    for python in (repr(value), ascii(value), repr(_bytes(value))[1:]):
        yield python[1:-1]
        # inside a longer text the other characters decide which quotes are escaped
        yield python[1:-1].replace("\\'", "'")
        yield python[1:-1].replace("\\'", "'").replace("'", "\\'")
    for text in (value, _clixml(value)):
        for double in ('"', "&quot;", "&#34;"):
            for single in ("'", "&apos;", "&#x27;", "&#39;"):
                yield escape(text, {'"': double, "'": single})


def _encoded(value: str) -> Iterator[str]:
    raw = _bytes(value)
    for quoted in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
        yield quoted
        yield re.sub("%..", lambda found: found[0].lower(), quoted)
    for encoded in (raw, value.encode("utf-16-le", "surrogatepass")):
        yield encoded.hex()
        yield encoded.hex().upper()
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            yield alphabet(encoded).decode("ascii")
            yield alphabet(encoded).decode("ascii").rstrip("=")
            for before in range(3):
                # inside a longer text only the characters that no neighbouring byte has a part in are certain
                skip = (0, 2, 3)[before]
                whole = (before + len(encoded)) * 8 // 6
                core = alphabet(b"\0" * before + encoded).decode("ascii")[skip:whole]
                if len(core) >= _SHORTEST_TO_MASK:
                    yield core


def _clixml(value: str) -> str:
    """A text as CLIXML escapes it ([MS-PSRP] 2.2.5.3.2): ``_xHHHH_`` for each unit of UTF-16 that XML cannot hold."""

    def unit(found: re.Match[str]) -> str:
        units = found[0].encode("utf-16-be", "surrogatepass")
        return "".join(f"_x{units[at] << 8 | units[at + 1]:04X}_" for at in range(0, len(units), 2))

    return re.sub(r"_(?=[xX])|[\x00-\x1f\x7f-\x9f\ud800-\udfff\U00010000-\U0010ffff]", unit, value)


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _asked(reference: SecretReference, interactive: bool) -> str:
    elsewhere = "run it where a person can answer, or keep the secret under env: or keyring:"
    in_notebook = "ipykernel" in getattr(
        getpass.getpass, "__module__", ""
    )  # a kernel forwards getpass to its front end
    if not interactive or not (in_notebook or (sys.stdin is not None and sys.stdin.isatty())):
        raise reference._error("a person would have to be asked, and none is there", elsewhere)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # rather no answer than one that is echoed
            return getpass.getpass(f"{reference.rest.strip() or 'Password'}: ")
    except (EOFError, OSError, NotImplementedError, getpass.GetPassWarning) as error:
        raise reference._error("the question could not be asked", elsewhere, seen=type(error).__name__) from None


def _variable(reference: SecretReference, interactive: bool) -> str:
    value = os.environ.get(reference.rest)
    if value is None:
        raise reference._error(
            "this environment variable is not set", f"set {reference.rest} in the shell that starts the runbook"
        )
    return value


def _stored(reference: SecretReference, interactive: bool) -> str:
    service, _, user = reference.rest.rpartition("/")
    command = f'keyring set "{service}" "{user}"'
    try:
        import keyring  # only who uses the key store pays for finding its backend

        value = keyring.get_password(service, user)
    except Exception as error:  # each backend has errors of its own
        raise reference._error(
            "the system's key store cannot be read",
            "unlock it, or keep the secret under env: or prompt:",
            seen=type(error).__name__,
        ) from None
    if value is None:
        raise reference._error("the system's key store has no such entry", f"store it: {command}")
    return value


def _master(reference: SecretReference) -> SecretReference:
    """What opens the KeePass database of an entry."""
    return SecretReference("prompt", f"master password of {reference.rest.partition('#')[0]}")


def _filed(reference: SecretReference, interactive: bool) -> str:
    try:
        keepass = importlib.import_module("pykeepass")
    except ImportError:
        raise reference._error(
            "KeePass databases cannot be read here: pykeepass is not installed",
            "install it with: pip install umkit[keepass]",
        ) from None
    file, _, entry = reference.rest.partition("#")
    question = _master(reference)
    source = SecretReference("env", KEEPASS_VARIABLE) if KEEPASS_VARIABLE in os.environ else question
    master = source.resolve(interactive=interactive).reveal()
    try:
        database = keepass.PyKeePass(file, password=master)
        found = database.find_entries(path=[part for part in entry.split("/") if part], first=True)
    except Exception as error:  # a missing file, a wrong password and a broken file each raise differently
        forget(question)
        raise reference._error(
            "the KeePass database cannot be opened",
            f"check the file and its master password (asked for, or {KEEPASS_VARIABLE})",
            seen=type(error).__name__,
        ) from None
    if found is None:
        raise reference._error("the KeePass database has no such entry", "check the entry's path: GROUP/ENTRY")
    return str(found.password or "")
