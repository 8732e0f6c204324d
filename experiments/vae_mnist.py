"""A variational autoencoder on MNIST with a code of 16 numbers.

    ssljax train experiments/vae_mnist.py                              # TFDS
    ssljax train experiments/vae_mnist.py --data parquet:path/to/mnist
    ssljax train experiments/vae_mnist.py --method.encoder.code 2      # a map that needs no t-SNE
    python experiments/gan_score.py RUN                                # scores its samples

The report shows reconstructions, what lies between two images, augmentations drawn from each
image's posterior, and samples of the prior. The loss is in nats an image, on grey pixels taken for
probabilities, so it is no likelihood and cannot be compared with those of binarised MNIST.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import VAE
from ssljax.probes import Evaluation, FewShot

EXPERIMENT = Experiment(
    method=VAE(),
    data="tfds:mnist",
    optimizer=Optimizer(name="adam", learning_rate=1e-3, per_batch=None),
    steps=20 * (60_000 // 128),
    batch=128,
    cadence=Cadence(log=50, evaluate=0, save=1000, monitor=500),
    evaluation=Evaluation(few_shot=FewShot(draws=5), max_examples=20_000),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
