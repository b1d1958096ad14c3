"""`vlzoo new`: a plugin of one's own, written out as a pip package that works."""

from __future__ import annotations

from pathlib import Path

import click

from vlzoo.cli.complete import completing, templates

ABOUT = """Write a pip package that supplies one part of KIND called NAME.

It holds an entry point, a small part that works, a recipe where one makes sense, a test that runs vlzoo's checks on the
part, and a README. After `pip install -e vlzoo-NAME` the part is listed, trains and is measured; then make it yours.

\b
KIND is one of these ('-' may stand for '_'):
  objective, method (a recipe with its objective), image_encoder, text_encoder,
  fusion, augmentation, rows, detector, data, task, adapter, token_mask, mixer,
  schedule, decay
NAME is lower-case words joined by '-' or '_': my-loss.
"""


@click.command("new", help=ABOUT)
@click.argument("kind", shell_complete=completing(templates))
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make; it must not be there [vlzoo-NAME].")
def command(kind: str, name: str, out: Path | None) -> None:
    """Write the package, and say what to do with it."""
    from vlzoo.scaffold.package import write_package

    folder, files = write_package(kind, name, out)
    click.echo(f"{folder}: " + ", ".join(files))
    recipe = " (and vlzoo check recipe.yaml)" if "recipe.yaml" in files else ""
    click.echo(f"now: pip install -e {folder}, then pytest {folder}{recipe}; its README.md tells the rest")
