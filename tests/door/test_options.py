"""Options are read from source: signatures, dataclasses, inheritance, re-exports; nothing is imported."""

from __future__ import annotations

import inspect
import sys
from textwrap import dedent

import pytest

from vlzoo.door import source
from vlzoo.door.options import check_names, schema_of
from vlzoo.door.parts import Option, Owner, Part
from vlzoo.door.source import source_file
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
    return schema_of(Part("detector", "m", target, "x", Owner("mine", "1", "mine")))


def test_a_long_source_that_says_nothing_of_options_is_not_read(module, monkeypatch):
    """torch's modules: `vlzoo check` would parse them each time."""
    read, bindings = [], source._bindings
    monkeypatch.setattr(source, "_bindings", lambda file: read.append(file) or bindings(file))
    name = module(a="from torch import nn\n\nclass Loss(nn.Module):\n    def __init__(self, *, keep: int): ...\n")
    assert options(f"{name}.a:Loss") == [("keep", "int", None, "")]
    assert {file.parent.name for file in read} == {name}


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
    part = Part("detector", "m", f"{name}.a:Loss", "x", Owner("mine", "1", "mine"), options=given)
    assert schema_of(part).options == given
    with pytest.raises(UnknownName, match=r"takes no option 'keeep'\n  -> did you mean 'keep'\?"):
        check_names(part, ["keeep"], where="mine.yaml:3")


def test_a_class_that_contains_itself_as_a_base_ends(module):
    name = module(a="class A(B): ...\nclass B(A): ...\n")
    assert options(f"{name}.a:A") == []


BASE = """
class Base:
    def __init__(self, *, width: int = 8): ...
"""
WAYS = {
    "import of the package": "import PACKAGE.base\nclass Child(PACKAGE.base.Base): ...",
    "import under another name": "import PACKAGE.base as b\nclass Child(b.Base): ...",
    "from the package, the module": "from PACKAGE import base\nclass Child(base.Base): ...",
    "from a parent, relatively": "from . import base as b\nclass Child(b.Base): ...",
    "inside try": "try:\n    from .base import Base\nexcept ImportError:\n    Base = object\nclass Child(Base): ...",
    "inside except": (
        "try:\n    from nowhere_at_all import Base\nexcept ImportError:\n    from .base import Base\n"
        "class Child(Base): ..."
    ),
    "inside if": (
        "import sys\nif sys.version_info >= (3, 11):\n    from .base import Base\nelse:\n    from nowhere import Base\n"
        "class Child(Base): ..."
    ),
    "inside else of TYPE_CHECKING": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nowhere import Base\nelse:\n"
        "    from .base import Base\nclass Child(Base): ..."
    ),
    "with a star": "from .base import *\nclass Child(Base): ...",
    "with another name for it": "from . import base\nParent = base.Base\nclass Child(Parent): ...",
    "with a parameter": "from .base import Base\nclass Child(Base[int]): ...",
    "a class inside if": "from .base import Base\nif True:\n    class Child(Base): ...",
}


@pytest.mark.parametrize("text", WAYS.values(), ids=WAYS.keys())
def test_a_base_class_is_found_whichever_way_it_is_reached(module, text):
    name = module(base=BASE)
    source = source_file(name)
    assert source is not None
    (source.parent / "a.py").write_text(text.replace("PACKAGE", name))
    assert options(f"{name}.a:Child") == [("width", "int", "8", "")]
    assert not schema(f"{name}.a:Child").open


UNKNOWN = {
    "in no module there is": "from nowhere_at_all import Base\nclass Child(Base): ...",
    "imported for typing alone": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .base import Base\nclass Child(Base): ..."
    ),
    "made by a call": "def make(): ...\nclass Child(make()): ...",
    "built in": "class Child(dict): ...",
    "compiled": "import math\nclass Child(math.Base): ...",
    "below a known one": "from nowhere_at_all import Base\nclass Middle(Base): ...\nclass Child(Middle): ...",
    "before a known one": "from nowhere_at_all import Other\nfrom .base import Base\nclass Child(Other, Base): ...",
}


@pytest.mark.parametrize("text", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_a_part_with_a_base_that_cannot_be_found_takes_anything(module, text):
    name = module(base=BASE, a=text)
    assert schema(f"{name}.a:Child").open


def test_what_a_module_hands_out_when_asked_is_what_it_tells_type_checkers(module):
    """`vlzoo` itself does this: `from vlzoo import Objective` imports no torch until it is used."""
    name = module(base=BASE, a="from . import Base\nclass Child(Base): ...")
    source = source_file(name)
    assert source is not None
    source.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .base import Base\ndef __getattr__(name): ..."
    )
    assert options(f"{name}.a:Child") == [("width", "int", "8", "")]
    named = module(a="from vlzoo import Objective\nclass Mine(Objective): ...")
    assert (options(f"{named}.a:Mine"), schema(f"{named}.a:Mine").open) == ([], False)


