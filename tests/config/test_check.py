"""`vlzoo check`: every mistake of a recipe at once, each with its place, its key, its value and the remedy."""

from __future__ import annotations

import pytest

from vlzoo.config import check
from vlzoo.config.check import load
from vlzoo.errors import RecipeError

FIVE = """\
# Five mistakes, one a line: an option, a part, a type, a case, a key.
model:
  image_encoder: {part: timm, nam: vit_tiny_patch16_224}
  fusion: crossattention
  joint: wide
  text_encoder: bert
objectives:
  ITC: {weight: 1.0}
train:
  sheduler: cosine
"""


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """The mistakes of a recipe given as text, each as one text."""
    monkeypatch.chdir(tmp_path)

    def found(text: str, **changes) -> list[str]:
        (tmp_path / "r.yaml").write_text(text)
        try:
            load("r.yaml", **changes)
        except RecipeError as error:
            return [str(problem) for problem in error.problems]
        return []

    return found


def test_five_mistakes_are_reported_at_once_in_the_order_of_the_file(problems):
    found = problems(FIVE)
    assert [each.partition("(")[0].strip() for each in found] == [
        "r.yaml:3: model.image_encoder.nam: image_encoder 'timm' takes no option 'nam'\n  -> did you mean 'name'?",
        "r.yaml:4: model.fusion: no fusion called 'crossattention'\n  -> did you mean 'cross_attention'?",
        "r.yaml:5: model.joint: 'wide' does not fit: wanted a valid integer",
        "r.yaml:8: objectives.ITC: no objective called 'ITC'\n  -> did you mean 'itc'?",
        "r.yaml:10: train.sheduler: there is no key 'sheduler' here\n  -> did you mean 'schedule'?",
    ]


