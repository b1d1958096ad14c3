"""The core's own parts, registered through the same door as a stranger's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlzoo.data.catalogue import DATA, READERS
from vlzoo.door.hookspecs import hookimpl
from vlzoo.door.registry import Registrar
from vlzoo.resources import zoo_configs

if TYPE_CHECKING:
    import click

ALBEF = "Li et al., Align before Fuse, NeurIPS 2021, arXiv:2107.07651"
TCL = "TCL, Yang et al. 2022, arXiv 2202.10401"
CLIP, SIGLIP = "Radford et al. 2021 (CLIP)", "Zhai et al. 2023 (SigLIP)"
BERT = "Devlin et al. 2019"
METER, UFO, FLAMINGO = "Dou et al. 2022 (METER)", "Wang et al. 2021 (UFO)", "Alayrac et al. 2022 (Flamingo)"
GIT = "Wang et al., GIT: A Generative Image-to-text Transformer, TMLR 2022, arXiv:2205.14100"
SIM = "Wang et al., SimVLM: Simple Visual Language Model Pretraining with Weak Supervision, ICLR 2022, arXiv:2108.10904"
BLIP = "Li et al., BLIP: Bootstrapping Language-Image Pre-training, ICML 2022, arXiv:2201.12086"
COCA = "Yu et al., CoCa: Contrastive Captioners are Image-Text Foundation Models, TMLR 2022, arXiv:2205.01917"
RENNIE = "Rennie et al., Self-critical Sequence Training for Image Captioning, CVPR 2017, arXiv:1612.00563"
UNI = "Zhou et al., Unified Vision-Language Pre-Training for Image Captioning and VQA, AAAI 2020, arXiv:1909.11059"
VILT = "Kim et al. 2021 (ViLT)"
UNITER, VLMIXER = "Chen et al. 2020 (UNITER)", "Wang et al. 2022 (VLMixer)"
GOYAL, SUHR, XIE = "Goyal et al., CVPR 2017", "Suhr et al., ACL 2019", "Xie et al., 2019"
AGREE, BENCH, MODELS = "vlzoo.agree", "vlzoo.bench", "vlzoo.models"

PARTS = {
    "image_encoder": (
        ("timm", "vlzoo.models.image_timm:TimmEncoder", "any timm ViT, DeiT, BEiT, Swin or CNN, as tokens", ""),
        ("shared_patch", f"{MODELS}.one_stack:SharedPatches", "patches, pooled by the fusion's layers", UFO),
        ("patch", "vlzoo.models.image_patch:PatchEncoder", "one convolution over patches and learned positions", VILT),
        ("queries", "vlzoo.models.image_queries:QueryEncoder", "a timm model whose tokens learned queries read", COCA),
        ("regions", "vlzoo.models.image_regions:RegionEncoder", "a detector's region features and boxes", UNITER),
    ),
    "text_encoder": (
        ("bert", f"{MODELS}.text_bert:BertEncoder", "a BERT's first layers: random, or of a folder or package", BERT),
        ("roberta", f"{MODELS}.text_roberta:RobertaEncoder", "a RoBERTa, from a folder or random", "Liu et al. 2019"),
        ("embedding", "vlzoo.models.embedding:EmbeddingEncoder", "word and position vectors alone", ""),
        ("shared_embedding", f"{MODELS}.one_stack:SharedWords", "words, pooled by the fusion's layers", UFO),
        ("transformer", f"{MODELS}.text_transformer:TransformerEncoder", "CLIP's causal tower, or SigLIP's", CLIP),
        ("causal", "vlzoo.models.text_causal:CausalEncoder", "each word reads those before it", COCA),
        ("layers", "vlzoo.models.text_layers:LayersEncoder", "BERT's layers, which fusion and decoder may share", BLIP),
    ),
    "fusion": (
        ("cross_attention", f"{MODELS}.fusion_cross:CrossAttentionFusion", "text queries one or two pictures", ALBEF),
        ("merged", f"{MODELS}.fusion_merged:MergedFusion", "one stream of words and image tokens", UNITER),
        ("co_attention", f"{MODELS}.fusion_co:CoAttentionFusion", "words and image tokens read each other", METER),
    ),
    "decoder": (
        ("causal", "vlzoo.models.decoder:CausalDecoder", "words one after the other, reading a memory", ALBEF),
        ("multimodal", "vlzoo.models.decoder_multimodal:MultimodalDecoder", "goes on from a causal text encoder", COCA),
        ("flamingo", f"{MODELS}.decoder_flamingo:FlamingoDecoder", "a GPT-2 with gated cross-attention", FLAMINGO),
        ("prefix", "vlzoo.models.decoder_prefix:PrefixDecoder", "image tokens and words in one stream", GIT),
    ),
    "tokenizer": (
        ("wordpiece", "vlzoo.text.subwords:wordpiece", "BERT's word pieces; or whole words of the data", ""),
        ("bpe", "vlzoo.text.subwords:bpe", "byte pairs as RoBERTa's, GPT-2's or CLIP's", "Sennrich et al. 2016"),
        ("sentencepiece", "vlzoo.text.subwords:sentencepiece", "SentencePiece's unigrams", "Kudo, ACL 2018"),
    ),
    "objective": (
        (
            "itc",
            "vlzoo.objectives.itc:ITC",
            "image-text contrastive, in batch or with momentum queue and distillation",
            ALBEF,
        ),
        ("sigmoid_itc", "vlzoo.objectives.sigmoid_itc:SigmoidITC", "a yes or no for each image-text pair", SIGLIP),
        ("itm", "vlzoo.objectives.itm:ITM", "image-text matching on mined hard negatives", ALBEF),
        ("mlm", "vlzoo.objectives.mlm:MLM", "masked language modelling that reads the picture", ALBEF),
        (
            "answer",
            "vlzoo.objectives.answer:Answer",
            "generate an answer word by word, weighted by how many annotators gave it (VQA)",
            ALBEF,
        ),
        (
            "prefix_answer",
            "vlzoo.objectives.prefix_answer:PrefixAnswer",
            "an answer behind its question, by a decoder that reads the picture (VQA)",
            GIT,
        ),
        ("seq2seq_mlm", "vlzoo.objectives.mlm:Seq2SeqMLM", "masked words from the picture and the words before", UNI),
        ("prefix_lm", "vlzoo.objectives.prefix_lm:PrefixLM", "a text's rest from its beginning and the picture", SIM),
        ("lm", "vlzoo.objectives.lm:LM", "the next word of a text, by a decoder that reads the picture", GIT),
        ("scst", "vlzoo.objectives.scst:SCST", "captions that score above a baseline become likelier", RENNIE),
        (
            "classify",
            "vlzoo.objectives.classify:Classify",
            "classes of a text and one or two pictures (SNLI-VE, NLVR2, VQA as classification)",
            ALBEF,
        ),
        (
            "text_assignment",
            "vlzoo.objectives.text_assignment:TextAssignment",
            "which of two pictures does a text describe, if any: prepares a fusion for NLVR2",
            ALBEF,
        ),
    ),
    "augmentation": (
        ("plain", "vlzoo.augment.plain:Plain", "the whole picture resized to a square, bicubic; for evaluation", ALBEF),
        ("weak", "vlzoo.augment.weak:Weak", "random crop, flip and RandAugment, as ALBEF trains", ALBEF),
        ("strong", "vlzoo.augment.strong:Strong", "weak with colour jitter, grey and blur, as TCL trains", TCL),
        ("centre", "vlzoo.augment.centre:Centre", "the shorter side resized, then the middle; for evaluation", CLIP),
    ),
    "rows": (
        ("pairs", "vlzoo.data.pairs:Pairs", "a sample is a row: its pictures with one of its texts", ""),
        (
            "sampled",
            "vlzoo.data.sampled:Sampled",
            "pairs; some places of each picture",
            "Huang et al. 2020 (Pixel-BERT)",
        ),
        ("tags", "vlzoo.data.tags:Tags", "a detector's labels as words beside each picture", "Li et al. 2020 (Oscar)"),
        ("tag_texts", "vlzoo.data.tags:TagTexts", "a detector's labels as the text of their picture", VLMIXER),
        ("mixed", "vlzoo.data.mixed:Mixed", "a sentence, and once more with patches in place of words", VLMIXER),
    ),
    "task": (
        (
            "retrieval",
            "vlzoo.bench.retrieval.task:Retrieval",
            "find a picture's captions (TR) and a caption's picture (IR): recall@1, 5, 10",
            "Karpathy and Fei-Fei, CVPR 2015",
        ),
        ("captioning", f"{BENCH}.captioning.task:Captioning", "write a caption of a picture", "Chen et al. 2015"),
        ("vqa", f"{BENCH}.vqa.task:Vqa", "answer a question about a picture, by ranking a list of answers", GOYAL),
        ("nlvr2", f"{BENCH}.sentences:Nlvr2", "is a sentence true of two pictures: accuracy and consistency", SUHR),
        ("snli-ve", f"{BENCH}.sentences:SnliVe", "does a picture entail a sentence, contradict it, or neither", XIE),
        (
            "gqa",
            "vlzoo.bench.vqa.gqa:Gqa",
            "answer a compositional question about a picture: one right answer",
            "Hudson and Manning, CVPR 2019",
        ),
        (
            "nlvr",
            "vlzoo.bench.sentences:Nlvr",
            "is a sentence true of a drawing: accuracy and consistency over six drawings",
            "Suhr et al., ACL 2017",
        ),
        (
            "grounding",
            "vlzoo.bench.grounding.task:Grounding",
            "which box an expression means: accuracy at IoU 0.5, pointing game, energy in the box",
            "Yu et al., ECCV 2016",
        ),
        (
            "image-retrieval",
            "vlzoo.bench.image_retrieval:ImageRetrieval",
            "find the other pictures of a picture's class: recall@1, 5, 10 and mAP",
            "",
        ),
        (
            "hard-negatives",
            "vlzoo.bench.compositional:HardNegatives",
            "does a caption beat captions with a small change (SugarCrepe, ARO, CREPE), zero-shot",
            "Hsieh et al., NeurIPS 2023",
        ),
        (
            "winoground",
            "vlzoo.bench.compositional:Winoground",
            "match two pictures with two captions of the same words: text, image, group score, zero-shot",
            "Thrush et al., CVPR 2022",
        ),
        (
            "vsr",
            "vlzoo.bench.statements:Vsr",
            "is a sentence about where things are true of a picture, zero-shot or fine-tuned: accuracy and AUC",
            "Liu et al., TACL 2023",
        ),
        (
            "zero-shot",
            "vlzoo.bench.zero_shot:ZeroShot",
            "which class a picture is of, by prompts with the classes' names: top-1, top-5, mean per class",
            "Radford et al., ICML 2021",
        ),
    ),
    "schedule": (
        ("cosine", "vlzoo.train.schedule:cosine", "half a cosine after a warm-up", "Loshchilov and Hutter, ICLR 2017"),
        ("linear", "vlzoo.train.schedule:linear", "a straight line after a warm-up", "Devlin et al. 2019"),
        ("constant", "vlzoo.train.schedule:constant", "one rate after a warm-up", ""),
        ("albef-2021", "vlzoo.train.schedule:albef_2021", "the official code's: one value an epoch on a cosine", ALBEF),
    ),
    "decay": (
        ("matrices", "vlzoo.train.optim:matrices", "weights of two dimensions or more decay", ""),
        ("albef-2021", "vlzoo.train.optim:albef_2021", "the official code's: the temperature decays too", ALBEF),
    ),
    "adapter": (
        (
            "albef",
            "vlzoo.weights.albef:AlbefAdapter",
            "official checkpoints of ALBEF and TCL: pre-trained, retrieval, VQA, NLVR2, SNLI-VE",
            ALBEF,
        ),
        (
            "bert",
            "vlzoo.weights.bert:BertAdapter",
            "a BERT or RoBERTa, to start text encoder, fusion, decoder and the head of masked words from",
            BERT,
        ),
        ("clip", "vlzoo.weights.dual:ClipAdapter", "CLIP in transformers' layout", CLIP),
        ("siglip", "vlzoo.weights.dual:SiglipAdapter", "SigLIP in transformers' layout", SIGLIP),
        ("vilt", "vlzoo.weights.vilt:ViltAdapter", "ViLT in transformers' layout", VILT),
        ("git", "vlzoo.weights.git:GitAdapter", "GIT in transformers' layout", GIT),
        ("blip", "vlzoo.weights.blip:BlipAdapter", "BLIP in transformers' layout", "Li et al. 2022 (BLIP)"),
        ("timm", "vlzoo.weights.timm:TimmAdapter", "weights by timm's names, to start the image encoder from", ""),
    ),
    "model_family": (
        ("run", "vlzoo.bench.engine:Runs", "a run folder of vlzoo: run:FOLDER, or --run FOLDER", ""),
        (
            "package",
            "vlzoo.bench.engine:PackagedRuns",
            "a run that a pip package carries: package:vlzoo-tiny/albef",
            "",
        ),
        ("hf", "vlzoo.bench.hf.load:HuggingFace", "CLIP, SigLIP, BLIP, GIT or ViLT of transformers: hf:FOLDER", ""),
    ),
    "agreement": (
        ("albef-pretrain", f"{AGREE}.albef_goldens:Pretrain", "a pre-training step of ALBEF, three with AdamW", ALBEF),
        ("albef-text-assignment", f"{AGREE}.albef_goldens:TextAssignment", "ALBEF's pre-training for NLVR2", ALBEF),
        ("albef-retrieval", f"{AGREE}.albef_goldens:Retrieval", "a step of ALBEF's retrieval fine-tuning", ALBEF),
        ("albef-retrieval-eval", f"{AGREE}.albef_goldens:RetrievalEval", "ALBEF's two-stage score matrices", ALBEF),
        ("albef-entailment", f"{AGREE}.albef_goldens:Entailment", "a step of ALBEF's SNLI-VE fine-tuning", ALBEF),
        ("albef-nlvr", f"{AGREE}.albef_goldens:Nlvr", "a step of ALBEF's NLVR2 fine-tuning", ALBEF),
        ("albef-vqa", f"{AGREE}.albef_goldens:Vqa", "a step of ALBEF's VQA fine-tuning, and its ranking", ALBEF),
        ("albef-gradcam", f"{AGREE}.albef_goldens:GradCam", "word-conditional Grad-CAM of ALBEF", ALBEF),
        ("albef-functions", f"{AGREE}.albef_goldens:Functions", "ALBEF's tables, learning rates and texts", ALBEF),
        ("albef-names", f"{AGREE}.albef_goldens:Names", "the names of ALBEF's full-size checkpoint", ALBEF),
        ("transformers", f"{AGREE}.transformers_folder:TransformersFolder", "models of transformers, as runs", ""),
        ("vqa-accuracy", f"{AGREE}.evaluators:VqaAccuracy", "three VQA evaluators", "Goyal et al., CVPR 2017"),
        ("nlvr-consistency", f"{AGREE}.evaluators:NlvrConsistency", "NLVR's scripts", "Suhr et al., ACL 2017, 2019"),
        (
            "sugarcrepe-counts",
            f"{AGREE}.evaluators:SugarCrepeCounts",
            "SugarCrepe's counts",
            "Hsieh et al., NeurIPS 2023",
        ),
        ("retrieval-recall", f"{AGREE}.recall:RetrievalRecall", "recalls of ALBEF's `itm_eval`", ALBEF),
        ("coco-recall", f"{AGREE}.recall:CocoRecall", "recall by eccv-caption", "Chun et al., ECCV 2022"),
    ),
}
"""Kind -> name, target, summary, paper; sources of data stand in `vlzoo.data.catalogue`."""


@hookimpl
def vlzoo_register(registry: Registrar) -> None:
    """Register everything that comes with vlzoo."""
    for kind, parts in PARTS.items():
        for name, target, summary, paper in parts:
            registry.part(kind, name, target, summary=summary, paper=paper)
    for name, target, summary, paper in DATA:
        registry.part("data", name, f"{READERS}.{target}", summary=summary, paper=paper)
    registry.data(
        "mixture",
        "vlzoo.data.mixture:open_mixture",
        summary="several sources with weights: 4m, 16m, full, or a YAML of your own",
    )
    for file in sorted((zoo_configs() / "methods").glob("*.yaml")):
        with file.open(encoding="utf-8") as lines:  # the opening line alone: `vlzoo list` must be quick
            registry.method(file.stem, f"vlzoo:methods/{file.name}", summary=lines.readline().lstrip("# ").strip())


@hookimpl
def vlzoo_commands(group: click.Group) -> None:
    """Add the command line's own sub-commands, so that nobody else can have their names."""
    from vlzoo.cli.main import COMMANDS, LazyCommand  # here: the table of parts is read without a command line, too

    for name, about in COMMANDS.items():
        group.add_command(LazyCommand(name, short_help=about))
