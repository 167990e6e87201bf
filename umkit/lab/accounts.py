"""The accounts of an organisation and what RBAC lets them see."""

from __future__ import annotations

from umkit.lab.description import AccountSection


class Account:
    """An account that may log on to the lab's endpoints.

    Arguments:
        section: what the organisation's file says of it.
        domain, netbios: the names of its domain.
    """

    def __init__(self, section: AccountSection, domain: str, netbios: str) -> None:
        self.name = section.name
        self.role = section.role
        self.disabled = section.disabled
        self.login = f"{netbios}\\{section.name}"
        self.principal = f"{section.name}@{domain}"
        self._hidden = {each.lower() for each in section.hidden_cmdlets}
        self._parameters = {
            cmdlet.lower(): frozenset(each.lower() for each in names)
            for cmdlet, names in section.hidden_parameters.items()
        }

    def sees(self, cmdlet: str, *, windows: bool = False) -> bool:
        """Whether the cmdlet exists for this account (RBAC).

        Arguments:
            cmdlet: the cmdlet.
            windows: whether the endpoint is Windows' own, which shows its cmdlets to everybody and refuses later.
        """
        return (windows or self.role == "administrator") and cmdlet.lower() not in self._hidden

    def hidden_parameters_of(self, cmdlet: str) -> frozenset[str]:
        """Lower-case names of the cmdlet's parameters that RBAC hides."""
        return self._parameters.get(cmdlet.lower(), frozenset())
