from __future__ import annotations

import copy
import os
import pickle
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypsrp.serializer import Serializer

from umkit.remoting.clixml import ClixmlError, EnumText, Record, read

SHARED = Path(os.environ.get("UMKIT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
FILES = sorted((SHARED / "fixtures" / "clixml").glob("*.xml")) + sorted((SHARED / "fixtures" / "wire").glob("*.xml"))


def one(xml: str) -> Any:
    (value,) = read(xml)
    return value


def local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def walk(values: Any, seen: set[int]) -> Iterator[Any]:
    """Every value once where it stands; a container that was met before is not entered again."""
    for value in values:
        yield value
        inner = value.values() if isinstance(value, Record | dict) else value if isinstance(value, list) else None
        if inner is not None and id(value) not in seen:
            seen.add(id(value))
            yield from walk(inner, seen)


def expected(root: ET.Element) -> Counter[str]:
    """What the file holds, counted on its elements alone."""
    counts: Counter[str] = Counter()
    for element in root.iter():
        tag = local(element)
        children = list(element)
        if tag in ("Objs", "LST", "IE"):
            counts["items"] += len(children)
            counts["lists"] += tag != "Objs"
        elif tag == "Obj":
            names = {
                child.get("N", "").casefold(): local(child)
                for part in sorted(children, key=local, reverse=True)  # Props, then MS: a note wins
                if local(part) in ("Props", "MS")
                for child in part
                if child.get("N") != "SerializationData"
            }
            counts["properties"] += len(names)
            counts["moments"] += sum(kind == "DT" for kind in names.values())
            counts["names"] += any(local(child) == "I32" for child in children)
    return counts


@pytest.mark.skipif(not FILES, reason="the shared fixtures are not here")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_real_files_lose_nothing(path: Path) -> None:
    data = path.read_bytes()
    values = read(data)
    met = list(walk(values, set()))
    distinct = {id(value): value for value in met if isinstance(value, Record | list)}.values()
    found = Counter(
        items=len(values) + sum(len(value) for value in distinct if isinstance(value, list)),
        lists=sum(isinstance(value, list) for value in distinct),
        properties=sum(len(value) for value in distinct if isinstance(value, Record)),
        moments=sum(isinstance(value, datetime) for value in met),
        names=len({id(value) for value in met if isinstance(value, EnumText)}),
    )
    assert +found == +expected(ET.fromstring(data))
    assert not any(isinstance(value, str) and ("<LST" in value or "<Obj" in value) for value in met)
    assert all(
        not name.startswith("Deserialized.") for value in distinct if isinstance(value, Record) for name in value.types
    )
    assert all(repr(value) for value in values)
    assert read(data.decode("utf-8-sig")) == values


@pytest.mark.skipif(not FILES, reason="the shared fixtures are not here")
def test_a_receive_connector_as_exchange_sends_it() -> None:
    connectors = read((SHARED / "fixtures" / "wire" / "E19_GetReceiveConnector.wire.xml").read_bytes())
    assert len(connectors) == 5
    for connector in connectors:
        assert str(connector["identity"]).partition("\\")[2] == connector["NAME"]
        assert isinstance(connector["Bindings"], list)
        assert all(isinstance(binding, str) for binding in connector["Bindings"])
        assert isinstance(connector["WhenCreatedUTC"], datetime)


@pytest.mark.parametrize(
    ("xml", "value"),
    [
        ("<Nil/>", None),
        ("<S>x</S>", "x"),
        ("<S/>", ""),
        ("<B>true</B>", True),
        ("<B>false</B>", False),
        ("<I32>-5</I32>", -5),
        ("<U64>18446744073709551615</U64>", 2**64 - 1),
        ("<By>7</By>", 7),
        ("<C>65</C>", "A"),
        ("<Db>1.5</Db>", 1.5),
        ("<Sg>INF</Sg>", float("inf")),
        ("<Db>-INF</Db>", float("-inf")),
        ("<D>79228162514264337593543950335</D>", Decimal(2**96 - 1)),
        ("<G>00000000-0000-0000-0000-000000000001</G>", UUID(int=1)),
        ("<BA>AAEC</BA>", b"\0\1\2"),
        ("<BA/>", b""),
        ("<URI>http://ex01/</URI>", "http://ex01/"),
        ("<Version>15.2.986.5</Version>", "15.2.986.5"),
        ("<SBK>{ 1 }</SBK>", "{ 1 }"),
        ("<XD>&lt;a/&gt;</XD>", "<a/>"),
        ("<SS>AAAA</SS>", None),
        ("<DT>2026-03-01T10:20:30.1234567Z</DT>", datetime(2026, 3, 1, 10, 20, 30, 123456, UTC)),
        (
            "<DT>2026-03-01T10:20:30+02:00</DT>",
            datetime(2026, 3, 1, 10, 20, 30, tzinfo=timezone(timedelta(hours=2))),
        ),
        ("<DT>2026-03-01T10:20:30</DT>", datetime(2026, 3, 1, 10, 20, 30)),
        ("<DT>0001-01-01T00:00:00</DT>", datetime.min),
        ("<TS>PT10M</TS>", timedelta(minutes=10)),
        ("<TS>P14D</TS>", timedelta(days=14)),
        ("<TS>-P1DT2H3M4.5S</TS>", -timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("<TS>P10675199DT2H48M5.4775807S</TS>", timedelta(10675199, 10085, 477580)),
    ],
)
def test_primitives(xml: str, value: Any) -> None:
    result = one(xml)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        ("a_x000A_b", "a\nb"),
        ("_x000a_", "\n"),
        ("_X0009_", "\t"),
        ("_xD83D__xDE00_", "😀"),
        ("_xd83d_", "\ufffd"),
        ("_x005F_x0041_", "_x0041_"),
        ("_x00_", "_x00_"),
        ("_xGGGG_", "_xGGGG_"),
    ],
)
def test_encoded_characters(encoded: str, text: str) -> None:
    assert one(f"<S>{encoded}</S>") == text


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")))
def test_text_that_pypsrp_sends_is_read_back(text: str) -> None:
    element = Serializer().serialize(text)
    assert element is not None
    assert read(ET.tostring(element)) == [text]


@pytest.mark.parametrize("tag", ["LST", "IE", "STK", "QUE"])
def test_every_collection_is_a_list_whatever_its_type(tag: str) -> None:
    types = '<TN RefId="0"><T>Microsoft.Exchange.Data.MultiValuedProperty`1[[X]]</T><T>System.Object</T></TN>'
    assert one(f'<Obj RefId="0">{types}<{tag}><S>a</S><Nil/></{tag}></Obj>') == ["a", None]
    assert one(f'<Obj RefId="0">{types}<{tag}/></Obj>') == []


def test_a_dictionary_is_a_dict_whatever_its_type() -> None:
    entry = '<En><S N="Key">a</S><I32 N="Value">1</I32></En>'
    assert one(f'<Obj RefId="0"><TN RefId="0"><T>Unknown</T></TN><DCT>{entry}</DCT></Obj>') == {"a": 1}
    keyed = '<Obj RefId="0"><DCT><En><Obj N="Key" RefId="1"><LST/></Obj><I32 N="Value">1</I32></En></DCT></Obj>'
    assert one(keyed) == {"[]": 1}


@pytest.mark.parametrize(
    "parts",
    [
        '<TN RefId="0"><T>Deserialized.System.Enum</T></TN><ToString>Running</ToString><I32>4</I32>',
        '<I32>4</I32><TN RefId="0"><T>E</T><T>System.Enum</T></TN><ToString>Running</ToString>',
        '<TN RefId="0"><T>E</T><T>System.Enum</T></TN><ToString>Running</ToString><By>4</By><MS><S N="a">b</S></MS>',
    ],
)
def test_an_enumeration_is_its_name_and_number(parts: str) -> None:
    state = one(f'<Obj RefId="0">{parts}</Obj>')
    assert state == "Running"
    assert isinstance(state, EnumText)
    assert state.number == 4
    for twin in (copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        assert (twin, twin.number) == ("Running", 4)


def test_an_integer_with_a_text_is_an_integer() -> None:
    assert one('<Obj RefId="0"><TN RefId="0"><T>System.Int32</T></TN><ToString>4</ToString><I32>4</I32></Obj>') == 4


def test_a_primitive_with_notes_is_the_primitive_and_its_references_count() -> None:
    xml = """<Objs><Obj RefId="0"><BA>AAE=</BA><MS><Obj N="PSDrive" RefId="1"><ToString>C</ToString></Obj></MS></Obj>
             <Ref RefId="1"/></Objs>"""
    assert read(xml) == [b"\0\1", "C"]


def test_an_object_of_which_only_its_text_is_left_is_that_text() -> None:
    assert one('<Obj RefId="0"><ToString>a_x000A_b</ToString></Obj>') == "a\nb"
    xml = '<Obj RefId="0"><ToString>a</ToString><MS><BA N="SerializationData">AAE=</BA></MS></Obj>'
    assert one(xml) == "a"


def test_notes_are_kept_beside_a_text() -> None:
    """An ErrorRecord is such an object: no Props, all of it in MS."""
    record = one('<Obj RefId="0"><ToString>a</ToString><MS><S N="FullyQualifiedErrorId">x</S></MS></Obj>')
    assert isinstance(record, Record)
    assert str(record) == "a"
    assert record["fullyqualifiederrorid"] == "x"


def test_a_note_wins_over_a_property_of_the_same_name() -> None:
    record = one(
        '<Obj RefId="0"><MS><S N="name">note</S></MS><Props><S N="Name">adapted</S><S N="a_x002E_b">c</S></Props></Obj>'
    )
    assert dict(record) == {"name": "note", "a.b": "c"}


def test_an_object_in_an_object_is_one() -> None:
    inner = (
        '<Obj RefId="1"><TN RefId="0"><T>Key</T></TN><ToString>HKLM</ToString><Props><I32 N="A">1</I32></Props></Obj>'
    )
    record = one(f'<Obj RefId="0">{inner}<MS><S N="PSPath">p</S></MS></Obj>')
    assert dict(record) == {"A": 1, "PSPath": "p"}
    assert (str(record), record.types) == ("HKLM", ("Key",))


def test_references_are_the_same_object_and_may_go_in_circles() -> None:
    values = read(
        '<Objs><Obj RefId="0"><TN RefId="0"><T>A.Service</T></TN><ToString>W3SVC</ToString><Props>'
        '<Obj N="List" RefId="1"><LST><Ref RefId="0"/><Ref RefId="1"/></LST></Obj>'
        '<Ref N="Self" RefId="0"/></Props></Obj>'
        '<Obj RefId="2"><TNRef RefId="0"/><Props><Ref N="Other" RefId="1"/></Props></Obj></Objs>'
    )
    first, second = values
    assert first["Self"] is first
    assert first["List"][0] is first
    assert first["List"][1] is first["List"] is second["Other"]
    assert second.types == ("A.Service",)
    assert repr(first) == "<Service 'W3SVC': List=[<Service 'W3SVC'>, […]], Self=<Service 'W3SVC'>>"
    assert str(first) == "W3SVC"
    assert "List=" in repr(copy.deepcopy(first))


def test_a_record_is_a_mapping_in_any_case() -> None:
    record = Record({"Name": "x", "Size": 1}, types=["A.B"], text="y")
    assert record["NAME"] == record.get("name") == "x"
    assert "sIZE" in record
    assert 1 not in record  # type: ignore[comparison-overlap]
    assert list(record) == ["Name", "Size"]
    assert record == {"name": "x", "size": 1}
    assert record != {"name": "x"}
    assert record != "y"
    with pytest.raises(KeyError, match="Nmae"):
        record["Nmae"]
    with pytest.raises(TypeError):
        hash(record)
    assert str(Record({"a": 1})) == "<Record: a=1>"


@pytest.mark.parametrize("wrap", ["{}", "<Objs>{}</Objs>", '<Objs xmlns="http://x" Version="1.1.0.1">{}</Objs>'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", None])
def test_wrappings_and_encodings(wrap: str, encoding: str | None) -> None:
    text = wrap.format("<S>Zoë–😀</S>")
    assert read(text.encode(encoding) if encoding else "\ufeff" + text) == ["Zoë–😀"]


def test_nothing_is_no_value() -> None:
    assert read("") == read(b" ") == read("<Objs/>") == []


@pytest.mark.parametrize(
    "xml",
    [
        "<S>",
        "no XML",
        "<html><body/></html>",
        "<I32>x</I32>",
        "<B>1</B>",
        "<DT>yesterday</DT>",
        "<TS>1:00</TS>",
        "<G>x</G>",
        "<Ref RefId='7'/>",
        "<Obj RefId='0'><DCT><En><S N='Value'>x</S></En></DCT></Obj>",
        "<Obj RefId='0'><New/></Obj>",
        "<Obj>" * 5000 + "</Obj>" * 5000,
    ],
)
def test_what_cannot_be_read_says_so(xml: str) -> None:
    with pytest.raises(ClixmlError):
        read(xml)
