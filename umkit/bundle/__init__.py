"""Job bundles: one run, packed and signed, for a machine that nobody here can reach.

A bundle is a zip file (:mod:`umkit.archive`) that holds::

    bundle.dsse.json           the signed statement: what is to be done, and every other file with its SHA-256
    README.txt                 for whoever carries it: what it is, and how to run it
    parameters/<customer>.yaml the customer file, byte for byte; secrets are references, as in any customer file
    runbooks/<chapter>.ipynb   the notebooks that the run executes
    plan.json                  the plan that an apply is held to, if any

The statement is an in-toto Statement in a DSSE envelope (:mod:`umkit.dsse`), signed by whoever packed the job. The
bundle's notebooks are programs, so none of it is used before the signature holds for a key that is trusted.
"""

from umkit.bundle.job import STATEMENT, VERBS, Bundle, Job, open_bundle, read_job
from umkit.bundle.packing import pack
from umkit.bundle.returning import Returned, bring_back
from umkit.bundle.running import Ran, run_bundle

__all__ = [
    "STATEMENT",
    "VERBS",
    "Bundle",
    "Job",
    "Ran",
    "Returned",
    "bring_back",
    "open_bundle",
    "pack",
    "read_job",
    "run_bundle",
]
