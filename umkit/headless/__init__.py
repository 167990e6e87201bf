"""Without a person: papermill's engine, and one run of a customer's chapters."""

from umkit.headless.engine import Engine
from umkit.headless.progress import Progress
from umkit.headless.results import ChapterSummary, RunSummary
from umkit.headless.run import folder, run, values_for

__all__ = ["ChapterSummary", "Engine", "Progress", "RunSummary", "folder", "run", "values_for"]
