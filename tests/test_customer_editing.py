"""A customer file changed where it is kept: what differs is touched, and nothing else."""

from __future__ import annotations

import copy
import difflib
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from customer_files import LEAST, PARAMETERS
from hypothesis import example, given
from hypothesis import strategies as st

from umkit import customer
from umkit.customer.editing import Document
from umkit.customer.source import read_bytes
from umkit.errors import CustomerFileError, UsageError
from umkit.secrets import Secret, remember

Change = Callable[[dict[str, Any]], object]


def differing(before: bytes, after: bytes) -> list[str]:
    """The lines taken out and put in, without context."""
    lines = difflib.ndiff(before.decode().splitlines(keepends=True), after.decode().splitlines(keepends=True))
    return [line for line in lines if line[0] in "+-"]


def changed(text: str | bytes, change: Change, folder: Path) -> tuple[bytes, bytes]:
    """A file's bytes before and after a change; not saved, so that it need not be a valid customer file."""
    path = folder / "acme.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    document = Document.open(path)
    values = copy.deepcopy(document.values)
    change(values)
    return document.data, document.edited(values)


def set_to(section: str, key: str, value: Any) -> Change:
    return lambda values: values[section].__setitem__(key, value)


# What is touched


@pytest.mark.parametrize("name", ["lab", "example"])
def test_nothing_changed_is_nothing_touched(name: str) -> None:
    document = Document.open(PARAMETERS / f"{name}.yaml")
    assert document.edited(copy.deepcopy(document.values)) == document.data


def test_one_value_is_one_line_and_its_comment_stays(tmp_path: Path) -> None:
    text = (PARAMETERS / "lab.yaml").read_text("utf-8")
    before, after = changed(text, set_to("mapi", "uses", ["voicemail"]), tmp_path)
    assert differing(before, after) == [
        "-   uses: [directory, voicemail] # the calendars are synchronised over EWS\n",
        "+   uses: [voicemail] # the calendars are synchronised over EWS\n",
    ]


@pytest.mark.parametrize(
    ("was", "value", "becomes"),
    [
        ("old", "new", "new"),
        ("'old'", "new", "'new'"),
        ('"old"', "new", '"new"'),
        ("'it''s'", "it's not", "'it''s not'"),
        ("old", "00123", "'00123'"),
        ("old", "yes", "'yes'"),
        ("old", "null", "'null'"),
        ("old", "", "''"),
        ("old", "a: b #c", "'a: b #c'"),
        ("old", "Grüße 😀", "Grüße 😀"),
        ("old", "'", "''''"),
        ("old", " ", "' '"),
        ("old", "tab\there", '"tab\\there"'),
        ("25", 2533, "2533"),
        ("true", False, "false"),
        ("null", "x", "x"),
        ("x", None, "null"),
        ("'x'", 7, "7"),
        ("[]", ["a", "b: c", "d]"], "[a, 'b: c', 'd]']"),
        ("[a,  b]", ["a", "c"], "[a,  c]"),
        ("[a,  b,c]", ["a", "c"], "[a,  c]"),
        ("[a, b]", [], "[]"),
        ("[a]", ["a", "b"], "[a, b]"),
        ("{x:  1}", {"x": 1, "y": [1]}, "{x:  1, y: [1]}"),
        ("{x: 1,  y: 2}", {"y": 2}, "{y: 2}"),
        ("{x: 1,  y: 2}", {"x": {"z": "a, b"}}, "{x: {z: 'a, b'}}"),
    ],
)
def test_a_value_in_its_place(was: str, value: Any, becomes: str, tmp_path: Path) -> None:
    text = f"# head\na:\n    # above\n    key:   {was}   # behind\n\n    # last\n    z: 1\n"
    before, after = changed(text, set_to("a", "key", value), tmp_path)
    assert after.decode() == before.decode().replace(f"key:   {was}  ", f"key:   {becomes}  ")


