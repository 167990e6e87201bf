"""LDAP search filters (RFC 4515) with Active Directory's two rules.

``1.2.840.113556.1.4.1941`` follows member and memberOf through nested groups,
``1.2.840.113556.1.4.803`` tests bits. Attributes are compared without case.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

from umkit.lab.directory_objects import DirectoryObject, DirectoryObjects

IN_CHAIN = "1.2.840.113556.1.4.1941"
BIT_AND = "1.2.840.113556.1.4.803"
Test = Callable[[DirectoryObjects, DirectoryObject], bool]

_ITEM = re.compile(r"(?P<name>[A-Za-z][\w-]*)(?::(?P<rule>[\d.]+):)?(?P<operator>=|>=|<=|~=)(?P<value>[^()]*)\)")


def parse(text: str) -> Test:
    """The test that a filter is; raises ValueError when the text is none.

    Arguments:
        text: the filter, for example ``(&(objectClass=group)(member=CN=…))``.
    """
    test, rest = _parse(text.strip())
    if rest.strip():
        raise ValueError(f"there is more behind the filter: {rest}")
    return test


def _parse(text: str) -> tuple[Test, str]:
    if not text.startswith("("):
        raise ValueError("a filter begins with a parenthesis")
    sign = text[1:2]
    if sign in ("&", "|", "!"):
        tests, rest = [], text[2:].lstrip()
        while rest.startswith("("):
            test, rest = _parse(rest)
            tests.append(test)
            rest = rest.lstrip()
        if not rest.startswith(")") or not tests or (sign == "!" and len(tests) != 1):
            raise ValueError("a parenthesis or a condition is missing")
        return _combined(sign, tests), rest[1:]
    found = _ITEM.match(text, 1)
    if not found:
        raise ValueError(f"this is no condition: {text}")
    return _item(found["name"].lower(), found["rule"], found["operator"], found["value"]), text[found.end() :]


def _combined(sign: str, tests: list[Test]) -> Test:
    if sign == "!":
        return lambda directory, item: not tests[0](directory, item)
    fold = all if sign == "&" else any
    return lambda directory, item: fold(test(directory, item) for test in tests)


def _item(name: str, rule: str | None, operator: str, value: str) -> Test:
    plain = _unescape(value)
    if rule == IN_CHAIN:
        return _in_chain(name, plain)
    if rule == BIT_AND:
        return lambda directory, item: any(
            int(each) & int(plain) == int(plain) for each in directory.attributes(item).get(name, ())
        )
    if rule is not None:
        raise ValueError(f"the matching rule {rule} is not known")
    if operator != "=":
        raise ValueError(f"the operator {operator} is not simulated")
    if "*" in value:
        # A star of the value itself is escaped, so it is no wildcard; brackets are none in LDAP.
        parts = [re.sub(r"([\[?*])", r"[\1]", _unescape(part)) for part in value.lower().split("*")]
        pattern = re.compile(fnmatch.translate("*".join(parts)))
        return lambda directory, item: any(
            pattern.match(each.lower()) for each in directory.attributes(item).get(name, ())
        )
    return lambda directory, item: plain.lower() in (each.lower() for each in directory.attributes(item).get(name, ()))


def _in_chain(name: str, dn: str) -> Test:
    if name not in ("member", "memberof"):
        # On an attribute that holds no names the rule finds nothing (?).
        return lambda directory, item: False

    def test(directory: DirectoryObjects, item: DirectoryObject) -> bool:
        other = directory.find(dn)
        if other is None or other.dn.lower() != dn.lower():
            return False
        member, group = (other, item) if name == "member" else (item, other)
        return group in directory.groups_of(member, nested=True)

    return test


def _unescape(value: str) -> str:
    raw = re.sub(rb"\\([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), value.encode())
    return raw.decode("utf-8", "replace")


__all__ = ["BIT_AND", "IN_CHAIN", "parse"]
