"""A denoising autoencoder on MNIST: Gaussian noise of 0.5 on pixels in [0, 1], and a code of 32.

    ssljax train experiments/denoising_mnist.py                              # TFDS
    ssljax train experiments/denoising_mnist.py --data parquet:path/to/mnist

The report shows noisy inputs beside what the network makes of them.
No published number is claimed for this setting.
"""

from ssljax import Cadence, Experiment, Optimizer
from ssljax.methods import Autoencoder
from ssljax.nets import ConvDecoder, ConvEncoder
from ssljax.probes import Evaluation, FewShot

EXPERIMENT = Experiment(
    method=Autoencoder(encoder=ConvEncoder(code=32), decoder=ConvDecoder(grid=32), noise=0.5),
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
