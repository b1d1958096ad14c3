"""A model of transformers and its conversion, shown the same pictures and texts.

Legend: B rows, L text tokens, N image tokens, H height and width, D width, E joint size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.agree.agreement import Check, Result
from vlzoo.agree.golden import gap
from vlzoo.agree.transformers_twins import Twins, twins
from vlzoo.models.assemble import Model
from vlzoo.models.generate import Decoding, generate
from vlzoo.models.image_timm import CLIP_MEAN, CLIP_STD, TimmEncoder
from vlzoo.models.prepared import words_for_fusion
from vlzoo.models.text_transformer import TransformerEncoder
from vlzoo.offers import MATCH, Offers
from vlzoo.types import Fused, Tokens

TOLERANCE = 2e-5
ROWS, WRITTEN = 3, 8
"""How many pictures are shown, and of how many ids a text is that is written of them."""


def compare_folder(path: Path, adapter_name: str) -> Iterator[Result]:
    """Features and logits of the model of a config.json, against what an adapter makes of it.

    Raises:
        CheckpointError: a model that no adapter converts.
    """
    pair = twins(path, adapter_name)
    kinds = {"clip": _dual, "siglip": _dual, "vilt": _merged}
    model = pair.ours.model
    usual = (_answers if model.has("fusion") else _writes) if model.has("decoder") else _matches
    return kinds.get(adapter_name, usual)(pair)


def _writes(pair: Twins) -> Iterator[Result]:
    """Image tokens and logits of the next words of a model that writes: a GIT, a BLIP for captions."""
    config = pair.theirs.config
    level_B3HH, ids_BL, mask_BL = _shown(config.get_text_config(), config.vision_config.image_size)
    name, model = f"transformers/{pair.name}", pair.ours.model
    vision = pair.theirs.git.image_encoder if hasattr(pair.theirs, "git") else pair.theirs.vision_model
    with torch.no_grad():
        pixels = _coloured(level_B3HH, CLIP_MEAN, CLIP_STD)
        seen = vision(pixels).last_hidden_state
        given = {"input_ids": ids_BL, "attention_mask": mask_BL.long(), "pixel_values": pixels}
        theirs = pair.theirs(**given).logits[:, -ids_BL.shape[1] :]  # GIT's stream begins with the picture
        image = model.image_encoder(pixels)
        logits = model.decoder(ids_BL, mask_BL, model.decoder.prepare(image))
    yield _near(f"{name}/image tokens", image.x, seen)
    yield Check(f"{name}/logits", gap(logits[mask_BL], theirs[mask_BL]), TOLERANCE, logits[mask_BL].numel())
    yield Check(f"{name}/written ids", *_written(pair, pixels, image))


def _written(pair: Twins, pixels_B3HH: Tensor, memory: Tokens, **asked: Tensor) -> tuple[float, float, int]:
    """How many ids of texts that both write greedily differ, that none may, and how many there are.

    Args:
        pair: the models.
        pixels_B3HH: pictures as both take them.
        memory: what our decoder reads of them.
        asked: what else theirs is given: questions.
    """
    text, rows = pair.theirs.config.get_text_config(), len(pixels_B3HH)
    start, end = text.bos_token_id, getattr(text, "sep_token_id", None) or text.eos_token_id
    how: dict[str, Any] = {"max_length": WRITTEN, "num_beams": 1, "do_sample": False}
    if hasattr(pair.theirs, "git"):
        how |= {"input_ids": torch.full((rows, 1), start), "eos_token_id": end, "pad_token_id": 0}
    theirs = pair.theirs.generate(pixel_values=pixels_B3HH, **asked, **how).tolist()
    special = {"cls": start, "sep": end, "pad": 0}
    ours = generate(pair.ours.model.decoder, memory, special, Decoding(length=WRITTEN))
    told = [[*each.ids, *[0] * (WRITTEN - len(each.ids))] for each in ours]
    wanted = [[*ids, *[0] * (WRITTEN - len(ids))] for ids in theirs]
    different = sum(a != b for one, other in zip(told, wanted, strict=True) for a, b in zip(one, other, strict=True))
    return float(different), 0.0, rows * WRITTEN


def _answers(pair: Twins) -> Iterator[Result]:
    """Image tokens, states of questions, logits of the next words and written ids of a BLIP that answers.

    Questions are of one length: transformers' decoder reads the padding of shorter ones.
    """
    config = pair.theirs.config
    level_B3HH, said_BL, real_BL = _shown(config.text_config, config.vision_config.image_size)
    asked_BL, whole_BL = said_BL.masked_fill(~real_BL, 4), torch.ones_like(real_BL)
    name, model = f"transformers/{pair.name}", pair.ours.model
    with torch.no_grad():
        pixels = _coloured(level_B3HH, CLIP_MEAN, CLIP_STD)
        seen = pair.theirs.vision_model(pixels).last_hidden_state
        asked = {"input_ids": asked_BL, "attention_mask": whole_BL.long()}
        states = pair.theirs.text_encoder(**asked, encoder_hidden_states=seen).last_hidden_state
        said = {"input_ids": said_BL, "attention_mask": real_BL.long()}
        theirs = pair.theirs.text_decoder(**said, encoder_hidden_states=states).logits
        image = model.image_encoder(pixels)
        fused = _fused(model, asked_BL, whole_BL, image)
        memory = Tokens(fused.x, fused.mask, fused.cls)
        logits = model.decoder(said_BL, real_BL, model.decoder.prepare(memory))
    yield _near(f"{name}/image tokens", image.x, seen)
    yield _near(f"{name}/question states", fused.x, states)
    yield Check(f"{name}/logits", gap(logits[real_BL], theirs[real_BL]), TOLERANCE, logits[real_BL].numel())
    yield Check(f"{name}/written ids", *_written(pair, pixels, memory, **asked))


def _matches(pair: Twins) -> Iterator[Result]:
    """Features, cosines and matching logits of a BLIP for retrieval."""
    config = pair.theirs.config
    level_B3HH, ids_BL, mask_BL = _shown(config.text_config, config.vision_config.image_size)
    name, model = f"transformers/{pair.name}", pair.ours.model
    with torch.no_grad():
        pixels = _coloured(level_B3HH, CLIP_MEAN, CLIP_STD)
        given = {"input_ids": ids_BL, "attention_mask": mask_BL.long(), "pixel_values": pixels}
        cosines = pair.theirs(**given, use_itm_head=False).itm_score
        theirs = pair.theirs(**given)
        image, text = model.image_encoder(pixels), model.text_encoder(ids_BL, mask_BL)
        ours = model.embed_image(image) @ model.embed_text(text).T
        logits = pair.ours.offered("match")(_fused(model, ids_BL, mask_BL, image).cls)
    yield _near(f"{name}/image tokens", image.x, theirs.last_hidden_state)
    yield Check(f"{name}/cosines", gap(ours, cosines), TOLERANCE, ours.numel())
    yield Check(f"{name}/logits", gap(logits, theirs.itm_score), TOLERANCE, logits.numel())


def _fused(model: Model, ids_BL: Tensor, mask_BL: Tensor, image: Tokens) -> Fused:
    """Texts that have read their pictures."""
    words = words_for_fusion(model, ids_BL, mask_BL, model.text_encoder(ids_BL, mask_BL))
    return model.fusion.fuse(words, [model.fusion.prepare(image)])


def _merged(pair: Twins) -> Iterator[Result]:
    """States and logits of a ViLT."""
    config = pair.theirs.config
    level_B3HH, ids_BL, mask_BL = _shown(config, config.image_size)
    name, model = f"transformers/{pair.name}", pair.ours.model
    with torch.no_grad():
        pixels = _coloured(level_B3HH, (0.5,) * 3, (0.5,) * 3)
        given = {"input_ids": ids_BL, "attention_mask": mask_BL.long(), "pixel_values": pixels}
        states, head = pair.theirs.vilt(**given), pair.theirs(**given).logits
        image = model.image_encoder(_coloured(level_B3HH, CLIP_MEAN, CLIP_STD))
        text, prepared = model.text_encoder(ids_BL, mask_BL), model.fusion.prepare(image)
        fused = model.fusion.fuse(text, [prepared], image_states=True)
        first = model.fusion.fuse(text, [prepared], positions_PK=torch.zeros(len(ids_BL), 1, dtype=torch.long))
        if "match" in Offers(pair.ours.named_objectives()):
            logits, head = pair.ours.offered("match")(first.cls)[:, MATCH], head[:, 0]
        elif "classes" in Offers(pair.ours.named_objectives()):
            logits = pair.ours.get_submodule("objectives.classify.head")(first.cls)
        else:
            logits, head = pair.ours.get_submodule("objectives.mlm.head")(fused.x[mask_BL]), head[mask_BL]
    length = ids_BL.shape[1]
    yield _near(f"{name}/text tokens", fused.x[mask_BL], states.last_hidden_state[:, :length][mask_BL])
    # transformers draws the order of the patches: each of their numbers is compared in order of its size.
    assert fused.image is not None  # it was asked for
    seen = [each.sort(dim=1).values for each in (fused.image, states.last_hidden_state[:, length:])]
    yield _near(f"{name}/image tokens", *seen)
    yield Check(f"{name}/pooled", gap(first.cls, states.pooler_output), TOLERANCE, first.cls.numel())
    yield Check(f"{name}/logits", gap(logits, head), TOLERANCE, logits.numel())


def _dual(pair: Twins) -> Iterator[Result]:
    """Features and logits of a CLIP or SigLIP."""
    config = pair.theirs.config
    level_B3HH, ids_BL, mask_BL = _shown(config.text_config, config.vision_config.image_size)
    name, model = f"transformers/{pair.name}", pair.ours.model
    with torch.no_grad():
        theirs = pair.theirs(**_given(pair, level_B3HH, ids_BL, mask_BL))
        image = model.image_encoder(_coloured(level_B3HH, CLIP_MEAN, CLIP_STD))
        text = model.text_encoder(ids_BL, mask_BL)
        image_BE, text_BE = model.embed_image(image), model.embed_text(text)
        logits = pair.ours.offered("contrast").logits(image_BE @ text_BE.T)
        tokens_BND = theirs.vision_model_output.last_hidden_state
        if image.prefix:
            tokens_BND = pair.theirs.vision_model.post_layernorm(tokens_BND)  # there it is of the first token alone
    words = theirs.text_model_output.last_hidden_state[:, : ids_BL.shape[1]]
    yield _near(f"{name}/image tokens", image.x, tokens_BND)
    yield _near(f"{name}/text tokens", text.x[mask_BL], words[mask_BL])
    yield Check(f"{name}/image features", gap(image_BE, theirs.image_embeds), TOLERANCE, image_BE.numel())
    yield Check(f"{name}/text features", gap(text_BE, theirs.text_embeds), TOLERANCE, text_BE.numel())
    yield Check(f"{name}/logits", gap(logits, theirs.logits_per_image), TOLERANCE, logits.numel())


def _near(quantity: str, ours: Tensor, theirs: Tensor) -> Check:
    """States of any size: their difference as a share of the largest number."""
    return Check(quantity, gap(ours, theirs) / max(1.0, float(theirs.abs().max())), TOLERANCE, ours.numel())


def _shown(text: Any, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Levels of pictures, ids of texts of several lengths that end with the end token, and their mask."""
    generator = torch.Generator().manual_seed(1)
    level_B3HH = torch.rand(ROWS, 3, side, side, generator=generator)
    # A CLIP whose end token is called 2 reads the text where its highest id stands.
    said = getattr(text, "eos_token_id", None) or text.vocab_size
    end = text.vocab_size - 1 if said == 2 or said >= text.vocab_size else said
    length_B = torch.tensor([text.max_position_embeddings, 2, max(2, text.max_position_embeddings // 2)])
    most = int(length_B.max())
    ids_BL = torch.randint(5, text.vocab_size - 1, (ROWS, most), generator=generator)
    ids_BL = torch.where(ids_BL == end, 4, ids_BL)
    mask_BL = torch.arange(most) < length_B[:, None]
    ids_BL[torch.arange(ROWS), length_B - 1] = end
    return level_B3HH, torch.where(mask_BL, ids_BL, 0), mask_BL


def _given(pair: Twins, level_B3HH: Tensor, ids_BL: Tensor, mask_BL: Tensor) -> dict[str, Tensor]:
    """What transformers' model takes of the same."""
    image, text = (
        cast(TimmEncoder, pair.ours.model.image_encoder),
        cast(TransformerEncoder, pair.ours.model.text_encoder),
    )
    colours = image.model.pretrained_cfg
    pixels = _coloured(level_B3HH, colours["mean"], colours["std"])
    if pair.theirs.config.model_type == "clip":
        return {"pixel_values": pixels, "input_ids": ids_BL, "attention_mask": mask_BL.long()}
    padded = F.pad(ids_BL.masked_fill(~mask_BL, text.pad), (0, text.max_length - ids_BL.shape[1]), value=text.pad)
    return {"pixel_values": pixels, "input_ids": padded}


def _coloured(level_B3HH: Tensor, mean: Any, std: Any) -> Tensor:
    return (level_B3HH - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
