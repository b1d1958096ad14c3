"""Options are read from source: signatures, dataclasses, inheritance, re-exports; nothing is imported."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from vlzoo.door.options import check_names, schema_of, source_file
from vlzoo.door.parts import Option, Owner, Part
from vlzoo.errors import UnknownName

NAME = iter(range(1000))


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a package whose import would fail; returns its name."""

    def write(**files: str) -> str:
        name = f"options_sample_{next(NAME)}"
        (tmp_path / name).mkdir()
        for file, text in {"__init__": "", **files}.items():
            (tmp_path / name / f"{file}.py").write_text(f"raise RuntimeError('imported')\n{dedent(text)}")
        monkeypatch.syspath_prepend(str(tmp_path))
        return name

    return write


def options(target: str) -> list[tuple[str, str, str | None, str]]:
    return [(o.name, o.type, o.default, o.about) for o in schema(target).options]


def schema(target: str):
    return schema_of(Part("mixer", "m", target, "x", Owner("mine", "1", "mine")))


def test_keywords_types_defaults_and_descriptions_come_from_the_constructor(module):
    name = module(
        a='''
        class Loss:
            """Pulls pairs together.

            Args:
                temperature: divides the similarities,
                    as the paper does.
                keep (float): the share kept.

            Raises:
                ValueError: never an option.
            """

            def __init__(self, spec, /, temperature: float = 0.07, *, keep: "float | None" = None, mode): ...
        '''
    )
    assert options(f"{name}.a:Loss") == [
        ("spec", "", None, ""),
        ("temperature", "float", "0.07", "divides the similarities, as the paper does."),
        ("keep", "float | None", "None", "the share kept."),
        ("mode", "", None, ""),
    ]
    assert schema(f"{name}.a:Loss").doc == "Pulls pairs together."
    assert name not in sys.modules


def test_functions_dataclasses_and_inner_classes(module):
    name = module(
        a="""
        from dataclasses import dataclass

        def make(*, size: int = 3): ...

        @dataclass(frozen=True)
        class Data:
            root: str
            split: str = "train"

        class Outer:
            class Inner:
                def __init__(self, depth: int): ...
        """
    )
    assert options(f"{name}.a:make") == [("size", "int", "3", "")]
    assert options(f"{name}.a:Data") == [("root", "str", None, ""), ("split", "str", "'train'", "")]
    assert options(f"{name}.a:Outer.Inner") == [("depth", "int", None, "")]


def test_a_class_without_a_constructor_takes_its_bases_options(module):
    name = module(
        base="""
        class Base:
            def __init__(self, *, width: int = 8): ...
        """,
        a="""
        from .base import Base
        from torch import nn

        class Child(Base): ...
        class Wider(Base):
            def __init__(self, *, depth: int = 2, **rest): ...
        class Module(nn.Module): ...
        """,
    )
    assert options(f"{name}.a:Child") == [("width", "int", "8", "")]
    assert options(f"{name}.a:Wider") == [("depth", "int", "2", ""), ("width", "int", "8", "")]
    assert not schema(f"{name}.a:Wider").open
    assert (options(f"{name}.a:Module"), schema(f"{name}.a:Module").open) == ([], False)


def test_a_re_export_is_followed(module):
    name = module(deep="class Loss:\n    def __init__(self, *, keep: float = 1.0): ...\n")
    source = source_file(name)
    assert source is not None
    source.write_text("from .deep import Loss as Contrast\n")
    assert options(f"{name}:Contrast") == [("keep", "float", "1.0", "")]


@pytest.mark.parametrize("target", ["nowhere_at_all:X", "math:sqrt", "vlzoo.errors:NoSuchThing"])
def test_what_cannot_be_read_takes_anything(target):
    assert schema(target).open


def test_registered_options_win_over_the_signature(module):
    name = module(a="class Loss:\n    def __init__(self, **options): ...\n")
    given = (Option("keep", "float", "0.9"),)
    part = Part("mixer", "m", f"{name}.a:Loss", "x", Owner("mine", "1", "mine"), options=given)
    assert schema_of(part).options == given
    with pytest.raises(UnknownName, match=r"takes no option 'keeep'\n  -> did you mean 'keep'\?"):
        check_names(part, ["keeep"], where="mine.yaml:3")


def test_a_class_that_contains_itself_as_a_base_ends(module):
    name = module(a="class A(B): ...\nclass B(A): ...\n")
    assert options(f"{name}.a:A") == []
