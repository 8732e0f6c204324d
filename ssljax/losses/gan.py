"""What a discriminator and a generator minimise, and the penalties on the discriminator's slope.

    non-saturating  D: softplus(-D(x)) + softplus(D(G))    G: softplus(-D(G))     arXiv:1406.2661
    hinge           D: relu(1 - D(x)) + relu(1 + D(G))     G: -D(G)               arXiv:1705.02894
    Wasserstein     D: D(G) - D(x)                         G: -D(G)               arXiv:1701.07875
    gradient penalty   (|grad D(u x + (1 - u) G)| - 1)^2, u uniform, one a sample arXiv:1704.00028
    R1                 1/2 |grad D(x)|^2 on real data                             arXiv:1801.04406

Means over the batch. A gradient norm is over all pixels of one sample. Scores are logits [B].
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

Critic = Callable[[jax.Array], jax.Array]
"""Images [B, H, W, C] -> scores [B]."""


def nonsaturating_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Cross-entropy of telling real from fake; scores [B]."""
    real, fake = _scores(real, fake)
    return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake))


def nonsaturating_generator(fake: jax.Array) -> jax.Array:
    """-log sigmoid(D(G)), whose gradient does not vanish where D is sure; scores [B]."""
    (fake,) = _scores(fake)
    return jnp.mean(jax.nn.softplus(-fake))


def hinge_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Real scores above 1 and fake ones below -1; scores [B]."""
    real, fake = _scores(real, fake)
    return jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + fake))


def wasserstein_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Minus the estimated distance between the two distributions; scores [B]."""
    real, fake = _scores(real, fake)
    return jnp.mean(fake) - jnp.mean(real)


def linear_generator(fake: jax.Array) -> jax.Array:
    """-D(G): what goes with the hinge and with the Wasserstein discriminator; scores [B]."""
    (fake,) = _scores(fake)
    return -jnp.mean(fake)


GAMES = {
    "nonsaturating": (nonsaturating_discriminator, nonsaturating_generator),
    "hinge": (hinge_discriminator, linear_generator),
    "wasserstein": (wasserstein_discriminator, linear_generator),
}
"""The losses of (discriminator, generator) by name."""


def penalties(
    critic: Critic,
    real: jax.Array,
    fake: jax.Array,
    key: jax.Array,
    *,
    slope_one: float,
    r1_gamma: float,
) -> jax.Array:
    """slope_one times `gradient_penalty` plus r1_gamma times `r1`; a weight of 0 costs nothing."""
    value = jnp.zeros(())
    if slope_one:
        value += slope_one * gradient_penalty(critic, real, fake, key)
    if r1_gamma:
        value += r1_gamma * r1(critic, real)
    return value


def gradient_penalty(critic: Critic, real: jax.Array, fake: jax.Array, key: jax.Array) -> jax.Array:
    """Mean of (slope - 1)^2 at a random point between each real and a fake sample.

    Args:
      critic: no row of its scores may depend on another, so no batch norm inside.
      real, fake: images [B, H, W, C]. key: for the points.
    """
    chex.assert_equal_shape((real, fake))
    u = jax.random.uniform(key, (len(real),) + (1,) * (real.ndim - 1))
    squared = _squared_slope(critic, u * real + (1.0 - u) * fake)
    # The gradient of a root is infinite at zero, where a fresh critic may be.
    return jnp.mean((jnp.sqrt(jnp.maximum(squared, 1e-12)) - 1.0) ** 2)


def r1(critic: Critic, real: jax.Array) -> jax.Array:
    """Mean of half the squared slope on real images [B, H, W, C]; gamma times this is R1."""
    return 0.5 * jnp.mean(_squared_slope(critic, real))


def _squared_slope(critic: Critic, x: jax.Array) -> jax.Array:
    """|grad D|^2 of each sample [B]: the gradient of a sum holds each sample's own."""
    slope = jax.grad(lambda x: jnp.sum(critic(x)))(x.astype(jnp.float32))
    return jnp.sum(slope.reshape(len(x), -1) ** 2, axis=1)


def _scores(*scores: jax.Array) -> list[jax.Array]:
    chex.assert_rank(scores, 1)
    return [score.astype(jnp.float32) for score in scores]
