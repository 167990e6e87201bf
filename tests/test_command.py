"""Commands as data, and their PowerShell text read back.

Two readers judge the text. One walks the tree of tree-sitter-powershell, whose grammar takes curly quotes and long
dashes for plain text; so before it a small scanner reads the text by PowerShell's own rules for quotes.
"""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import pytest
import tree_sitter_powershell
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from umkit.command import Command, FileContent
from umkit.errors import RecordError, ValueNotSendable
from umkit.kinds import TIMESPAN

QUOTES = "'\u2018\u2019\u201a\u201b"
PARSER = Parser(Language(tree_sitter_powershell.language()))


class Hidden:
    """What a Secret looks like to a command; revealing it fails the test."""

    def reveal(self) -> str:
        raise AssertionError("a command must not reveal a secret")

    def __repr__(self) -> str:
        return "(secret)"


HIDDEN = Hidden()


# --- reading the text back -----------------------------------------------------------------------------------------


def strings(text: str) -> Iterator[str]:
    """The strings of a rendered text by PowerShell's rule: any of the five quotes opens, closes, and doubles."""
    at = 0
    while at < len(text):
        if text[at] not in QUOTES:
            assert " " <= text[at] <= "~", f"{text[at]!r} outside quotes"
            assert text[at] not in '"`#|&<>', f"{text[at]!r} outside quotes"
            at += 1
            continue
        assert text[at] == "'", "a string is opened by something else than the ASCII quote"
        at += 1
        value = ""
        while True:
            assert at < len(text), "a string is not closed"
            if text[at] not in QUOTES:
                value += text[at]
                at += 1
            elif text[at + 1 : at + 2] and text[at + 1] in QUOTES:
                value += text[at + 1]
                at += 2
            else:
                assert text[at] == "'", "a string is closed by something else than the ASCII quote"
                at += 1
                break
        yield value


def one_string(text: str) -> str:
    [value] = strings(text)
    return value


# The grammar knows no digits in a parameter's name (Set-RemoteDomain -ByteEncoderTypeFor7BitCharsets), PowerShell does.
PARAMETER = re.compile(rf"'(?:[^{QUOTES}]|[{QUOTES}][{QUOTES}])*'| -[A-Za-z][A-Za-z0-9]*")


