"""Beyond one machine: the jobs of a batch on the workers of a Dask scheduler (the extra ``fleet``).

A caller hands a job to the scheduler; a worker at a site from which the customer is reached carries it out, in a child
process as on one machine, with a record in its own folder; the record is sealed there and brought home. Dask may hand a
task to a second worker when the first one is gone; so each job has a ticket at the scheduler, which can be taken only
once: by the worker that begins, or by the caller who calls the job back.

Whoever may speak to the scheduler may run any program on its workers. So all of them speak TLS with certificates of one
authority, each side showing its own, unless ``--insecure`` is given.
"""

from umkit.fleet.access import Access
from umkit.fleet.caller import joined
from umkit.fleet.serving import serve_scheduler, serve_worker

__all__ = ["Access", "joined", "serve_scheduler", "serve_worker"]
