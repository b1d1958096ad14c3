"""METEOR and SPICE, which are Java programs: by pycocoevalcap, where it and Java are there.

METEOR: Denkowski and Lavie, WMT 2014. SPICE: Anderson et al., ECCV 2016.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "pycocoevalcap"
SPICE_MODELS = "stanford-corenlp-3.6.0-models.jar"
"""SPICE's package fetches it (400 MB) when it is first used; nothing is fetched here."""


def by_java(said: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[dict[str, float], list[str]]:
    """METEOR and SPICE of all captions in percent, by name, and a line for what is missing.

    Args:
        said: a caption a picture, as words, [N].
        references: the captions of each picture.
    """
    spec = find_spec(PACKAGE)
    if spec is None:
        return {}, [f"no METEOR and SPICE: {PACKAGE} is not installed (pip install 'vlzoo[captions]')"]
    if shutil.which("java") is None:
        return {}, ["no METEOR and SPICE: they are Java programs, and there is no java"]
    found, notes = {}, []
    modules = {"METEOR": "meteor.meteor:Meteor", "SPICE": "spice.spice:Spice"}
    folder = Path((spec.submodule_search_locations or [""])[0], "spice", "lib")
    if not (folder / SPICE_MODELS).is_file():
        modules.pop("SPICE")
        notes.append(f"no SPICE: {SPICE_MODELS} is not in {PACKAGE}/spice/lib, where its own evaluation puts it")
    for metric, target in modules.items():
        try:
            found[metric] = 100 * _measured(target, said, references)
        except (ImportError, OSError, ValueError, subprocess.SubprocessError) as error:
            notes.append(f"no {metric}: its Java program failed: {error}")
    return found, notes


def _measured(target: str, said: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    module, _, name = target.partition(":")
    judge = getattr(import_module(f"{PACKAGE}.{module}"), name)()
    numbered = dict(enumerate(map(list, references)))
    value, _ = judge.compute_score(numbered, {number: [text] for number, text in enumerate(said)})
    return float(value)
