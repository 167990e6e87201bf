"""Cmdlets of the Microsoft.PowerShell endpoint, one noun a file."""
