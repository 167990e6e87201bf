"""Outlook profile: the account's profile is there, is the default, and has cached mode off.

The profile stands in the account's own registry hive, which is loaded only while the account is logged on; when it is
not, a person has to attest. The value that holds cached mode is documented nowhere: its name and its bit are (?).
"""

from __future__ import annotations

from umkit.accounts import account_name, account_of, service_role
from umkit.channel import Channel
from umkit.errors import HostNotNamed, UmkitError
from umkit.kinds import NAME
from umkit.outcome import Report
from umkit.site import Site
from umkit.windows import registry, xphone_host

_OUTLOOK = "Software\\Microsoft\\Office\\16.0\\Outlook"
_POLICY = "Software\\Policies\\Microsoft\\Office\\16.0\\Outlook\\Cached Mode"
_CACHED, _BIT = "00036601", 0x80  # of the first byte (?)
_ATTEST = "open it as the account, see that the profile is the default and cached mode is off, and attest it"


class OutlookProfile:
    """The Outlook profile of the account of the XPhone services, as far as its registry hive is loaded."""

    def run(self, site: Site) -> Report:
        """Findings on the profile, the default profile and cached mode; *open* where a person must look."""
        report = Report()
        try:
            channel = site.host(xphone_host(site))
            role = service_role(site.inputs)
            account, name = account_of(site, role), account_name(site.inputs, role)
            if account is None or not account.sid:
                first = "MAPI-3" if role == "mapi" else "EWS-1"
                report.add_unseen(f"the SID of {name} is not known", f"see to {first} first")
                return report
            hive = f"Registry::HKEY_USERS\\{account.sid}"
            if not registry.key_exists(channel, hive):
                report.add_unseen(
                    f"{name} is not logged on, so its Outlook profile cannot be seen from here",
                    _ATTEST,
                )
                return report
            self._profile(report, channel, hive, site.inputs.outlook_profile())
        except HostNotNamed as error:
            report.add_unseen(f"the Outlook profile was not looked at: {error.what}", _ATTEST)
        except UmkitError as error:
            report.add_unseen(f"the Outlook profile could not be read: {error.what}", error.next or _ATTEST)
        return report

    def _profile(self, report: Report, channel: Channel, hive: str, wanted: str) -> None:
        profiles = registry.subkeys(channel, f"{hive}\\{_OUTLOOK}\\Profiles")
        name = next((profile for profile in profiles if NAME.same(profile, wanted)), None)
        if name is None:
            there = ", ".join(profiles) or "none"
            report.add(
                "open", f"there is no Outlook profile {wanted}; there: {there}", "set the profile up as the account"
            )
            return
        outlook, policy = f"{hive}\\{_OUTLOOK}", f"{hive}\\{_POLICY}"
        told = registry.values_of(channel, {outlook: ["DefaultProfile"], policy: ["Enable"]})
        default = told.get(outlook, {}).get("DefaultProfile")
        if NAME.same(default, wanted):
            report.add("ok", f"the profile {name} is there and is the default")
        else:
            report.add(
                "open",
                f"the default profile is {default or 'not set'}, not {name}",
                "Control Panel, Mail, Show Profiles: always use this profile",
            )
        if told.get(policy, {}).get("Enable") == 0:
            report.add("ok", "a policy keeps cached mode off")
            return
        root = f"{hive}\\{_OUTLOOK}\\Profiles\\{name}"
        keys = [f"{root}\\{key}" for key in registry.subkeys(channel, root)]
        found = [told.get(_CACHED) for told in registry.values_of(channel, dict.fromkeys(keys, (_CACHED,))).values()]
        modes = [value for value in found if isinstance(value, bytes) and value]
        if not modes:
            report.add_unseen(f"the profile {name} does not say whether cached mode is off", _ATTEST)
        elif any(value[0] & _BIT for value in modes):
            report.add(
                "open",
                f"cached mode is on in the profile {name}",
                "account settings, Change: take the tick from Use Cached Exchange Mode, then start Outlook anew",
            )
        else:
            report.add("ok", f"cached mode is off in the profile {name}")
