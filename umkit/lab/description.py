"""What an organisation's YAML may say, checked before anything is built.

Cross references (an account's cmdlets, a server's domain controller, an
object's properties) are checked by umkit.lab.organisation, which knows them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from umkit.errors import LabError
from umkit.lab.sections import WindowsSection

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,15}$")]
_Address = Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DomainSection(_Section):
    """The Active Directory domain.

    Arguments:
        fqdn: its DNS name.
        netbios: its NetBIOS name.
        site: the Active Directory site of every server.
    """

    fqdn: str
    netbios: _Name
    site: str = "Default-First-Site-Name"


class OperatingSystem(_Section):
    """What Win32_OperatingSystem says of a host."""

    caption: str = "Microsoft Windows Server 2019 Standard"
    version: str = "10.0.17763"


class HostSection(WindowsSection):
    """A Windows host; what else it holds is in umkit.lab.sections.

    Arguments:
        name: its NetBIOS name.
        address: its IPv4 address.
        operating_system: what it runs.
    """

    name: _Name
    address: _Address
    operating_system: OperatingSystem = OperatingSystem()


class ExchangeServerSection(HostSection):
    """An Exchange server.

    Arguments:
        version: its AdminDisplayVersion, ``Version 15.2 (Build 1544.4)``; 15.1 is 2016, 15.2 is 2019.
        edition: its Edition.
        domain_controller: name of the domain controller it uses when a cmdlet names none; the first by default.
    """

    version: Annotated[str, Field(pattern=r"^Version \d+\.\d+ \(Build \d+\.\d+\)$")] = "Version 15.2 (Build 1544.4)"
    edition: str = "Standard"
    domain_controller: _Name | None = None


class OtherHostSection(HostSection):
    """A Windows host that is neither a domain controller nor an Exchange server.

    Arguments:
        role: what it holds from the beginning: the XPhone Connect Server, or nothing but Windows.
    """

    role: Literal["xphone", "server"] = "xphone"


class AccountSection(_Section):
    """An account that may log on.

    Arguments:
        name: its sAMAccountName.
        role: ``administrator`` sees every cmdlet, ``user`` none.
        hidden_cmdlets: cmdlets that RBAC hides from it.
        hidden_parameters: cmdlet → parameters that RBAC hides from it.
        disabled: whether it may not log on.
    """

    name: Annotated[str, Field(min_length=1, max_length=20)]
    role: Literal["administrator", "user"] = "user"
    hidden_cmdlets: list[str] = []
    hidden_parameters: dict[str, list[str]] = {}
    disabled: bool = False


class Listener(_Section):
    """A TCP port that answers.

    Arguments:
        to: ``host:port``, the host by name, FQDN or address.
        only_from: hosts that can reach it; every one by default.
    """

    to: Annotated[str, Field(pattern=r"^[^:\s]+:\d{1,5}$")]
    only_from: list[_Name] = []


class UserSection(_Section):
    """A user of the domain.

    Arguments:
        name: its name.
        sam: its sAMAccountName; the name by default.
        upn: its userPrincipalName; ``sam@domain`` by default.
        rid: last part of its SID; given in turn by default.
        parent: the container below the domain, ``CN=Users`` by default.
        enabled: whether it may log on.
        mailbox: the mailbox database that holds its mailbox; null where it has none.
        properties: further properties of Get-User, Get-Mailbox and Get-CASMailbox.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    sam: Annotated[str, Field(min_length=1, max_length=20)] | None = None
    upn: str | None = None
    rid: Annotated[int, Field(ge=500)] | None = None
    parent: str = "CN=Users"
    enabled: bool = True
    mailbox: str | None = None
    properties: dict[str, Any] = {}


