"""Value kinds: what is the same, what is not, and what holds for every kind and value."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umkit.kinds import (
    ADDRESS_SPACE,
    BINDING,
    BOOL,
    ENUM,
    FLAGS,
    IDENTITY,
    INTEGER,
    IP_RANGE,
    NAME,
    SIZE,
    SMART_HOST,
    TEXT,
    TIMESPAN,
    UNLIMITED,
    Kind,
    listof,
    timespan_text,
)

SHARED = Path(os.environ.get("UMKIT_SHARED") or Path(__file__).resolve().parents[2] / "shared")
KINDS = [
    TEXT, NAME, BOOL, INTEGER, UNLIMITED, SIZE, TIMESPAN, ENUM, FLAGS, ADDRESS_SPACE, SMART_HOST, IP_RANGE, BINDING,
    IDENTITY,
]  # fmt: skip


class Printed(str):
    """An enum's text as it is read from the wire."""


class Record(dict[str, Any]):
    """An object as it is read from the wire: it prints as its name."""

    def __str__(self) -> str:
        return "EX01"


DN = "CN=EX01,CN=Servers,CN=Administrative Group,DC=ALLEO,DC=intern"

SAME: list[tuple[Kind, Any, Any]] = [
    *[(kind, None, "") for kind in KINDS],
    (TEXT, "Ä b", "Ä b"),
    (TEXT, 5, "5"),
    (TEXT, Printed("a"), "a"),
    (NAME, "Default", " default "),
    (NAME, "STRASSE", "Straße"),
    (NAME, Record(), "ex01"),
    (BOOL, True, "True"),
    (BOOL, False, "false"),
    (BOOL, "$true", True),
    (INTEGER, 5, "5"),
    (INTEGER, "+5", 5.0),
    (INTEGER, Decimal("5.0"), 5),
    (INTEGER, "007", 7),
    (UNLIMITED, "Unlimited", "unlimited"),
    (UNLIMITED, Printed(" UNLIMITED "), "unlimited"),
    (UNLIMITED, 18, "18"),
    (SIZE, "36 MB (37,748,736 bytes)", "36MB"),
    (SIZE, "36 MB (37,748,736 bytes)", 37748736),
    (SIZE, "36 MB (37.748.736 bytes)", "36864 kb"),
    (SIZE, "36 MB (37\u00a0748\u202f736 bytes)", "37748736"),
    (SIZE, "0 B (0 bytes)", 0),
    (SIZE, "1 B (1 byte)", "1b"),
    (SIZE, "35.98 MB (37,725,184 bytes)", 37725184),
    (SIZE, "1.5 GB", "1536MB"),
    (SIZE, "2tb", 2 * 1024**4),
    (SIZE, "Unlimited", "unlimited"),
    (TIMESPAN, "00:10:00", timedelta(minutes=10)),
    (TIMESPAN, "0:10", "00:10:00"),
    (TIMESPAN, "14.00:00:00", timedelta(days=14)),
    (TIMESPAN, "-1.02:03:04.5", -timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
    (TIMESPAN, "00:00:00.1234567", timedelta(microseconds=123456)),
    (TIMESPAN, "00:00:00.05", timedelta(milliseconds=50)),
    (TIMESPAN, "Unlimited", "unlimited"),
    (ENUM, "TextOnly", "textonly"),
    (ENUM, Printed("Tls"), "TLS"),
    (FLAGS, "Tls, Integrated", "integrated,TLS"),
    (FLAGS, "Tls, Integrated", ["Integrated", "Tls"]),
    (FLAGS, ["Tls, Integrated"], {"Integrated", "Tls"}),
    (FLAGS, "Tls,,  Tls", "Tls"),
    (FLAGS, "None", None),
    (FLAGS, [], "None"),
    (ADDRESS_SPACE, "SMTP:*;1", "smtp:*;1"),
    (ADDRESS_SPACE, "SMTP:*;1", "*"),
    (ADDRESS_SPACE, "smtp:*", "*;1"),
    (ADDRESS_SPACE, "SMTP:*.Fax.Example;5", "*.fax.example;5"),
    (ADDRESS_SPACE, "FAX:*", "fax:*;1"),
    (ADDRESS_SPACE, "X400:c=DE;a= ;p=Org", "x400:c=de;a= ;p=org;1"),
    (ADDRESS_SPACE, "--", "SMTP:--;1"),
    (SMART_HOST, "[10.1.1.1]", "10.1.1.1"),
    (SMART_HOST, "XPHONE.alleo.intern", "xphone.alleo.INTERN"),
    (SMART_HOST, "[FE80::1]", "fe80:0::1"),
    (IP_RANGE, "10.0.0.0/24", "10.0.0.0-10.0.0.255"),
    (IP_RANGE, "10.0.0.7/24", "10.0.0.0 - 10.0.0.255"),
    (IP_RANGE, "10.0.0.0/255.255.255.0", "10.0.0.0/24"),
    (IP_RANGE, "192.168.4.17", "192.168.4.17-192.168.4.17"),
    (IP_RANGE, "192.168.4.17", "192.168.4.17/32"),
    (IP_RANGE, "0.0.0.0-255.255.255.255", "0.0.0.0/0"),
    (IP_RANGE, "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
    (IP_RANGE, "FE80::1", "fe80:0:0::1"),
    (IP_RANGE, "::ffff:10.0.0.1", "::FFFF:A00:1"),
    (IP_RANGE, "::ffff:10.0.0.1", "10.0.0.1"),
    (IP_RANGE, "::ffff:10.0.0.0/120", "10.0.0.0/24"),
    (BINDING, "0.0.0.0:25", " 0.0.0.0:025 "),
    (BINDING, "[::]:25", "[0:0::0]:25"),
    (BINDING, ":::25", "[::]:25"),
    (IDENTITY, "EX01", "ex01"),
    (IDENTITY, "EX01", "ALLEO.intern/Microsoft Exchange/EX01"),
    (IDENTITY, "EX01", DN),
    (IDENTITY, "EX01", "ALLEO\\EX01"),
    (IDENTITY, "EX01", "ex01@alleo.intern"),
    (IDENTITY, "ALLEO.intern/Administrative Group/Servers/EX01", DN),
    (IDENTITY, "corp.alleo.intern/Büro\\/1/svc", "CN=svc,OU=BÜRO/1,DC=corp,DC=alleo,DC=intern"),
    (IDENTITY, "alleo.intern/A/svc", "CN=svc,OU=B"),  # without its domain a DN tells no place
    (IDENTITY, "ALLEO\\ex01", DN),
    (IDENTITY, DN, DN.replace(",", " , ").replace("CN=", "cn = ")),
    (IDENTITY, "ALLEO.intern/Users/EX01", "alleo.INTERN/users/ex01"),
    (IDENTITY, "CN=Meier\\, Jörg,OU=Büro,DC=x", "Meier, Jörg"),
    (IDENTITY, "CN=Meier\\2C J\\C3\\96rg,OU=Büro,DC=x", "cn=meier\\, jörg,ou=B\\C3\\BCro,dc=X"),
    (IDENTITY, "CN=a\\\\,DC=x,DC=y", "x.y/a\\\\"),
    (IDENTITY, "alleo.intern/Users/Fax\\/Voice", "Fax/Voice"),
    (IDENTITY, "EX01\\Relay XPhone/Fax", "Relay XPhone/Fax"),
    (IDENTITY, "NT AUTHORITY\\ANONYMOUS LOGON", "Anonymous Logon"),
    (IDENTITY, Record(), DN),
]

DIFFERENT: list[tuple[Kind, Any, Any]] = [
    (TEXT, "a", "A"),
    (TEXT, "a", "a "),
    (TEXT, "a", None),
    (NAME, "a", "b"),
    (BOOL, None, False),
    (BOOL, None, "False"),
    (BOOL, True, 1),
    (BOOL, "yes", True),
    (INTEGER, 1, True),
    (INTEGER, 0, None),
    (INTEGER, 5, 5.5),
    (INTEGER, "1,024", 1024),
    (UNLIMITED, "Unlimited", None),
    (UNLIMITED, "Unlimited", 2147483647),
    (INTEGER, "Unlimited", "unlimited"),
    (SIZE, "36 MB (37,748,736 bytes)", "36 MB (37,748,737 bytes)"),
    (SIZE, "36MB", "36KB"),
    (SIZE, "36MB", 36_000_000),
    (SIZE, "36MB", "Unlimited"),
    (SIZE, "1 parsec", 1),
    (TIMESPAN, "00:10:00", "00:10:01"),
    (TIMESPAN, "1.00:00:00", "01:00:00"),
    (TIMESPAN, "00:00:05", 5),
    (TIMESPAN, "14", "14.00:00:00"),
    (TIMESPAN, None, "00:00:00"),
    (ENUM, "TextOnly", "HtmlOnly"),
    (FLAGS, "Tls", "Tls, Integrated"),
    (ADDRESS_SPACE, "SMTP:*;1", "SMTP:*;2"),
    (ADDRESS_SPACE, "FAX:*;1", "SMTP:*;1"),
    (ADDRESS_SPACE, "*.fax.example", "fax.example"),
    (SMART_HOST, "10.1.1.1", "10.1.1.2"),
    (SMART_HOST, "a.example", "b.example"),
    (IP_RANGE, "10.0.0.0/24", "10.0.0.0/25"),
    (IP_RANGE, "10.0.0.1", "10.0.0.1-10.0.0.2"),
    (IP_RANGE, "0.0.0.0-255.255.255.255", "::/0"),
    (IP_RANGE, "::10.0.0.1", "10.0.0.1"),
    (IP_RANGE, "::-::ffff:10.0.0.1", "10.0.0.1"),
    (BINDING, "0.0.0.0:25", "0.0.0.0:587"),
    (BINDING, "0.0.0.0:25", "[::]:25"),
    (IDENTITY, "EX01", "EX02"),
    (IDENTITY, "EX01", None),
    (IDENTITY, DN, DN.replace("Servers", "Databases")),
    (IDENTITY, DN, DN.replace("CN=EX01", "OU=EX01")),
    (IDENTITY, "ALLEO.intern/Users/x", "ALLEO.intern/Admins/x"),
    (IDENTITY, "ALLEO.intern/Servers/EX01", DN),
    (IDENTITY, "alleo.intern/B/svc", "CN=svc,OU=A,DC=alleo,DC=intern"),
    (IDENTITY, "other.intern/A/svc", "CN=svc,OU=A,DC=alleo,DC=intern"),
    (IDENTITY, "ALLEO\\x", "OTHER\\x"),
    (IDENTITY, "x@alleo.intern", "x@other.example"),
    (IDENTITY, "EX01.alleo.intern", "EX01"),
    (IDENTITY, "CN=Meier\\, Jörg,DC=x", "Jörg"),
    (IDENTITY, "alleo.intern/Users/Fax\\/Voice", "Voice"),
]

NONSENSE: list[tuple[Kind, Any]] = [
    *[(kind, value) for kind in KINDS for value in ({"a": 1}, b"x") if kind is not FLAGS],
    *[(kind, ["a"]) for kind in KINDS if kind is not FLAGS],
    (FLAGS, {"a": 1}),
    (FLAGS, [["a"]]),
    (BOOL, 1),
    (BOOL, "yes"),
    (INTEGER, True),
    (INTEGER, "five"),
    (INTEGER, "1_000"),
    (INTEGER, "٥"),
    (INTEGER, 1.5),
    (INTEGER, float("inf")),
    (INTEGER, float("nan")),
    (INTEGER, Decimal("sNaN")),
    (UNLIMITED, "endless"),
    (SIZE, -1),
    (SIZE, "-1MB"),
    (SIZE, "0.3 B"),
    (SIZE, "1,5 GB"),
    (TIMESPAN, "24:00:00"),
    (TIMESPAN, "00:60:00"),
    (TIMESPAN, 600),
    (TIMESPAN, "6"),
    (TIMESPAN, "PT10M"),
    (ADDRESS_SPACE, "*contoso.com"),
    (ADDRESS_SPACE, "a.*.com"),
    (ADDRESS_SPACE, "SMTP:"),
    (ADDRESS_SPACE, "*;0"),
    (ADDRESS_SPACE, "*;101"),
    (ADDRESS_SPACE, "two words"),
    (SMART_HOST, "a b"),
    (SMART_HOST, "a.example,b.example"),
    (SMART_HOST, "[a.example]"),
    (IP_RANGE, "10.0.0.256"),
    (IP_RANGE, "10.0.0.9-10.0.0.1"),
    (IP_RANGE, "10.0.0.1-::1"),
    (IP_RANGE, "10.0.0.1-"),
    (IP_RANGE, "10.0.0.0/33"),
    (IP_RANGE, "5"),
    (IP_RANGE, 5),
    (BINDING, "0.0.0.0"),
    (BINDING, "0.0.0.0:0"),
    (BINDING, "0.0.0.0:65536"),
    (BINDING, "localhost:25"),
    (BINDING, ":25"),
]


@pytest.mark.parametrize(("kind", "a", "b"), SAME)
def test_same(kind: Kind, a: Any, b: Any) -> None:
    assert kind.same(a, b)
    assert kind.same(b, a)
    if kind is not IDENTITY:  # two forms of one identity have no form in common
        assert kind.normalise(a) == kind.normalise(b)
        assert hash(kind.normalise(a)) == hash(kind.normalise(b))


@pytest.mark.parametrize(("kind", "a", "b"), DIFFERENT)
def test_different(kind: Kind, a: Any, b: Any) -> None:
    assert not kind.same(a, b)
    assert not kind.same(b, a)


@pytest.mark.parametrize(("kind", "value"), NONSENSE)
def test_nonsense_is_refused_by_normalise_and_text_to_same(kind: Kind, value: Any) -> None:
    with pytest.raises(ValueError, match=f"is no {kind.name}: "):
        kind.normalise(value)
    assert kind.same(value, value)
    assert kind.same(value, f" {value} ") or kind is TEXT
    assert not kind.same(value, None)


# --- what holds for everything -------------------------------------------------------------------------------------

SPELLINGS = [spelling for _, *pair in SAME + DIFFERENT for spelling in pair] + [value for _, value in NONSENSE]
anything = (
    st.sampled_from(SPELLINGS)
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.timedeltas()
    | st.uuids()
    | st.ip_addresses()
    | st.text(max_size=12)
    | st.text("0123456789.:/-;,*()[]=\\@ aAßİfMBSCN", max_size=16)
)


@settings(deadline=None)
@given(st.sampled_from(KINDS), anything)
def test_normalising_twice_changes_nothing(kind: Kind, value: Any) -> None:
    try:
        once = kind.normalise(value)
    except ValueError:
        return
    assert kind.normalise(once) == once
    assert isinstance(hash(once), int)
    assert kind.same(once, value)


@settings(deadline=None)
@given(st.sampled_from(KINDS), anything, anything)
def test_same_is_reflexive_symmetric_and_never_raises(kind: Kind, a: Any, b: Any) -> None:
    assert kind.same(a, a) is True
    assert kind.same(a, b) is kind.same(b, a)


@settings(deadline=None)
@given(st.sampled_from(KINDS), st.lists(anything, max_size=4), st.lists(anything, max_size=4), st.randoms())
def test_a_list_has_no_order_and_no_duplicates(kind: Kind, have: list[Any], want: list[Any], random: Any) -> None:
    exactly = listof(kind)
    shuffled = have + have[:1]
    random.shuffle(shuffled)
    assert exactly.same(have, shuffled)
    assert exactly.same(have, want) is exactly.same(want, have)
    assert exactly.same(have, want) is (not exactly.missing(have, want) and not exactly.surplus(have, want))
    assert exactly.missing(have, want) == exactly.surplus(want, have)
    at_least, without = listof(kind, "at least"), listof(kind, "without")
    assert at_least.same(have, want) is (not at_least.missing(have, want))
    assert without.same(have, want) is (not without.surplus(have, want))
    assert at_least.same(have + exactly.missing(have, want), want)
    assert without.same([entry for entry in have if not without.surplus([entry], want)], want)


@settings(deadline=None)
@given(st.timedeltas())
def test_time_spans_are_printed_as_they_are_read(span: timedelta) -> None:
    if abs(span) < timedelta(days=10**8):
        assert TIMESPAN.normalise(timespan_text(span)) == span


@settings(deadline=None)
@given(anything | st.lists(anything, max_size=3) | st.sets(st.text(max_size=3)))
def test_everything_can_be_shown(value: Any) -> None:
    assert TEXT.show(value)


# --- lists ---------------------------------------------------------------------------------------------------------

RIGHTS = ["FullAccess", "ReadPermission"]


@pytest.mark.parametrize(
    ("how", "have", "want", "same", "missing", "surplus"),
    [
        ("exactly", RIGHTS, ["readpermission", "FULLACCESS"], True, [], []),
        ("exactly", RIGHTS, ["FullAccess"], False, [], ["ReadPermission"]),
        ("exactly", ["FullAccess"], RIGHTS, False, ["ReadPermission"], []),
        ("exactly", None, [], True, [], []),
        ("exactly", "", None, True, [], []),
        ("exactly", "FullAccess", ["fullaccess"], True, [], []),
        ("exactly", ["a", "A"], ["a"], True, [], []),
        ("exactly", [], ["a", "A", "b"], False, ["a", "b"], []),
        ("at least", RIGHTS, ["FullAccess"], True, [], ["ReadPermission"]),
        ("at least", ["FullAccess"], RIGHTS, False, ["ReadPermission"], []),
        ("at least", ("x",), frozenset({"y"}), False, ["y"], ["x"]),
        ("at least", None, None, True, [], []),
        ("without", RIGHTS, ["fullaccess"], False, [], ["FullAccess"]),
        ("without", ["ReadPermission"], ["FullAccess"], True, [], []),
        ("without", None, ["FullAccess"], True, [], []),
    ],
)
def test_lists(how: Any, have: Any, want: Any, same: bool, missing: list[str], surplus: list[str]) -> None:
    kind = listof(NAME, how)
    assert kind.same(have, want) is same
    assert kind.missing(have, want) == missing
    assert kind.surplus(have, want) == surplus


def test_entries_are_compared_by_their_kind() -> None:
    assert listof(IP_RANGE).same(["10.0.0.0/24", "::1"], ["0::1", "10.0.0.0-10.0.0.255"])
    assert listof(IDENTITY).same(["EX01", "ALLEO.intern/x/EX02"], [DN, "ex02"])
    assert listof(IDENTITY).missing([DN], ["EX01", "EX03"]) == ["EX03"]
    assert listof(SIZE).same(["1MB", "nonsense"], ["nonsense", "1024KB"])


def test_the_normal_form_of_a_list() -> None:
    kind = listof(IP_RANGE)
    assert kind.normalise(["10.0.0.0/24", "10.0.0.0-10.0.0.255"]) == {"10.0.0.0-10.0.0.255"}
    assert kind.normalise(kind.normalise("10.0.0.1")) == frozenset({"10.0.0.1"})
    assert kind.normalise(None) == frozenset()
    assert listof(IDENTITY).normalise([DN, "x"]) == {IDENTITY.normalise(DN), IDENTITY.normalise("x")}
    with pytest.raises(ValueError, match="is no list of range of IP addresses"):
        kind.normalise(["10.0.0.1", "nowhere"])


def test_a_dictionary_is_no_list() -> None:
    kind = listof(NAME)
    assert kind.same({"Add": ["x"]}, {"Add": ["x"]})
    assert not kind.same({"Add": ["x"]}, ["Add"])
    with pytest.raises(ValueError, match="no list"):
        kind.missing(["x"], {"Add": ["x"]})


def test_a_list_is_declared_in_one_of_three_ways() -> None:
    with pytest.raises(ValueError, match="exactly, at least, without; not 'at most'"):
        listof(NAME, "at most")  # type: ignore[arg-type]


# --- kinds as things -----------------------------------------------------------------------------------------------


def test_kinds_are_hashable_and_told_apart() -> None:
    kinds = {*KINDS, *(listof(kind) for kind in KINDS), *(listof(kind, "at least") for kind in KINDS)}
    assert len(kinds) == 3 * len(KINDS)
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert listof(NAME) == listof(NAME, "exactly")
    assert listof(NAME) in kinds
    assert repr(SIZE) == "Kind(name='size')"
    with pytest.raises(AttributeError):
        SIZE.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "(empty)"),
        ("", "(empty)"),
        ([], "(empty)"),
        (frozenset(), "(empty)"),
        (False, "False"),
        (0, "0"),
        ("36 MB (37,748,736 bytes)", "36 MB (37,748,736 bytes)"),
        (["b", "a"], "b, a"),
        (("b", None), "b, (empty)"),
        ({"b", "a", "c", "d"}, "a, b, c, d"),
        (timedelta(days=14), "14.00:00:00"),
        (timedelta(seconds=-1), "-00:00:01"),
        ([timedelta(milliseconds=1500)], "00:00:01.500000"),
        (Record(), "EX01"),
    ],
)
def test_show(value: Any, shown: str) -> None:
    assert NAME.show(value) == shown
    assert listof(NAME).show(value) == shown


