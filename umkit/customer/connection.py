"""How the organisation and its Windows hosts are reached: the sections exchange and hosts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from umkit.customer.types import Certificate, ExchangeEndpoint, HostEndpoint, HostName, Identity, Reference

Auth = Literal["kerberos", "negotiate", "basic"]
Deadline = Annotated[int, Field(ge=1, le=3600, json_schema_extra={"x-unit": "seconds"})]


class Section(BaseModel):
    """A part of a customer file: typed, unknown keys refused, never changed in place."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Exchange(Section):
    """The organisation's own endpoint and the account that configures it."""

    endpoint: ExchangeEndpoint = Field(
        description="Where the organisation answers: a server's PowerShell URL (Kerberos wants the full name, no"
        " address), or lab for the simulated organisation.",
        examples=["http://ex01.corp.example/PowerShell/"],
    )
    auth: Auth = Field(
        "kerberos",
        description="How the account proves itself. negotiate may fall back to NTLM, which Exchange does not take.",
    )
    username: Identity | None = Field(
        None,
        description="The account that configures Exchange; null: the one logged on here. Kerberos wants name@domain.",
        examples=["umadmin@corp.example"],
    )
    password: Reference | None = Field(
        None,
        description="Where the account's password is kept; null: the ticket of the account logged on here.",
        examples=["prompt:password of umadmin@corp.example"],
    )
    certificate: Certificate = Field(
        True,
        description="How the server's certificate is checked. A relative path starts where the runbook runs.",
    )
    spn_host: HostName | None = Field(
        None,
        description="Host name in the service's Kerberos name, where it is not the endpoint's; null: the endpoint's.",
    )
    domain_controller: HostName | None = Field(
        None,
        description="Full name of the domain controller for all reads and changes; null: one is chosen at the start.",
    )
    deadline: Deadline = Field(120, description="How long one command may take before it counts as lost, in seconds.")


class Host(Section):
    """One Windows host; what is null is taken from the section exchange."""

    name: HostName = Field(description="The server's name, as Exchange or Windows itself calls it.", examples=["EX01"])
    endpoint: HostEndpoint = Field(
        description="Where its Windows answers: a WinRM URL, or lab for a host of the simulated organisation.",
        examples=["http://ex01.corp.example:5985/wsman"],
    )
    auth: Auth | None = Field(None, description="How the account proves itself; null: as for exchange.")
    username: Identity | None = Field(
        None, description="An administrator of this host; null: the account of exchange, with its password."
    )
    password: Reference | None = Field(None, description="Where that administrator's password is kept.")
    certificate: Certificate | None = Field(
        None, description="How the host's certificate is checked, for https; null: as for exchange."
    )
    spn_host: HostName | None = Field(
        None,
        description="Host name in the service's Kerberos name, where it is not the endpoint's; null: the endpoint's.",
    )
    deadline: Deadline | None = Field(
        None, description="How long one command may take before it counts as lost, in seconds; null: as for exchange."
    )

    def inheriting(self, exchange: Exchange) -> Host:
        """The host with everything that is null filled in from the section exchange.

        User name and password go together: a host with a user name of its own never gets the other's password.
        """
        own = self.username is not None or self.password is not None
        return self.model_copy(
            update={
                "auth": self.auth or exchange.auth,
                "username": self.username if own else exchange.username,
                "password": self.password if own else exchange.password,
                "certificate": exchange.certificate if self.certificate is None else self.certificate,
                "deadline": self.deadline or exchange.deadline,
            }
        )


class Hosts(Section):
    """The Windows hosts that steps reach by themselves; steps on a host not named here stay open."""

    exchange: Annotated[tuple[Host, ...], Field(strict=False)] = Field(
        (),
        description="The Exchange servers' Windows: services, event logs, registry, probes.",
        examples=[[{"name": "EX01", "endpoint": "http://ex01.corp.example:5985/wsman"}]],
    )
    xphone: Host | None = Field(
        None,
        description="The XPhone Connect Server's Windows; null: it is not reached from here.",
        examples=[{"name": "XPHONE01", "endpoint": "http://xphone01.corp.example:5985/wsman"}],
    )
    directory: Host | None = Field(
        None,
        description="A domain controller's Windows, for the membership in groups; null: Exchange is asked instead.",
        examples=[{"name": "DC01", "endpoint": "http://dc01.corp.example:5985/wsman"}],
    )

    def all(self) -> tuple[Host, ...]:
        """Every host once, in the order Exchange servers, XPhone server, domain controller."""
        several = (*self.exchange, self.xphone, self.directory)
        return tuple({host.name.casefold(): host for host in reversed(several) if host}.values())[::-1]
