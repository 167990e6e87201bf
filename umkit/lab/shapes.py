"""The form of each class of object: its properties and how they are sent.

A noun's file declares one :class:`Shape`; from it come the property list on
the wire, the defaults of a new object, and the check of what an
organisation's YAML says about it. Property names and element kinds follow
real objects (reference/exchange.md §2.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from umkit.lab.objects import Complex, Many, Node, Scalar

if TYPE_CHECKING:
    from umkit.lab.organisation import Organisation
    from umkit.lab.store import Entry

_DATA = "Microsoft.Exchange.Data."
_ASSEMBLY = "Version=15.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35"
_CORE = "mscorlib, Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089"
_BASE = (_DATA + "MultiValuedPropertyBase", "System.Object")
DIRECTORY_OBJECT = (
    _DATA + "Directory.ADObject",
    _DATA + "Directory.ADRawEntry",
    _DATA + "ConfigurableObject",
    "System.Object",
)
CONFIGURATION_OBJECT = (_DATA + "Directory.SystemConfiguration.ADConfigurationObject", *DIRECTORY_OBJECT)
PRESENTATION_OBJECT = (_DATA + "Directory.Management.ADPresentationObject", *DIRECTORY_OBJECT)
_PYTHON: dict[str, type[Any]] = {"S": str, "B": bool, "I32": int, "U32": int, "URI": str, "DT": str, "LST": list}


def collection(element: str = "") -> tuple[str, ...]:
    """The type names of a multivalued property.

    Arguments:
        element: the element type below Microsoft.Exchange.Data; empty for strings.
    """
    if not element:
        return (f"{_DATA}MultiValuedProperty`1[[System.String, {_CORE}]]", *_BASE)
    assembly = "Microsoft.Exchange.Data" + (".Directory" if element.startswith("Directory.") else "")
    item = f"[[{_DATA}{element}, {assembly}, {_ASSEMBLY}]]"
    names = [f"{_DATA}MultiValuedProperty`1{item}"]
    if element == "Directory.ADObjectId":
        names.insert(0, f"{_DATA}Directory.ADMultiValuedProperty`1{item}")
    return (*names, *_BASE)


@dataclass(frozen=True)
class Property:
    """One property of a class.

    Arguments:
        name: its name.
        kind: the element on the wire: S, B, I32, U32, URI, DT (as text), or LST for a multivalued property.
        default: the value of a new object.
        types: the type names of a multivalued property's collection.
        element: makes one element canonical, or raises ValueError or TaskRefusal.
    """

    name: str
    kind: str
    default: Any = None
    types: tuple[str, ...] = ()
    element: Callable[[Organisation, str], str] | None = None


def text(name: str, default: str | None = None) -> Property:
    """A property sent as ``<S>``."""
    return Property(name, "S", default)


def flag(name: str, default: bool | None = False) -> Property:
    """A Boolean property."""
    return Property(name, "B", default)


def number(name: str, default: int | None = None, kind: str = "I32") -> Property:
    """An integer property."""
    return Property(name, kind, default)


def many(
    name: str,
    element: str = "",
    default: tuple[str, ...] = (),
    canonical: Callable[[Organisation, str], str] | None = None,
) -> Property:
    """A multivalued property.

    Arguments:
        name: its name.
        element: the element type below Microsoft.Exchange.Data; empty for strings.
        default: the value of a new object.
        canonical: makes one element canonical.
    """
    return Property(name, "LST", list(default), collection(element), canonical)


def escape_name(name: str) -> str:
    """A name as it stands in a distinguished name (RFC 4514)."""
    escaped = re.sub(r'([,+"\\<>;=])', r"\\\1", name).replace("\n", r"\0A").replace("\r", r"\0D").replace("\0", r"\00")
    if escaped.startswith(("#", " ")):
        escaped = "\\" + escaped
    return escaped[:-1] + r"\ " if escaped.endswith(" ") and not escaped.endswith("\\ ") else escaped


@dataclass(frozen=True)
class Shape:
    """The form of one class of directory object.

    Arguments:
        noun: the noun of its cmdlets.
        types: the type names, the class itself first.
        properties: its own properties, in their order on the wire; Name is not among them.
        container: distinguished name of what holds it; ``{organisation}``, ``{group}``, ``{domain}`` and the
            object's own properties are filled in.
        category: name of its schema class.
        classes: the values of ObjectClass.
        version: the value of ExchangeVersion.
        identity: how Identity is made from its properties.
        presentation: whether it is a presentation object: without AdminDisplayName.
        keys: further properties by whose value an identity finds it.
        stored_as: the noun of the directory object that this is a view of; empty for an object of its own.
        marker: a value of that object which tells that this view of it is there.
        bare: whether it is no directory object itself (an access control entry): without names and dates.
        rank: when the organisation's own objects of this noun are made; what refers to others comes later.
    """

    noun: str
    types: tuple[str, ...]
    properties: tuple[Property, ...]
    container: str
    category: str
    classes: tuple[str, ...]
    version: str = "0.1 (8.0.535.0)"
    identity: str = "{Name}"
    presentation: bool = False
    keys: tuple[str, ...] = ()
    stored_as: str = ""
    marker: str = ""
    bare: bool = False
    rank: int = 1

    @property
    def stored(self) -> str:
        """The noun under which the directory keeps its objects."""
        return self.stored_as or self.noun

    def shows(self, entry: Entry) -> bool:
        """Whether a stored object is one of this noun's."""
        return not self.marker or bool(entry.values.get(self.marker))

    def property(self, name: str) -> Property | None:
        """The property of this name in any case, or None."""
        if name.lower() == "name":
            return Property("Name", "S")
        if self.bare and name.lower() == "identity":
            return Property("Identity", "S")
        return next((each for each in self.properties if each.name.lower() == name.lower()), None)

    def defaults(self) -> dict[str, Any]:
        """The values of a new object, without its name."""
        return {each.name: list(each.default) if each.kind == "LST" else each.default for each in self.properties}

    def distinguished_name(self, organisation: Organisation, values: Mapping[str, Any]) -> str:
        """The distinguished name of an object with these values."""
        parents = organisation.names | {name: value for name, value in values.items() if isinstance(value, str)}
        return f"CN={escape_name(str(values['Name']))},{self.container.format_map(parents)}"

    def identity_of(self, values: Mapping[str, Any]) -> str:
        """The identity of an object with these values, for example ``EX01\\Default EX01``."""
        return self.identity.format_map(values)

    def matches(self, organisation: Organisation, entry: Entry, identity: str) -> bool:
        """Whether an identity (name, GUID, distinguished name, in any case) means this object."""
        wanted = identity.lower()
        known = [str(entry.guid), "{" + str(entry.guid) + "}", self.identity_of(entry.values)]
        known.append(self.distinguished_name(organisation, entry.values))
        known += [str(entry.values.get(key) or "") for key in self.keys]
        return wanted in [each.lower() for each in known]

    def fitting(self, organisation: Organisation, name: str, value: Any) -> tuple[str, Any]:
        """Exact name and canonical value of a property named in an organisation's YAML.

        Raises ValueError when there is no such property, or its value is of another kind.
        """
        known = self.property(name)
        if known is None:
            raise ValueError(f"{self.noun} has no property {name}")
        wanted = _PYTHON[known.kind]
        if value is None and known.kind != "LST":
            return known.name, None
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise ValueError(f"{known.name} takes {wanted.__name__}, not {value!r}")
        if known.kind != "LST":
            return known.name, value
        if not all(isinstance(each, str) for each in value):
            raise ValueError(f"{known.name} takes a list of str, not {value!r}")
        return known.name, [known.element(organisation, each) if known.element else each for each in value]

    def nodes(self, organisation: Organisation, entry: Entry, controller: str) -> dict[str, Node]:
        """Every property of an object as it is sent, read from that domain controller."""
        values = entry.values
        name, identity = Scalar("S", entry.name), Scalar("S", self.identity_of(values))
        version, valid = Scalar("S", self.version), Scalar("B", True)
        own: dict[str, Node] = {each.name: _node(each, values.get(each.name)) for each in self.properties}
        naming: dict[str, Node] = {
            "DistinguishedName": Scalar("S", self.distinguished_name(organisation, values)),
            "Guid": Scalar("G", entry.guid),
            "ObjectCategory": Scalar("S", f"{organisation.domain}/Configuration/Schema/{self.category}"),
            "ObjectClass": Many(collection(), tuple(Scalar("S", each) for each in self.classes)),
            "WhenChanged": Scalar("DT", entry.changed.astimezone(organisation.timezone)),
            "WhenCreated": Scalar("DT", entry.created.astimezone(organisation.timezone)),
            "WhenChangedUTC": Scalar("DT", entry.changed.astimezone(UTC)),
            "WhenCreatedUTC": Scalar("DT", entry.created.astimezone(UTC)),
            "OrganizationId": Scalar("S", ""),
            "Id": identity,
            "OriginatingServer": Scalar("S", controller),
        }
        state = Scalar("S", "Unchanged")
        if self.bare:
            shown = Scalar("S", values.get("Identity"))
            return {**own, "Identity": shown, "IsValid": valid, "ObjectState": state}
        if self.presentation:
            tail: dict[str, Node] = {
                "Identity": identity,
                "IsValid": valid,
                "ExchangeVersion": version,
                **naming,
                "ObjectState": state,
            }
            return {"Name": name, **own, **tail}
        tail = {"AdminDisplayName": Scalar("S", ""), "ExchangeVersion": version, "Name": name}
        tail["DistinguishedName"] = naming.pop("DistinguishedName")
        return {**own, **tail, "Identity": identity, **naming, "IsValid": valid, "ObjectState": state}

    def node(self, organisation: Organisation, entry: Entry, controller: str) -> Complex:
        """An object as one output of a pipeline."""
        return Complex(self.types, self.identity_of(entry.values), self.nodes(organisation, entry, controller))


def _node(form: Property, value: Any) -> Node:
    if form.kind == "LST":
        return Many(form.types, tuple(Scalar("S", each) for each in value or ()))
    return Scalar(form.kind, value)


def plain(node: Node) -> Any:
    """A sent property as a JSON-ready value."""
    if isinstance(node, Many):
        return [plain(each) for each in node.items]
    if isinstance(node, Scalar):
        return str(node.value) if isinstance(node.value, UUID | datetime) else node.value
    return getattr(node, "text", None) or getattr(node, "name", None)