def test_long_text_stays_on_its_line(tmp_path: Path) -> None:
    _, after = changed("a: {k: v}\nb:\n  k: v\n", set_to("b", "k", "word " * 700 + "end"), tmp_path)
    assert after.count(b"\n") == 3


def test_text_of_several_lines_becomes_a_block_and_back(tmp_path: Path) -> None:
    before, after = changed("a:\n  k: v\n  # next\n  z: 1\n", set_to("a", "k", "one\n\n two: #\n"), tmp_path)
    assert after == b"a:\n  k: |\n    one\n\n     two: #\n  # next\n  z: 1\n"
    _, plain = changed(after, set_to("a", "k", "v"), tmp_path)
    assert plain == before
    _, folded = changed("a:\n  k: >-\n    one\n    two\n\n  z: 1\n", set_to("a", "k", "3\n4"), tmp_path)
    assert folded == b"a:\n  k: |-\n    3\n    4\n\n  z: 1\n"


SERVICES = """\
um_services:
  # the first
  - name: fax   # wizard
    port: 25

  # the second
  - name: sms

  # belongs to nobody

  -
    # deep
    name: tel

# after
z: {}
"""


@pytest.mark.parametrize(
    ("order", "lines"),
    [
        (
            "sms fax tel",
            "# the second|- name: sms||# the first|- name: fax   # wizard|port: 25||# belongs to nobody||-",
        ),
        ("sms tel", "# the second|- name: sms||# belongs to nobody||-|# deep|name: tel||# after"),
        ("fax tel", "# the first|- name: fax   # wizard|port: 25||-|# deep|name: tel||# belongs to nobody"),
    ],
)
def test_entries_move_with_their_comments(order: str, lines: str, tmp_path: Path) -> None:
    def change(values: dict[str, Any]) -> None:
        entries = {entry["name"]: entry for entry in values["um_services"]}
        values["um_services"] = [entries[name] for name in order.split()]

    _, after = changed(SERVICES, change, tmp_path)
    text = "|".join(line.strip() for line in after.decode().splitlines())
    assert lines in text
    assert text.endswith("# after|z: {}")


def test_entries_are_added_edited_removed(tmp_path: Path) -> None:
    def add(values: dict[str, Any]) -> None:
        values["um_services"].insert(1, {"name": "voice: #1", "source_servers": ["EX01"]})
        values["um_services"][0]["domain"] = "fax.acme.example"

    before, after = changed(SERVICES, add, tmp_path)
    assert differing(before, after) == [
        "+     domain: fax.acme.example\n",
        "+ \n",
        "+   - name: 'voice: #1'\n",
        "+     source_servers: [EX01]\n",
    ]
    _, empty = changed(after, lambda values: values.update(um_services=[]), tmp_path)
    assert empty == b"um_services: []\n\n# after\nz: {}\n"
    _, filled = changed(empty, lambda values: values.update(um_services=[{"name": "a"}, {"name": "b"}]), tmp_path)
    assert filled == b"um_services:\n  - name: a\n  - name: b\n\n# after\nz: {}\n"


def test_a_list_comment_stays_at_its_head(tmp_path: Path) -> None:
    text = "l:\n# about the list\n- a # one\n- b # two\n- c"
    _, after = changed(text, lambda values: values.update(l=["c", "a"]), tmp_path)
    assert after == b"l:\n# about the list\n- c\n- a # one"


def test_sections_come_and_go(tmp_path: Path) -> None:
    text = (
        "customer: {name: acme}\nimap4: {} # wanted\n# about relay\nrelay:\n  # inside\n  port: 25\n# mapi\nmapi: null"
    )

    def change(values: dict[str, Any]) -> None:
        values.update(imap4={"port": 143}, relay=None, mapi={"account": "x"})
        values["run"] = {"site": "a"}

    _, after = changed(text, change, tmp_path)
    assert after.decode().splitlines() == [
        "customer: {name: acme}",
        "imap4: # wanted",
        "  port: 143",
        "# about relay",
        "relay: null",
        "# mapi",
        "mapi:",
        "  account: x",
        "run:",
        "  site: a",
    ]


