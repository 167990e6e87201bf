"""Get-ADAccountAuthorizationGroup: the groups that count for an account's rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.active_directory import by_identity, directory, node
from umkit.lab.objects import Complex, Scalar

if TYPE_CHECKING:
    from umkit.lab.call import Call


def get_ad_account_authorization_group(call: Call) -> None:
    """List every group that counts for an account's rights, nested and well-known ones."""
    call.simulates("Identity", "Server", "Credential")
    found = directory(call)
    account = by_identity(call, found, ("user", "computer"))
    for each in found.token(account):
        call.output(node(call, found, each))
    for sid in ("S-1-1-0", "S-1-5-11"):
        name = str(found.name_of(sid)).rpartition("\\")[2]
        types = ("Microsoft.ActiveDirectory.Management.ADGroup", "System.Object")
        table = {"Name": Scalar("S", name), "ObjectClass": Scalar("S", None), "SID": Scalar("S", sid)}
        call.output(Complex(types, name, table))
