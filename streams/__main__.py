"""`python -m streams` is `touchstream`."""

from streams.cli import main

main()
