"""CIM classes of a Windows host, one a file."""
