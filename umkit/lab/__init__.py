"""A simulated Exchange organisation with its Windows hosts, on loopback."""

from umkit.lab.server import Lab

__all__ = ["Lab"]
