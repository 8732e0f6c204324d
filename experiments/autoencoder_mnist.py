"""A convolutional autoencoder on MNIST: 28x28 -> conv 32, pool, conv 32, pool, conv 32 -> and back.

    ssljax train experiments/autoencoder_mnist.py                              # TFDS
    ssljax train experiments/autoencoder_mnist.py --data parquet:path/to/mnist
    ssljax train experiments/autoencoder_mnist.py --method.encoder.code 32 --method.decoder.grid 32

The first network keeps 7x7x32 numbers, more than the image has pixels: features, but no reduction.
The last command squeezes them into 32. The report shows reconstructions, what lies between two
images, images sampled around codes (augmentation), and a 2-D map of the codes.
No published number is claimed for this setting.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import Autoencoder
from ssljax.probes import Evaluation, FewShot

EXPERIMENT = Experiment(
    method=Autoencoder(),
    data="tfds:mnist",
    optimizer=Optimizer(name="adam", learning_rate=1e-3, per_batch=None),
    steps=10 * (60_000 // 128),
    batch=128,
    cadence=Cadence(log=50, evaluate=0, save=1000, monitor=500),
    evaluation=Evaluation(few_shot=FewShot(draws=5), max_examples=20_000),
)

if __name__ == "__main__":
    from ssljax.cli.commands import train

    train(EXPERIMENT)
