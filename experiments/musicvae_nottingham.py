"""MusicVAE on two bars of the melodies of the Nottingham collection (1,034 folk tunes).

    ssljax train experiments/musicvae_nottingham.py --data midi:path/to/nottingham.zip \
        --workdir runs/musicvae
    ssljax sample runs/musicvae --out melodies

A row is 32 sixteenths from every second bar on, also of tunes in 6/8 and 3/4; a piece in seven is
held out for validation and as many for the test, never a part of a piece. Of the test are scored
how many events are right after the true ones (heldout_forced_accuracy) and after the decoder's own
(heldout_sampled_accuracy), and whole melodies (heldout_sampled_whole), all from the code at its
mean; heldout_nothing_accuracy is what an answer "nothing happens" gets for every event. The label
is the dance, for the probes of the features.

With --method.decoder.parts 2 a conductor, and a decoder that begins anew with each bar.

Not run yet.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.data import Midi
from ssljax.methods import MusicVAE
from ssljax.nets import MelodyDecoder, MelodyEncoder

# Dances; what is in "ashover", "playford" and "xmas" is of several, and slip jigs are but eleven.
STYLES = r"^(hpps|jigs|morris|reels|waltzes)"

EXPERIMENT = Experiment(
    method=MusicVAE(
        encoder=MelodyEncoder(width=256, code=64),
        decoder=MelodyDecoder(width=256, layers=1),
        beta=0.2,
        anneal=0.2,
        half=0.7,
    ),
    data="midi:path/to/nottingham.zip",
    reader=Midi(bars=2, label=STYLES, held=0.15),
    optimizer=Optimizer(name="adam", learning_rate=1e-3, per_batch=None, warmup=100, clip=1.0),
    steps=6000,
    batch=128,
    cadence=Cadence(log=100, evaluate=0, save=1000, monitor=0),
)
