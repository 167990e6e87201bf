"""Customer file and secrets: valid, and every reference leads somewhere."""

from __future__ import annotations

from umkit.errors import SecretError
from umkit.outcome import Report
from umkit.site import Site


class CustomerSecrets:
    """Resolve every secret reference once, and forget the values; contacts nothing."""

    def run(self, site: Site) -> Report:
        """One finding for the file and one for each reference."""
        report = Report()
        report.add("ok", f"the inputs of {site.inputs.customer.name} are valid")
        for key, reference in site.inputs.references().items():
            try:
                reference.resolve(interactive=site.interactive)
            except SecretError as error:
                report.add("failed", f"{key}: {error.what}", error.next)
            else:
                report.add("ok", f"{key}: {reference} can be resolved")
        return report
