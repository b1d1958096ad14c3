"""VLMixer (Wang et al., ICML 2022): unpaired pre-training by cross-modal CutMix, with the detectors it stands on."""

from vlzoo import hookimpl
from vlzoo.door.registry import Registrar

PAPER = "Wang et al., VLMixer: Unpaired Vision-Language Pre-training via Cross-Modal CutMix (VLMixer), ICML 2022"

PARTS: tuple[tuple[str, str, str, str], ...] = (
    ("mixer", "cmc", "vlzoo_vlmixer.cmc:CrossModalCutMix", "concept words give way to patches of a gallery"),
    ("objective", "valp", "vlzoo_vlmixer.valp:VALP", "restore a mixed sentence, and find it by the sentence itself"),
    ("objective", "tavp", "vlzoo_vlmixer.tavp:TAVP", "masked tags of a picture from its regions and other tags"),
)
"""Kind, name, target and summary of each part."""


@hookimpl
def vlzoo_register(registry: Registrar) -> None:
    """Register the parts."""
    for kind, name, target, summary in PARTS:
        registry.part(kind, name, target, summary=summary, paper=PAPER)