def test_a_key_is_taken_out_and_the_next_ones_comment_stays(tmp_path: Path) -> None:
    text = "a:\n  x: 1 # about x\n  # about y\n  y: 2\n"
    _, after = changed(text, lambda values: values["a"].pop("x"), tmp_path)
    assert after == b"a:\n  # about y\n  y: 2\n"


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_and_byte_order_mark_stay(bom: bytes, newline: str, tmp_path: Path) -> None:
    text = bom + LEAST.replace("\n", newline).encode() + f"run:{newline}  site: a{newline}".encode()

    def change(values: dict[str, Any]) -> None:
        values["run"] |= {"records": "r", "language": "de"}
        values["customer"]["notes"] = "a\nb"
        values["um_services"].append({"name": "sms", "domain": "s.example"})
        values["hosts"] = {"exchange": [{"name": "EX01", "endpoint": "lab"}]}

    before, after = changed(text, change, tmp_path)
    assert after.startswith(bom + b"customer")
    assert after.count(b"\n") == after.count(newline.encode()) > before.count(b"\n")
    assert b"\r" not in after.replace(b"\r\n", b"")


# Whatever the text

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
    st.text("ab:#-?'\"[]{},&*!|>%@` \n\\\tüß😀\u2028", max_size=20),
    st.sampled_from(["yes", "NO", "null", "~", "007", "1e3", "0x1F", "1_0", ".inf", "12:30", "2026-12-31", "=", "<<"]),
    st.text("x ", min_size=200, max_size=400),
)
SCALARS = st.one_of(TEXTS, st.integers(), st.booleans(), st.none())
LISTS = st.lists(TEXTS, max_size=4)
KEYS = st.sampled_from(["name", "port", "on", "b-c", "title"])
ENTRIES = st.lists(st.dictionaries(KEYS, st.one_of(SCALARS, LISTS), min_size=1, max_size=4), max_size=4)
SECTION = st.dictionaries(KEYS, st.one_of(SCALARS, LISTS, ENTRIES, st.dictionaries(KEYS, SCALARS)), max_size=5)
FILES = st.dictionaries(st.sampled_from("abcd"), st.one_of(SECTION, ENTRIES, SCALARS), min_size=1)


def commented(text: str) -> str:
    """A comment above each key and behind each that has nothing else, as a person's file has them."""
    lines: list[str] = []
    for number, line in enumerate(text.split("\n")):
        key = line.lstrip(" -").partition(":")[0]
        if key.isalpha() and not line.rstrip().endswith(("|", ">", "-", "+", ",", "{", "[")):
            indent = len(line) - len(line.lstrip(" "))
            lines += ["", f"{' ' * indent}# c{number}"]
        lines.append(line)
    return "\n".join(lines)