MISTAKES = {
    "a section that is none": ("train: 3", "r.yaml:1: train: 3 does not fit: wanted a mapping of keys to values"),
    "a list for a mapping": ("objectives: [itc]", "objectives: ['itc'] does not fit: wanted a mapping"),
    "a mapping for a list": ("streams: {a: 1}", "streams: {'a': 1} does not fit: wanted a list"),
    "a number for a part": ("data: 3", "data: 3 does not fit: wanted a mapping"),
    "a float for an int": ("train: {batch: 3.5}", "train.batch: 3.5 does not fit: wanted a valid integer"),
    "a text for a number": ('train: {lr: "1"}', "train.lr: '1' does not fit: wanted a valid number"),
    "a boolean for a number": ("train: {batch: true}", "train.batch: True does not fit: wanted a valid integer"),
    "below the bound": ("train: {lr: 0}", "train.lr: 0 does not fit: wanted greater than 0"),
    "above the bound": ("teacher: {momentum: 2}", "teacher.momentum: 2 does not fit: wanted less than or equal to 1"),
    "no finite number": ("train: {lr: .inf}", "train.lr: inf does not fit: wanted a finite number"),
    "not a number": ("train: {lr: .nan}", "train.lr: nan does not fit: wanted a finite number"),
    "no such choice": ("train: {precision: FP32}", "did you mean 'fp32'? (choices: bf16, fp16, fp32)"),
    "no such schedule": ("train: {schedule: cosin}", "r.yaml:1: train.schedule: no schedule called 'cosin'"),
    "a schedule's nearest name": ("train: {schedule: albef}", "did you mean 'albef-2021'?"),
    "no such decay": ("train: {decay: matrix}", "train.decay: no decay called 'matrix'\n  -> did you mean 'matrices'?"),
    "a schedule of another type": ("train: {schedule: 3}", "train.schedule: 3 does not fit: wanted a valid string"),
    "a schedule of a task": (
        "finetune: {vqa: {train: {schedule: lienar}}}",
        "finetune.vqa.train.schedule: no schedule called 'lienar'\n  -> did you mean 'linear'?",
    ),
    "a short tuple": ("train: {betas: [0.9]}", "train.betas: entry 1 of the list is missing"),
    "a key at the top": ("modell: {}", "modell: there is no key 'modell' here\n  -> did you mean 'model'?"),
    "a key in a stream": ("streams: [{data: scenes, bach: 1}]", "streams[0].bach: there is no key 'bach' here"),
    "a stream without data": ("streams: [{name: x}]", "streams[0].data: 'data' is missing"),
    "streams without names": (
        "streams: [{data: x}, {data: y, probability: 0.5}]",
        "streams[1]: streams 0 and 1 are both called 'main'",
    ),
    "streams of one name": (
        "streams: [{name: a, data: x}, {data: z}, {name: a, data: y}]",
        "streams[2].name: streams 0 and 2 are both called 'a'",
    ),
    "data and streams": ("data: x\nstreams: [{data: x}]", "`data` and `streams` can't both be given"),
    "epochs and samples": ("train: {epochs: 1, samples: 1}", "`epochs` and `samples` can't both be given"),
    "a part without its name": ("model: {fusion: {layers: 2}}", "model.fusion: 'part' is missing\n  -> name the part"),
    "an option of another type": (
        "objectives: {itc: {queue: many}}",
        "objectives.itc.queue: 'many' is no int (wanted integer)",
    ),
    "an objective to switch off": ("objectives: {itk: off}", "no objective called 'itk' to switch off"),
    "a stream's objective": (
        "objectives: {itc: {}}\nstreams: [{data: x, objectives: [itm]}]",
        "streams[0].objectives[0]: 'itm' is not among the objectives that are on",
    ),
    "a task to finetune": ("finetune: {vqaa: {}}", "finetune.vqaa: no task called 'vqaa'"),
    "data without its name": ("data: {split: train}", "data: 'part' is missing"),
    "a stream's data without its name": ("streams: [{data: {split: train}}]", "streams[0].data: 'part' is missing"),
    "a key under finetune": (
        "finetune: {vqa: {train: {lrr: 1}}}",
        "finetune.vqa.train.lrr: there is no key 'lrr' here\n  -> did you mean 'lr'?",
    ),
    "an option of a task under finetune": (
        "finetune: {vqa: {bench: {kk: 3}}}",
        "finetune.vqa.bench.kk: there is no key 'kk' here\n  -> did you mean 'k'",
    ),
    "another type under finetune": ("finetune: {vqa: {bench: {k: abc}}}", "finetune.vqa.bench.k: 'abc' is no int"),
    "a recipe to extend under finetune": ("finetune: {vqa: {extends: 3}}", "finetune.vqa.extends: 3 is no name of a"),
    "a task's options that are none": ("bench: {vqa: 3}", "bench.vqa: 3 does not fit: wanted a mapping of the task's"),
    "a part under finetune": ("finetune: {vqa: {augment: {train: Weak}}}", "finetune.vqa.augment.train: no augment"),
    "an option under finetune": (
        "finetune: {vqa: {objectives: {mlm: {probabilty: 1}}}}",
        "takes no option 'probabilty'",
    ),
    "a task": ("task: no-such-task", "task: no task called 'no-such-task'"),
    "an option of the data that is validated on": (
        "data: scenes\nvalidation: {task: retrieval, data: {splt: val}}",
        "r.yaml:2: validation.data.splt: data 'scenes' takes no option 'splt'\n  -> did you mean 'split'?",
    ),
    "an option of data that a stream names": (
        "streams: [{data: {part: scenes}}]\nvalidation: {task: retrieval, data: {strict: 3}}",
        "r.yaml:2: validation.data.strict: 3 is no bool",
    ),
    "an option of the data that is measured": (
        "data: scenes\nbench: {data: coco-instances}\nvalidation: {task: retrieval, data: {year: '17'}}",
        "r.yaml:3: validation.data.year: '17' is no int",
    ),
    "a key of validation": (
        "validation: {task: retrieval, evry: 2}",
        "r.yaml:1: validation.evry: task 'retrieval' takes no option 'evry'\n  -> did you mean 'every'? (keys and opt",
    ),
    "a key of validation by an unknown task": (
        "validation: {task: retreival, evry: 2, k: 3}",
        "r.yaml:1: validation.evry: there is no key 'evry' here\n  -> did you mean 'every'?",
    ),
    "a key of validation by no task": ("validation: {evry: 2}", "validation.evry: there is no key 'evry' here"),
    "a key of a start": (
        "start: [{adapter: bert, file: x.bin, int: [fusion]}]",
        "r.yaml:1: start[0].int: adapter 'bert' takes no option 'int'\n  -> did you mean 'into'?",
    ),
    "a key of a tokenizer": ("tokenizer: {max_word: 3}", "takes no option 'max_word'\n  -> did you mean 'max_words'?"),
    "a vocabulary that can't be built": (
        "tokenizer:\n  part: bpe\n  vocab: data",
        "r.yaml:3: tokenizer.vocab: a vocabulary of bpe can't be built from data\n  -> name the file or folder: `voc",
    ),
    "a vocabulary that isn't named": ("tokenizer: {part: sentencepiece}", "r.yaml:1: tokenizer.vocab: a vocabulary"),
    "an augmentation": (
        "augment: {train: Weak}",
        "augment.train: no augmentation called 'Weak'\n  -> did you mean 'weak'",
    ),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_each_kind_of_mistake(problems, text, message):
    found = problems(text + "\n")
    assert any(message in each for each in found), found
    assert all(each.startswith("r.yaml:") for each in found)


def test_all_of_a_section_is_read_after_an_unknown_task(problems):
    found = problems("data: scenes\nvalidation: {task: retreival, evry: 2, k: 3, data: {splt: val}}\n")
    assert [each.split(": ")[1] for each in found] == ["validation", "validation.data.splt", "validation.evry"]


def test_finetune_may_change_parts_that_it_does_not_name(problems):
    assert problems("finetune: {vqa: {extends: tasks/vqa, model: {fusion: {layers: 3}}, data: {split: val}}}\n") == []


def test_a_mistake_in_a_base_is_reported_in_the_base(problems, tmp_path):
    (tmp_path / "base.yaml").write_text("\ntrain:\n  lr: fast\n")
    (found,) = problems("extends: base.yaml\n")
    assert found.startswith("base.yaml:3: train.lr: 'fast'")


def test_a_mistake_of_the_command_line_is_reported_as_such(problems):
    found = problems("about: x\n", sets=("train.lr=fast",), extra=("ITM",))
    assert found[0].startswith("--set train.lr=fast: train.lr: 'fast' does not fit")
    assert found[1].startswith("--with ITM: objectives.ITM: no objective called 'ITM'\n  -> did you mean 'itm'?")


def test_what_tasks_take_is_read_where_a_key_asks_for_it_alone(problems, monkeypatch):
    """Their sources are long, and `vlzoo check` is to answer at once."""
    read, schema_of = [], check.schema_of
    monkeypatch.setattr(check, "schema_of", lambda part: read.append(part.kind) or schema_of(part))
    assert problems("extends: albef-tiny\nbench: {batch: 4, vqa: {k: 3}}\nvalidation: {every: 1, task: vqa}") == []
    assert "task" not in read
    assert problems("extends: albef-tiny\nbench: {k: 4}") == []
    assert "task" in read


def test_a_good_recipe_has_none(problems):
    fusion = "text_encoder: bert, fusion: {part: cross_attention, layers: 2}"
    assert problems(f"model: {{image_encoder: timm, {fusion}}}\nobjectives: {{itc: {{}}, itm: off}}\n") == []


CLIP = "model:\n  image_encoder: timm\n  text_encoder: bert\nobjectives: {itc: {}}\n"

FITS = {
    "no fusion": (
        {"sets": ("objectives.itm={}",)},
        "--set objectives.itm={}: objectives.itm: objective itm reads fused states, and the recipe names no fusion\n"
        "  -> add `model.fusion:`; `vlzoo list fusion` shows what there is",
    ),
    "no decoder": (
        {"sets": ("objectives.answer={}", "model.fusion=merged")},
        "objectives.answer: objective answer writes text word by word, and the recipe names no decoder",
    ),
    "a part under another name": (
        {"sets": ("objectives.near={part: itm}",)},
        "objectives.near: objective near reads fused states",
    ),
    "a plugin's objective": (
        {"extra": ("soft_itm",)},
        "--with soft_itm: objectives.soft_itm: objective soft_itm reads fused states",
    ),
    "a variant has the needs of its base": (
        {"sets": ("objectives.focal_itc={}", "objectives.itc=false", "model.joint=null")},
        "objectives.focal_itc: objective focal_itc compares embeddings of pictures and texts, and the model has",
    ),
    "a token mask": ({"sets": ("token_mask=gradcam",)}, "token_mask: token_mask gradcam reads fused states"),
    "words that say nothing of their text": (
        {"sets": ("model.text_encoder=embedding",)},
        "objectives.itc: objective itc compares whole texts, and the first state of this text encoder says nothing",
    ),
    "no teacher": (
        {"sets": ("objectives.tcl={}", "objectives.itc=false")},
        "objectives.tcl: objective tcl compares with a momentum teacher, and the recipe has none\n"
        "  -> give it one: `teacher: {momentum: 0.995, alpha: 0.4}`",
    ),
    "a fusion of one picture": (
        {"sets": ("model.fusion=cross_attention", "objectives.text_assignment={}")},
        "objective text_assignment reads two pictures beside a text, and this fusion reads one\n"
        "  -> say so in the recipe: `model.fusion: {images: 2}`",
    ),
    "captions of a decoder that reads fused states": (
        {"sets": ("objectives.lm={}", "model.decoder=causal", "model.fusion=cross_attention")},
        "objective lm writes texts of pictures, and the decoder reads fused states, in which these texts would stand "
        "already\n  -> let it read the pictures: `model.decoder: {reads: image}`",
    ),
    "answers of a decoder that reads pictures": (
        {
            "sets": (
                "objectives.answer={}",
                "model.decoder={part: causal, reads: image}",
                "model.fusion=cross_attention",
            )
        },
        "objective answer writes from what texts have read of pictures, and the decoder reads the pictures alone\n"
        "  -> name a fusion and let the decoder read it: `model.decoder: {reads: fused}`; where it is to read "
        "the picture, questions are answered by `prefix_answer`",
    ),
    "a rest without a fusion": (
        {"sets": ("objectives.prefix_lm={}", "model.decoder=causal")},
        "objective prefix_lm reads fused states, and the recipe names no fusion",
    ),
    "no texts": ({"sets": ("model.text_encoder=null",)}, "objectives.itc: objective itc reads texts"),
    "a fusion without texts": (
        {"sets": ("model={image_encoder: timm, text_encoder: null, fusion: merged}",)},
        "model.fusion: the recipe names a fusion and no text encoder",
    ),
    "no pictures": ({"sets": ("model.image_encoder=null",)}, "model: the recipe names no image_encoder"),
}


@pytest.mark.parametrize("case", FITS)
def test_what_an_objective_needs_of_the_model_is_looked_up_in_its_source(problems, case):
    assert problems(CLIP) == []
    changes, expected = FITS[case]
    assert any(expected in each for each in problems(CLIP, **changes)), problems(CLIP, **changes)


def test_a_teacher_that_is_there_is_enough(problems):
    assert problems(CLIP, sets=("objectives.itc.part=tcl", "teacher={}")) == []


def test_a_fusion_of_two_pictures_is_enough(problems):
    two = ("model.fusion={part: cross_attention, images: 2}", "objectives.text_assignment={}")
    assert problems(CLIP, sets=two) == []


def test_a_tasks_recipe_leaves_the_model_to_its_run(problems):
    assert problems("task: vqa\nmodel: {decoder: causal}\nobjectives: {answer: {}}\n") == []
    whole = "task: vqa\nmodel: {image_encoder: timm, text_encoder: bert, decoder: causal}\nobjectives: {answer: {}}\n"
    assert ["names no fusion" in each for each in problems(whole)] == [True]


def test_options_of_rows_without_a_part_are_of_pairs(problems):
    """Before, the recipe's own file was blamed for a part that it does not name."""
    recipe = "rows: {equal_texts: negative}\nstreams: [{data: {part: scenes}, rows: {equal_text: alike}}]\n"
    found = problems(recipe)
    assert len(found) == 1 and "rows 'pairs' takes no option 'equal_text'" in found[0], found
