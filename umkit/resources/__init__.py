"""Wanted states, one noun a file: each a table of properties for the engine."""
