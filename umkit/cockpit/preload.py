"""What a kernel imports before it answers, so that a chapter's first cell need not: the runbook and its panels."""

from umkit.customer.documents import schema

schema()  # made of the models once; the form asks for it
