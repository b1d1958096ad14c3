"""The run folder: recipe, environment, metrics, checkpoints; everything needed to know what a run was."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vlzoo import __version__
from vlzoo.config.check import Checked, check
from vlzoo.config.compose import read_extended
from vlzoo.config.schema import Recipe
from vlzoo.config.tree import leaves, written
from vlzoo.errors import CheckpointError, TrainingError
from vlzoo.door.plugins import door
from vlzoo.files import write_text, writing
from vlzoo.runs.checkpoint import latest
from vlzoo.text.tokenizer import Tokenizer

PACKAGES = ("torch", "torchvision", "timm", "transformers", "numpy", "pillow", "safetensors")

GO_ON = "make room, then go on with --resume"


class Run:
    """One run's folder.

    Attributes:
        folder: where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def start(cls, folder: Path, checked: Checked, *, resume: bool) -> Run:
        """Make a run's folder, or take up one that was interrupted.

        Raises:
            TrainingError: the folder holds something and `resume` is not given, or can't be written.
            CheckpointError: it holds a run of another recipe; says what differs.
        """
        run = cls(folder)
        there = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
        if there and not (folder / "recipe.yaml").is_file():
            raise TrainingError(f"{str(folder)!r} is there already and is no run", fix="choose another --out")
        if there and not resume:
            raise TrainingError(
                f"{str(folder)!r} holds a run already", fix="add --resume to go on, or choose another --out"
            )
        if there:
            run.same_recipe(checked.recipe)
            return run
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / "recipe.yaml", _header(checked) + dump(checked.recipe))
            write_text(folder / "run.json", json.dumps(_manifest(checked), indent=1))
        except OSError as error:
            raise TrainingError(
                f"{str(folder)!r} can't be written: {error.strerror}", fix="choose another --out"
            ) from error
        return run

    def recipe(self) -> Recipe:
        """The resolved recipe the run was made with.

        Raises:
            CheckpointError: the folder is no run.
        """
        file = self.folder / "recipe.yaml"
        if not file.is_file():
            what = "there is no such folder" if not self.folder.exists() else "is not a run: it has no recipe.yaml"
            raise CheckpointError(
                f"{str(self.folder)!r}: {what}", fix="give the folder that `vlzoo pretrain --out` made"
            )
        return check(read_extended(file, ()), str(file)).recipe

    def tokenizer(self) -> Tokenizer:
        """The tokenizer kept in the folder."""
        wanted = self.recipe().tokenizer
        file = self.folder / "tokenizer" / "vocab.txt"
        return Tokenizer.from_file(file, sep=wanted.sep, max_length=wanted.max_length)

    def task_state(self) -> dict[str, Any]:
        """What the run's task learned of the training data; empty where it learned nothing."""
        file = self.folder / "task.json"
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return state

    def weights_hash(self) -> str:
        """A hash of the newest weights, 16 hex digits."""
        with (latest(self.folder).folder / "system.safetensors").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]

    def finetuned(self, task: str) -> Run:
        """The run that was fine-tuned for a task inside this one; it may not be there."""
        return Run(self.folder / "finetune" / task)

    def same_recipe(self, recipe: Recipe) -> None:
        """Refuse to go on with another recipe.

        Raises:
            CheckpointError: names what differs, with both values.
        """
        old, new = (dict(leaves(each.model_dump(mode="json"))) for each in (self.recipe(), recipe))
        # What moves no weight: how a run is kept, and what is said about it.
        free = {("train", name) for name in ("workers", "log_every", "save_every", "keep")}
        keys = [key for key in old.keys() | new.keys() if key not in free and key[0] not in ("about", "paper", "needs")]
        differs = [key for key in sorted(keys, key=str) if old.get(key) != new.get(key)]
        if differs:
            lines = [f"{'.'.join(map(str, k))}: {old.get(k)!r} there, {new.get(k)!r} here" for k in differs[:5]]
            raise CheckpointError(
                f"{str(self.folder)!r} was trained with another recipe: " + "; ".join(lines),
                fix="resume with the recipe it was started with, or choose another --out",
            )

    def log(self, row: Mapping[str, Any]) -> None:
        """Append one row to metrics.jsonl."""
        path = self.folder / "metrics.jsonl"
        with writing(path, "the metrics", TrainingError, GO_ON), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(row)) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl; a line cut off by a kill is left out."""
        file = self.folder / "metrics.jsonl"
        lines = file.read_text(encoding="utf-8").split("\n") if file.is_file() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def rewind(self, step: int) -> None:
        """Drop the metrics of updates that a resumed run makes again."""
        if not (self.folder / "metrics.jsonl").is_file():
            return
        kept = [row for row in self.metrics() if row.get("step", 0) <= step]
        path = self.folder / "metrics.jsonl"
        with writing(path, "the metrics", TrainingError, GO_ON):
            write_text(path, "".join(json.dumps(row) + "\n" for row in kept))

    def noted(self) -> dict[str, Any]:
        """What run.json holds."""
        file = self.folder / "run.json"
        held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return held

    def note(self, **values: Any) -> None:
        """Add to run.json."""
        file, known = self.folder / "run.json", self.noted()
        with writing(file, "the run's description", TrainingError, GO_ON):
            write_text(file, json.dumps({**known, **values}, indent=1))

    def watch(self, event: str, values: Mapping[str, Any]) -> None:
        """Tell observers (`vlzoo_watch`); one that fails does not stop the run."""
        door().notify("vlzoo_watch", event=event, run=self.folder, values=values)


def dump(recipe: Recipe) -> str:
    """A recipe as YAML, every value written out."""
    return written(recipe.model_dump(mode="json"))


def _header(checked: Checked) -> str:
    return f"# {checked.name}, resolved by vlzoo {__version__}: every value written out.\n"


def _manifest(checked: Checked) -> dict[str, Any]:
    plugins = {p.owner.entry: str(p.owner) for p in door().plugins if p.loaded}
    return {
        "recipe": checked.name,
        "vlzoo": __version__,
        "commit": _commit(),
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": checked.recipe.train.seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "plugins": plugins,
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    here = Path(__file__).resolve().parent
    try:
        told = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip()
