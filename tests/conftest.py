"""What holds for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says something about the machine, not about the code.
settings.register_profile("umkit", deadline=None)
settings.load_profile("umkit")

#: Files that take longest, first: what is begun last with several workers leaves the others idle.
LONGEST = (
    *("stepping_through", "crash", "mess", "batch", "rollback", "chapters", "planfile"),
    *("end_to_end", "fleet", "disk_full", "canary"),
)


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-xdist keep our order of the files (its own goes by the number of tests), and heed Ctrl-C.

    Started in the background by a script, a process ignores SIGINT, and the tests that send it would wait for ever.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the order within a file stays."""
    order = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(autouse=True, scope="session")
def _no_key_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A developer's own key must not sign the records of tests."""
    empty = tmp_path_factory.mktemp("keys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UMKIT_KEYS", str(empty))
        patch.delenv("UMKIT_SIGNING_KEY", raising=False)
        yield empty
