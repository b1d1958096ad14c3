"""Training in several processes that each hold a part of every weight, by torch's FSDP2.

accelerate starts the processes and is not asked to shard: it finds layers by the names of their classes, which a recipe
of registered parts does not know, and it never sees a teacher.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vlzoo.errors import TrainingError
from vlzoo.models.assemble import System
from vlzoo.models.teacher import Teacher
from vlzoo.processes import Share
from vlzoo.train.engine import Forward, Several
from vlzoo.train.meeting import LONG, first_line
from vlzoo.train.optim import trained
from vlzoo.types import Losses

MIXED = "torch.Tensor and DTensor"
"""In what torch says where a shard meets a whole tensor."""


class Whole(nn.Module):
    """Student and teacher under one root, whose forward is the student's.

    FSDP2 gathers weights around `forward` alone, and a step enters parts by many methods: `prepare`, `fuse`, `states`,
    `embed_image`, heads that objectives lend. All of them are called within this one forward, so what no layer below
    holds for itself (word tables with the heads that are tied to them, projections, heads) is whole from its begin to
    the update's last backward, for the student and for the teacher.

    Args:
        system: the student.
        teacher: its teacher; None: there is none.
    """

    def __init__(self, system: System, teacher: Teacher | None) -> None:
        super().__init__()
        self.system, self.teacher = system, teacher

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Losses]:
        """As `System.forward`; the sum stands by itself, too, where hooks find it."""
        losses: Losses = self.system(*args, **kwargs)
        return losses.total, losses


class Sharded(Several):
    """One process of several, each of which holds a part of every weight, gradient and moment: FSDP2.

    Args:
        device: as for `Several`.
        share: this process among them.

    Raises:
        TrainingError: torch is too old for it.
    """

    joins_passes = False  # a layer is gathered by all processes at once: all must call it equally often

    def __init__(self, device: torch.device | None, share: Share) -> None:
        try:
            from torch.distributed.checkpoint import HuggingFaceStorageWriter  # noqa: F401  (what came last)
            from torch.distributed.fsdp import fully_shard  # noqa: F401
        except ImportError:
            what = f"torch {torch.__version__} can't shard the weights: train.shard needs torch 2.9"
            raise TrainingError(what, fix="install torch>=2.9, or set train.shard=false") from None
        super().__init__(device, share)
        self.savers = dist.new_group(backend="gloo", timeout=LONG)
        self._alone: dict[str, nn.Parameter] = {}
        self._stand_ins: dict[str, nn.Parameter] = {}

    def wrap(self, system: System, teacher: Teacher | None = None) -> Forward:
        """As `Engine.wrap`; the weights of both are shards from here on."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

        whole = Whole(system, teacher)
        mesh = init_device_mesh(self.device.type, (self.share.of,))
        # FSDP2 shards no number that has no dimension: these stay whole, and are averaged here.
        scalars = {p for p in whole.parameters() if p.ndim == 0}
        for layer in layers_of(whole):
            fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=scalars)
            for method in getattr(layer, "entered_by", ()):
                register_fsdp_forward_method(layer, method)
        fully_shard(whole, mesh=mesh, reshard_after_forward=False, ignored_params=scalars)
        self._wrapped = whole
        # The way back to an attention map (Grad-CAM) ends in the middle of a forward, which goes on with these.
        self._wrapped.set_reshard_after_backward(False, recurse=False)
        self._alone = {name: p for name, p in trained(system).items() if p in scalars}
        self._stand_ins = {name: _replicated(p, mesh) for name, p in self._alone.items()}

        def forward(*args: Any, **kwargs: Any) -> Losses:
            return cast(Losses, whole(*args, **kwargs)[1])

        return forward

    def explained(self, error: BaseException) -> BaseException:
        """As `Engine.explained`; and that a part reads a layer's weights where they are not gathered."""
        if isinstance(error, RuntimeError) and MIXED in str(error):
            what = f"a part reads weights of a layer without calling the layer: {first_line(error)}"
            return TrainingError(what, fix="set train.shard=false, or have the part call the layer")
        return super().explained(error)

    def parameters(self, system: System) -> Mapping[str, nn.Parameter]:
        """As `Engine.parameters`: shards, and what is no shard as if it were one, so that all are of one kind."""
        return {name: self._stand_ins.get(name, p) for name, p in trained(system).items()}

    @contextmanager
    def before_last(self) -> Iterator[None]:
        """As `Engine.before_last`."""
        self._wrapped.set_requires_gradient_sync(False)
        self._wrapped.set_is_last_backward(False)
        try:
            yield
        finally:
            self._wrapped.set_requires_gradient_sync(True)
            self._wrapped.set_is_last_backward(True)

    def finish_backward(self) -> None:
        """As `Engine.finish_backward`."""
        from torch.distributed.tensor import DTensor, Replicate

        self._wrapped.reshard()
        learned = {name: p for name, p in self._alone.items() if p.grad is not None}
        if not learned:
            return
        gradients = torch.stack([cast(Tensor, p.grad).detach() for p in learned.values()])
        dist.all_reduce(gradients)
        for (name, p), gradient in zip(learned.items(), gradients / self.share.of, strict=True):
            stand_in, p.grad = self._stand_ins[name], None
            stand_in.grad = DTensor.from_local(
                gradient, cast(Any, stand_in.data).device_mesh, [Replicate()], run_check=False
            )


def _replicated(parameter: nn.Parameter, mesh: Any) -> nn.Parameter:
    """A parameter as a sharded tensor of which each process holds all; both share one memory."""
    from torch.distributed.tensor import DTensor, Replicate

    return nn.Parameter(DTensor.from_local(parameter.detach(), mesh, [Replicate()], run_check=False))


def layers_of(whole: nn.Module) -> list[nn.Module]:
    """The layers of every stack, the inner ones first: what is gathered, used and given back by itself.

    Layers are modules of one class in a list, made of modules, with a forward of their own, and with weights that
    nothing else has.

    >>> stack = nn.ModuleList([nn.Sequential(nn.Linear(2, 2), nn.GELU()) for _ in range(3)])
    >>> len(layers_of(nn.ModuleDict({"stack": stack, "head": nn.Linear(2, 2)})))
    3
    """
    paths, ways = Counter(map(id, _each_way(whole))), _ways_to_weights(whole)
    found = dict.fromkeys(layer for stack in whole.modules() for layer in _of_stack(stack))
    return [layer for layer in reversed(found) if _is_own(layer, paths[id(layer)], ways)]


def _each_way(module: nn.Module) -> Iterator[nn.Module]:
    """A module and all inside, each as often as there are ways to it."""
    return (inner for _, inner in module.named_modules(remove_duplicate=False))


def _ways_to_weights(module: nn.Module) -> Counter[int]:
    """By each parameter's id, in how many ways it is reached."""
    return Counter(id(p) for inner in _each_way(module) for p in inner.parameters(recurse=False))


def _of_stack(stack: nn.Module) -> list[nn.Module]:
    if not isinstance(stack, nn.ModuleList | nn.Sequential):
        return []
    inside = list(stack.children())
    return inside if len({type(each) for each in inside}) == 1 else []


def _is_own(layer: nn.Module, paths: int, ways: Mapping[int, int]) -> bool:
    has_forward = not isinstance(layer, nn.ModuleList | nn.ModuleDict) and type(layer).forward is not nn.Module.forward
    made_of_modules = next(layer.children(), None) is not None
    inside = _ways_to_weights(layer)
    # Every way to a weight leads through the layer: else two layers that share it would both cut it.
    return has_forward and made_of_modules and bool(inside) and all(ways[p] == paths * n for p, n in inside.items())