def without_digits(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith("'") else re.sub("[0-9]", "d", match[0])


def read(text: str) -> tuple[str, list[tuple[str, Any]]]:
    """Cmdlet and parameters of a rendered text, from its syntax tree."""
    root = PARSER.parse(PARAMETER.sub(without_digits, text).encode()).root_node
    assert not root.has_error, f"PowerShell cannot read {text!r}"
    command = only(root, "command")
    name, *rest = command.named_children
    parameters: list[tuple[str, Any]] = []
    waiting: str | None = None
    for node in rest[0].named_children if rest else []:
        if node.type == "command_argument_sep":
            continue
        if node.type == "command_parameter":
            if waiting is not None:
                parameters.append((waiting, True))
            waiting = text.encode()[node.start_byte : node.end_byte].decode().removeprefix("-")
        else:
            assert waiting is not None, f"{source_of(node)!r} has no parameter"
            parameters.append((waiting, evaluate(node)))
            waiting = None
    if waiting is not None:
        parameters.append((waiting, True))
    return source_of(name), parameters


def only(node: Node, kind: str) -> Node:
    while node.type != kind:
        assert node.named_child_count == 1, f"{source_of(node)!r} is more than one {kind}"
        node = node.named_children[0]
    return node


def source_of(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


CASTS: dict[str, Any] = {
    "datetime": datetime.fromisoformat,
    "timespan": TIMESPAN.normalise,
    "decimal": Decimal,
    "guid": UUID,
    "byte[]": bytes,
}


def evaluate(node: Node) -> Any:
    """The value of an expression, for the few forms that a command may render."""
    children = node.named_children
    match node.type:
        case "variable":
            return {"$true": True, "$false": False, "$null": None}[source_of(node)]
        case "string_literal":
            return one_string(source_of(node))
        case "integer_literal":
            return int(source_of(node))
        case "real_literal":
            return float(source_of(node))
        case "array_expression":
            value = evaluate(children[0]) if children else []
            if isinstance(value, bytes):
                return list(value)  # @( ) unrolls any lone array
            return value if isinstance(value, list) else [value]
        case "hash_literal_expression":
            entries = children[0].named_children if children else []
            pairs = [(evaluate(entry.named_children[0]), evaluate(entry.named_children[1])) for entry in entries]
            assert len(dict(pairs)) == len(pairs)
            return dict(pairs)
        case "cast_expression":
            return CASTS[source_of(children[0])[1:-1]](evaluate(children[1]))
        case "command":
            assert source_of(children[0]) == "Read-Host"
            return HIDDEN
        case "expression_with_unary_operator" if node.children[0].type == "-":
            return -evaluate(children[0])
        case "expression_with_unary_operator" if node.children[0].type == ",":
            return [evaluate(children[0])]
        case _ if len(children) > 1:
            assert node.type == "array_literal_expression", f"{node.type} in {source_of(node)!r}"
            return [evaluate(child) for child in children]
        case _:
            return evaluate(children[0])


# --- what is generated ---------------------------------------------------------------------------------------------

FRAGMENTS = [
    *QUOTES, *'"`$()@{}[];|&<>#%,=:.?*+~^!\\/ \t\r\n', "\u201c", "\u201d", "\u201e", "\u2013", "\u2014", "\u2015", "--",
    "-", "$(", "$()", "$_", "${", "$true", "$null", "null", "@'", "'@", '@"', '"@', "\n'@\n", "<#", "#>", "--%", "`0",
    "\r\n", "\x1b", "\x07", "\x7f", "\x85", "\xa0", "\u2028", "\ufeff", "\U0001f600", "e\u0301", "Ünïcode", "-Name",
    "O'Brien", "a", "1", "5mb", "Unlimited", "if", "Remove-Mailbox",
]  # fmt: skip
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = st.lists(st.sampled_from(FRAGMENTS) | characters, max_size=12).map("".join)
moments = (st.datetimes() | st.datetimes(timezones=st.just(UTC))).map(lambda moment: moment.replace(fold=0))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.binary(max_size=5)
    | moments
    | st.timedeltas(timedelta(days=-10_000_000), timedelta(days=10_000_000))
    | st.decimals(min_value=-(10**15), max_value=10**15, allow_nan=False, places=4)
    | st.uuids()
    | st.just(HIDDEN)
)


def hashtables(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.tuples(texts, values)
    return st.lists(pairs, max_size=3, unique_by=lambda pair: pair[0].lower()).map(dict)


values = texts | st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | hashtables(inner), max_leaves=8)
names = st.from_regex(r"\A[A-Za-z][A-Za-z0-9]{0,12}\Z")
# Real verbs, for the grammar takes the keyword in "Do-" and "ForEach-" for a statement.
verbs = st.sampled_from(["Add", "Enable", "Get", "Invoke", "New", "Out", "Remove", "Set", "Test", "Where"])
cmdlets = st.builds("{}-{}".format, verbs, st.from_regex(r"\A[A-Z][A-Za-z0-9]{1,12}\Z"))
parameter_sets = st.lists(
    st.tuples(names, values), max_size=5, unique_by=lambda parameter: parameter[0].lower()
).map(dict)  # fmt: skip


@settings(deadline=None)
@given(cmdlets, parameter_sets)
def test_the_text_reads_back_as_the_command(name: str, parameters: dict[str, Any]) -> None:
    text = str(Command(name, parameters))
    read_name, read_parameters = read(text)
    assert read_name == name
    assert [key for key, _ in read_parameters] == list(parameters)
    assert repr([value for _, value in read_parameters]) == repr(list(parameters.values()))  # repr tells types too


@settings(deadline=None)
@given(texts, texts)
def test_strings_end_where_powershell_ends_them(first: str, second: str) -> None:
    text = Command("Set-Mailbox", {"Identity": first, "Members": {"Add": [second, first]}}).powershell()
    assert list(strings(text)) == [first, "Add", second, first]


@settings(deadline=None)
@given(cmdlets, parameter_sets)
def test_json_gives_the_command_back(name: str, parameters: dict[str, Any]) -> None:
    command = Command(name, parameters)
    written = json.dumps(command.as_json(), allow_nan=False)
    again = Command.from_json(json.loads(written))
    assert json.dumps(again.as_json()) == written
    assert list(again.parameters) == list(command.parameters)
    if "(secret)" not in written:
        assert again == command
        assert hash(again) == hash(command)


@pytest.mark.parametrize("quote", QUOTES)
@pytest.mark.parametrize("broken", ["'O{}Brien'", "'O{0}{0}{0}Brien'", "'a{0}{0}", "'{}{}x'{}"])
def test_the_scanner_refuses_a_quote_that_is_not_doubled(quote: str, broken: str) -> None:
    with pytest.raises(AssertionError):
        list(strings("Set-Mailbox -Identity " + broken.format(quote, quote, quote)))


@pytest.mark.parametrize("dash", ["\u2013", "\u2014", "\u2015"])
def test_the_scanner_refuses_a_dash_that_is_not_ascii(dash: str) -> None:
    with pytest.raises(AssertionError, match="outside quotes"):
        list(strings(f"Set-Mailbox {dash}Identity 'a'"))


# --- the text, by example ------------------------------------------------------------------------------------------

CET = timezone(timedelta(hours=1))
LITERALS: list[tuple[Any, str]] = [
    ("plain", "-P 'plain'"),
    ("", "-P ''"),
    ("O'Brien", "-P 'O''Brien'"),
    ("O\u2019Brien", "-P 'O\u2019\u2019Brien'"),
    ("\u2018\u2019\u201a\u201b", "-P '\u2018\u2018\u2019\u2019\u201a\u201a\u201b\u201b'"),
    ("\u201cquoted\u201d $(Get-Date) `n", "-P '\u201cquoted\u201d $(Get-Date) `n'"),
    ("two\nlines", "-P 'two\nlines'"),
    (True, "-P:$true"),
    (False, "-P:$false"),
    (None, "-P $null"),
    (25, "-P 25"),
    (-1, "-P (-1)"),
    (2**62, "-P 4611686018427387904"),
    (1.5, "-P 1.5"),
    (-0.25, "-P (-0.25)"),
    (1e-7, "-P 1e-07"),
    ([], "-P @()"),
    (["a"], "-P @('a')"),
    (("a", "b"), "-P @('a','b')"),
    ([1, -1, True, None], "-P @(1,-1,$true,$null)"),
    ([["a", "b"]], "-P @(,@('a','b'))"),
    ([["a"], []], "-P @(@('a'),@())"),
    ([b"\x01"], "-P @(,([byte[]]@(1)))"),
    ({}, "-P @{}"),
    ({"Add": ["x"]}, "-P @{'Add' = @('x')}"),
    ({"Add": ["x"], "Remove": -1}, "-P @{'Add' = @('x'); 'Remove' = -1}"),
    (b"", "-P ([byte[]]@())"),
    (bytearray(b"\x01\xff"), "-P ([byte[]]@(1,255))"),
    (datetime(2026, 1, 1, tzinfo=UTC), "-P ([datetime]'2026-01-01T00:00:00Z')"),
    (datetime(2026, 1, 1, 1, tzinfo=CET), "-P ([datetime]'2026-01-01T00:00:00Z')"),
    (datetime(2026, 1, 1, 12, 30, 0, 500), "-P ([datetime]'2026-01-01T12:30:00.000500')"),
    (timedelta(minutes=10), "-P ([timespan]'00:10:00')"),
    (timedelta(days=14), "-P ([timespan]'14.00:00:00')"),
    (timedelta(seconds=-1.5), "-P ([timespan]'-00:00:01.500000')"),
    (Decimal("1.50"), "-P ([decimal]'1.50')"),
    (Decimal("1E+3"), "-P ([decimal]'1000')"),
    (UUID(int=5), "-P ([guid]'00000000-0000-0000-0000-000000000005')"),
    (HIDDEN, "-P (Read-Host -AsSecureString -Prompt 'P')"),
    ([HIDDEN], "-P @((Read-Host -AsSecureString -Prompt 'P'))"),
]


@pytest.mark.parametrize(("value", "text"), LITERALS)
def test_literals(value: Any, text: str) -> None:
    assert Command("Set-Thing", {"P": value}).powershell() == f"Set-Thing {text}"
    assert not PARSER.parse(f"Set-Thing {text}".encode()).root_node.has_error


def test_parameters_keep_their_order() -> None:
    command = Command("Set-RemoteDomain", {"Identity": "Default", "TNEFEnabled": False, "AllowedOOFType": "Internal"})
    assert str(command) == "Set-RemoteDomain -Identity 'Default' -TNEFEnabled:$false -AllowedOOFType 'Internal'"


def test_a_command_without_parameters() -> None:
    assert str(Command("Get-ExchangeServer")) == "Get-ExchangeServer"
    assert read("Get-ExchangeServer") == ("Get-ExchangeServer", [])


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", "Mailbox", "get-mailbox", "Get-", "Get\u2013Mailbox", "Get-Mailbox\n", "Get-Mailbox;x", "Get-Mail box",
     "& Get-Mailbox", "Get-Mailböx", "netsh.exe"],
)  # fmt: skip
def test_names_that_are_no_cmdlets(name: str) -> None:
    with pytest.raises(ValueNotSendable, match="cmdlet"):
        Command(name)


