from __future__ import annotations

import enum
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from umkit.errors import ValueNotSendable
from umkit.remoting.clixml import EnumText, Record, read
from umkit.remoting.decoder import Decoder
from umkit.remoting.values import Prepared, prepare


class Hidden:
    """A secret as the duck sees it."""

    def reveal(self) -> str:
        return "tópsecret😀"


class Level(enum.IntEnum):
    HIGH = 3


class Mode(enum.Enum):
    PLAIN = "PlainTextLogin"


def prepared(value: Any) -> Prepared:
    return prepare("Set-Thing", {"Value": value})


def wire(value: Any, cipher: Any = None) -> ET.Element:
    """The element in which a value would be sent."""
    serializer = Decoder()
    serializer.cipher = cipher
    element = serializer.serialize(prepared(value).parameters[0][1])
    assert element is not None
    return element


@pytest.mark.parametrize(
    ("value", "tag", "text"),
    [
        (None, "Nil", None),
        (True, "B", "true"),
        (0, "I32", "0"),
        (2**31 - 1, "I32", "2147483647"),
        (-(2**31), "I32", "-2147483648"),
        (2**31, "I64", "2147483648"),
        (-(2**63), "I64", "-9223372036854775808"),
        (2**63, "U64", "9223372036854775808"),
        (Level.HIGH, "I32", "3"),
        (Mode.PLAIN, "S", "PlainTextLogin"),
        (EnumText("Tls, Integrated", 3), "S", "Tls, Integrated"),
        ("25MB", "S", "25MB"),
        (0.1, "Db", "0.1"),
        (float("inf"), "Db", "INF"),
        (float("-inf"), "Db", "-INF"),
        (float("nan"), "Db", "NaN"),
        (Decimal("1E+3"), "D", "1000"),
        (UUID(int=1), "G", "00000000-0000-0000-0000-000000000001"),
        (b"\0\1", "BA", "AAE="),
        (bytearray(b"\0\1"), "BA", "AAE="),
        (datetime(2026, 3, 1, 10, tzinfo=UTC), "DT", "2026-03-01T10:00:00Z"),
        (datetime(2026, 3, 1, 10), "DT", "2026-03-01T10:00:00"),
        (datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=2))), "DT", "2026-03-01T10:00:00+02:00"),
        (timedelta(days=-1, seconds=-1), "TS", "-P1DT0H0M1S"),
        (timedelta(hours=25, microseconds=5), "TS", "P1DT1H0M0.000005S"),
    ],
)
def test_primitives(value: Any, tag: str, text: str | None) -> None:
    element = wire(value)
    assert (element.tag, element.text) == (tag, text)


@pytest.mark.parametrize(
    ("value", "back"),
    [
        ((1, "a", None), [1, "a", None]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({2}), [2]),
        ([[1], [timedelta(1), Decimal("1.50")]], [[1], [timedelta(1), Decimal("1.50")]]),
        ({"Add": ["a"], "Remove": {"b"}}, {"Add": ["a"], "Remove": ["b"]}),
        (
            {"At": datetime(2026, 3, 1, tzinfo=UTC), "Big": 2**40},
            {"At": datetime(2026, 3, 1, tzinfo=UTC), "Big": 2**40},
        ),
        ([], []),
        ({}, {}),
        ("'\"$(Get-Date)`n\r\n\t\0\ufffe\uffff‘’–😀_x0041_]]>", "'\"$(Get-Date)`n\r\n\t\0\ufffe\uffff‘’–😀_x0041_]]>"),
    ],
)
def test_what_is_sent_is_what_is_read(value: Any, back: Any) -> None:
    assert read(ET.tostring(wire(value))) == [back]


@settings(deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False)
        | st.text(st.characters(exclude_categories=["Cs"]))
        | st.binary()
        | st.uuids()
        | st.timedeltas()
        | st.datetimes(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
        max_leaves=8,
    )
)
def test_any_value_comes_back_the_same(value: Any) -> None:
    assert read(ET.tostring(wire(value))) == [value]


@pytest.mark.parametrize(
    "value",
    [
        object(),
        2**64,
        -(2**63) - 1,
        Decimal("NaN"),
        Decimal(2**96),
        "\ud83d",
        {1: "a"},
        {"\udc00": 1},
        [1, {"a": [object()]}],
        1j,
        iter([1]),
        datetime(2026, 1, 1).date(),
        Record({"Name": "x"}),
    ],
)
def test_what_has_no_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueNotSendable, match="Set-Thing -Value") as caught:
        prepared(value)
    assert caught.value.outcome == "not sent"
    assert caught.value.where == {"command": "Set-Thing", "parameter": "Value"}
    assert "Secret" in caught.value.expected


def test_a_value_that_holds_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueNotSendable, match="cannot be sent"):
        prepared(circle)


def test_a_secret_becomes_a_secure_string() -> None:
    assert not prepared("x").secret
    cipher = Cipher(algorithms.AES(bytes(32)), modes.CBC(bytes(16)))
    for value in (Hidden(), [Hidden()], {"a": Hidden()}, {"UserName": "u", "Password": Hidden()}):
        assert prepared(value).secret
        assert "tóp" not in repr(prepared(value))
        assert b"secret" not in ET.tostring(wire(value, cipher))
    element = wire(Hidden(), cipher)
    assert element.tag == "SS"
    decoder = Decoder()
    decoder.cipher = cipher
    assert decoder.deserialize(element) == "tópsecret😀"


def test_a_user_name_with_a_secret_is_a_credential() -> None:
    element = wire({"UserName": "u", "Password": Hidden()}, Cipher(algorithms.AES(bytes(32)), modes.CBC(bytes(16))))
    assert element.findtext("TN/T") == "System.Management.Automation.PSCredential"
    assert element.findtext("Props/S") == "u"
    assert element.find("Props/SS") is not None


def test_a_refused_secret_is_not_shown() -> None:
    class Broken:
        def reveal(self) -> str:
            return "top\ud83d"

    with pytest.raises(ValueNotSendable) as caught:
        prepared({"Password": Broken(), "UserName": "u"})
    assert "top" not in str(caught.value)
