"""BLEU of a set of translations, and the words of a text as it counts them.

Papineni, Roukos, Ward, Zhu, "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002:

    BLEU = 100 min(1, e^(1 - r/c)) (p_1 p_2 p_3 p_4)^(1/4)

p_n is the share of n-grams of the translations that the references have too, each at most as often
as its own reference has it, c and r the words of all translations and of all references. Words are
those of mteval-v13a, upper and lower case apart; where no n-gram of an order is right, p_n is
1 / (2^k total_n) for the k-th such order (Chen, Cherry 2014, method 3). In the signature of
sacrebleu: nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp.
"""

import html
import math
import re
from collections import Counter
from collections.abc import Sequence

SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp"
_ORDERS = 4
# What stands alone: ASCII marks but . , - and the apostrophe.
_MARKS = re.compile(r"([!-&(-+/:-@\[-`{-~])")
_RULES = (
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),  # a point or comma that no digit precedes,
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),  # or follows
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_NAMED = re.compile("&(?:quot|amp|lt|gt);")


def words_of(text: str) -> list[str]:
    """The words of a text, marks apart, as mteval-v13a cuts them."""
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    text = f" {_NAMED.sub(lambda found: html.unescape(found[0]), text)} "
    text = _MARKS.sub(r" \1 ", text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.split()


def bleu(truth: Sequence[str], guess: Sequence[str]) -> float:
    """BLEU of translations with one reference each, from 0 to 100, in float64."""
    right, total, ours, theirs = [0] * _ORDERS, [0] * _ORDERS, 0, 0
    for reference, text in zip(truth, guess, strict=True):
        a, b = words_of(reference), words_of(text)
        ours, theirs = ours + len(b), theirs + len(a)
        for n in range(_ORDERS):
            said = _grams(b, n + 1)
            right[n] += (said & _grams(a, n + 1)).total()
            total[n] += said.total()
    if not any(right) or not all(total):
        return 0.0
    log, missed = 0.0, 0
    for n in range(_ORDERS):
        missed += right[n] == 0
        log += math.log((right[n] or 0.5**missed) / total[n]) / _ORDERS
    return 100 * math.exp(min(0.0, 1 - theirs / ours) + log)


def _grams(words: Sequence[str], n: int) -> Counter:
    """How often each run of n words occurs."""
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
