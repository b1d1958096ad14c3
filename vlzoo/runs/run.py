"""The run folder: everything a run was made with and has made, asked by name; no path in it is known elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlzoo import __version__
from vlzoo.config.check import Checked, check_trained
from vlzoo.config.compose import read_extended
from vlzoo.config.resolved import whole
from vlzoo.config.schema import Recipe
from vlzoo.config.tree import Tree, written
from vlzoo.door.plugins import door, registry
from vlzoo.errors import CheckpointError, RecipeError, TrainingError
from vlzoo.files import read_object, write_text, writing
from vlzoo.runs.card import WeightsCard
from vlzoo.runs.complete import complete
from vlzoo.runs.log import Log
from vlzoo.runs.manifest import explained

if TYPE_CHECKING:
    from torch import Tensor

    from vlzoo.runs.checkpoint import Checkpoint
    from vlzoo.text.tokenizer import Tokenizer

GO_ON = "make room, then go on with --resume"


class Run:
    """One run's folder.

    >>> Run(Path("nowhere")).exists()
    False
    >>> Run(Path("runs/a")).finetuned("vqa").folder.as_posix()
    'runs/a/finetune/vqa'

    Attributes:
        folder: where it lies.
        unreadable: the list of samples that data workers could not read.
        spikes: the log of losses that jumped.
        validation_folder: predictions of a validation that is under way.
        checkpoint_folder: where those lie that were saved, each in a folder of its own.
        processes: signs of life of the processes that train it together.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unreadable, self.validation_folder = folder / "unreadable.jsonl", folder / "validation"
        self._recipe, self._about, self._card = (folder / f for f in ("recipe.yaml", "run.json", "card.json"))
        self._tokenizer, self._task, self._start = (folder / f for f in ("tokenizer", "task.json", "start.json"))
        self._log, self.spikes = (Log(folder / name, GO_ON) for name in ("metrics.jsonl", "spikes.jsonl"))
        self.processes, self.checkpoint_folder = folder / "processes", folder / "checkpoints"
        self._finetuned, self._bench = folder / "finetune", folder / "bench"

    def exists(self) -> bool:
        """Whether the folder is a run's."""
        return self._recipe.is_file()

    def is_ours(self) -> bool:
        """Whether vlzoo wrote it: a `recipe.yaml` may be anybody's."""
        if not self.exists() or not self._about.is_file():
            return False
        return " by vlzoo " in self._recipe.read_text(encoding="utf-8", errors="replace").partition("\n")[0]

    def holds_results(self) -> bool:
        """Whether something was fine-tuned or measured from it."""
        return self._finetuned.exists() or self._bench.exists()

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def clear(self) -> None:
        """Delete all that vlzoo put into the folder; what others put there stays.

        Raises:
            TrainingError: the system refused.
        """
        made = (self._recipe, self._about, self._card, self._tokenizer, self._task, self._start, self.unreadable)
        folders = (self.checkpoint_folder, self.validation_folder, self.processes, self._finetuned, self._bench)
        with writing(self.folder, "the run that is to be overwritten", TrainingError, "choose another --out"):
            for held in (*made, self._log.file, self.spikes.file, *folders, *self.folder.glob(".*.tmp")):
                shutil.rmtree(held) if held.is_dir() else held.unlink(missing_ok=True)

    # What the run was made with.

    def describe(self, checked: Checked, how: str, about: Mapping[str, Any]) -> None:
        """Write the recipe and what else is known at the start.

        Args:
            checked: the recipe.
            how: what became of it: `resolved`, `converted`.
            about: plain values.

        Raises:
            OSError: the system refused.
        """
        header = f"# {checked.name}, {how} by vlzoo {__version__}: every value written out.\n"
        write_text(self._recipe, header + written(whole(checked.recipe)))
        write_text(self._about, json.dumps(dict(about), indent=1))

    def tree(self) -> Tree:
        """The recipe as plain data with its lines.

        Raises:
            CheckpointError: the folder is no run.
        """
        self._require()
        return read_extended(self._recipe, ())

    def _require(self) -> None:
        if not self.exists():
            what = "there is no such folder" if not self.folder.exists() else "is not a run: it has no recipe.yaml"
            raise CheckpointError(f"{str(self.folder)!r}: {what}", fix="give what `vlzoo pretrain --out` made")

    def recipe(self) -> Recipe:
        """The resolved recipe the run was made with.

        Raises:
            CheckpointError: the folder is no run.
            RecipeError: a plugin that it was trained with is missing; says which, and its version.
        """
        return self.checked().recipe

    def checked(self) -> Checked:
        """As `recipe`, with where each value stands."""
        self._require()
        try:
            return check_trained(self._recipe)
        except RecipeError as error:
            raise explained(error, self.tree(), self.noted()) from None

    def noted(self) -> dict[str, Any]:
        """What is known of the run beside its recipe."""
        return _held(self._about) or {}

    def note(self, **values: Any) -> None:
        """Add to what is known of the run."""
        _keep(self._about, {**self.noted(), **values}, "the run's description", GO_ON)

    def card(self) -> WeightsCard | None:
        """The card of converted weights; None where vlzoo trained them.

        Raises:
            CheckpointError: it can't be read.
        """
        return WeightsCard.read(self._card) if self._card.is_file() else None

    def keep_card(self, card: WeightsCard) -> None:
        """Write the card.

        Raises:
            OSError: the system refused.
        """
        write_text(self._card, card.text())

    # What it learned of its data, and where its weights came from, before the first update.

    def has_tokenizer(self) -> bool:
        """Whether the tokenizer is kept already."""
        from vlzoo.text.tokenizer import VOCAB, WHOLE  # here and below: a run is shown without torch

        return any((self._tokenizer / name).is_file() for name in (VOCAB, WHOLE))

    def keep_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Keep the tokenizer.

        Raises:
            DataError: the system refused.
        """
        tokenizer.save(self._tokenizer)

    def tokenizer(self, recipe: Recipe | None = None) -> Tokenizer:
        """The tokenizer that is kept, with the settings of the run's recipe.

        Args:
            recipe: the run's, where it has been read already.

        Raises:
            CheckpointError: the folder is no run.
            DataError: none is kept, or it can't be read.
        """
        wanted = (recipe or self.recipe()).tokenizer
        made: Tokenizer = registry().build("tokenizer", wanted.part, vocab=str(self._tokenizer), **wanted.options)
        return made

    def task_state(self) -> dict[str, Any] | None:
        """What the run's task learned of the training data; None where nothing is kept."""
        return _held(self._task)

    def keep_task(self, state: Mapping[str, Any]) -> None:
        """Keep what the task learned of the training data.

        Raises:
            TrainingError: the system refused.
        """
        _keep(self._task, state, "what the task learned of the data")

    def start_report(self) -> dict[str, Any] | None:
        """What filled the model before the first update, and what was left fresh; None where nothing is kept."""
        return _held(self._start)

    def keep_start(self, report: Mapping[str, Any]) -> None:
        """Keep what filled the model.

        Raises:
            TrainingError: the system refused.
        """
        _keep(self._start, report, "what the weights started from")

    # What training makes.

    def checkpoints(self) -> list[Checkpoint]:
        """The complete checkpoints, oldest first."""
        from vlzoo.runs.checkpoint import checkpoints

        return checkpoints(self.checkpoint_folder)

    def saved_steps(self) -> list[int]:
        """The steps of the complete checkpoints, oldest first; told without torch."""
        return list(complete(self.checkpoint_folder))

    def latest(self) -> Checkpoint:
        """The newest checkpoint.

        Raises:
            CheckpointError: the folder is no run, or holds none.
        """
        self._require()
        found = self.checkpoints()
        if not found:
            raise CheckpointError(f"{str(self.folder)!r} holds no checkpoint yet", fix="train it first, with --resume")
        return found[-1]

    def save(
        self,
        step: int,
        files: Mapping[str, Mapping[str, Tensor]],
        state: Mapping[str, Any],
        *,
        keep: int,
        spare: int | None = None,
    ) -> Checkpoint:
        """Write a checkpoint, all of it or nothing; older ones than `keep` are removed, but that of step `spare`.

        Raises:
            TrainingError: the disk is full or can't be written; the checkpoints before are untouched.
        """
        from vlzoo.runs.checkpoint import save

        return save(self.checkpoint_folder, step, files, state, keep, spare)

    def log(self, row: Mapping[str, Any]) -> None:
        """Append one row to the metrics."""
        self._log.append(row)

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of the metrics.

        Raises:
            CheckpointError: a line is no row.
        """
        return self._log.rows()

    def rewind(self, step: int) -> None:
        """Drop what is logged of updates that a resumed run makes again."""
        self._log.rewind(step)
        self.spikes.rewind(step)

    def watch(self, event: str, values: Mapping[str, Any]) -> None:
        """Tell observers (`vlzoo_watch`); one that fails does not stop the run."""
        door().notify("vlzoo_watch", event=event, run=self.folder, values=values)

    # Where others write.

    def finetuned(self, task: str) -> Run:
        """The run that was, or is to be, fine-tuned for a task from this one."""
        return Run(self._finetuned / task)

    def finetunings(self) -> list[Run]:
        """The runs that were fine-tuned from this one into its own folder."""
        return [found for each in sorted(self._finetuned.glob("*")) if (found := Run(each)).exists()]

    def bench_folder(self, *parts: str) -> Path:
        """Where predictions and figures lie: of a task, under a key."""
        return self._bench.joinpath(*parts)


def _held(file: Path) -> dict[str, Any] | None:
    return read_object(file, "put back the file that was there, or train again") if file.is_file() else None


def _keep(file: Path, values: Mapping[str, Any], what: str, fix: str = "") -> None:
    with writing(file, what, TrainingError, *filter(None, [fix])):
        write_text(file, json.dumps(dict(values), indent=1))