def test_of_several_bases_python_s_order_decides(module):
    """C3: in `Child` the constructor of `Right` comes before that of `Top`, which both bases share."""
    name = module(
        a="""
        class Top:
            def __init__(self, *, top: int = 1): ...
        class Left(Top): ...
        class Right(Top):
            def __init__(self, *, right: int = 2): ...
        class Child(Left, Right): ...
        class Plain: ...
        class Mixed(Plain, Right): ...
        """
    )
    assert [option[0] for option in options(f"{name}.a:Child")] == ["right"]
    assert [option[0] for option in options(f"{name}.a:Mixed")] == ["right"]


def test_keywords_are_handed_on_along_the_bases_and_open_where_nobody_takes_them(module):
    name = module(
        a="""
        class Top:
            def __init__(self, *, top: int = 1): ...
        class Middle(Top):
            def __init__(self, *, middle: int = 2, **rest): ...
        class Child(Middle):
            def __init__(self, *, child: int = 3, **rest): ...
        class Alone:
            def __init__(self, *, keep: int = 3, **rest): ...
        """
    )
    assert [option[0] for option in options(f"{name}.a:Child")] == ["child", "middle", "top"]
    assert not schema(f"{name}.a:Child").open
    assert [option[0] for option in options(f"{name}.a:Alone")] == ["keep"]
    assert schema(f"{name}.a:Alone").open


def test_a_dataclass_takes_its_bases_fields_as_python_does(module):
    """The expected options are those of the constructor that `dataclasses` makes of the same source."""
    text = """
    import dataclasses
    from dataclasses import KW_ONLY, InitVar, dataclass, field
    from typing import ClassVar

    @dataclass
    class Top:
        root: str
        split: str = "train"
        kind: ClassVar[str] = "top"

    class Plain(Top):
        ignored: int = 3

    @dataclasses.dataclass(frozen=False)
    class Child(Plain):
        _: KW_ONLY
        size: int = 4
        split: str = "val"
        seed: InitVar[int] = 0
        made: int = field(default=0, init=False)
        names: list = field(default_factory=list)
        limit: int = dataclasses.field(default=5, kw_only=True)
    """
    name = module(a=text)
    held: dict = {"__name__": "sample"}
    exec(compile(dedent(text), "sample", "exec", dont_inherit=True), held)
    expected = list(inspect.signature(held["Child"]).parameters)
    assert sorted(option[0] for option in options(f"{name}.a:Child")) == sorted(expected)
    assert options(f"{name}.a:Child") == [
        ("root", "str", None, ""),
        ("split", "str", "'val'", ""),
        ("size", "int", "4", ""),
        ("seed", "int", "0", ""),
        ("names", "list", "list()", ""),
        ("limit", "int", "5", ""),
    ]
    assert [option[0] for option in options(f"{name}.a:Plain")] == ["root", "split"]


def test_a_dataclass_over_a_base_that_cannot_be_found_takes_anything(module):
    name = module(
        a="""
        from dataclasses import dataclass
        from nowhere_at_all import Base

        @dataclass
        class Child(Base):
            size: int = 4
        """
    )
    assert [option[0] for option in options(f"{name}.a:Child")] == ["size"]
    assert schema(f"{name}.a:Child").open


def test_an_inherited_option_passes_the_check_of_a_recipe(world):
    """What a stranger met: a part that inherits ours through `import`, refused for an option it takes."""
    world.dist(
        "vlzoo-mine",
        "from vlzoo import hookimpl\n@hookimpl\ndef vlzoo_register(registry):\n"
        "    registry.objective('mine', 'mine_loss:Mine', summary='ITC of mine')\n",
    )
    world.write("mine_loss.py", "import vlzoo.objectives.itc as itc\n\nclass Mine(itc.ITC): ...\n")
    world.write("r.yaml", "# mine\nobjectives: {mine: {queue: 24}}\n")
    done = world.run("check", "r.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    world.write("r.yaml", "# mine\nobjectives: {mine: {quee: 24}}\n")
    assert "takes no option 'quee'\n  -> did you mean 'queue'?" in world.run("check", "r.yaml").stderr


def test_what_a_class_does_not_tell_of_an_option_its_base_does(world):
    world.write(
        "told.py",
        """
        class Base:
            \"\"\"A base.

            Args:
                root: where it lies.
                width: of the base.
            \"\"\"
            def __init__(self, root, *, width=1): ...

        class Own(Base):
            \"\"\"Its own.

            Args:
                width: of its own.
            \"\"\"
            def __init__(self, root, *, width=2): ...
        """,
    )
    code = "from vlzoo.door.options import schema_of; from vlzoo.door.parts import Owner, Part\n"
    code += "found = schema_of(Part('data', 'x', 'told:Own', 'x', Owner('', '', '')))\n"
    code += "print([(o.name, o.default, o.about) for o in found.options])"
    done = world.python("-c", code)
    assert done.stdout == "[('root', None, 'where it lies.'), ('width', '2', 'of its own.')]\n", done.stderr
