"""Trainings one after the other, in this process or in each that torchrun starts: `together.py JOBS.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vlzoo.cli.main import run

if __name__ == "__main__":
    for words in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        if code := run(words):
            sys.exit(code)
