"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says something about the machine, not about the code.
settings.register_profile("umkit", deadline=None)
settings.load_profile("umkit")


@pytest.fixture(autouse=True, scope="session")
def _no_key_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A developer's own key must not sign the records of tests."""
    empty = tmp_path_factory.mktemp("keys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UMKIT_KEYS", str(empty))
        patch.delenv("UMKIT_SIGNING_KEY", raising=False)
        yield empty
