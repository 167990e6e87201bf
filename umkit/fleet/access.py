"""Who may speak to a fleet: the scheduler's address, and the certificates for it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from umkit.errors import UsageError

if TYPE_CHECKING:
    from distributed.security import Security


def refuse_without_dask() -> None:
    """Raise ``UsageError`` where the extra ``fleet`` is not installed."""
    if importlib.util.find_spec("distributed") is None:
        raise UsageError(
            "a fleet needs Dask, which is not installed here", seen="no distributed", next="pip install umkit[fleet]"
        )


@dataclass(frozen=True)
class Access:
    """How to speak to a fleet.

    Arguments:
        ca: the certificate of the authority that made all of the fleet's; else Dask's own configuration says it.
        certificate: one's own.
        key: its private key; may stand in the certificate's file.
        insecure: whether ``tcp://`` is allowed, which anybody on the way can read and change.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False

    def to(self, address: str, role: str) -> Security | None:
        """What Dask needs to speak to a scheduler; nothing where that is not encrypted.

        Arguments:
            address: the scheduler's.
            role: as whom: ``client`` or ``worker``.

        Raises ``UsageError`` when Dask is not installed, when the address is none or not one that may be spoken to, or
        when there are no certificates that can be used.
        """
        refuse_without_dask()
        try:
            parts = urlsplit(address)
            fine = parts.scheme in ("tls", "tcp") and parts.hostname and parts.port
        except ValueError:
            fine = False
        if not fine:
            raise UsageError(f"{address} is no scheduler's address", expected="tls://HOST:PORT")
        if parts.scheme == "tls":
            return self.security(role)
        if not self.insecure:
            raise UsageError(
                f"{address} is not encrypted: customer files and records would travel readable, and anybody could "
                "give orders to the workers",
                expected="tls://HOST:PORT",
                next="use TLS; or give --insecure, on a network that is yours alone",
            )
        return None

    def security(self, role: str) -> Security:
        """What Dask needs for TLS.

        Arguments:
            role: ``client``, ``worker`` or ``scheduler``.

        Raises ``UsageError`` when there are no certificates, or they cannot be used.
        """
        from distributed.security import Security

        given = {"tls_ca_file": self.ca, f"tls_{role}_cert": self.certificate, f"tls_{role}_key": self.key}
        security = Security(require_encryption=True, **{name: str(path) for name, path in given.items() if path})
        if not security.tls_ca_file or not getattr(security, f"tls_{role}_cert"):
            raise UsageError(
                "there are no certificates for TLS",
                expected="--tls-ca, --tls-cert and --tls-key, or Dask's configuration (distributed.comm.tls)",
            )
        try:
            security.get_connection_args(role)
        except (OSError, ValueError) as error:  # no file, no certificate, or another one's key
            raise UsageError(
                "the certificates for TLS cannot be used",
                where={name: str(path) for name, path in given.items() if path},
                seen=str(error),
                expected="PEM files: the authority's certificate, one's own, and the private key that belongs to it",
            ) from error
        return security
