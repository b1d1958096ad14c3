"""`python -m vlzoo`."""

from vlzoo.cli import main

main()
