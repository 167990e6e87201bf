"""Session demand: MAPI sessions that the account needs, against Exchange's limit.

The page's formula: N * 5 * (O + P), with N XPhone servers under the account, O public and P private Outlook data
sources. The limit of 32 holds for each mailbox server and user.
"""

from __future__ import annotations

from umkit.outcome import Report
from umkit.site import Site

#: MAPI sessions that a mailbox server allows one user.
LIMIT = 32


class SessionDemand:
    """The formula with this customer's numbers."""

    def run(self, site: Site) -> Report:
        """One finding with the sum; a second one where the limit in the registry would not do."""
        report, asked = Report(), site.inputs.sessions
        needed = asked.needed
        sum_ = f"{asked.xphone_servers} * 5 * ({asked.public_sources} + {asked.private_sources}) = {needed}"
        if needed > LIMIT:
            report.add(
                "ok", f"sessions needed: {sum_}, more than the limit of {LIMIT}: the throttling policy is needed"
            )
        else:
            report.add("ok", f"sessions needed: {sum_}, within the limit of {LIMIT}; the policy keeps room for more")
        if asked.registry_limit and needed > asked.registry_sessions:
            report.add(
                "ok",
                f"sessions.registry_sessions is {asked.registry_sessions}, less than needed: LIM-7 takes {needed}",
            )
        return report
