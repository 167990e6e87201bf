"""Service accounts: every XPhone service runs as the account that the step asks for.

The XPhone Connect Server Manager sets the account; only a person knows the password.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from umkit.accounts import account_name, service_role
from umkit.channel import Channel
from umkit.errors import HostNotNamed, RemoteError
from umkit.kinds import NAME
from umkit.outcome import Report, Row
from umkit.site import Site
from umkit.windows import services, xphone_host
from umkit.windows.accounts import account_kind, is_local_system, same_account

_MANAGER = "set it in the XPhone Connect Server Manager, under This account, then Change now"
#: What the customer file says of the services when it names none.
_PREFIX = "xphone"


class ServiceAccounts:
    """Every XPhone service runs as one account.

    Arguments:
        account: ``mapi``: the MAPI account, or at a customer without MAPI the one for EWS; ``localhost``: the machine's
            own account LocalSystem, which the Server Manager calls localhost (?).
        running: whether the XPhone Connect Server service also has to run.
        since: what it must have started after, for example when the account was changed; nothing: any time.
    """

    def __init__(
        self, account: Literal["mapi", "localhost"] = "mapi", *, running: bool = False, since: datetime | None = None
    ) -> None:
        self.account, self.running, self.since = account, running, since

    def run(self, site: Site) -> Report:
        """One row for each service; *open* where one runs as another account, or cannot be seen."""
        report = Report()
        try:
            host = xphone_host(site)
            channel = site.host(host)
            found = services.services(channel, fresh=True)
            chosen, missing = _chosen(found, site.inputs.xphone.services)
            self._judge(report, site, host, chosen)
            for name in missing:
                report.add(
                    "open", f"service {name} is not installed on {host}", "correct xphone.services, or install it"
                )
            if self.running:
                self._run(report, channel, host, found, site.inputs.xphone.server_service)
        except (HostNotNamed, RemoteError) as error:
            report.add_unseen(f"the services' accounts were not looked at: {error.what}", error.next)
        return report

    def _judge(self, report: Report, site: Site, host: str, chosen: list[Mapping[str, Any]]) -> None:
        wanted = "LocalSystem" if self.account == "localhost" else account_name(site.inputs, service_role(site.inputs))
        for service in chosen:
            account = str(service.get("StartName") or "")
            right = is_local_system(account) if self.account == "localhost" else same_account(account, wanted, host)
            thing = f"service {service['Name']} on {host}"
            report.rows.append(Row(thing, "StartName", account, wanted, right, kind=account_kind(host)))
            if not right:
                report.add("open", f"{thing} runs as {account}, not as {wanted}", _MANAGER)
        if not chosen:
            report.add(
                "open", f"{host} has no XPhone service", "install the XPhone Connect Server, or name xphone.services"
            )
        elif not report.findings:
            report.add("ok", f"all {len(chosen)} XPhone services on {host} run as {wanted}")

    def _run(self, report: Report, channel: Channel, host: str, found: list[Mapping[str, Any]], wanted: str) -> None:
        service = next((row for row in found if _is(row, wanted)), None)
        if service is None:
            report.add("open", f"service {wanted} is not installed on {host}", "correct xphone.server_service")
            return
        if not NAME.same(service.get("State"), "Running"):
            report.add("open", f"service {wanted} on {host}: {service.get('State')}", "start it in the Server Manager")
            return
        begun = services.started(channel, service.get("ProcessId"), fresh=True)
        shown = f"{begun:%Y-%m-%d %H:%M:%S} UTC" if begun else "a time that cannot be read"
        if self.since is None or (begun and begun > self.since):
            report.add("ok", f"service {wanted} on {host} runs since {shown}")
        else:
            report.add(
                "open",
                f"service {wanted} on {host} runs since {shown}, the change was {self.since:%Y-%m-%d %H:%M:%S %Z}",
                "restart it in the Server Manager",
            )


def _is(service: Mapping[str, Any], name: str) -> bool:
    return NAME.same(service.get("Name"), name) or NAME.same(service.get("DisplayName"), name)


def _chosen(found: list[Mapping[str, Any]], names: tuple[str, ...]) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The services meant, and the names that no service has."""
    if not names:
        return [each for each in found if str(each.get("DisplayName")).casefold().startswith(_PREFIX)], []
    chosen = [each for each in found if any(_is(each, name) for name in names)]
    return chosen, [name for name in names if not any(_is(each, name) for each in chosen)]


class ServicesUnderLocalhost(ServiceAccounts):
    """Every XPhone service runs as the machine's own account, as it does between two passwords."""

    def __init__(self) -> None:
        super().__init__("localhost")


class ServiceRestartedAsAccount(ServiceAccounts):
    """Every XPhone service runs as the MAPI account, and the XPhone Connect Server service runs.

    Arguments:
        since: when the account was changed, where that is known.
    """

    def __init__(self, since: datetime | None = None) -> None:
        super().__init__(running=True, since=since)
