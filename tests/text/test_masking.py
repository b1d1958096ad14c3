from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from vlzoo.batch import Text
from vlzoo.draws import IGNORED, Draws
from vlzoo.errors import VlzooError
from vlzoo.text.masking import Drawing, Pieces, WholeWords, drawing_name


def drawing(seed, rows, *, vocab, name="mlm"):
    return Drawing(Draws(seed), torch.arange(rows), name, vocab, 4)


def long_text(rows: int, length: int) -> Text:
    """Words 100 to 199, [CLS] (2) first and [SEP] (3) last."""
    ids = torch.randint(100, 200, (rows, length), generator=torch.Generator().manual_seed(0))
    ids[:, 0], ids[:, -1] = 2, 3
    special = torch.zeros_like(ids, dtype=torch.bool)
    special[:, 0] = special[:, -1] = True
    return Text(ids, torch.ones_like(special), special)


def test_berts_masking_rates():
    text = long_text(2000, 52)  # 100,000 words
    masked = Pieces(0.15)(text, drawing(1, 2000, vocab=1000))
    labels = masked.labels
    drawn = labels != IGNORED
    assert not bool((drawn & text.special).any())
    assert torch.equal(labels[drawn], text.ids[drawn])
    assert torch.equal(masked.ids[~drawn], text.ids[~drawn])
    count = int(drawn.sum())
    # BERT (Devlin et al. 2019, A.1): 15 %, of these 80 / 10 / 10. Deviation of 15,000: sqrt(1e5 * .15 * .85) = 113.
    assert abs(count - 15_000) < 4 * 113
    as_mask = int((masked.ids[drawn] == 4).sum())
    kept = int((masked.ids[drawn] == text.ids[drawn]).sum())
    # Of the random tenth, 1 in 1000 is [MASK] or the word itself by chance: 1.5 of each, within the tolerance.
    assert as_mask / count == pytest.approx(0.8, abs=4 * (0.16 / count) ** 0.5)
    assert kept / count == pytest.approx(0.1, abs=4 * (0.09 / count) ** 0.5)
    random = masked.ids[drawn & (masked.ids != 4) & (masked.ids != text.ids)]
    # Random ids come from the whole vocabulary: 100 bins of 10 ids.
    assert chisquare(torch.bincount(random // 100, minlength=10).tolist()).pvalue > 0.01


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.integers(0, 9))
def test_padding_changes_no_mask(probability, pad):
    text = long_text(6, 12)
    wide = Text(
        *(
            torch.nn.functional.pad(x, (0, pad), value=v)
            for x, v in zip((text.ids, text.mask, text.special), (0, False, True), strict=True)
        )
    )
    rule, about = Pieces(probability), drawing(2, 6, vocab=50)
    narrow_masked, wide_masked = rule(text, about), rule(wide, about)
    assert torch.equal(wide_masked.ids[:, :12], narrow_masked.ids)
    assert torch.equal(wide_masked.labels[:, :12], narrow_masked.labels)
    assert bool((wide_masked.labels[:, 12:] == IGNORED).all())
    assert torch.equal(Pieces(1.0)(wide, about).labels != IGNORED, ~wide.special)


def test_whole_words_are_masked_whole_and_at_their_rate():
    text = long_text(2000, 52)
    word = torch.arange(52).div(2, rounding_mode="floor").expand(2000, -1).clone()  # two pieces a word
    word[text.special] = -1
    masked = WholeWords(0.15)(replace(text, word=word), drawing(1, 2000, vocab=1000))
    drawn = masked.labels != IGNORED
    assert not bool((drawn & text.special).any())
    assert torch.equal(drawn[:, 2:50:2], drawn[:, 3:51:2])  # both pieces of a word or none
    words = 2000 * 24
    assert abs(int(drawn[:, 2:50:2].sum()) - 0.15 * words) < 4 * (words * 0.15 * 0.85) ** 0.5


def test_words_keep_their_numbers_where_others_were_taken_out():
    """A mixed sentence is shorter than its words' numbers; the words that are left are drawn as in the whole one."""
    text, about = long_text(40, 12), drawing(1, 40, vocab=50)
    word = torch.arange(-1, 11).expand(40, -1).clone()
    word[text.special] = -1
    whole = WholeWords(0.4)(replace(text, word=word), about)
    kept = [0, 9, 10, 11]
    left = Text(text.ids[:, kept], text.mask[:, kept], text.special[:, kept], word=word[:, kept])
    shorter = WholeWords(0.4)(left, about)
    assert torch.equal(shorter.labels != IGNORED, (whole.labels != IGNORED)[:, kept])
    assert bool((shorter.labels != IGNORED).any())


def test_whole_words_need_to_know_words():
    with pytest.raises(VlzooError, match="which pieces are one word"):
        WholeWords()(long_text(2, 8), drawing(1, 2, vocab=50))


def test_no_two_views_draw_alike():
    names = [drawing_name(view) for view in ("masked", "mlm", "x", "x-fate", "tags")]
    purposes = [f"{name}{end}" for name in names for end in ("", "-fate", "-id")]
    assert names[0] == "mlm" and len(set(purposes)) == len(purposes)


def test_two_maskings_of_one_text_are_independent():
    text = long_text(500, 102)
    one, other = (Pieces(0.5)(text, drawing(1, 500, vocab=1000, name=name)).labels != IGNORED for name in "ab")
    words = ~text.special
    # Of 50,000 words a quarter is drawn by both: standard deviation sqrt(5e4 * 3 / 16) = 97.
    assert abs(int((one & other)[words].sum()) - 12_500) < 4 * 97
