"""What lies beside the weights in a folder that transformers' `save_pretrained` wrote: sizes, pictures, words.

Legend: D width, C colours, P side of a patch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Regex, normalizers
from torch import Tensor

from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError
from vlzoo.files import read_object
from vlzoo.text.tokenizer import VOCAB, WHOLE, Tokenizer
from vlzoo.weights.albef import ratio_of

SAVED = "give a folder that `save_pretrained` of transformers wrote: model, tokenizer and image processor"

ACTIVATIONS = {"gelu": "gelu", "quick_gelu": "quick_gelu", "gelu_pytorch_tanh": "gelu_tanh", "gelu_new": "gelu_tanh"}
"""transformers' names of activations -> ours, which are timm's."""

BICUBIC = 3
"""How transformers numbers it, as Pillow does."""

_READ = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    VOCAB,
    WHOLE,
)
"""What `save_pretrained` calls configurations and a tokenizer's files; a SentencePiece model is any `.model`."""

_SAMPLE = "A dog, running -- towards 2 (red) balls; isn't it?"
"""A text with what tokenizers treat in ways of their own."""


@dataclass(frozen=True)
class ViT:
    """What the weights of a ViT say of it, and what is usual where nothing lies beside them.

    Attributes:
        name: timm's name of a model with these parts and this epsilon.
        depth: how many layers.
        hidden: width of the feed-forward's hidden layer.
        places: of patches.
        activation: transformers' name.
        epsilon: of LayerNorms.
        colours: mean and deviation of pixels.
        more: further arguments of timm's model.
    """

    name: str
    depth: int
    hidden: int
    places: int
    activation: str
    epsilon: float
    colours: tuple[tuple[float, ...], tuple[float, ...]]
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Beside:
    """The configuration of a model of transformers.

    Attributes:
        folder: where it lies; None: nothing lies beside the weights, and usual values are taken.
        config: config.json.
        pictures: preprocessor_config.json; empty: there is none.
    """

    folder: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, file: str) -> Beside:
        """What lies beside a file of weights; nothing where it has no config.json.

        Raises:
            CheckpointError: a configuration that can't be read.
        """
        folder = Path(file).expanduser().parent
        config, pictures = folder / "config.json", folder / "preprocessor_config.json"
        if not file or not config.is_file():
            return cls()
        given = read_object(pictures, SAVED) if pictures.is_file() else _of_processor(folder)
        return cls(folder, read_object(config, SAVED), given)

    def files(self) -> list[Path]:
        """What is read here of what lies in the folder: configurations and the tokenizer's files, sorted."""
        if self.folder is None:
            return []
        named = (self.folder / name for name in _READ)
        return sorted(place for place in (*named, *self.folder.glob("*.model")) if place.is_file())

    def part(self, name: str = "") -> Mapping[str, Any]:
        """The configuration of a part, such as `text_config`; empty: the whole."""
        held = self.config.get(name, {}) if name else self.config
        return held if isinstance(held, Mapping) else {}

    def activation(self, name: str, default: str) -> str:
        """A part's activation, by our name.

        Raises:
            CheckpointError: one that we have not.
        """
        said = str(self.part(name).get("hidden_act", default))
        if said not in ACTIVATIONS:
            fix = f"known: {', '.join(ACTIVATIONS)}"
            raise CheckpointError(f"its activation is {said!r}", where=str(self.folder), fix=fix)
        return ACTIVATIONS[said]

    def labels(self) -> list[str]:
        """What the classes of the model's head are called, in their order; empty where nobody has named them.

        Raises:
            CheckpointError: they are not numbered from 0.
        """
        given = self.config.get("id2label")
        named = {str(number): name for number, name in given.items()} if isinstance(given, Mapping) else {}
        places = [str(number) for number in range(len(named))]
        if set(named) != set(places):
            what = f"id2label of config.json has {len(named)} classes, and their numbers are not 0 to {len(named) - 1}"
            raise CheckpointError(what, where=str(self.folder), fix="number them in the order of the head's rows")
        listed = [named[place] for place in places]
        # What transformers writes where nobody said a name.
        return [] if all(str(name).startswith("LABEL_") for name in listed) else listed

    def heads(self, name: str, width: int) -> int:
        """A part's attention heads; where nothing says, 64 numbers a head."""
        return int(self.part(name).get("num_attention_heads", max(1, width // 64)))

    def check_epsilon(self, name: str, ours: float) -> None:
        """Refuse a part whose LayerNorms add another number to the variance than ours do, where it says one.

        Raises:
            CheckpointError: it does.
        """
        said = float(self.part(name).get("layer_norm_eps", ours))
        if said != ours:
            what = f"the LayerNorms of its words add {said:g} to the variance, and ours {ours:g}"
            raise CheckpointError(what, where=str(self.folder), fix="this is another model; no adapter knows it")

    def vit(self, patch_DCPP: Tensor, said: ViT) -> dict[str, Any]:
        """The image encoder of a ViT with these patches, as a recipe names it.

        Raises:
            CheckpointError: its LayerNorms are not those of the timm model, or its grid is no square.
        """
        width, _, patch, _ = patch_DCPP.shape
        side = round(said.places**0.5)
        epsilon = float(self.part("vision_config").get("layer_norm_eps", said.epsilon))
        if epsilon != said.epsilon:
            what = f"its LayerNorms add {epsilon:g} to the variance, and timm's model {said.epsilon:g}"
            raise CheckpointError(what, where=str(self.folder), fix="this is another model; no adapter knows it")
        if side * side != said.places:
            raise CheckpointError(f"{said.places} places of patches form no square", where=str(self.folder or ""))
        colours = dict(zip(("mean", "std"), said.colours, strict=True))
        colours |= {name: self.pictures[f"image_{name}"] for name in colours if f"image_{name}" in self.pictures}
        arguments = {
            "patch_size": patch,
            "embed_dim": width,
            "depth": said.depth,
            "num_heads": self.heads("vision_config", width),
            "mlp_ratio": ratio_of(said.hidden, width),
            "act_layer": self.activation("vision_config", said.activation),
            "pretrained_cfg_overlay": {name: [float(each) for each in value] for name, value in colours.items()},
            **said.more,
        }
        return {
            "part": "timm",
            "name": said.name,
            "image_size": patch * side,
            "own_colours": True,
            "arguments": arguments,
        }

    def eval_pictures(self, side: int, usual: str) -> dict[str, Any]:
        """The augmentation that makes pictures ready as the folder's processor does.

        Args:
            side: of the model's pictures, in pixels.
            usual: `centre` or `plain`: what is taken where no processor lies there.

        Raises:
            CheckpointError: pictures are made ready in a way that no augmentation here has.
        """
        if not self.pictures:
            return {"part": usual, "size": side}
        given, size = self.pictures, self.pictures.get("size", {})
        if isinstance(size, int):
            size = {"shortest_edge": size}
        crop = given.get("crop_size", {}) if given.get("do_center_crop") else {}
        cut = crop if isinstance(crop, int) else crop.get("height", side)
        wanted = {"centre": {"shortest_edge": side}, "plain": {"height": side, "width": side}}
        part = next((name for name, said in wanted.items() if {k: v for k, v in size.items() if v} == said), "")
        if not part or cut != side or int(given.get("resample", BICUBIC)) != BICUBIC:
            what = f"pictures are resized to {dict(size)} by filter {given.get('resample')} and cut to {cut}"
            fix = f"convert a model whose pictures are bicubic, {side} a side, and cut in the middle or not at all"
            raise CheckpointError(what, where=str(self.folder), fix=fix)
        return {"part": part, "size": side}

    def tokenizer(self, length: int, added: Sequence[str] = ()) -> tuple[Tokenizer, dict[str, Any], int] | None:
        """The folder's tokenizer here, how a recipe names it, and the id it pads with; None where nothing lies there.

        Args:
            length: most ids of a text.
            added: special tokens that the folder's files do not hold, and the model knows by the ids behind the last.

        Raises:
            CheckpointError: it can't be read, or reads a text otherwise here.
        """
        if self.folder is None or not _has_words(self.folder):
            return None
        from transformers import AutoTokenizer  # here: whoever lists adapters need not wait for it

        try:
            theirs = AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True)
        except Exception as error:  # of files that are damaged, transformers and its libraries raise nearly anything
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise CheckpointError(f"its tokenizer can't be read: {said}", where=str(self.folder), fix=SAVED) from None
        bare, full = (theirs(_SAMPLE, add_special_tokens=extra)["input_ids"] for extra in (False, True))
        begins = next((at for at in (0, 1) if full[at : at + len(bare)] == bare), 2)
        part = _part_of(self.folder)
        settings: dict[str, Any] = {"sep": len(full) > begins + len(bare), "max_length": length}
        settings |= {} if part == "wordpiece" else {"cls": begins > 0}
        settings |= {"added": list(added)} if added else {}
        made: Tokenizer = registry().build("tokenizer", part, vocab=str(self.folder), **settings)
        if type(theirs).__name__.startswith("Siglip") and made.encode(_SAMPLE, max_length=len(full)) != full:
            made.normalise_first(_siglip())  # its class does this before the file's own
        if made.encode(_SAMPLE, max_length=len(full)) != full:
            what = f"{type(theirs).__name__} reads a text otherwise than the tokenizer {part} does here"
            raise CheckpointError(what, where=str(self.folder), fix="save it as a tokenizer.json")
        return made, {"part": part, **settings, "clean": False}, int(theirs.pad_token_id or 0)


def _siglip() -> normalizers.Normalizer:
    """What SigLIP does to a text first: lower case, no punctuation, single spaces (Zhai et al. 2023, big_vision)."""
    marks = Regex(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]")
    steps = [normalizers.Lowercase(), normalizers.Replace(marks, ""), normalizers.Replace(Regex(r"\s+"), " ")]
    return normalizers.Sequence([*steps, normalizers.Strip()])


def _of_processor(folder: Path) -> dict[str, Any]:
    """What a processor_config.json says of pictures, where transformers wrote both in one file."""
    file = folder / "processor_config.json"
    held = read_object(file, SAVED).get("image_processor") if file.is_file() else None
    return held if isinstance(held, dict) else {}


def _has_words(folder: Path) -> bool:
    names = {each.name for each in folder.iterdir()}
    return bool(names & {WHOLE, VOCAB, "vocab.json"}) or any(name.endswith(".model") for name in names)


def _part_of(folder: Path) -> str:
    """The tokenizer part that reads the folder's files."""
    if (folder / WHOLE).is_file():
        model = read_object(folder / WHOLE, SAVED).get("model")
        kind = model.get("type") if isinstance(model, dict) else None
        return {"BPE": "bpe", "Unigram": "sentencepiece"}.get(str(kind), "wordpiece")
    if (folder / VOCAB).is_file():
        return "wordpiece"
    return "bpe" if (folder / "vocab.json").is_file() else "sentencepiece"
