"""German captions into English (Multi30k) from 2,000 pairs, and German ones without translation.

    ssljax selftrain experiments/selftrain_multi30k.py --data parallel:PATH/multi30k

3 + 3 blocks of T5, 256 wide, a byte-level vocabulary of 8,000 for both languages, label smoothing
.1, beams of 4. From random weights, or after T5 on both languages without pairs (t5_multi30k.py).
A round is noisy self-training (He, Gu, Shen, Ranzato 2020, arXiv:1909.13788): the teacher writes an
English text for each of the other 27,000 German captions, the student reads these with a tenth of
their tokens hidden and the others up to three places away, half of each batch from true pairs. What
is less than half or more than twice as long, copied, or goes round in circles does not count, nor
does the least sure half. selftrain_multi30k_back.py translates English captions back in its place,
or joins both. Scored on the 1,000 pairs of test 2016, by BLEU of texts as they are; `full` learns
from all 29,000 pairs, in as many steps.

Not measured: neither this size nor a round has been run on all of Multi30k. In small and without
a round is translate_multi30k.py.
"""

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.data import Parallel, Text
from ssljax.nets import T5Decoder, T5Encoder
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Percentile
from ssljax.pseudolabels.texts import Believable
from ssljax.selftraining.learners import Network
from ssljax.tasks import Task, TokenInput, Translation

_SIZES = {"depth": 3, "heads": 4, "head_width": 64, "hidden": 1024, "dropout": 0.1}
ENCODER = T5Encoder(vocab=8100, width=256, **_SIZES)  # 100 sentinels behind the words
TARGET = Translation(decoder=T5Decoder(**_SIZES), length=64, words=8000)
TEACHER = Network(
    task=Task(inputs=TokenInput(), encoder=ENCODER, target=TARGET),
    optimizer=Optimizer(name="adamw", learning_rate=1e-3, per_batch=None, warmup=200, clip=1.0),
    steps=3000,
    batch=64,
    cadence=Cadence(log=100, save=1000, keep=1, monitor=0),
)
STUDENT = Network(
    task=Task(inputs=TokenInput(drop=0.1, shuffle=3), encoder=ENCODER, target=TARGET),
    optimizer=TEACHER.optimizer,
    steps=TEACHER.steps,
    batch=TEACHER.batch,
    share=0.5,
    cadence=TEACHER.cadence,
)

SELFTRAIN = SelfTraining(
    learner=TEACHER,
    student=STUDENT,
    data="parallel:multi30k",
    reader=Parallel(text=Text(tokenizer="bpe", vocab=8000, length=64, lowercase=False)),
    few=2000,
    rounds=Rounds(count=1, refine=(Believable(),), select=Percentile(step=50.0)),
    seeds=(0,),
)