class GroupSection(_Section):
    """A group of the domain: a further one, or a built-in one under its local name.

    Arguments:
        name: its name, localised where the domain is.
        well_known: English name of the built-in group that this is (``Domain Admins``, ``Organization Management``).
        sam: its sAMAccountName; the name by default.
        rid: last part of its SID; given in turn by default, and by the built-in group.
        parent: the container below the domain; that of the built-in group, else ``CN=Users``.
        scope: Global, Universal or DomainLocal.
        members: users and groups by name, sAMAccountName or user principal name; servers as ``EX01$``.
        roles: management roles that are assigned to it, which makes it a role group.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    well_known: str | None = None
    sam: Annotated[str, Field(min_length=1)] | None = None
    rid: Annotated[int, Field(ge=500)] | None = None
    parent: str | None = None
    scope: Literal["Global", "Universal", "DomainLocal"] = "Global"
    members: list[str] = []
    roles: list[str] = []


class Replication(_Section):
    """How writes reach the other domain controllers.

    Arguments:
        delay_reads: reads of a class by which another domain controller lags behind a write; 0 is not at all.
    """

    delay_reads: Annotated[int, Field(ge=0, le=1000)] = 0


class Options(_Section):
    """What the reference leaves open, so that a client lives with either.

    Arguments:
        smart_host_literals: whether an address among the smart hosts is printed as ``[10.1.1.1]`` or plainly.
        language_mode: Exchange's language mode: ``none`` since KB5001779, ``restricted`` before.
        connector_role: TransportRole of a new receive connector for which none is given.
        sid_trustees: whether a SID such as ``S-1-5-7`` is taken as a ``-User``.
        null_throttling_policy: whether a null ``-ThrottlingPolicy`` clears the assignment or is refused.
        messages: language of error and warning texts, which follows the session's culture.
    """

    smart_host_literals: Literal["brackets", "plain"] = "brackets"
    language_mode: Literal["none", "restricted"] = "none"
    connector_role: Literal["FrontendTransport", "HubTransport"] = "FrontendTransport"
    sid_trustees: bool = True
    null_throttling_policy: Literal["clears", "refused"] = "clears"
    messages: Literal["en", "de"] = "en"


class Description(_Section):
    """A whole organisation.

    Arguments:
        organisation: name of the Exchange organisation.
        utc_offset: the servers' local time, ``+01:00``.
        administrator: the account whose name the lab gives out.
        domain, domain_controllers, exchange_servers, hosts: the machines; hosts are all other Windows hosts.
        accounts: who may log on.
        users, groups: the directory's own; every account is a user too.
        trustees: SID → name of well-known identities where the domain's language is not English
            (``S-1-5-7: NT-AUTORITÄT\\ANONYMOUS-ANMELDUNG``).
        network: the ports that answer, for Test-NetConnection.
        replication, options: see there.
        durations: cmdlet → seconds it takes, so that a client can be seen waiting or stopping.
        objects: noun → property tables: further objects, or changed properties of built-in ones by the same Name
            (and Server, for receive connectors).
    """

    organisation: str = "First Organization"
    utc_offset: Annotated[str, Field(pattern=r"^[+-]\d\d:\d\d$")] = "+00:00"
    administrator: str
    domain: DomainSection
    domain_controllers: Annotated[list[HostSection], Field(min_length=1)]
    exchange_servers: Annotated[list[ExchangeServerSection], Field(min_length=1)]
    hosts: list[OtherHostSection] = []
    accounts: Annotated[list[AccountSection], Field(min_length=1)]
    users: list[UserSection] = []
    groups: list[GroupSection] = []
    trustees: dict[str, str] = {}
    network: list[Listener] = []
    replication: Replication = Replication()
    options: Options = Options()
    durations: dict[str, Annotated[float, Field(ge=0)]] = {}
    objects: dict[str, list[dict[str, Any]]] = {}


def bad(file: str, key: str, message: str) -> LabError:
    """The error of a key in an organisation's file."""
    return LabError(
        f"{file} does not describe an organisation: {key or 'the file'}: {message}",
        where={"file": file, "key": key},
        next="mend the file; umkit/lab/description.py says what each key may hold",
    )


def _dotted(location: tuple[int | str, ...]) -> str:
    """A place in the file as ``exchange_servers[0].version``."""
    return re.sub(r"\.(\[)", r"\1", ".".join(f"[{part}]" if isinstance(part, int) else part for part in location))


def read(path: Path) -> Description:
    """Read an organisation's file.

    Arguments:
        path: the YAML file.

    Raises LabError naming file and key.
    """
    file = str(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise bad(file, "", f"it cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise bad(file, "", f"it is not YAML: {error}") from error
    if not isinstance(values, Mapping):
        raise bad(file, "", "it must be a mapping")
    try:
        return Description.model_validate(values)
    except ValidationError as error:
        problems = [f"{_dotted(each['loc'])}: {each['msg']}" for each in error.errors()]
        raise bad(file, _dotted(error.errors()[0]["loc"]), "; ".join(problems)) from error
