"""Behaviour tried for real, one noun a file.

A probe is a class with ``run(site) -> Report``. One that cannot run says why and
is never *ok*.
"""
