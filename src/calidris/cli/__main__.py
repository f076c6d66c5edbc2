"""``python -m calidris.cli``."""

from calidris.cli import main

main()
