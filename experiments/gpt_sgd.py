"""What a service answers in a dialogue, written by a small GPT from a tenth of the answers or all.

    ssljax selftrain experiments/gpt_sgd.py --data dialogues:PATH/sgd

A prompt is a turn of the user after up to four turns before it, 48 tokens of byte pairs; the answer
has 32 with its end. Of a tenth of the 15,277 training turns the answer is known. GPT-2 of two
layers learns these, writes the likeliest answer to each of the other turns, and a fresh one learns
both, half of each batch true; half of what is written counts, that of which it is surest. `full`
learns all true answers, in as many steps.

Measured on one of two shared CPU cores, 2026-12-01, seed 0, last step, the 4,823 test turns; about
six minutes of CPU time:

                     bits a byte   perplexity   BLEU   distinct words, pairs of words
    1,528 answers       1.741         34.5       2.7      .010    .029
    self-trained        1.890         46.8       2.2      .001    .002
    all answers         1.681         30.6       2.8      .006    .015

Perplexity is of a token of the true answers, in the field "nats" as its logarithm. Self-training
does harm: the surest half, 6,875 answers, are 206 different ones ("Have a good day." 1,073 times;
BLEU 4.7 against the truth), and the student says hardly anything else. 400 steps are few for all.

A talk with the last network of a run, which answers both with "What kind of movie?":

    ssljax chat RUN --say "I want to find a restaurant in San Jose." --say "Any with sushi?"
"""

from ssljax import Cadence, Optimizer, SelfTraining
from ssljax.data import Replies, Text
from ssljax.nets import GPT2
from ssljax.pseudolabels.rounds import Rounds
from ssljax.pseudolabels.select import Percentile
from ssljax.selftraining.learners import Network
from ssljax.tasks import Continuation, Task, TokenInput

GPT = GPT2(vocab=1024, width=96, depth=2, heads=4, length=80, dropout=0.1, attention_dropout=0.0)

SELFTRAIN = SelfTraining(
    learner=Network(
        task=Task(
            inputs=TokenInput(),
            encoder=GPT,
            target=Continuation(network=GPT, length=32, eos=2),  # [CLS] begins the user's next turn
        ),
        optimizer=Optimizer(
            name="adamw", learning_rate=3e-3, per_batch=None, warmup=30, weight_decay=0.1,
            b2=0.99, clip=1.0,
        ),
        steps=400,
        batch=32,
        share=0.5,
        cadence=Cadence(log=50, save=400, keep=1, monitor=0, steps_per_call=10),
    ),
    data="dialogues:sgd",
    reader=Replies(
        text=Text(length=80, vocab=1024, tokenizer="bpe", lowercase=False), prompt=48, history=4
    ),
    few=1528,
    rounds=Rounds(count=1, select=Percentile(step=50.0)),
    seeds=(0,),
)  # fmt: skip
