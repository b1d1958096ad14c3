"""Registrations of the core's task data: questions, sentences and expressions about pictures."""

from __future__ import annotations

from vlzoo.registry import Registrar

READERS = "vlzoo.data.readers"
SOURCES = (
    ("vqa-v2", "vqa:VqaV2", "VQA v2.0, questions about COCO pictures", "Goyal et al. CVPR 2017"),
    ("vqa-albef", "vqa:VqaAlbef", "VQA v2 and VG-QA as ALBEF's json lists", "Li et al. NeurIPS 2021"),
    ("vg-qa", "gqa:VgQa", "Visual Genome's questions, one answer each", "Krishna et al. IJCV 2017"),
    ("gqa", "gqa:Gqa", "GQA, compositional questions", "Hudson, Manning. CVPR 2019"),
    ("easy-vqa", "easy_vqa:EasyVqa", "easy-VQA, from its pip package", ""),
    ("nlvr2", "nlvr:Nlvr2", "NLVR2, sentences about two photographs", "Suhr et al. ACL 2019"),
    ("nlvr2-albef", "nlvr:Nlvr2Albef", "NLVR2 as ALBEF's json lists", "Li et al. NeurIPS 2021"),
    ("nlvr", "nlvr_v1:Nlvr", "NLVR v1, sentences about drawn pictures", "Suhr et al. ACL 2017"),
    ("snli-ve", "snli_ve:SnliVe", "SNLI-VE, original labels", "Xie et al. 2019"),
    ("snli-ve-albef", "snli_ve:SnliVeAlbef", "SNLI-VE as ALBEF's json lists", "Li et al. NeurIPS 2021"),
    ("e-snli-ve", "snli_ve:ESnliVe", "e-SNLI-VE, cleaned labels, release of e-ViL", "Kayser et al. ICCV 2021"),
    ("e-snli-ve-2.0", "snli_ve:ESnliVe2", "e-SNLI-VE 2.0, corrected neutral labels", "Do et al. 2020"),
    ("refcoco", "refcoco:RefCoco", "RefCOCO, referring expressions", "Yu et al. ECCV 2016"),
    ("refcoco-google", "refcoco:RefCocoGoogle", "RefCOCO with Google's split", "Yu et al. ECCV 2016"),
    ("refcoco-plus", "refcoco:RefCocoPlus", "RefCOCO+, without words of place", "Yu et al. ECCV 2016"),
    ("refcocog", "refcoco:RefCocoG", "RefCOCOg, longer expressions", "Mao et al. CVPR 2016"),
    (
        "refcoco-plus-albef",
        "refcoco_albef:RefCocoPlusAlbef",
        "RefCOCO+ as ALBEF's json lists",
        "Li et al. NeurIPS 2021",
    ),
    ("scenes-vqa", "scenes_tasks:ScenesVqa", "Scenes, questions (VQA v2's format)", ""),
    ("scenes-nlvr2", "scenes_tasks:ScenesNlvr2", "Scenes, sentences about two pictures (NLVR2's format)", ""),
    ("scenes-snli-ve", "scenes_tasks:ScenesSnliVe", "Scenes, hypotheses (SNLI-VE's format)", ""),
    ("scenes-refcoco", "scenes_tasks:ScenesRefCoco", "Scenes, referring expressions (RefCOCO's format)", ""),
)
"""Name, target below `READERS`, summary, paper."""


def register(registry: Registrar) -> None:
    """Register the core's task data."""
    for name, target, summary, paper in SOURCES:
        registry.part("data", name, f"{READERS}.{target}", summary=summary, paper=paper)
