"""`python -m vlzoo`."""

from vlzoo.cli.main import main

main()