SECEDIT = "C:\\Windows\\System32\\SecEdit.exe"


def test_a_program_and_its_arguments() -> None:
    command = Command(SECEDIT, arguments=("/export", "/cfg", "C:\\It's.inf"))
    assert str(command) == f"& '{SECEDIT}' '/export' '/cfg' 'C:\\It''s.inf'"
    assert command.mutating
    assert command.as_json() == {"name": SECEDIT, "parameters": {}, "arguments": ["/export", "/cfg", "C:\\It's.inf"]}
    assert Command.from_json(command.as_json()) == command == pickle.loads(pickle.dumps(command))
    assert command != Command(SECEDIT, arguments=("/export",))


@pytest.mark.parametrize(
    ("name", "parameters", "arguments"),
    [
        (SECEDIT, {"Force": True}, ()),
        ("Get-Mailbox", {}, ("x",)),
        ("SecEdit.exe", {}, ("/export",)),
        ("C:\\Windows\\System32\\cmd.exe", {}, ("/c", "dir")),
        ("C:\\Windows\\System32\\..\\a'b.exe", {}, ()),
        ("\\\\server\\share\\a.exe", {}, ()),
        (SECEDIT, {}, ("",)),
        (SECEDIT, {}, ('a"b',)),
        (SECEDIT, {}, ("a\0b",)),
        (SECEDIT, {}, (5,)),
    ],
)
def test_programs_that_are_refused(name: str, parameters: dict[str, Any], arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueNotSendable):
        Command(name, parameters, arguments)


