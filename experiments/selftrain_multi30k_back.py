"""Back-translation for Multi30k, German into English: true English, German by a network.

    ssljax selftrain experiments/selftrain_multi30k.py --data parallel:PATH/multi30k \\
        --reader.source en --reader.target de --rounds.count 0 --no-full --workdir runs/en_de
    ssljax translate runs/en_de --file PATH/multi30k/train.en.gz --temperature 1 --out back.tsv
    ssljax selftrain experiments/selftrain_multi30k_back.py --data parallel:PATH/multi30k \\
        --reader.back back.tsv

The first run learns from the same 2,000 pairs as selftrain_multi30k.py, for both draw by the seed;
the second draws a German text for every English caption (not the likeliest one: Edunov, Ott, Auli,
Grangier 2018, arXiv:1808.09381); the third learns from those, marked, and the true pairs, half of
each batch. Both, self-training and back-translation together:

    --rounds.refine.0.no-alone

The English captions are those of the hidden pairs: monolingual text of just the same kind, which is
kinder than the world. In the third run numbers of "pseudo-labels" are of German captions that the
student learns from, of which there are none without the flag above.

Not measured: none of the three has been run on all of Multi30k.
"""

from dataclasses import replace
from pathlib import Path

from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Threshold
from ssljax.pseudolabels.texts import Brought
from ssljax.runs.record import load_file

_FORWARD = load_file(Path(__file__).with_name("selftrain_multi30k.py"))

SELFTRAIN = replace(
    _FORWARD.SELFTRAIN,
    student=replace(_FORWARD.STUDENT, task=_FORWARD.TEACHER.task),
    reader=replace(_FORWARD.SELFTRAIN.reader, back="back.tsv"),
    rounds=Rounds(count=1, refine=(Brought(alone=True),), select=Threshold(value=0.0)),
    full=False,
)
