"""Official checkpoints of TCL: the same names as ALBEF's, one for one."""

from collections.abc import Mapping

from torch import Tensor

from vlzoo.config.compose import compose
from vlzoo.weights.adapter import Converted
from vlzoo.weights.albef import AlbefAdapter


class TclAdapter(AlbefAdapter):
    """Checkpoints of TCL: those with a contrast and a momentum teacher go on as TCL, others as ALBEF's do."""

    origin, licence = "TCL, Yang et al. 2022, https://github.com/uta-smile/TCL", "MIT"

    def convert(self, state: Mapping[str, Tensor]) -> Converted:
        """As ALBEF's, with TCL's contrast, rows, augmentation and fine-tunings."""
        made, own = super().convert(state), compose("tcl").data
        recipe = made.recipe
        recipe.update(about=recipe["about"].replace("ALBEF", "TCL"), paper=own["paper"])
        if made.teacher and "itc" in recipe["objectives"]:
            recipe["objectives"]["itc"]["part"] = "tcl"
            recipe["augment"]["train"] = {**own["augment"]["train"], "size": recipe["augment"]["train"]["size"]}
            recipe.update({name: own[name] for name in ("needs", "rows", "finetune")})
        return made