@given(
    FILES,
    FILES,
    st.sampled_from([None, False, True]),
    st.sampled_from([80, 10_000]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.data(),
)
@example({"a": {"name": "x"}}, {"a": {"name": "y\n"}}, False, 80, "\n", True, None)
def test_any_file_becomes_any_other(
    old: dict[str, Any],
    new: dict[str, Any],
    flow: bool | None,
    width: int,
    newline: str,
    comments: bool,
    data: st.DataObject | None,
) -> None:
    text = yaml.safe_dump(old, default_flow_style=flow, width=width, allow_unicode=True, sort_keys=False)
    if comments and read_bytes(commented(text).encode()).values == old:
        text = commented(text)
    raw = text.replace("\n", newline).encode()
    source = read_bytes(raw)
    if source.problems or source.values != old:
        return  # what YAML itself does not bring back
    wanted = copy.deepcopy(old)
    for section, value in new.items():
        if data is not None and section in wanted and data.draw(st.booleans()):
            held = wanted[section]
            if isinstance(held, dict) and isinstance(value, dict):
                held.update(value)
                continue
            if isinstance(held, list) and isinstance(value, list):
                wanted[section] = data.draw(st.permutations(held + value))
                continue
        wanted[section] = value
    made = Document(Path("acme.yaml"), raw, source.values).edited(wanted)
    assert read_bytes(made).values == wanted
    if comments and wanted == old:
        assert made == raw


# What is refused


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    path = tmp_path / "acme.yaml"
    path.write_text(LEAST, "utf-8")
    return path


def with_address(document: Document, address: str) -> dict[str, Any]:
    values = copy.deepcopy(document.values)
    values["xphone"]["address"] = address
    return values


def test_save_gives_back_what_is_there_now(acme: Path) -> None:
    document = Document.open(acme)
    saved, file = document.save(with_address(document, "192.0.2.77"))
    assert file.xphone.address == "192.0.2.77"
    assert acme.read_text("utf-8") == LEAST.replace("192.0.2.10", "192.0.2.77")
    assert saved == Document.open(acme)
    assert saved.sha256 != document.sha256
    again, _ = saved.save(with_address(saved, "192.0.2.10"))
    assert again.data == document.data
    assert [path.name for path in acme.parent.iterdir()] == ["acme.yaml"]


def test_an_invalid_file_is_not_written(acme: Path) -> None:
    document = Document.open(acme)
    with pytest.raises(CustomerFileError) as caught:
        document.save(with_address(document, "192.0.2.0/24"))
    assert [problem.key for problem in caught.value.problems] == ["xphone.address"]
    assert acme.read_bytes() == document.data
    values = copy.deepcopy(document.values)
    values["customer"]["name"] = "other"
    with pytest.raises(CustomerFileError, match="name of the file"):
        document.save(values)


def test_a_password_is_not_written(acme: Path) -> None:
    document = Document.open(acme)
    values = copy.deepcopy(document.values)
    values["exchange"]["password"] = "hunter2-plain"
    with pytest.raises(CustomerFileError) as caught:
        document.save(values)
    assert "hunter2" not in str(caught.value)
    remember(Secret("hunter3-in-use"))
    values = copy.deepcopy(document.values)
    values["customer"]["contact"] = "ask for hunter3-in-use"
    with pytest.raises(UsageError, match=r"customer\.contact holds a secret") as refused:
        document.save(values)
    assert "hunter3" not in str(refused.value)
    assert acme.read_bytes() == document.data


def test_anothers_change_is_not_overwritten(acme: Path) -> None:
    document = Document.open(acme)
    acme.write_text(LEAST + "# a colleague was here\n", "utf-8")
    with pytest.raises(UsageError, match="changed by somebody else"):
        document.save(with_address(document, "192.0.2.77"))
    assert "colleague" in acme.read_text("utf-8")
    acme.unlink()
    with pytest.raises(UsageError, match="is gone"):
        document.save(with_address(document, "192.0.2.77"))
    assert not acme.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_permissions_and_links_stay(acme: Path) -> None:
    acme.chmod(0o640)
    (acme.parent / "links").mkdir()
    link = acme.parent / "links" / "acme.yaml"
    link.symlink_to(acme)
    document = Document.open(link)
    document.save(with_address(document, "192.0.2.77"))
    assert link.is_symlink()
    assert stat.S_IMODE(acme.stat().st_mode) == 0o640
    assert customer.load(acme).xphone.address == "192.0.2.77"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(acme: Path) -> None:
    document = Document.open(acme)
    acme.parent.chmod(0o500)
    try:
        with pytest.raises(UsageError, match="cannot be written"):
            document.save(with_address(document, "192.0.2.77"))
    finally:
        acme.parent.chmod(0o700)
    assert acme.read_bytes() == document.data


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x\n", "a: 1\na: 2\n", "a: [\n", "- a\n", "", "a: !t 1\n", "\xff: 1"])
def test_what_is_ambiguous_is_for_a_person(text: str, tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CustomerFileError):
        Document.open(path)
    with pytest.raises(CustomerFileError, match="cannot be read"):
        Document.open(tmp_path / "none.yaml")
