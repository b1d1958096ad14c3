"""The second half of a feed-forward, which keeps one tensor of the hidden width for the backward pass instead of two.

Autograd keeps what GELU read and what the dense layer read. The latter is the GELU of the former, and takes
one pass over memory to make again. Values and gradients have the same bits.

Legend: T tokens, S hidden width, D width.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812  (torch's own name for it)


def gelu_linear(x: Tensor, weight_DS: Tensor, bias_D: Tensor | None) -> Tensor:
    """`linear(gelu(x))` of [..., S], [..., D]; for the backward pass `x` is kept and its GELU is not."""
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():  # a compiler chooses for itself
        return F.linear(F.gelu(x), weight_DS, bias_D)
    return cast(Tensor, _GeluLinear.apply(x, weight_DS, bias_D))


class GeluLinear(nn.Linear):
    """A dense layer of the GELU (erf) of what comes in: `linear(gelu(x))`.

    >>> layer, x = GeluLinear(8, 2), torch.randn(3, 8)
    >>> torch.equal(layer(x), torch.nn.functional.linear(torch.nn.functional.gelu(x), layer.weight, layer.bias))
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        """[..., S] to [..., D]."""
        return gelu_linear(input, self.weight, self.bias)

    @classmethod
    def of(cls, linear: nn.Linear) -> GeluLinear:
        """A layer that has another's weights."""
        made = cls(linear.in_features, linear.out_features, device="meta")  # there nothing is drawn
        made.weight, made.bias = linear.weight, linear.bias
        return made


class _GeluLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_DS: Tensor, bias_D: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight_DS)
        ctx.bias = None if bias_D is None else bias_D.dtype
        device = x.device.type
        if not torch.is_autocast_enabled(device):
            return F.linear(F.gelu(x), weight_DS, bias_D)
        kind = torch.get_autocast_dtype(device)
        # Autocast would keep its cast of a weight for others, and this one has no history.
        with torch.autocast(device, enabled=False):
            bias_D = None if bias_D is None else bias_D.to(kind)
            return F.linear(F.gelu(x).to(kind), weight_DS.to(kind), bias_D)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight_DS = ctx.saved_tensors
        grad_TD, (reads, learns, shifts) = grad.reshape(-1, grad.shape[-1]), ctx.needs_input_grad
        with torch.enable_grad():
            again = x.detach().requires_grad_()
            hidden = F.gelu(again)
        of_x = of_weight = of_bias = None
        if learns:
            hidden_TS = hidden.detach().to(grad.dtype).reshape(-1, x.shape[-1])
            of_weight = (grad_TD.t() @ hidden_TS).to(weight_DS.dtype)
        if shifts:
            of_bias = grad_TD.sum(0).to(ctx.bias)
        if reads:
            of_hidden = (grad_TD @ weight_DS.to(grad.dtype)).view(x.shape).to(hidden.dtype)
            (of_x,) = torch.autograd.grad(hidden, again, of_hidden)
        return of_x, of_weight, of_bias


def join_gelu(model: nn.Module) -> None:
    """Let the feed-forwards of a timm model that end with GELU and a dense layer keep one tensor for both."""
    from timm.layers import Mlp  # here: fusions do without timm

    for module in model.modules():
        if type(module) is Mlp and _is_plain(module):
            module.act, module.fc2 = nn.Identity(), GeluLinear.of(cast(nn.Linear, module.fc2))


def _is_plain(mlp: Any) -> bool:
    """Whether nothing stands between an erf GELU and a dense layer."""
    gelu = isinstance(mlp.act, nn.GELU) and mlp.act.approximate == "none"
    return gelu and not mlp.drop1.p and isinstance(mlp.norm, nn.Identity) and type(mlp.fc2) is nn.Linear
