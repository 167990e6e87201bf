"""Cmdlets of the Microsoft.Exchange endpoint, one noun a file."""
