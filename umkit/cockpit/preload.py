"""What a kernel imports before it answers, so that a chapter's first cell need not: the runbook and its panels."""

from __future__ import annotations

from importlib import import_module

from umkit.customer.documents import schema

for _name in ("runbook", "panels.head", "panels.form", "panels.step", "panels.manual", "panels.end"):
    import_module(f"umkit.{_name}")
schema()  # made of the models once; the form asks for it
