"""References to secrets and the secrets themselves: nothing is ever shown."""

from __future__ import annotations

import base64
import copy
import dataclasses
import getpass
import html
import io
import json
import pickle
import sys
import types
from collections.abc import Iterator
from urllib.parse import quote
from xml.sax.saxutils import escape

import keyring
import markupsafe
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from umkit import secrets
from umkit.errors import SecretError
from umkit.secrets import Secret, SecretReference, forget, redact, remember

CANARY = "pä\"ss<w&o>rd\\ '7+/="


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setattr(secrets, "_masked", None)
    monkeypatch.setattr(secrets, "_answers", {})


class Store(KeyringBackend):
    """A key store in memory."""

    priority = 1

    def __init__(self, entries: dict[tuple[str, str], str], error: Exception | None = None) -> None:
        super().__init__()
        self.entries, self.error = entries, error

    def get_password(self, service: str, username: str) -> str | None:
        if self.error:
            raise self.error
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password


@pytest.fixture
def store() -> Iterator[Store]:
    before = keyring.get_keyring()
    made = Store({("umkit/acme", "admin@acme.example"): "from the store"})
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def terminal(monkeypatch: pytest.MonkeyPatch, *answers: str, isatty: bool = True) -> list[str]:
    """A person at a terminal who gives these answers; returns what was asked."""
    asked: list[str] = []
    left = iter(answers)

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return next(left)

    stdin = io.StringIO()
    stdin.isatty = lambda: isatty  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(getpass, "getpass", ask)
    return asked


# The secret itself


def test_a_secret_never_prints() -> None:
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>80}", f"{secret!r:.3}", f"{secret:.3}"]
    shown += [repr([secret]), str({"password": secret}), format(secret), f"{secret!s:}"]
    assert all(CANARY not in text for text in shown)
    assert shown[:3] == ["(secret)"] * 3
    assert f"{secret:.3}" == "(secret)"
    assert secret.reveal() == CANARY


def test_a_secret_cannot_leave_the_process_or_be_taken_apart() -> None:
    secret = Secret(CANARY)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(secret, protocol)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        vars(secret)
    with pytest.raises(TypeError):
        len(secret)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        iter(secret)  # type: ignore[call-overload]
    assert bool(Secret("")) is True
    assert sys.getsizeof(secret) == sys.getsizeof(Secret("x"))


def test_a_copy_of_a_secret_is_itself() -> None:
    @dataclasses.dataclass(frozen=True)
    class Endpoint:
        password: Secret

    secret = Secret(CANARY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"a": [secret]})["a"][0] is secret
    assert dataclasses.asdict(Endpoint(secret)) == {"password": secret}
    assert hash(Endpoint(secret)) == hash(Endpoint(Secret("another")))


@given(st.text(), st.text())
def test_secrets_are_equal_by_value(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) != one


# References


@pytest.mark.parametrize(
    "text",
    [
        "prompt:",
        "prompt:password of ACME\\admin",
        "env:UMKIT_PASSWORD",
        "keyring:umkit/acme/admin",
        "keepass:C:\\a b.kdbx#G/E",
    ],
)
def test_references_round_trip(text: str) -> None:
    reference = SecretReference.parse(text)
    assert str(reference) == text
    assert SecretReference.parse(str(reference)) == reference
    assert f"{reference.scheme}:{reference.rest}" == text


@pytest.mark.parametrize("text", ["", CANARY, "hunter2", f"plain:{CANARY}", f":{CANARY}", "env", "Env:X", " env:X"])
def test_what_is_no_reference_is_refused_and_hidden(text: str) -> None:
    with pytest.raises(SecretError, match="no reference") as caught:
        SecretReference.parse(text)
    assert CANARY not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.seen == "(hidden)"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("env:", "name of a variable"),
        ("env:A=B", "name of a variable"),
        ("env: A", "name of a variable"),
        ("keyring:umkit", "service and a user name"),
        ("keyring:umkit/", "service and a user name"),
        ("keyring:/user", "service and a user name"),
        ("keepass:file.kdbx", "file and an entry"),
        ("keepass:#entry", "file and an entry"),
        ("keepass:file#/", "file and an entry"),
        ("env:A\0B", "control character"),
        ("prompt:\ud800", "broken"),
    ],
)
def test_incomplete_references_are_refused(text: str, says: str) -> None:
    with pytest.raises(SecretError, match=says):
        SecretReference.parse(text)


# Resolving


