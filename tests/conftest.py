"""Fixtures shared by all tests."""

from __future__ import annotations

import html
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

# The same examples in every run, and no time limit for one: the machine may be busy.
settings.register_profile("vlzoo", derandomize=True, deadline=None)
settings.load_profile("vlzoo")

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fuzz 10` tries ten times as many damaged files and odd values as the gate, `--fuzz all` every one."""
    parser.addoption("--fuzz", default="1", metavar="TIMES", help="how many times as many cases as usual, or `all`")


@pytest.fixture(scope="session")
def fuzz(request: pytest.FixtureRequest) -> Callable[..., int]:
    """How many cases to try: `fuzz(60, of=1000)` gives 60 in the gate."""
    times = request.config.getoption("--fuzz")
    return lambda usual, of: of if times == "all" else min(of, round(usual * float(times)))


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout.

    Tests that need it skip elsewhere; with VLZOO_REQUIRE_SHARED=1, as in the gate, its absence is a failure.
    """
    found = Path(os.environ.get("VLZOO_SHARED", ROOT.parent / "shared"))
    if found.is_dir():
        return found
    if os.environ.get("VLZOO_REQUIRE_SHARED") == "1":
        pytest.fail(f"VLZOO_REQUIRE_SHARED=1, and there is no folder {found}")
    pytest.skip(f"needs the reference data in {found}")


GOOD = """
from vlzoo import hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.objective("trimmed-itc", "my_package.loss:TrimmedContrast", summary="ITC without its noisiest pairs")
"""
"""The smallest plugin, as issue 2 and docs/plugins.md write it."""


@dataclass
class World:
    """A folder of fake distributions on the path of `vlzoo`, run as a process of its own.

    A distribution is a module beside a `.dist-info` folder: all that importlib.metadata needs to find it, without pip.
    """

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def dist(
        self, name: str, module: str = GOOD, *, version: str = "0.1", requires: Sequence[str] = (), points: str = ""
    ) -> str:
        """Install a distribution whose entry point names one module; returns the module's name."""
        stem = name.replace("-", "_")
        self.write(f"{stem}.py", module)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {each}" for each in requires]
        self.write(f"{stem}-{version}.dist-info/METADATA", "\n".join(lines) + "\n")
        self.write(f"{stem}-{version}.dist-info/entry_points.txt", points or f"[vlzoo]\n{stem} = {stem}\n")
        return stem

    def write(self, path: str, text: str) -> Path:
        """Write a file into the folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return file

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`vlzoo ARGS` in the folder."""
        return self.python("-m", "vlzoo", *args, **env)

    def python(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`python ARGS` in the folder, with its distributions on the path."""
        known = {"PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}", "VLZOO_CACHE_DIR": str(self.folder / "cache")}
        clean = {key: value for key, value in os.environ.items() if not key.startswith("VLZOO_")}
        return subprocess.run(
            [sys.executable, *args],
            cwd=self.folder,
            env={**clean, **known, "COLUMNS": "160", **self.env, **env},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )


@pytest.fixture(scope="session")
def forking() -> ModuleType:
    """`Popen` and `run` as `subprocess` has them, whose Python is forked: quick where it needs torch."""
    spec = importlib.util.spec_from_file_location("forking", Path(__file__).resolve().with_name("forking.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.load()
    return module


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty folder that `vlzoo` finds plugins in."""
    return World(tmp_path)


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """A small model and batches for it."""
    from vlzoo.testing import toy as module  # here: most tests need no torch

    return module


@pytest.fixture
def decoder() -> Any:
    """A causal decoder of 7 ids, so small that all its texts can be listed, with weights that tell them apart."""
    import torch

    from vlzoo.models.decoder import CausalDecoder

    torch.manual_seed(0)
    made = CausalDecoder(width=8, layers=2, heads=2, intermediate=16, vocab=7, max_length=8, dropout=0.0)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    return made.eval()


@pytest.fixture
def memory() -> Any:
    """What `decoder` reads: three rows of 4, 2 and 3 real tokens."""
    import torch

    from vlzoo.types import Tokens

    x = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(1))
    return Tokens(x, torch.tensor([[True] * 4, [True] * 2 + [False] * 2, [True] * 3 + [False]]), x[:, 0])


@pytest.fixture
def log_probability(decoder: Any, memory: Any) -> Callable[[int, list[int]], float]:
    """Of a text, its ids from [CLS] on, for a row of `memory`: the sum over its tokens, one whole pass and no cache."""
    import torch

    def of(row: int, ids: list[int]) -> float:
        alone = memory.gather(torch.tensor([row]))
        at = torch.tensor([ids[:-1]])
        logits = decoder(at, torch.ones_like(at, dtype=torch.bool), decoder.prepare(alone))[0].log_softmax(-1)
        return float(sum(logits[i, token] for i, token in enumerate(ids[1:])))

    return of


@dataclass
class Golden:
    """Tensors and configuration of one golden."""

    tensors: dict[str, Any]
    about: dict

    def __getitem__(self, name: str) -> Any:
        return self.tensors[name]

    def state(self, prefix: str) -> dict[str, Any]:
        """The official weights below a prefix, without it."""
        start = f"state/{prefix}"
        return {name.removeprefix(start): value for name, value in self.tensors.items() if name.startswith(start)}


@pytest.fixture
def golden(shared: Path):
    """A golden by name, from the folder of reference data."""

    from safetensors.torch import load_file  # here: most tests need no torch

    def load(name: str) -> Golden:
        folder = shared / "goldens"
        file = folder / f"{name}.safetensors"
        about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return Golden(load_file(file) if file.is_file() else {}, about)

    return load


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class Browsed:
    """What a browser made of a page.

    Attributes:
        console: what it complained of.
        wide: the width that the page needs, in pixels.
        window: the width that it was given.
    """

    console: list[str]
    wide: int
    window: int


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., Browsed]:
    """Shows a page in headless Chromium, as wide as a small phone; skips where none is installed."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)}")

    def show(file: Path, *, dark: bool) -> tuple[str, str]:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
        options += [f"--user-data-dir={tmp_path / 'profile'}", f"--blink-settings=preferredColorScheme={int(not dark)}"]
        done = subprocess.run(
            [browser, *options, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout, done.stderr

    def look(file: Path, width: int = 360, *, dark: bool = False) -> Browsed:
        _, said = show(file, dark=dark)
        # A window has a least width; a frame has none. It runs the script that the page itself may not.
        frame, shown = tmp_path / "frame.html", html.escape(file.read_text(encoding="utf-8"))
        measure = "const d = contentDocument.documentElement; document.title = d.scrollWidth + ' ' + d.clientWidth"
        style = f"border: 0; width: {width}px; height: 800px"
        frame.write_text(f'<iframe style="{style}" srcdoc="{shown}" onload="{measure}"></iframe>', encoding="utf-8")
        wide, window = re.findall(r"<title>(\d+) (\d+)</title>", show(frame, dark=dark)[0])[0]
        return Browsed([line for line in said.splitlines() if "CONSOLE" in line], int(wide), int(window))

    return look


SPOKEN = ["a red ball lies on the table, and another ball lies below it", "the café's table is not red: it's blue!"]
"""What the small tokenizers are trained on."""


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small tokenizer of each kind: `wordpiece`, `bpe` (RoBERTa's), `clip`, `sentencepiece`."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers, trainers

    from vlzoo.text.subwords import bpe, sentencepiece
    from vlzoo.text.tokenizer import Tokenizer

    folder = tmp_path_factory.mktemp("tokenizers")
    alphabet, made = pre_tokenizers.ByteLevel.alphabet(), {}
    for name, suffix in (("bpe", ""), ("clip", "</w>")):
        backend = Backend(models.BPE(**({"end_of_word_suffix": suffix} if suffix else {})))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=640,
            initial_alphabet=alphabet,
            show_progress=False,
            special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
            **({"end_of_word_suffix": suffix} if suffix else {}),
        )
        backend.train_from_iterator([*SPOKEN, " ".join(alphabet)], trainer)
        (folder / name).mkdir()
        backend.model.save(str(folder / name))
        made[name] = bpe(vocab=str(folder / name))
    backend = Backend(models.Unigram())
    backend.normalizer, backend.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    names = ["<unk>", "<s>", "</s>"]
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=names, unk_token="<unk>", show_progress=False)
    backend.train_from_iterator(SPOKEN, trainer)
    backend.save(str(folder / "tokenizer.json"))
    made["sentencepiece"] = sentencepiece(vocab=str(folder / "tokenizer.json"))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "skate", "##board", "##s", "on", "\u6771"]
    return {**made, "wordpiece": Tokenizer(words)}
