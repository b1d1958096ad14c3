"""`vlzoo ask`: answers to questions about a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vlzoo.cli.model_options import asked_model, model_options
from vlzoo.cli.output import as_json, table


@click.command("ask")
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("questions", nargs=-1, required=True, metavar="QUESTION...")
@model_options
@click.option("--mode", default="", help="rank, generate or classify; what the model was trained for if not given.")
@click.option("--json", "json_", is_flag=True, help="Print JSON: question, answer, score, mode.")
def command(image: Path, questions: tuple[str, ...], mode: str, json_: bool, **named: Any) -> None:
    """Ask a trained model QUESTIONs about the picture in IMAGE."""
    model = asked_model(**named)
    found = model.answer(image, list(questions), **({"mode": mode} if mode else {}))
    assert isinstance(found, list)  # as questions are
    pairs = list(zip(questions, found, strict=True))
    if json_:
        as_json([{"question": said, "answer": a.text, "score": a.score, "mode": a.mode} for said, a in pairs])
    elif len(pairs) == 1:
        click.echo(pairs[0][1].text)
    else:
        table([[said, answer.text] for said, answer in pairs])