@pytest.mark.parametrize("name", ["", "-Identity", "Two words", "Größe", "1st", "Name\n", "Name:", "a'b", 5, None])
def test_parameter_names(name: Any) -> None:
    with pytest.raises(ValueNotSendable, match="impossible name"):
        Command("Get-Mailbox", {name: "x"})


def test_a_parameter_twice() -> None:
    with pytest.raises(ValueNotSendable, match="more than once"):
        Command("Get-Mailbox", {"Identity": "a", "identity": "b"})


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("a\0b", "NUL"),
        ("\ud800", "surrogate"),
        ("\udcff x", "surrogate"),
        (["fine", "\0"], "NUL"),
        ({"\0": 1}, "NUL"),
        ({"a": "\udfff"}, "surrogate"),
        ({1: "a"}, "text keys"),
        ({"a": 1, "A": 2}, "more than once"),
        (2**63, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        (float("nan"), "not finite"),
        (float("-inf"), "not finite"),
        (Decimal("NaN"), "not finite"),
        (Decimal("Infinity"), "not finite"),
        (Decimal(2**96), "more digits"),
        (Decimal("1E-29"), "more digits"),
        (Decimal("1E+1000000"), "more digits"),
        (timedelta.max, "longer"),
        (timedelta.min, "longer"),
        (datetime.min.replace(tzinfo=CET), "date value out of range"),
        (date(2026, 1, 1), "date has no form"),
        (Colour.RED, "Colour has no form"),
        ({"a", "b"}, "set has no form"),
        (object(), "object has no form"),
        (lambda: None, "function has no form"),
    ],
)
def test_values_without_a_form(value: Any, why: str) -> None:
    with pytest.raises(ValueNotSendable, match=why) as caught:
        Command("Set-Thing", {"P": value})
    assert caught.value.where == {"command": "Set-Thing", "parameter": "P"}


def test_the_widest_values_that_have_a_form() -> None:
    widest = [2**63 - 1, -(2**63), Decimal(2**96 - 1), Decimal("1E-28"), timedelta(days=10_675_199), "\x01\x1f\x7f"]
    _, [(_, read_back)] = read(str(Command("Set-Thing", {"P": widest})))
    assert read_back == widest


# --- data ----------------------------------------------------------------------------------------------------------


def test_parameters_are_the_commands_own() -> None:
    members = ["a"]
    given_parameters: dict[str, Any] = {"Members": members}
    command = Command("Set-Group", given_parameters)
    members.append("b")
    given_parameters["Force"] = True
    assert command.parameters == {"Members": ["a"]}
    with pytest.raises(TypeError):
        command.parameters["Force"] = True  # type: ignore[index]


class Code(IntEnum):
    THREE = 3


class Text(str):
    """Text that carries more, as an enum read from the wire does."""


def test_values_become_plain() -> None:
    command = Command("Set-Thing", {"A": Code.THREE, "B": Text("x"), "C": ("y",), "D": bytearray(b"z")})
    assert [type(value) for value in command.parameters.values()] == [int, str, list, bytes]


