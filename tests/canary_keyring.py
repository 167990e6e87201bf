"""A key store for tests: its entries are in a file that CANARY_KEYRING names; also for the processes of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class Store(KeyringBackend):
    """Reads ``{"service/user": "password"}``."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        entries: dict[str, str] = json.loads(Path(os.environ["CANARY_KEYRING"]).read_text("utf-8"))
        return entries.get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError
