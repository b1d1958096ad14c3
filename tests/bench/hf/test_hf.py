"""CLIP, SigLIP, BLIP and ViLT of transformers: tiny random ones from their config classes, saved and read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

from vlzoo.bench.hf.load import load_foreign
from vlzoo.bench.packed import unpack
from vlzoo.bench.retrieval.matrices import Captions, matrices
from vlzoo.door.options import schema_of
from vlzoo.door.plugins import registry
from vlzoo.errors import CheckpointError
from vlzoo.task import Effort


class Few(list):
    """Samples as a source."""

    name = "few"


def rows_of(folder: Path, task: str, source: Any, **settings: Any) -> dict[str, Any]:
    engine = load_foreign(folder, device=torch.device("cpu"))
    effort, known = Effort(batch=settings.pop("batch", 64)), schema_of(registry().find("task", task)).names
    few = {} if folder.name == "vilt" else {"k": 4}  # ViLT has no first stage that could choose
    made = registry().build("task", task, **{key: value for key, value in {**few, **settings}.items() if key in known})
    return {row["name"]: row for rows in made.predict(engine, source, frozenset(), effort) for row in rows}


CAN = [
    ("clip", "retrieval", "itc", ""),
    ("clip", "image-retrieval", "itc", ""),
    ("clip", "hard-negatives", "itc", ""),
    ("blip", "winoground", "itm", ""),
    ("vilt", "vsr", "itm", ""),
    ("clip", "zero-shot", "itc", ""),
    ("vilt", "zero-shot", "itm", ""),
    ("siglip", "retrieval", "itc", ""),
    ("blip", "retrieval", "itm", ""),
    ("blip", "retrieval", "itm+itc", ""),
    ("blip", "image-retrieval", "itc", ""),
    ("blip-vqa", "vqa", "official", "generate"),
    ("blip-vqa", "gqa", "accuracy", ""),
    ("blip-captioner", "captioning", "coco", ""),
    ("git", "captioning", "coco", ""),
    ("vilt", "retrieval", "itm", ""),
    ("vilt-vqa", "vqa", "official", ""),
    ("vilt-nlvr2", "nlvr2", "official", ""),
]


@pytest.mark.parametrize(("model", "task", "protocol", "mode"), CAN)
def test_what_a_model_can_do_is_measured_whatever_the_batch(model, task, protocol, mode, saved, sources):
    # Words are written one by one, which is slow.
    source = Few(list(sources[task])[:20]) if model == "blip-vqa" else sources[task]
    rows = rows_of(saved(model), task, source, protocol=protocol, mode=mode, batch=3)
    scored = registry().build("task", task, protocol=protocol).score(source, rows)
    assert scored.scores[0].protocol == f"{task}/{'accuracy' if task == 'nlvr2' else protocol}"
    assert len(rows) == len(source)
    alone = rows_of(saved(model), task, source, protocol=protocol, mode=mode, batch=1)
    for name, row in rows.items():
        for key in ("itm", "itc", "vector", "embedding", "text_embeddings"):
            if key in row:
                np.testing.assert_allclose(unpack(row[key], "<f4"), unpack(alone[name][key], "<f4"), atol=1e-5)
        assert {key: row.get(key) for key in ("answer", "prediction", "texts", "caption")} == {
            key: alone[name].get(key) for key in ("answer", "prediction", "texts", "caption")
        }


CANNOT = [
    ("clip", "vqa", "official"),
    ("clip", "retrieval", "itm"),
    ("siglip", "snli-ve", "original"),
    ("blip", "vqa", "official"),
    ("blip-vqa", "retrieval", "itm"),
    ("vilt", "retrieval", "itc"),
    ("vilt-vqa", "nlvr2", "official"),
    ("clip", "grounding", "pixel"),
]


@pytest.mark.parametrize(("model", "task", "protocol"), CANNOT)
def test_one_that_cannot_says_so(model, task, protocol, saved, sources):
    with pytest.raises(CheckpointError) as refused:
        rows_of(saved(model), task, sources[task], protocol=protocol)
    assert refused.value.fix


def test_clip_scores_are_those_of_its_own_forward(saved, sources):
    """The expected cosines come from `CLIPModel.forward` with the folder's own processors."""
    folder, source = saved("clip"), sources["retrieval"]
    rows = rows_of(folder, "retrieval", source, protocol="itc")
    captions = Captions.of(source)
    scores_IT, _ = matrices(captions.names, captions.texts, rows, "itc")
    model = hf.CLIPModel.from_pretrained(folder).eval()
    texts = [text for sample in source for text in sample.texts]
    words = hf.AutoTokenizer.from_pretrained(folder)(
        texts, padding=True, truncation=True, max_length=40, return_tensors="pt"
    )
    pixels = hf.AutoImageProcessor.from_pretrained(folder)(images=[source[0].images[0].open()], return_tensors="pt")
    with torch.no_grad():
        out = model(input_ids=words["input_ids"], attention_mask=words["attention_mask"], **pixels)
    cosine_T = out.logits_per_image[0] / model.logit_scale.exp()
    np.testing.assert_allclose(scores_IT[0], cosine_T.detach().numpy(), rtol=1e-4, atol=1e-4)


def test_blip_matching_logits_are_those_of_its_own_forward(saved, sources):
    """The expected logits come from `BlipForImageTextRetrieval.forward`, one text at a time."""
    folder, source = saved("blip"), sources["retrieval"]
    row = rows_of(folder, "retrieval", source, protocol="itm", k=2)[source[1].name]
    model = hf.BlipForImageTextRetrieval.from_pretrained(folder).eval()
    texts = [text for sample in source for text in sample.texts]
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    pixels = hf.AutoImageProcessor.from_pretrained(folder)(images=[source[1].images[0].open()], return_tensors="pt")
    for text, logit in zip(unpack(row["texts"], "<i4"), unpack(row["itm"], "<f4"), strict=True):
        words = tokenizer([texts[text]], truncation=True, max_length=64, return_tensors="pt")
        kept = {name: words[name] for name in ("input_ids", "attention_mask")}
        with torch.no_grad():
            out = model(**kept, **pixels)
        assert logit == pytest.approx(float(out.itm_score[0, 1]), abs=1e-4)


def test_a_question_longer_than_the_positions_is_cut_as_captions_are(saved, sources):
    """Of 64 positions; by hand: the model's own `generate` on the first 63 ids and the end token."""
    folder, sample = saved("blip-vqa"), sources["vqa"][0]
    asked = replace(sample, name="long", texts=("a b c " * 40,))
    found = rows_of(folder, "vqa", Few([asked, sample]), mode="generate")["long"]

    model = hf.BlipForQuestionAnswering.from_pretrained(folder).eval()
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    pixels = hf.AutoImageProcessor.from_pretrained(folder)(images=[sample.images[0].open()], return_tensors="pt")
    ids = tokenizer(asked.texts[0])["input_ids"]
    cut = torch.tensor([[*ids[:63], ids[-1]]])
    made = model.generate(input_ids=cut, attention_mask=torch.ones_like(cut), **pixels, max_length=12, do_sample=False)
    assert found["answer"] == tokenizer.decode(made[0], skip_special_tokens=True).strip()


def test_a_second_folder_has_another_key(saved, tmp_path):
    import shutil

    first = saved("clip")
    second = tmp_path / "copy"
    shutil.copytree(first, second)
    assert load_foreign(first).weights == load_foreign(second).weights
    model = hf.CLIPModel.from_pretrained(second)
    with torch.no_grad():
        model.logit_scale += 1
    model.save_pretrained(second)
    assert load_foreign(first).weights != load_foreign(second).weights