def test_env(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = SecretReference.parse("env:UMKIT_TEST_SECRET")
    monkeypatch.delenv("UMKIT_TEST_SECRET", raising=False)
    with pytest.raises(SecretError, match="not set") as caught:
        reference.resolve(interactive=False)
    assert "set UMKIT_TEST_SECRET" in caught.value.next
    monkeypatch.setenv("UMKIT_TEST_SECRET", "")
    with pytest.raises(SecretError, match="empty"):
        reference.resolve(interactive=False)
    monkeypatch.setenv("UMKIT_TEST_SECRET", "first value")
    assert reference.resolve(interactive=False) == Secret("first value")
    monkeypatch.setenv("UMKIT_TEST_SECRET", "second value")
    assert reference.resolve(interactive=False) == Secret("second value"), (
        "a reference is resolved at the moment of use"
    )


def test_keyring(store: Store) -> None:
    reference = SecretReference.parse("keyring:umkit/acme/admin@acme.example")
    assert reference.resolve(interactive=False) == Secret("from the store")
    with pytest.raises(SecretError, match="no such entry") as caught:
        SecretReference.parse("keyring:umkit/nobody").resolve(interactive=False)
    assert 'keyring set "umkit" "nobody"' in caught.value.next
    store.entries["umkit/acme", "admin@acme.example"] = ""
    with pytest.raises(SecretError, match="empty"):
        reference.resolve(interactive=False)


def test_keyring_that_cannot_be_read(store: Store) -> None:
    store.error = KeyringLocked("it is locked, and the password is hunter2")
    with pytest.raises(SecretError, match="cannot be read") as caught:
        SecretReference.parse("keyring:umkit/x").resolve(interactive=True)
    assert caught.value.seen == "KeyringLocked"
    assert "hunter2" not in str(caught.value)


def test_prompt_asks_once_for_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = terminal(monkeypatch, "one answer", "another answer")
    reference = SecretReference.parse("prompt:password of admin")
    first = reference.resolve(interactive=True)
    assert first == Secret("one answer")
    assert SecretReference.parse("prompt:password of admin").resolve(interactive=True) is first
    assert asked == ["password of admin: "]
    forget(reference)
    assert reference.resolve(interactive=True) == Secret("another answer")


def test_prompt_without_words_asks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = terminal(monkeypatch, "one answer", "another answer")
    reference = SecretReference.parse("prompt:")
    assert reference.resolve(interactive=True) != reference.resolve(interactive=True), "two keys may share these words"
    assert asked == ["Password: ", "Password: "]


@pytest.mark.parametrize(("interactive", "isatty"), [(False, True), (True, False), (False, False)])
def test_prompt_without_a_person(monkeypatch: pytest.MonkeyPatch, interactive: bool, isatty: bool) -> None:
    asked = terminal(monkeypatch, "never", isatty=isatty)
    with pytest.raises(SecretError, match="none is there") as caught:
        SecretReference.parse("prompt:x").resolve(interactive=interactive)
    assert "env: or keyring:" in caught.value.next
    assert asked == []


def test_prompt_without_a_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, "never")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SecretError, match="none is there"):
        SecretReference.parse("prompt:x").resolve(interactive=True)


def test_prompt_in_a_notebook_asks_its_front_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = terminal(monkeypatch, "from the browser", isatty=False)
    monkeypatch.setattr(getpass.getpass, "__module__", "ipykernel.kernelbase")
    assert SecretReference.parse("prompt:x").resolve(interactive=True) == Secret("from the browser")
    assert asked == ["x: "]


def test_prompt_in_a_notebook_without_a_front_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, isatty=False)

    def refuse(prompt: str) -> str:
        raise NotImplementedError("this frontend does not support input requests")

    refuse.__module__ = "ipykernel.kernelbase"
    monkeypatch.setattr(getpass, "getpass", refuse)
    with pytest.raises(SecretError, match="could not be asked"):
        SecretReference.parse("prompt:x").resolve(interactive=True)


def test_prompt_answered_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, "", "now")
    reference = SecretReference.parse("prompt:x")
    with pytest.raises(SecretError, match="empty"):
        reference.resolve(interactive=True)
    assert reference.resolve(interactive=True) == Secret("now")


