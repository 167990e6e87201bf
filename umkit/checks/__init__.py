"""Read-only findings, one noun a file.

A check is a class with ``run(site) -> Report``; it reads and never changes.
"""
