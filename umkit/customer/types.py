"""Kinds of values in a customer file: each with its check and its words for people.

A kind is a type annotated with :class:`Checked`. Its words are in the schema under ``x-allowed``, so that error
messages, example.yaml and a form say the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from umkit.customer import checks
from umkit.secrets import SecretReference


class Checked:
    """A check after the type's own, with words for what is allowed.

    Arguments:
        check: takes the value, returns it in its final form or raises :class:`Wrong`.
        words: what may stand there, as half a sentence.
        schema: what the JSON schema says besides.
    """

    def __init__(self, check: Callable[[Any], Any], words: str, **schema: Any) -> None:
        self.check, self.words, self.schema = check, words, schema

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "x-allowed": self.words, **self.schema}


class Converted(Checked):
    """As :class:`Checked`, but the check does the type's work too; written back as text."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.check,
            serialization=core_schema.plain_serializer_function_ser_schema(_as_json),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "x-allowed": self.words, **self.schema}


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value if isinstance(value, bool) else str(value)


Slug = Annotated[str, Checked(checks.slug, "1 to 64 of a-z, 0-9, - and _, beginning and ending with a letter or digit")]
Line = Annotated[str, Checked(checks.line, "one line of text, at most 200 characters; may be empty")]
Notes = Annotated[
    str,
    Checked(
        checks.notes, "text, at most 4000 characters; may be empty or have several lines", **{"x-lines": "several"}
    ),
]
Name = Annotated[str, Checked(checks.name, "a name of 1 to 64 characters, without control characters")]
Identity = Annotated[
    str, Checked(checks.identity, "one object by name, alias, DOMAIN\\name, user@domain or path, without * and ?")
]
Upn = Annotated[str, Checked(checks.upn, "a user principal name such as name@corp.example")]
HostName = Annotated[str, Checked(checks.host, "a server's name such as EX01 or ex01.corp.example")]
Address = Annotated[str, Checked(checks.address, "the IP address of one host, such as 192.0.2.10")]
SmartHost = Annotated[str, Checked(checks.smart_host, "an IP address such as 192.0.2.10, or a host name")]
Domain = Annotated[
    str,
    Checked(
        checks.domain,
        "a mail domain such as fax.corp.example, or *.fax.corp.example for all below; ä and the like become xn--",
    ),
]
Reference = Annotated[
    SecretReference,
    Converted(
        checks.secret,
        "a reference, never the secret: prompt:WHAT, env:NAME, keyring:SERVICE/USER or keepass:FILE#ENTRY",
        pattern="^(prompt|env|keyring|keepass):",
        writeOnly=True,
    ),
]
ExchangeEndpoint = Annotated[
    str, Checked(checks.endpoint("/PowerShell/"), "lab, or a URL such as http://ex01.corp.example/PowerShell/")
]
HostEndpoint = Annotated[
    str, Checked(checks.endpoint("/wsman", ":5985"), "lab, or a URL such as http://ex01.corp.example:5985/wsman")
]
WebAddress = Annotated[str, Checked(checks.web, "a URL such as https://xphone.corp.example/")]
Certificate = Annotated[
    bool | str,
    Converted(
        checks.certificate,
        "true (checked), false (not checked), or the path of a CA file in PEM form",
        type=["boolean", "string"],
    ),
]
WindowsPath = Annotated[str, Checked(checks.windows_path, "a full path such as C:\\Program Files\\Example")]
Moment = Annotated[
    date | datetime,
    Converted(checks.moment, "a date such as 2026-12-31, or with time and zone 2026-12-31T18:00:00+01:00"),
]

Servers = Annotated[
    tuple[HostName, ...],
    Field(strict=False),
    Checked(checks.no_doubles, "a list of server names, each once", uniqueItems=True),
]
Names = Annotated[
    tuple[Name, ...], Field(strict=False), Checked(checks.no_doubles, "a list of names, each once", uniqueItems=True)
]
Addresses = Annotated[
    tuple[Address, ...],
    Field(strict=False),
    Checked(checks.no_doubles, "a list of IP addresses of single hosts, each once", uniqueItems=True),
]
