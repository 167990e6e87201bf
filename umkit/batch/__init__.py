"""Many customers: a run for each, in processes of their own, on this machine or on others."""

from umkit.batch.batch import Batch, BatchSummary, find, on_this_machine
from umkit.batch.job import Job, JobEnd
from umkit.batch.worker import Stop

__all__ = ["Batch", "BatchSummary", "Job", "JobEnd", "Stop", "find", "on_this_machine"]
