"""Beyond one machine: a real scheduler and real workers, over TLS, each a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="the extra fleet (Dask) is not installed")

from fleets import Fleet, fleet_in

from umkit import record


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_in(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


def test_a_customer_is_worked_on_where_it_is_reached_and_its_record_comes_home(fleet: Fleet) -> None:
    workers = [fleet.worker("north", jobs=2), fleet.worker("south")]
    going = fleet.begin({"acme": "north", "blue": "south", "coop": ""})
    summary = going.summary()
    ends = {end.customer: end for end in summary.ends}
    for end in summary.ends:
        print(end)
    assert summary.exit_code == 0
    assert (ends["acme"].worker, ends["blue"].worker) == ("north", "south")
    for end in summary.ends:
        assert Path(end.record).parent == fleet.records / end.customer
        assert record.verify(Path(end.record)) == []
