"""Parts that share layers (as BLIP's and UFO's do): met once, stored once, resumed to the last bit."""

from __future__ import annotations

import shutil

import torch
from safetensors.torch import load_file

PLUGIN = """
from vlzoo import hookimpl

@hookimpl
def vlzoo_register(registry):
    registry.decoder("sharing", "sharing_parts:Sharing", summary="a decoder with the layers of its neighbours")
    registry.objective("speak", "sharing_parts:Speak", summary="the text, word by word")
"""

PARTS = '''
from torch.nn.functional import cross_entropy

from vlzoo.models.decoder import CausalDecoder
from vlzoo.interfaces import Objective
from vlzoo.types import Loss


class Sharing(CausalDecoder):
    """Reads words by the text encoder's table and thinks with the fusion's layers."""

    def meet(self, model):
        assert model.has("decoder") and not hasattr(self, "met")
        self.met = True
        self.embedding.word = model.text_encoder.bert.embeddings.word_embeddings
        self.head.embedding = self.embedding.word.weight
        self.stack = model.fusion.stack


class Speak(Objective):
    """The next word of every text, given its picture."""

    needs = ("text_encoder", "fusion", "decoder")

    def forward(self, step):
        decoder, text = step.model.decoder, step.ids()
        logit_BLV = decoder(text.ids[:, :-1], text.mask[:, :-1], decoder.prepare(step.image()))
        seen = text.mask[:, 1:]
        return Loss(cross_entropy(logit_BLV[seen], text.ids[:, 1:][seen]))
'''

RECIPE = """
extends: micro.yaml
model:
  decoder: {part: sharing, width: 16, layers: 2, heads: 2, intermediate: 32, max_length: 32}
objectives: {speak: {}}
train: {samples: 16, save_every: 1, keep: 2, log_every: 1}
"""


def test_what_two_parts_share_is_trained_and_stored_once_and_resumed_bit_for_bit(zoo):
    zoo.write("sharing.py", PLUGIN)
    zoo.write("sharing_parts.py", PARTS)
    zoo.write("shared.yaml", RECIPE)
    call = ("--plugin", "sharing.py", "pretrain", "shared.yaml", "--out")
    whole = zoo.run(*call, "whole")
    assert whole.code == 0, whole.err
    shutil.copytree(zoo.folder / "whole", zoo.folder / "broken")
    shutil.rmtree(zoo.folder / "broken/checkpoints/step-000000002")
    resumed = zoo.run(*call, "broken", "--resume")
    assert resumed.code == 0 and "going on from step 1 of 2" in resumed.err, resumed.err
    for name in ("system", "teacher", "optimizer"):
        first, second = (
            load_file(zoo.folder / run / f"checkpoints/step-000000002/{name}.safetensors")
            for run in ("whole", "broken")
        )
        assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
        # The neighbours come first, so that their names hold what is shared.
        assert not any("decoder.stack" in key or "decoder.embedding.word" in key for key in first)
        assert any("decoder.embedding.position" in key for key in first)
    before, after = (
        load_file(zoo.folder / f"whole/checkpoints/step-00000000{step}/system.safetensors") for step in (1, 2)
    )
    key = "model.fusion.stack.1.key.weight"
    assert not torch.equal(before[key], after[key])
    found = zoo.run("--plugin", "sharing.py", "bench", "retrieval", "--run", "whole")
    assert found.code == 0, found.err
