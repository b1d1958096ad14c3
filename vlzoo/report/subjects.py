"""What is compared: runs by their folders, with all that was measured of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlzoo.errors import CheckpointError, PredictionError, UnknownName, VlzooError, did_you_mean, nearest
from vlzoo.runs.run import Run
from vlzoo.runs.scores import Measurement, measurements


@dataclass(frozen=True)
class Subject:
    """A run with its figures.

    >>> Subject("runs/a", ()).tasks
    []

    Attributes:
        name: the folder as it was named.
        measured: what was measured of it and of what was fine-tuned from it, each the newest first.
    """

    name: str
    measured: tuple[Measurement, ...]

    @property
    def run(self) -> Run:
        """Its folder; that of another model's predictions is no run (`Run.exists`)."""
        return Run(Path(self.name))

    @property
    def tasks(self) -> list[str]:
        """The tasks that it was measured on, in the order of their names."""
        return sorted({each.task for each in self.measured})

    def on(self, task: str) -> list[Measurement]:
        """What was measured on a task, the newest first."""
        found = [each for each in self.measured if each.task == task]
        return sorted(found, key=lambda each: -each.file.stat().st_mtime_ns)


def subjects(names: Sequence[str], *, unmeasured: bool = False) -> list[Subject]:
    """The runs of some folders.

    Args:
        names: folders of runs, of one fine-tuning (`RUN/finetune/vqa`), or of predictions (`--out`, `bench-MODEL`).
        unmeasured: take runs without any figure, too.

    Raises:
        CheckpointError: a folder that is not there or is no run's; names the nearest.
        PredictionError: figures that can't be read, or a run that was never measured.
        VlzooError: a run is named twice.
    """
    seen: dict[Path, str] = {}
    for name in names:
        place = Path(name).resolve()
        if place in seen:
            both = f"{seen[place]!r} and {name!r} are one folder" if seen[place] != name else f"{name!r} is named twice"
            raise VlzooError(f"{both}: a run does not differ from itself", fix="name each run once")
        seen[place] = name
    found = [Subject(name, tuple(_measured(name))) for name in names]
    for each in found:
        if not (each.measured or unmeasured):
            raise PredictionError(f"{each.name!r}{without_figures(each)}", fix=remedy(each))
    return found


def tasks_of(compared: Sequence[Subject], wanted: str | None = None) -> list[str]:
    """The tasks that any of some runs was measured on; or the one that is wanted.

    Raises:
        UnknownName: none of them was measured on it.
    """
    known = sorted({task for each in compared for task in each.tasks})
    if wanted is not None and wanted not in known:
        fix = did_you_mean(wanted, known, what="tasks that were measured")
        raise UnknownName(f"none of these runs was measured on {wanted!r}", fix=fix)
    return known if wanted is None else [wanted]


def _measured(name: str) -> Iterator[Measurement]:
    folder = Path(name)
    run = Run(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{name!r}: {_absent(folder)}", fix=_near(folder))
    if not run.exists() and not run.bench_folder().is_dir():
        what = f"{name!r} is no run: it has neither a recipe.yaml nor figures of `vlzoo bench`"
        raise CheckpointError(what, fix=_near(folder))
    yield from (measured for each in (run, *run.finetunings()) for measured in measurements(each))


def without_figures(subject: Subject) -> str:
    """Why a run has no figures, to stand behind its name."""
    if begun := _begun(subject):
        return f": its bench on {', '.join(begun)} did not come to its end: predictions, and no figures"
    return " was never measured: no figures of `vlzoo bench` lie in it"


def remedy(subject: Subject) -> str:
    """What gives a run figures."""
    if begun := _begun(subject):
        return f"bench {', '.join(begun)} again; it goes on where it stopped"
    how = f"--run {subject.name}" if subject.run.exists() else "--model MODEL --out " + subject.name
    return f"vlzoo bench TASK {how}; `vlzoo list task` names the tasks"


def _begun(subject: Subject) -> list[str]:
    """The tasks that there are predictions of."""
    runs = (subject.run, *subject.run.finetunings())
    return sorted({file.parts[-3] for each in runs for file in _predictions(each)})


def _predictions(run: Run) -> Iterator[Path]:
    return run.bench_folder().glob("*/*/shard-*.jsonl")


def _absent(folder: Path) -> str:
    if folder.exists():
        return "a file is there, and a run is a folder"
    model = "; figures of a model lie in bench-MODEL, or where --out said" if ":" in folder.name else ""
    return f"there is no such folder{model}"


def _near(folder: Path) -> str:
    """The runs that lie where one was looked for, the one of the nearest name first."""
    beside = folder.parent if folder.parent.is_dir() else Path()
    inside = [folder] if folder.is_dir() else []
    runs = [each for place in (*inside, beside) for each in sorted(place.glob("*")) if _is_measurable(each)]
    if not runs:
        return "give folders that `vlzoo pretrain --out` made and `vlzoo bench` measured"
    guess = nearest(folder.name, [each.name for each in runs])
    first = next((f"did you mean {str(each)!r}? " for each in runs if each.name == guess), "")
    return f"{first}(runs there: {', '.join(map(str, runs[:8]))}{', ...' if len(runs) > 8 else ''})"


def _is_measurable(folder: Path) -> bool:
    return folder.is_dir() and (Run(folder).exists() or Run(folder).bench_folder().is_dir())
