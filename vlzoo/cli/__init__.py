"""The command line: one file a sub-command, imported only when it is called."""

from __future__ import annotations

from vlzoo.cli.main import main

__all__ = ["main"]
