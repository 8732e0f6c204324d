"""Generative adversarial network: a generator draws images that a discriminator takes for real.

Goodfellow et al. 2014, arXiv:1406.2661; networks of DCGAN, arXiv:1511.06434, and SNGAN,
arXiv:1802.05957; WGAN-GP, arXiv:1704.00028; R1, arXiv:1801.04406 (losses/gan.py has them all).

    one step:  `critic_steps` times, each on its own part of the batch and with codes of its own:
                   D <- D - tx(grad [ loss_D(D(x), D(G(z))) + penalty ])
               G <- G - generator_rate tx(grad loss_G(D(G(z)))),   z ~ N(0, 1) drawn anew
               EMA of G, which draws the samples (Yazici et al. 2018, arXiv:1806.04498)

Two optimizers, so this method writes its own step; schedules in tx count steps, also for D. Real
and generated images pass D apart, so batch norm never mixes them. The encoder is D's trunk, pooled.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from ssljax import nets
from ssljax.losses.gan import GAMES, penalties
from ssljax.method import Batch, Method, Metrics, State
from ssljax.nets import DiscriminatorHead, DiscriminatorTrunk, Generator
from ssljax.parts import schedules_at, updates_done
from ssljax.recipes import OfImages
from ssljax.views import ImageView, plain_only, view_batch


@dataclass(frozen=True, kw_only=True)
class GAN(OfImages):
    """A GAN; the defaults are those of SNGAN on 32x32 colour images."""

    encoder: Any = DiscriminatorTrunk()
    head: Any = DiscriminatorHead()
    generator: Any = Generator()
    """The network that draws images from random codes."""
    view: ImageView = plain_only(size=32, mean=(0.5,), std=(0.5,))
    """What the discriminator sees of a real image; in [-1, 1], as the generator draws."""
    game: Literal["nonsaturating", "hinge", "wasserstein"] = "hinge"
    """The losses of the two networks."""
    gradient_penalty: float = 0.0
    """Weight of (slope - 1)^2 between real and generated images; 10 in WGAN-GP."""
    r1: float = 0.0
    """gamma: half of it weighs the squared slope on real images."""
    critic_steps: int = 5
    """Updates of the discriminator in a step; the batch is divided among them."""
    generator_rate: float = 1.0
    """Learning rate of the generator, in units of the discriminator's."""
    code: int = 128
    """Length of the generator's input."""
    ema: float = 0.999
    """Decay of the average of generators; less at first, (1 + k) / (10 + k) in step k."""

    def init(self, key: jax.Array, batch: Batch, tx: optax.GradientTransformation) -> State:
        k1, k2 = jax.random.split(key)
        x = self.view.plain(batch["image"])
        d, d_stats = nets.init_discriminator(self._discriminator, k1, x)
        g, g_stats = nets.init(self.generator, k2, jnp.zeros((1, self.code)))
        target = {"params": {"generator": g}, "stats": {"generator": g_stats}}
        extra = {"stats": d_stats | {"generator": g_stats}, "target": target}
        opt = {"discriminator": tx.init(d), "generator": tx.init(g)}
        return State(jnp.zeros((), jnp.int32), d | {"generator": g}, opt, extra)

    def step(
        self, state: State, batch: Batch, key: jax.Array, tx: optax.GradientTransformation
    ) -> tuple[State, Metrics]:
        n, images = self.critic_steps, batch["image"]
        if len(images) % n:
            raise ValueError(f"a batch of {len(images)} is not divisible by {n} critic_steps")
        to_view, to_critic, to_codes = jax.random.split(key, 3)
        x = view_batch(self.view, to_view, images)
        g, target = state.params["generator"], state.extra["target"]
        d_opt, g_opt = state.opt["discriminator"], state.opt["generator"]
        k = updates_done(g_opt, state.step)
        d, stats = {name: state.params[name] for name in self._discriminator}, state.extra["stats"]
        metrics: Metrics = {}
        critic_loss = jax.value_and_grad(self._critic_loss, has_aux=True)
        # A loop and not a scan: XLA runs convolutions within a scan ten times slower on CPU. Parts
        # are interleaved, so that each device keeps its own images.
        for i, key in enumerate(jax.random.split(to_critic, n)):
            real, (to_z, to_points) = x[i::n], jax.random.split(key)
            fake, _ = self._generate(g, stats, to_z, len(real))
            (_, (stats, metrics)), grads = critic_loss(d, stats, real, fake, to_points)
            updates, d_opt = tx.update(grads, schedules_at(d_opt, k) if n > 1 else d_opt, d)
            d = optax.apply_updates(d, updates)
            metrics |= {"grad_norm": optax.tree.norm(grads)}

        def generator_loss(g: Any) -> tuple[jax.Array, Any]:
            fake, moved = self._generate(g, stats, to_codes, len(images) // n)
            return GAMES[self.game][1](nets.score(self._discriminator, d, stats, fake)[0]), moved

        (value, stats), grads = jax.value_and_grad(generator_loss, has_aux=True)(g)
        updates, g_opt = tx.update(grads, g_opt, g)
        g = optax.apply_updates(g, jax.tree.map(lambda u: self.generator_rate * u, updates))
        due = updates_done(g_opt, state.step + 1) > k
        rate = due * (1 - jnp.minimum(self.ema, (1 + k) / (10 + k)))
        mean = optax.incremental_update(g, target["params"]["generator"], rate)
        # Its batch norm follows batches of its own: the online statistics belong to other weights.
        _, mean_stats = self._generate(mean, target["stats"], to_codes, len(images) // n)
        extra = {"stats": stats, "target": {"params": {"generator": mean}, "stats": mean_stats}}
        opt = {"discriminator": d_opt, "generator": g_opt}
        metrics |= {"generator_loss": value}
        assert isinstance(d, dict)  # optax says no more than that it gives a tree
        return State(state.step + 1, d | {"generator": g}, opt, extra), metrics

    def sample(self, state: State, key: jax.Array, *, count: int) -> jax.Array:
        """Images of the averaged generator, [count, H, W, C] in [0, 1]."""
        return self.decode(state, jax.random.normal(key, (count, self.code)))

    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        """Codes [..., D] -> images [..., H, W, C] in [0, 1] of the averaged generator."""
        mean = {name: tree["generator"] for name, tree in state.extra["target"].items()}
        return self.view.denormalize(nets.draw(self.generator, **mean, codes=codes))

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report: samples, and what lies between codes."""
        codes = jax.random.normal(key, (len(batch["image"]), 8, self.code))
        between = nets.blend(codes[:, 0], count=7, spherical=True)
        return {"samples": self.decode(state, codes), "interpolations": self.decode(state, between)}

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        del updates
        return Method(partial(self.init, tx=tx), partial(self.step, tx=tx), self.embed)

    @property
    def _discriminator(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "head": self.head}

    def _generate(self, g: Any, stats: Any, key: jax.Array, count: int) -> tuple[jax.Array, Any]:
        """Images for training, [count, H, W, C] as the view gives them, and the new stats."""
        z = jax.random.normal(key, (count, self.code))
        x, moved = nets.apply(self.generator, g, stats["generator"], z, train=True)
        return x, stats | {"generator": moved}

    def _critic_loss(
        self, d: Any, stats: Any, real: jax.Array, fake: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        networks = self._discriminator

        def critic(x: jax.Array) -> jax.Array:
            return nets.score(networks, d, stats, x)[0]

        weights = {"slope_one": self.gradient_penalty, "r1_gamma": self.r1}
        penalty = penalties(critic, real, fake, key, **weights)
        of_real, moved = nets.score(networks, d, stats, real)
        of_fake, moved = nets.score(networks, d, moved, fake)
        value = GAMES[self.game][0](of_real, of_fake) + penalty
        scores = {"score_real": jnp.mean(of_real), "score_fake": jnp.mean(of_fake)}
        return value, (moved, {"loss": value, "penalty": penalty, **scores})
