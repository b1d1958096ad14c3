"""Triple contrast. Legend: B rows, C columns (rows of all processes), K local features, E joint size."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)

from vlzoo.errors import VlzooError
from vlzoo.objectives.itc import ITC
from vlzoo.step.plan import Plan
from vlzoo.step.step import Step
from vlzoo.types import Loss, Tokens


class TCL(ITC):
    """ITC, each modality with itself, and with its local features: six terms (TCL, models/model_pretrain.py).

    Keys and locals are the momentum teacher's, of its own view; locals are projected, normalised, and then pooled.

    Args:
        cells: image locals are pooled to so many rows and columns; a smaller grid stays as it is.
    """

    needs = ("text_encoder", "joint", "pooled_text", "teacher")

    def __init__(self, *, cells: int = 4, **itc: Any) -> None:
        super().__init__(**itc)
        if cells < 1:
            raise VlzooError(f"{cells} cells hold no local feature", where="objective tcl", fix="TCL has 4")
        self.cells = cells

    def plan(self, plan: Plan) -> None:
        """Nothing is asked; rows with one view are refused."""
        if plan.teacher_image in (None, plan.main_image):
            raise VlzooError("objective tcl compares two views, and these rows give one", fix="say `rows: two_views`")

    def forward(self, step: Step) -> Loss:
        """`(i2t + t2i + i2i + t2t + local_i + local_t) / 6`; only the first two have soft targets."""
        image_BE, text_BE, hard_BC = step.image_embed(), step.text_embed(), self.hard_targets(step)
        i2t, t2i = self.against_keys(step, image_BE, text_BE)
        t2t, i2i = self.against_keys(step, text_BE, image_BE)  # each in the other's place meets its own keys
        soft_i2t, soft_t2i = self.soften(step, hard_BC)
        pairs = {"i2t": (soft_i2t, i2t), "t2i": (soft_t2i, t2i), "i2i": (hard_BC, i2i), "t2t": (hard_BC, t2t)}
        terms = {name: self.cross_entropy(*pair, step.columns.own(hard_BC.device)) for name, pair in pairs.items()}
        assert step.teacher is not None  # `needs`
        model = step.teacher.model
        terms["local_i"] = self.local(step, image_BE, step.teacher.image(), model.image_projection)
        terms["local_t"] = self.local(step, text_BE, step.teacher.text(), model.text_projection)
        parts = {**{f"tcl_{name}": term for name, term in terms.items()}, "temperature": self.tau}
        return Loss(torch.stack([*terms.values()]).mean(), {n: part.detach() for n, part in parts.items()}, len(step))

    def local(self, step: Step, global_BE: Tensor, tokens: Tokens, projection: nn.Module) -> Tensor:
        """A row finds each of its local features among other rows' ones: mean over its locals, then over rows, []."""
        with torch.no_grad():
            local_BKE = F.normalize(projection(tokens.x[:, tokens.prefix :]), dim=-1)
            real_BK = tokens.mask[:, tokens.prefix :]
            if tokens.grid is not None:
                high, wide = (min(self.cells, side) for side in tokens.grid)
                local_BKE = F.adaptive_avg_pool2d(local_BKE.mT.unflatten(2, tokens.grid), (high, wide)).flatten(2).mT
                real_BK = real_BK.new_ones(local_BKE.shape[:2])
            local_CKE, real_CK = step.columns.gather(local_BKE), step.columns.gather(real_BK)
        own_B, row_B = step.columns.own(global_BE.device), torch.arange(len(global_BE), device=global_BE.device)
        logit_BCK = self.logits(torch.einsum("be,cke->bck", global_BE, local_CKE)).float()
        # A row's positives share their negatives: -log softmax of one of them is a softplus, 0 where there are none.
        hidden_BCK = (~real_CK).repeat(len(row_B), 1, 1).index_put((row_B, own_B), torch.ones_like(real_CK[own_B]))
        others_B = logit_BCK.masked_fill(hidden_BCK, float("-inf")).flatten(1).logsumexp(1)
        loss_BK, real_BK = F.softplus(others_B[:, None] - logit_BCK[row_B, own_B]), real_CK[own_B]
        return ((loss_BK * real_BK).sum(1) / real_BK.sum(1).clamp(min=1)).mean()
