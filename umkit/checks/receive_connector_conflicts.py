"""Receive connectors: whether another one is in the relay's way, and whether any is open to too many.

Exchange takes the connector whose ranges fit a sender best, among those that listen on the same address and port.
Ranges may overlap by containment only, and two transport roles may not listen in the same place.
Source: Microsoft's pages of New-ReceiveConnector and of anonymous relay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from umkit.kinds import BOOL, ENUM, FLAGS, IP_RANGE, listof
from umkit.outcome import Report, Row
from umkit.permissions import anonymous, listed, relaying
from umkit.ranges import ranges, same_place
from umkit.resources.receive_connector import ReceiveConnector
from umkit.site import Site


class ReceiveConnectorConflicts:
    """No connector conflicts with the relay, and none relays for more than named hosts."""

    def run(self, site: Site) -> Report:
        """Findings for each relay connector, then for every other connector that relays for anonymous senders."""
        report = Report()
        present = site.organisation().list("ReceiveConnector", fresh=True)
        own = []
        for wanted in ReceiveConnector.wanted_by(site):
            found = wanted.find(present)
            own.append(str(found["Identity"]) if found is not None else "")
            self._judge(report, wanted, found, present)
            if site.inputs.relay.permission == "as-page":
                self._as_page(report, site, wanted, found)
        others = [
            other for other in present if str(other["Identity"]) not in own and BOOL.same(other.get("Enabled"), True)
        ]
        entries = [("ADPermission", _of(other)) for other in others if _by_right(other)]
        with site.organisation().asked_ahead(entries, fresh=True):
            for other in others:
                self._other(report, site, other)
        return report

    def _judge(self, report: Report, wanted: ReceiveConnector, found: Any, present: Sequence[Any]) -> None:
        before = len(report.findings)
        if found is None:
            report.add("differs", f"{wanted.label} does not exist yet", "apply REL-2")
        else:
            now, named = listed(found.get("RemoteIPRanges")), wanted.wanted["RemoteIPRanges"]
            wider = listof(IP_RANGE).surplus(now, named)
            report.rows.append(Row(wanted.label, "RemoteIPRanges", now, list(named), not wider))
            if wider:
                report.add(
                    "failed",
                    f"{wanted.label} is open to {', '.join(map(str, wider))}, and only {', '.join(named)} may relay",
                    "apply REL-2",
                )
        mine = found if found is not None else wanted.wanted
        for other in present:
            if other is found or not wanted.beside(other):
                continue
            if why := _conflict(mine, other):
                report.add(
                    "failed",
                    f"{other['Identity']} is in the way of {wanted.label}: {why}",
                    "choose another port under relay.port, or change that connector",
                )
        if len(report.findings) == before:
            report.add("ok", f"{wanted.label}: nothing else listens there for its hosts, and it is open to them alone")

    def _as_page(self, report: Report, site: Site, wanted: ReceiveConnector, found: Any) -> None:
        """The page gives no permission at all; an earlier run or a person may have."""
        groups = FLAGS.normalise(found.get("PermissionGroups")) - {"custom"} if found is not None else frozenset()
        if found is not None and (how := _relaying(site, found)):
            report.add(
                "failed",
                f"{wanted.label} can relay ({how}), though relay.permission is as-page",
                "take the right and the permission groups away by hand, or set relay.permission to what is wanted",
            )
        elif groups:
            report.add(
                "differs",
                f"{wanted.label} accepts mail ({FLAGS.show(found['PermissionGroups'])}), though relay.permission is"
                " as-page",
                "take the permission groups away by hand, or set relay.permission to what is wanted",
            )
        else:
            report.add(
                "open",
                f"{wanted.label} is left as the page leaves it: without a permission group it accepts nothing",
                "set relay.permission to anonymous or externally-secured",
            )

    def _other(self, report: Report, site: Site, other: Mapping[str, Any]) -> None:
        if not (how := _relaying(site, other)):
            return
        served = listed(other.get("RemoteIPRanges"))
        if any(each.everywhere for each in ranges(served)):
            report.add(
                "failed",
                f"{other['Identity']} relays for anybody ({how}, {', '.join(served)})",
                "take the right away, or limit its remote addresses",
            )
        elif any(each.width > 1 for each in ranges(served)):
            report.add(
                "open",
                f"{other['Identity']} relays for whole ranges ({how}, {', '.join(served)})",
                "ask the customer whether all these hosts should relay",
            )
        else:
            report.add("ok", f"{other['Identity']} relays for single hosts ({how}, {', '.join(served)})")


def _relaying(site: Site, connector: Mapping[str, Any]) -> str:
    """By what a connector relays; empty where it does not."""
    if "externalauthoritative" in FLAGS.normalise(connector.get("AuthMechanism")):
        return "externally secured"
    if not _by_right(connector):
        return ""
    groups = FLAGS.normalise(connector.get("PermissionGroups"))
    rows = site.organisation().list("ADPermission", fresh=True, **_of(connector))
    holders = relaying(rows, groups)
    if not holders:
        return ""
    named = "" if holders == [anonymous(rows)] else f" for {', '.join(holders)}"
    return f"with the right to any recipient{named}"


def _by_right(connector: Mapping[str, Any]) -> bool:
    """Whether only its entries tell if it relays: a right of its own shows as Custom among the groups."""
    if "externalauthoritative" in FLAGS.normalise(connector.get("AuthMechanism")):
        return False
    return bool(FLAGS.normalise(connector.get("PermissionGroups")) & {"anonymoususers", "custom"})


def _of(connector: Mapping[str, Any]) -> dict[str, str]:
    return {"Identity": str(connector["DistinguishedName"])}


def _conflict(mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    if not same_place(mine.get("Bindings"), other.get("Bindings")):
        return ""
    if not ENUM.same(mine.get("TransportRole"), other.get("TransportRole")):
        return "it listens on the same address and port for another transport role"
    own, theirs = ranges(mine.get("RemoteIPRanges")), ranges(other.get("RemoteIPRanges"))
    if set(own) == set(theirs):
        return "it listens on the same address and port for the same hosts"
    for a in own:
        for b in theirs:
            if a.holds(b):
                return f"it takes the mail of {', '.join(listed(other.get('RemoteIPRanges')))} in the same place"
            if a.meets(b) and not b.holds(a):
                return "its ranges overlap these in part"
    return ""
