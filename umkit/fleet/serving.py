"""The two processes of a fleet that stay: the scheduler, and a worker at each site."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umkit.batch.worker import GRACE
from umkit.errors import ConnectionFailed, UsageError
from umkit.fleet.access import Access, refuse_without_dask

if TYPE_CHECKING:
    from umkit.fleet.worker import Hands

PORT = 8786
#: Seconds until a worker that finds no scheduler gives up.
_CONNECT = 60
_LOOK = 0.1
#: Dask's pages for browsers say whose jobs run, to everybody and not encrypted.
_QUIET: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
_NO_PAGES = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}


def serve_scheduler(access: Access, *, host: str = "", port: int = PORT, ready: Callable[[str], None]) -> None:
    """Be the scheduler of a fleet until Ctrl-C or termination.

    Arguments:
        access: its certificates; ``insecure`` for none.
        host: the address to listen at; empty: all of this machine's, without TLS only the loopback.
        port: the port; 0 takes a free one.
        ready: is told the address that workers and callers give.

    Raises ``UsageError`` when the extra or the certificates are missing, or the port is taken.
    """
    refuse_without_dask()
    import dask
    from distributed import Scheduler

    tls = not access.insecure
    security = access.security("scheduler") if tls else None
    place: dict[str, Any] = {
        "protocol": "tls" if tls else "tcp",
        "port": port,
        "host": host or (None if tls else "127.0.0.1"),
    }

    async def serve() -> None:
        asked = _Asked()
        # a task whose worker is gone is never given to another one by Dask itself
        async with Scheduler(security=security, allowed_failures=0, **place, **_NO_PAGES) as scheduler:
            ready(str(scheduler.address))
            await asked.first.wait()

    with dask.config.set(_QUIET):
        try:
            asyncio.run(serve())
        except (OSError, RuntimeError) as error:  # Dask's word for whatever kept it from starting
            where = f"{host or '*'}:{port}"
            raise UsageError(f"cannot listen at {where}", seen=str(error.__cause__ or error)) from error


def serve_worker(
    address: str,
    access: Access,
    *,
    sites: Sequence[str],
    jobs: int,
    records: Path,
    name: str = "",
    ready: Callable[[str], None],
) -> bool:
    """Be a worker of a fleet until Ctrl-C or termination, or until the scheduler is gone.

    It ends in order: no further job begins, the runs are stopped and their records closed, sealed and sent; asked a
    second time, the runs are killed after a moment. It does not come back by itself.

    Arguments:
        address: the scheduler's.
        access: how to speak to it.
        sites: the networks from which customers are reached here.
        jobs: how many at once.
        records: the folder of the records made here.
        name: its name, unlike every other worker's; this machine's, with the sites.
        ready: is told the name when the scheduler has taken it.

    Returns whether it was asked to end. Raises ``UsageError`` as :func:`serve_scheduler`, ``ConnectionFailed`` when the
    scheduler does not answer or does not take it.
    """
    security = access.to(address, "worker")
    import dask
    from distributed import Worker

    from umkit.fleet.worker import Hands, resources

    hands = Hands(records)
    called = name or "-".join((platform.node(), *sites))

    async def serve(scratch: str) -> bool:
        asked = _Asked()
        worker = Worker(
            address,
            name=called,
            nthreads=jobs,
            resources=resources(sites, jobs),
            security=security,
            plugins=(hands,),
            memory_limit=0,  # what needs memory are the child processes, of which Dask knows nothing
            local_directory=scratch,
            death_timeout=_CONNECT,
            **_NO_PAGES,
        )
        try:
            await worker
        except Exception as error:
            raise ConnectionFailed(
                f"the scheduler at {address} did not take this worker",
                seen=str(error.__cause__ or error),
                next="check that it runs (umkit fleet scheduler), its address, the firewall, the certificates, and "
                "that no other worker has the same --name",
            ) from error
        try:
            ready(called)
            over = [asyncio.ensure_future(each) for each in (worker.finished(), asked.first.wait())]
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
            if asked.first.is_set() and worker.status.name == "running":
                with contextlib.suppress(OSError):  # the scheduler is going too
                    await worker.set_resources(**dict.fromkeys(resources(sites, jobs), 0))
            hands.stop()
            await _until_idle(hands, asked)
        finally:
            await worker.close()
        return asked.first.is_set()

    with dask.config.set({**_QUIET, "distributed.worker.profile.enabled": False}), _scratch() as scratch:
        return asyncio.run(serve(scratch))


async def _until_idle(hands: Hands, asked: _Asked) -> None:
    """Wait for the runs; each ends by itself when it is stopped, and is killed when it does not."""
    for _ in range(int(3 * GRACE / _LOOK)):
        if not hands.busy:
            return
        if asked.second.is_set():
            hands.stop(hurry=True)
        await asyncio.sleep(_LOOK)


class _Asked:
    """Ctrl-C or termination: once, and a second time."""

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGBREAK")):
            if number is not None:
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._again))

    def _again(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


def _scratch() -> Any:
    return tempfile.TemporaryDirectory(prefix="umkit-fleet-", ignore_cleanup_errors=True)
