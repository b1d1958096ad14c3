"""What the readers of task data share: where annotations and pictures lie, and texts without pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from vlzoo.data.expected import Expected
from vlzoo.data.images import FileImage
from vlzoo.data.sources import Source


class TaskSource(Source):
    """The base class of the readers of questions, sentences and expressions about pictures.

    Attributes:
        folders: folders below the root in which annotation files are looked for, in this order.
        picture_folders: folders below the root in which pictures usually lie; the first that is there counts.

    Args:
        root: the folder that holds the data.
        annotations: folder below the root that holds the annotation files; empty: the usual ones are tried.
        images: folder below the root that holds the pictures; empty: the usual ones are tried.
        pictures: False reads texts and labels alone; samples then have no picture, and no folder of them is needed.
    """

    folders: ClassVar[tuple[str, ...]] = ("", "annotations")
    picture_folders: ClassVar[tuple[str, ...]] = ("images",)

    def __init__(
        self, root: str | Path, *, annotations: str = "", images: str = "", pictures: bool = True, **options: Any
    ) -> None:
        super().__init__(root, **options)
        self.annotations, self.images, self.pictures = annotations, images, pictures

    def located(self, *names: str) -> str:
        """The first of several accepted annotation files that is there, plain or gzipped, as a path below the root.

        Where none is there it is the first name in the first folder, to be named as missing.
        """
        folders = (self.annotations,) if self.annotations else self.folders
        choices = [joined(folder, name + ending) for name in names for folder in folders for ending in ("", ".gz")]
        return next((path for path in choices if Path(self.root, path).is_file()), choices[0])

    def place(self, path: str) -> Path:
        """The file at `path` below the root."""
        return Path(self.root, path)

    def picture_folder(self) -> str:
        """The folder of pictures below the root; the first usual one where none is there."""
        if self.images:
            return self.images
        usual = self.picture_folders
        return next((folder for folder in usual if Path(self.root, folder).is_dir()), usual[0])

    def expected(self, files: Iterable[Expected], about: str = "the pictures") -> list[Expected]:
        """`files`, and the folder of pictures where pictures are wanted."""
        return [*files, *([Expected(self.picture_folder(), about, "folder")] if self.pictures else [])]

    def shown(self, *paths: str) -> tuple[FileImage, ...]:
        """The pictures at `paths` below the root; none where only texts are wanted."""
        return tuple(FileImage(self.root, path) for path in paths) if self.pictures else ()


class ArchivedSource(TaskSource):
    """Task data whose pictures lie in `SPLIT/images`, or all of a split in the archive `SPLIT_images.zip`."""

    def archive(self) -> str | None:
        """The archive of the split's pictures below the root, where there is one."""
        name = joined(self.images, f"{self.split}_images.zip")
        return name if Path(self.root, name).is_file() else None

    def picture_folder(self) -> str:
        """The split's folder of pictures."""
        return joined(self.images, f"{self.split}/images")

    def expected(self, files: Iterable[Expected], about: str = "the pictures") -> list[Expected]:
        """`files`, and the archive or else the folder of pictures where pictures are wanted."""
        archive = self.archive()
        if archive and self.pictures:
            return [*files, Expected(archive, about, hashed=False)]
        return super().expected(files, about)


def joined(folder: str, name: str) -> str:
    """`folder/name`, or `name` where the folder is the root itself."""
    return f"{folder.rstrip('/')}/{name}" if folder not in ("", ".") else name