def test_prompt_ended_by_the_end_of_input(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)

    def end(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", end)
    with pytest.raises(SecretError, match="could not be asked"):
        SecretReference.parse("prompt:x").resolve(interactive=True)


def test_keepass_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pykeepass", None)
    with pytest.raises(SecretError, match="not installed") as caught:
        SecretReference.parse("keepass:a.kdbx#Group/Entry").resolve(interactive=False)
    assert "umkit[keepass]" in caught.value.next


def keepass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pykeepass whose one database opens with the password 'master'."""

    class PyKeePass:
        def __init__(self, file: str, password: str) -> None:
            if password != "master":
                raise ValueError(f"wrong: {password}")

        def find_entries(self, path: list[str], first: bool) -> object:
            return types.SimpleNamespace(password="from the file") if path == ["Group", "Entry"] else None

    module = types.ModuleType("pykeepass")
    module.PyKeePass = PyKeePass  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pykeepass", module)


def test_keepass(monkeypatch: pytest.MonkeyPatch) -> None:
    keepass(monkeypatch)
    reference = SecretReference.parse("keepass:a.kdbx#Group/Entry")
    monkeypatch.delenv(secrets.KEEPASS_VARIABLE, raising=False)
    with pytest.raises(SecretError, match="none is there"):
        reference.resolve(interactive=False)
    asked = terminal(monkeypatch, "wrong", "master")
    with pytest.raises(SecretError, match="cannot be opened") as caught:
        reference.resolve(interactive=True)
    assert "wrong" not in str(caught.value)
    assert reference.resolve(interactive=True) == Secret("from the file"), "a wrong master password is asked for again"
    assert asked == ["master password of a.kdbx: "] * 2
    monkeypatch.setenv(secrets.KEEPASS_VARIABLE, "master")
    assert reference.resolve(interactive=False) == Secret("from the file")
    with pytest.raises(SecretError, match="no such entry"):
        SecretReference.parse("keepass:a.kdbx#Group/Other").resolve(interactive=False)


def test_errors_keep_no_secret_in_their_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    keepass(monkeypatch)
    monkeypatch.setenv(secrets.KEEPASS_VARIABLE, CANARY)
    with pytest.raises(SecretError) as caught:
        SecretReference.parse("keepass:a.kdbx#G/E").resolve(interactive=False)
    assert caught.value.__suppress_context__
    assert CANARY not in str(caught.value)


# Redacting


def test_only_what_was_resolved_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert redact("a long password here") == "a long password here"
    monkeypatch.setenv("UMKIT_TEST_SECRET", "long password")
    SecretReference.parse("env:UMKIT_TEST_SECRET").resolve(interactive=False)
    assert redact("a long password here") == "a (secret) here"
    remember(Secret("here"))
    assert redact("a long password here") == "a (secret) (secret)"


FORMS = {
    "plain": lambda text: text,
    "json": json.dumps,
    "json, not ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "json in json": lambda text: json.dumps(json.dumps({"password": text})),
    "python": repr,
    "xml": escape,
    "xml attribute": lambda text: escape(text, {'"': "&quot;", "'": "&apos;"}),
    "html": html.escape,
    "html, as templates have it": lambda text: str(markupsafe.escape(text)),
    "url": quote,
    "url, all": lambda text: quote(text, safe="").lower(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "basic header": lambda text: "Authorization: Basic " + base64.b64encode(f"admin:{text}".encode()).decode(),
    "python, ASCII": ascii,
    "python, in a longer text": lambda text: repr(f"""it's "{text}" """),
    "python, bytes": lambda text: repr(text.encode()),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, UTF-16": lambda text: text.encode("utf-16-le").hex().upper(),
    "cut off": lambda text: f"the server says {text}"[:21] + "…",
    "in one line": lambda text: " ".join(f"the server\nsays {text}".split()),
    "base64, inside": lambda text: base64.b64encode(f"xx{text}yy".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    "text", [CANARY, "simple-canary-1", "日本語パスワード", "emoji 🔑 here", "back\\slash\ttab", "two\n\nlines "]
)
def test_each_form_is_masked(form: types.FunctionType, text: str) -> None:
    remember(Secret(text))
    assert "(secret)" in redact(f"before {form(text)} after")
    masked = redact(form(text))
    assert text not in masked
    assert form(text).strip("'\"") not in masked


def test_the_forms_of_clixml_are_masked() -> None:
    remember(Secret("key 🔑_x\n<&>"))
    assert redact("<S>key _xD83D__xDD11__x005F_x_x000A_&lt;&amp;&gt;</S>") == "<S>(secret)</S>"


def test_a_coloured_text_is_masked() -> None:
    remember(Secret(CANARY))
    half = len(CANARY) // 2
    coloured = f"\x1b[31m{CANARY[:half]}\x1b[0;1;33m{CANARY[half:]}\x1b[0m"
    assert redact(f"value = {coloured}") == "value = (secret)"
    assert redact("\x1b[31mred\x1b[0m") == "\x1b[31mred\x1b[0m"


def test_a_text_that_is_shown_line_by_line_is_masked() -> None:
    remember(Secret("first line\nsecond line"))
    assert [redact(line) for line in "it is first line\nsecond line.".splitlines()] == ["it is (secret)", "(secret)."]


def test_no_secret_is_half_masked_by_a_shorter_one() -> None:
    remember(Secret("hunter"))
    remember(Secret("hunter2-longer"))
    assert redact("hunter2-longer hunter") == "(secret) (secret)"


def test_short_secrets_do_not_spoil_texts() -> None:
    remember(Secret("a"))
    remember(Secret(""))
    assert redact("a banana") == "a banana"


@given(st.text(min_size=4), st.text(), st.text())
def test_what_is_masked_is_gone(text: str, before: str, after: str) -> None:
    remember(Secret(text))
    left = redact(before + text + after)
    assert secrets.MASK in left
    assert all(text not in part for part in left.split(secrets.MASK))
