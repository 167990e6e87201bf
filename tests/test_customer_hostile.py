"""Hostile customer files: strange names stay names, no secret is shown, nothing comes but a file or its problems."""

from __future__ import annotations

import copy
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from customer_files import LEAST, PARAMETERS, changed, problem_of
from hypothesis import given, settings
from hypothesis import strategies as st

from umkit import customer
from umkit.errors import CustomerFileError

# Names

NAMES = [
    'O\'Brien "fax"',
    "Fäx für Müller",
    "$(Remove-Mailbox *)",
    "`whoami`",
    "<script>alert(1)</script>",
    "fax 📠",
    "👩‍👩‍👧",
    "a;b|c&d",
    "%PATH%",
    "{0}",
    "日本語",
    "x" * 64,
    "no",
    "null",
    "1e3",
    "2026-01-01",
    "#not a comment",
    "- x",
    "a: b",
    "\\\\server\\x",
]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_names(name: str, tmp_path: Path) -> None:
    values = changed()
    values["um_services"][0] |= {"name": name, "connector": name}
    values |= {"relay": {"connector": name}, "sessions": {"policy": name}}
    (tmp_path / "acme.yaml").write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    file = customer.load(tmp_path / "acme.yaml")
    [service] = file.um_services
    assert {service.name, service.connector_name, file.relay.connector, file.sessions.policy} == {name}
    assert file.section("um_services")[0]["connector"] == name


NO_NAMES = {
    "a\nb": "a line break",
    "a\u2028b": "a line break",
    "a\x85b": "a line break",
    "a\0b": "U+0000",
    "a\tb": "U+0009",
    "a\x7fb": "U+007F",
    "a\ud800b": "U+D800",
    "a\udc00": "U+DC00",
    "a\ufffe": "U+FFFE",
    "a\u202eb": "U+202E",
    "fax\u200b": "U+200B",
    "\ufefffax": "U+FEFF",
    "": "is empty",
    "   ": "is empty",
    " fax": "blank",
    "fax ": "blank",
    "x" * 65: "is 65 characters long",
    "📠" * 33: "is 66 characters long",
}


@pytest.mark.parametrize(("name", "reason"), NO_NAMES.items(), ids=ascii)
def test_names_that_cannot_be(name: str, reason: str) -> None:
    problem = problem_of("relay.connector", name)
    assert problem is not None
    assert reason in problem.message
    assert str(problem).isprintable()


# Secrets are never shown

CANARY = "Canary-hunter2"
NO_REFERENCES: list[Any] = [
    CANARY,
    f"plain:{CANARY}",
    f"env:{CANARY}=",
    f"keyring:{CANARY}",
    [CANARY],
    {CANARY: 1},
    {"a": CANARY},
    CANARY + "\0",
]


@pytest.mark.parametrize("key", ["exchange.password", "imap4.test_password", "ews.initial_password", "ews.password"])
@pytest.mark.parametrize("value", NO_REFERENCES, ids=str)
def test_a_password_in_place_of_a_reference_is_hidden(key: str, value: Any) -> None:
    problem = problem_of(key, value)
    assert problem is not None
    assert problem.found == "(hidden)"
    assert CANARY not in str(problem)


@pytest.mark.parametrize(
    "line",
    [
        f"  password: {CANARY}",
        f"  password: '{CANARY}",
        f'  password: "{CANARY}',
        f'  password: "{CANARY}\\q"',
        f"  password: {CANARY}: x",
        f"  password: *{CANARY}",
        f"  password: &{CANARY}",
        f"  password: !{CANARY}",
        f"  password: !{CANARY}!x y",
        f"  password: !!{CANARY} y",
        f"  password: !<{CANARY}",
        f"  password: @{CANARY}",
        f"  password: %{CANARY}",
        f"%{CANARY} x",
        f"  password: |{CANARY}",
        f"  password: >{CANARY}",
        f"  password: [{CANARY}",
        f"  password: {{{CANARY}",
        f"  password: {{{CANARY}: 1}}",
        f"  password: `{CANARY}`",
        f"\tpassword: {CANARY}",
        f"  pasword: {CANARY}",
        f"  password: {CANARY}\n  password: {CANARY}",
        f"  password: {CANARY}\x07",
        f"  password: >-\n    {CANARY}",
        f"  endpoint: https://admin:{CANARY}@ex01.acme.example/PowerShell/",
        f"  endpoint: admin:{CANARY}@ex01.acme.example",
        f"  endpoint: https://admin:{CANARY}@[ex01/PowerShell/",
        f"  endpoint: 'https://a:{CANARY}@x y/'",
    ],
)
def test_no_line_with_a_password_reaches_an_error(line: str, tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(re.sub("exchange: .*", lambda _: f"exchange:\n  username: a@acme.example\n{line}", LEAST), "utf-8")
    with pytest.raises(CustomerFileError) as caught:
        customer.load(path)
    assert CANARY not in str(caught.value)
    assert CANARY not in json.dumps(caught.value.as_dict())
    assert caught.value.__context__ is None


# Whatever stands there, the answer is a file or its problems

LAB = (PARAMETERS / "lab.yaml").read_text("utf-8")
FULL = customer.load(PARAMETERS / "example.yaml").dump()
MARKS = (
    *("\t", "\n", "\n- ", ": ", "'", '"', "{", "}", "[", "]", "!", "&a", "*a", "|", ">", "#", "%", "@"),
    *("\0", "\ud800", "~", "yes", "1e9", "0x10", "---", "?"),
)
often = settings(max_examples=120, deadline=None)


def check(error: CustomerFileError) -> None:
    """An error has to be one that a person can read and a summary can hold."""
    assert error.problems
    assert all(problem.message and str(problem).isprintable() for problem in error.problems)
    json.dumps(error.as_dict()).encode("utf-8")
    str(error).encode("utf-8")


def survives(text: str | bytes, path: Path) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        file = customer.load(path)
    except CustomerFileError as error:
        check(error)
    else:
        assert customer.parse(file.dump(), source="again").dump() == file.dump()


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "lab.yaml"


@often
@given(data=st.data())
def test_mutated_files(data: st.DataObject, path: Path) -> None:
    text = LAB
    for _ in range(data.draw(st.integers(1, 4))):
        at, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.sampled_from(MARKS) | st.text(max_size=8)) + text[at + cut :]
    survives(text, path)


@often
@given(data=st.data())
def test_shuffled_lines(data: st.DataObject, path: Path) -> None:
    lines = [line for line in LAB.splitlines() if line and not line.startswith("#")]
    survives("\n".join(data.draw(st.lists(st.sampled_from(lines), min_size=1, max_size=len(lines)))), path)


@often
@given(raw=st.binary(max_size=60))
def test_any_bytes(raw: bytes, path: Path) -> None:
    survives(raw, path)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def places(node: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested values, the root left out."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, value in inner for found in [(*place, key), *places(value, (*place, key))]]


@often
@given(place=st.sampled_from(places(FULL)), value=ANYTHING)
def test_any_value_anywhere(place: tuple[Any, ...], value: Any) -> None:
    values = copy.deepcopy(FULL)
    holder = values
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    try:
        json.dumps(customer.parse(values, source="test").dump())
    except CustomerFileError as error:
        check(error)


@often
@given(values=ANYTHING)
def test_any_values(values: Any) -> None:
    try:
        customer.parse(values, source="test")
    except CustomerFileError as error:
        check(error)


@often
@given(name=st.text(min_size=1, max_size=70))
def test_any_name_is_kept_or_refused_with_a_reason(name: str) -> None:
    problem = problem_of("relay.connector", name)
    assert problem is None or problem.message
