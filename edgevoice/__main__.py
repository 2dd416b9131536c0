"""``python -m edgevoice``, for where no console script lies."""

from edgevoice.cli import main

main()