def test_equality_looks_at_types_and_not_at_order() -> None:
    command = Command("Set-Thing", {"A": 1, "B": ["x"]})
    assert command == Command("Set-Thing", {"B": ["x"], "A": 1})
    assert hash(command) == hash(Command("Set-Thing", {"B": ["x"], "A": 1}))
    for other in ({"A": True, "B": ["x"]}, {"A": 1.0, "B": ["x"]}, {"A": "1", "B": ["x"]}, {"A": 1}, {}):
        assert command != Command("Set-Thing", other)
    assert command != Command("Get-Thing", {"A": 1, "B": ["x"]})
    assert command != "Set-Thing"
    assert Command("Set-Thing", {"P": HIDDEN}) == Command("Set-Thing", {"P": HIDDEN})
    assert Command("Set-Thing", {"P": HIDDEN}) != Command("Set-Thing", {"P": Hidden()})


def test_copies_and_pickles() -> None:
    command = Command("Set-Thing", {"A": {"Add": ["x"]}, "B": True})
    assert copy.deepcopy(command) == command
    assert pickle.loads(pickle.dumps(command)) == command


@pytest.mark.parametrize(
    ("name", "mutating"),
    [("Get-Mailbox", False), ("Test-ServiceHealth", False), ("Set-Mailbox", True), ("Remove-RemoteDomain", True)],
)
def test_mutating(name: str, mutating: bool) -> None:
    assert Command(name).mutating is mutating


def test_json_by_example() -> None:
    parameters = {
        "A": None,
        "B": ["x", 1, 1.5, False],
        "C": {"Add": [UUID(int=1)]},
        "D": datetime(2026, 1, 1, 1, tzinfo=CET),
        "E": timedelta(days=14),
        "F": Decimal("1.50"),
        "G": b"\x00\xff",
        "H": HIDDEN,
    }
    assert Command("Set-Thing", parameters).as_json() == {
        "name": "Set-Thing",
        "parameters": {
            "A": None,
            "B": ["x", 1, 1.5, False],
            "C": {"hashtable": {"Add": [{"guid": "00000000-0000-0000-0000-000000000001"}]}},
            "D": {"datetime": "2026-01-01T00:00:00Z"},
            "E": {"timespan": "14.00:00:00"},
            "F": {"decimal": "1.50"},
            "G": {"bytes": "AP8="},
            "H": "(secret)",
        },
    }


def test_a_secret_comes_back_as_its_mark() -> None:
    again = Command.from_json(Command("Set-Thing", {"Password": HIDDEN}).as_json())
    assert again.parameters == {"Password": "(secret)"}
    assert "secret" not in repr(Command("Set-Thing", {"Password": HIDDEN}).powershell())


def test_a_file_s_content_is_sent_and_never_written_down() -> None:
    content = FileContent(b"<add value='Password=hidden'/>")
    command = Command("Set-Content", {"Value": content})
    copies = (command, copy.deepcopy(command), pickle.loads(pickle.dumps(command)))
    for each in copies:
        assert each == command
        value = each.parameters["Value"]
        assert isinstance(value, FileContent)
        assert bytes(value) == b"<add value='Password=hidden'/>"
        for written in (each.powershell(), str(each), repr(each), f"{value}", f"{value!r}", json.dumps(each.as_json())):
            assert "hidden" not in written
            assert content.sha256 in written
    assert command.as_json()["parameters"] == {"Value": {"file": {"sha256": content.sha256, "length": 30}}}
    shown = f"<content of 30 bytes, SHA-256 {content.sha256}>"
    assert command.powershell() == f"Set-Content -Value {shown}"
    assert Command.from_json(command.as_json()).parameters == {"Value": shown}
    assert command != Command("Set-Content", {"Value": bytes(content)})


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"name": "Get-X1"},
        {"name": "no cmdlet", "parameters": {}},
        {"name": "Get-X1", "parameters": []},
        {"name": "Get-X1", "parameters": {"A": {}}},
        {"name": "Get-X1", "parameters": {"A": {"colour": "red"}}},
        {"name": "Get-X1", "parameters": {"A": {"datetime": "yesterday"}}},
        {"name": "Get-X1", "parameters": {"A": {"decimal": "much"}}},
        {"name": "Get-X1", "parameters": {"A": {"bytes": "*"}}},
        {"name": "Get-X1", "parameters": {"A": {"file": {"length": 5}}}},
        {"name": 5, "parameters": {}},
        [],
    ],
)
def test_json_that_is_no_command(data: Any) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        Command.from_json(data)
