"""``python -m umkit``."""

from umkit.cli import main

main()
