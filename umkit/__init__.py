"""umkit: a provable runbook between a unified-messaging server and Exchange."""

__version__ = "0.1.0"
