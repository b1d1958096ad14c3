"""TCL (Yang et al., CVPR 2022): rows with two views of a picture, the triple contrast, checkpoints and recipes."""

from vlzoo import hookimpl
from vlzoo.door.registry import Registrar

VLZOO_API = 1

PAPER = "Yang et al., Vision-Language Pre-Training with Triple Contrastive Learning (TCL), CVPR 2022"


@hookimpl
def vlzoo_register(registry: Registrar) -> None:
    """Register the parts and the recipes."""
    two = "a picture augmented twice, for student and teacher"
    six = "ITC, within modalities and with local features too"
    registry.rows("two_views", "vlzoo_tcl.rows:TwoViews", summary=two, paper=PAPER)
    registry.objective("tcl", "vlzoo_tcl.triple:TCL", summary=six, paper=PAPER)
    registry.adapter("tcl", "vlzoo_tcl.weights:TclAdapter", summary="official checkpoints of TCL", paper=PAPER)
    registry.method("tcl", "vlzoo_tcl:recipes/tcl.yaml", summary="TCL pre-training at paper size", paper=PAPER)
    registry.method("tcl-tiny", "vlzoo_tcl:recipes/tcl-tiny.yaml", summary="TCL in minutes, on Scenes", paper=PAPER)