# --- real objects --------------------------------------------------------------------------------------------------

PROPERTIES: dict[str, Kind] = {
    "Bindings": listof(BINDING),
    "RemoteIPRanges": listof(IP_RANGE),
    "PermissionGroups": FLAGS,
    "AuthMechanism": FLAGS,
    "TransportRole": ENUM,
    "AddressSpaces": listof(ADDRESS_SPACE),
    "SmartHosts": listof(SMART_HOST),
    "SourceTransportServers": listof(IDENTITY),
    "MaxMessageSize": SIZE,
    "MaxHeaderSize": SIZE,
    "ConnectionTimeout": TIMESPAN,
    "ConnectionInactivityTimeOut": TIMESPAN,
    "TarpitInterval": TIMESPAN,
    "MaxInboundConnection": UNLIMITED,
    "MessageRateLimit": UNLIMITED,
    "MaxRecipientsPerMessage": INTEGER,
    "Port": INTEGER,
    "RequireTLS": BOOL,
    "DNSRoutingEnabled": BOOL,
    "Identity": IDENTITY,
    "DistinguishedName": IDENTITY,
}


@pytest.mark.parametrize("name", ["E19_GetReceiveConnector", "E19_GetSendConnector"])
def test_every_value_of_real_connectors_has_a_normal_form(name: str) -> None:
    path = SHARED / "fixtures" / "wire" / f"{name}.wire.xml"
    if not path.exists():
        pytest.skip(f"the shared fixtures are not here: {path.name}")
    seen = set()
    for element in ElementTree.parse(path).iter():
        kind = PROPERTIES.get(element.get("N", ""))
        if kind is None or element.tag.endswith("}Nil"):
            continue
        value = [item.text for item in element.iterfind("{*}LST/*")] if len(element) else element.text
        assert kind.normalise(value) not in (None, frozenset({None}))
        seen.add(element.get("N"))
    assert len(seen) >= 8
