"""Words of captions as COCO's caption evaluation counts them: Stanford's PTBTokenizer, without Java.

The evaluation (Chen et al. 2015, arXiv:1504.00325; `pycocoevalcap`) runs PTBTokenizer of CoreNLP 3.4.1 with
`-preserveLines -lowerCase` and drops a list of punctuation. The rules here were found by what that program makes of
texts: captions of COCO, Flickr30K and NLVR2, every short word with a full stop, BERT's vocabulary with apostrophes. Its
oddities are kept, as figures depend on them: brackets stay as `-lrb-`, and `street.A` is one word, as is `1 1/2`.
"""

from __future__ import annotations

import re

PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""What is dropped after the words are found. The official list also has `-LRB-`, which lower case never meets."""

ABBREVIATIONS = (
    "adj adm adv al ala alex apr ariz assn asst atty attys aug ave bancorp bhd bldg blvd brig bros calif capt cf "
    "cie cmdr co col colo comdr conn corp cos cpl ct dak dec dept det dr drs elec ens esq est etc ext feb fla fri "
    "ft ga gen gov govs hon inc ind insp intl invt jan jos jr jul jun kan kans ky lieut lt ltd maj mar md messrs "
    "mfg mich minn mlle mme mo mon mont mr mrs ms msgr mt mtg natl neb nev nov oct okla penn pfc ph plc ppte ppty "
    "pres prof profs pte ptes pty ptys pvt rd rep reps rev rt sen sens sep sept seq sfc sgt spc sq sr st ste supt "
    "supts sys tel tenn thu thurs tue tues univ va vs vt wed wis wisc wm wyo"
)
"""Keep their full stop."""
STATES = "Ark Az Del Ill La Mass Miss Ore Pa Tex Wash"
"""Keep it where they begin with a capital."""
BEFORE_NUMBERS = "art ca fig no nos op pp prop"
"""Keep it before a number."""
WHOLE = "c'est c'mon cap'n e'er ev'ry ma'am ma'ams nat'l ne'er nor'easter ol' qu'il s'mores somethin' ta'en"
"""Words that keep their apostrophe, beside those that begin with d', l', n' or o', and Hawaii's: ka'u."""
STARTS = (
    "a about according additionally after an as at but earlier he her here however if in it last many more now "
    "once one other our she since so some such that the their then there these they this we what when while yet "
    "you"
)
"""With a capital they begin a sentence, so that a letter before them loses its full stop: `sign K. The`."""

WRITTEN = {
    **{"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"},
    **{"’": "'", "‘": "`", "“": "``", "”": "''", '"': "''", "…": "...", "«": "``", "»": "''", "‹": "`", "›": "'"},
    **{
        "‐": "-",
        "‑": "-",
        "–": "--",
        "—": "--",
        "―": "--",
        "\x96": "--",
        "\x97": "--",
        "&mdash;": "--",
        "&quot;": "''",
    },
    **{"€": "$", "£": "#", "¢": "cents", "&amp;": "&", "&lt;": "<", "&gt;": ">"},
    **{"’n": "’n", "’N": "’n"},
    **{"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"},
}
"""Tokens that are written otherwise; runs of dots and of dashes besides."""

_BETWEEN = re.compile("&nbsp;|[\\s\u00ad\u200b-\u200d\ufeff\ufe00-\ufe0f\U00010000-\U0010ffff]")
_PLAIN = re.compile(r"[A-Za-z]+(?=[ ,]|$)")
_CUT = re.compile(r"(?i:cannot|gonna|gotta|wanna|gimme|lemme)$")


def _any(words: str) -> str:
    return "|".join(map(re.escape, words.split()))


_LETTER, _SIGN, _END = r"[^\W\d_½¼¾⅓⅔]", r"[^\W_½¼¾⅓⅔]", r"(?![^\W_])"
_HYPHENED = rf"{_SIGN}+(?:[-‐]{_SIGN}+)*"
_RULES = tuple(
    re.compile(rule)
    for rule in (
        r"(?i:(can)not|(gon)na|(got)ta|(wan)na|(gim)me|(lem)me)(?![\w-]|['’]s)",
        rf"{_SIGN}+(?:[-_‐]{_SIGN}+)*",  # words, also black-and-white, 4x4, a_b
        rf"({_SIGN}*[^\W_nN])(?i:n['’`]t)",  # do n't
        rf"(?i:n['’`]t){_LETTER}*",
        rf"('(?i:s|m|d|re|ve|ll|n)){_END}|’(?i:s|m|d|re|ve|ll|n)",
        rf"(?i:['’](?:em|cause|till?|n['’]|\d0s{_END})|(['’]t)(?:is|was)|(y['’])all|(j['’])[aeiou])",
        rf"(?i:{_any(WHOLE)}){_END}|(?i:[dlno])['’]{_LETTER}+|{_LETTER}+(?i:[aeiou]['’][aeiou]){_LETTER}*",
        rf"(?i:{_any(ABBREVIATIONS)})\.|(?:{_any(STATES)}|{_any(STATES.upper())})\.",
        rf"{_LETTER}\.(?!\s+(?:{_any(STARTS.title())}|{_any(STARTS.upper())}){_END})",
        rf"((?i:{_any(BEFORE_NUMBERS)})\.)\s*\d|({_HYPHENED}\.)[,;:]",
        rf"{_LETTER}\.(?:{_LETTER}\.)+(?:-{_HYPHENED})?",  # u.s.-based
        rf"{_LETTER}{_SIGN}*(?:[.!?]{_LETTER}{_SIGN}*)+(?:-{_SIGN}+)*",  # street.A
        rf"{_HYPHENED}(?:/{_HYPHENED})+",  # and/or
        r"[-+]?(?:\d+(?:[.:,]\d+)*|(?:[.:,]\d+)+)",
        r"\d{1,4}[ -]\d{1,4}/\d{1,4}",  # 1 1/2
        r"(?:\(\d{3}\) ?|\d{3}[ -])\d{3}[ -]\d{4}",  # telephone numbers
        r"(?:US|HK|[ACZ])?\$|(?i:c\+\+|[cf]\#)(?!\w)",
        r"[A-Z]+(?:&(?:amp;)?[A-Z]+)+",  # AT&T
        r"&(?:amp|lt|gt|quot|mdash);|&\#\d+;",
        rf"\#{_LETTER}+|@[A-Za-z_]\w*",
        rf"{_SIGN}[^\s\"<>|(){{}}]*@(?:[^\s\"<>|(){{}}.]+\.)*[^\s\"<>|(){{}}.]+",  # me@x.org
        rf"{_HYPHENED}\.(?:com|net|org|edu)/[^\s\"<>|()]*[^\s\"<>|().,!?;:']",
        r"https?://[^\s\"<>|()]*[^\s\"<>|().,!?;:']",
        r"<(?:/?[A-Za-z!][^<>]*)>",
        r"(?:[:;=][-o']?[()\[\]DPpO3|](?!\w)|>:[()]|\^_\^|[oO]_[oO]|T_T)",
        r"\.{3,5}|-{5,}|-{2,4}|[!?]{2,}|\*+|_+|\#+|@+|<<|>>|''|``|\S",
    )
)


def ptb_words(text: str, after: str = "") -> list[str]:
    """The words of a caption in lower case, without punctuation.

    Of all rules the longest match counts, what it looks ahead included; of equals the first.

    Args:
        text: the caption; a line break in it is a blank.
        after: the text on the next line of the official program's input, which it reads to tell where a sentence ends.

    >>> ptb_words("A man's black-and-white dog isn't on (Main St.)")
    ['a', 'man', "'s", 'black-and-white', 'dog', 'is', "n't", 'on', '-lrb-', 'main', 'st.', '-rrb-']
    """
    text = _BETWEEN.sub(_blank, text)
    found, at, end = [], 0, len(text)
    text = f"{text} {after}" if after and text.rstrip().endswith(".") else text
    while at < end:
        if text[at] == " ":
            at += 1
            continue
        plain = _PLAIN.match(text, at)
        word = plain[0] if plain and not _CUT.match(plain[0]) else _longest(text, at)
        at += len(word)
        if (written := _written(word)) not in PUNCTUATION:
            found.append(written)
    return found


def _blank(between: re.Match[str]) -> str:
    """Soft hyphens vanish within a word; all else that stands between words is a blank."""
    return "" if between[0] == "\u00ad" else " "


def _longest(text: str, at: int) -> str:
    matches = [match for rule in _RULES if (match := rule.match(text, at))]
    longest = max(matches, key=re.Match.end)
    return longest[longest.lastindex or 0]


def _written(word: str) -> str:
    if word in WRITTEN:
        return WRITTEN[word]
    if len(word) > 2 and set(word) == {"."}:
        return "..."
    if 1 < len(word) < 5 and set(word) == {"-"}:
        return "--"
    for plain in "()" if not word[0].isalnum() else "":
        word = word.replace(plain, WRITTEN[plain])
    return word.lower().replace("’", "'").replace("&amp;", "&").replace(" ", "\xa0")
