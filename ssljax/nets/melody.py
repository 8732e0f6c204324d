"""Networks of MusicVAE: melodies into Gaussian codes, and codes into melodies.

Roberts, Engel, Raffel, Hawthorne, Eck, "A Hierarchical Latent Vector Model for Learning Long-Term
Structure in Music", ICML 2018, arXiv:1803.05428.

A melody is int `[B, T]`, events at sixteenths (`ssljax.data.melody`).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

Carry = tuple[jax.Array, jax.Array]


class MelodyEncoder(nn.Module):
    """Melodies int `[B, T]` -> the mean `[B, code]` of a Gaussian over codes."""

    events: int = 90
    """Kinds of events."""
    width: int = 256
    """Numbers in a state of each of the two directions."""
    code: int = 64
    """Length of the code."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.posterior(x, train)[0]

    @nn.compact
    def posterior(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Mean and log variance of the code, two of `[B, code]` float32; its deviation is a
        softplus."""
        del train
        _check(x, "MelodyEncoder")
        x = jax.nn.one_hot(x, self.events)
        ends = []
        for name, back in (("forward", False), ("backward", True)):
            read = nn.RNN(
                nn.OptimizedLSTMCell(self.width, name=name), reverse=back, return_carry=True
            )
            carry: Any = read(x)[0]
            ends.append(carry[1])
        h = jnp.concatenate(ends, axis=-1)
        spread = jax.nn.softplus(nn.Dense(self.code, name="spread")(h))
        return nn.Dense(self.code, name="mean")(h), 2 * jnp.log(spread + 1e-8)


class MelodyDecoder(nn.Module):
    """Codes `[B, D]` -> logits `[B, T, events]` of what happens at each sixteenth, given what has
    happened before.

    A stack of LSTMs begins from the code and reads it in each step, beside the event before. With
    several parts a conductor, an LSTM of its own, makes of the code one vector for each; the stack
    then begins anew with every part and reads the vector of that part, no longer the code.
    """

    events: int = 90
    """Kinds of events."""
    steps: int = 32
    """Events of a melody, T."""
    width: int = 256
    """Numbers in a state of each LSTM."""
    layers: int = 2
    """LSTMs on top of each other."""
    parts: int = 1
    """Parts of a melody, equally long; 1: no conductor."""
    conductor: int = 128
    """Numbers in a state of the conductor, and in what it says."""

    @nn.compact
    def __call__(
        self,
        code: jax.Array,
        train: bool = False,
        *,
        truth: jax.Array | None = None,
        given: jax.Array | None = None,
        noise: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """(logits `[B, T, events]`, the events that they choose int `[B, T]`).

        Args:
          truth: int `[B, T]`, what happens in truth. given: bool `[B, T]`, after which events the
            network reads the true one and not the chosen one; None: after all of which the truth
            is known.
          noise: `[B, T, events]`, added to the logits before the likeliest event is chosen: Gumbel
            noise draws from them. None: the likeliest.
        """
        del train
        if self.steps % self.parts:
            raise ValueError(f"{self.steps} steps are not divisible into {self.parts} parts")
        batch, each = len(code), self.steps // self.parts
        if given is None:
            given = jnp.full((batch, self.steps), truth is not None)
        if truth is None:
            truth = jnp.zeros((batch, self.steps), jnp.int32)
        if noise is None:
            noise = jnp.zeros((batch, self.steps, 1))
        said: Any = code[:, None]  # an RNN gives its carry too where it is asked
        if self.parts > 1:
            begin = _begin(code, self.conductor, "conductor_begin")
            cell = nn.OptimizedLSTMCell(self.conductor, name="conductor")
            nothing = jnp.zeros((batch, self.parts, 1))
            said = nn.RNN(cell)(nothing, initial_carry=begin)
        begins = [_begin(said, self.width, f"begin{i}") for i in range(self.layers)]
        first = jnp.arange(self.steps) % each == 0

        def over_time(x: jax.Array, repeat: int = 1) -> jax.Array:
            return jnp.moveaxis(jnp.repeat(x, repeat, axis=1), 1, 0)

        steps = (
            first,
            over_time(said, each),
            jax.tree.map(lambda x: over_time(x, each), begins),
            *map(over_time, (truth, given, noise)),
        )
        run = nn.scan(_Step, variable_broadcast="params", split_rngs={"params": False})
        step = run(events=self.events, width=self.width, name="step")
        # -1 is no event: its one-hot vector is zero.
        start = (jax.tree.map(lambda x: x[:, 0], begins), jnp.full(batch, -1, jnp.int32))
        _, (logits, chosen) = step(start, steps)
        return jnp.moveaxis(logits, 0, 1), chosen.T


class _Step(nn.Module):
    """One event."""

    events: int
    width: int

    @nn.compact
    def __call__(self, carry: Any, now: Any) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        states, before = carry
        first, said, begins, truth, given, noise = now
        states = jax.tree.map(lambda new, old: jnp.where(first, new, old), begins, states)
        x = jnp.concatenate([jax.nn.one_hot(before, self.events), said], axis=-1)
        moved = []
        for i, state in enumerate(states):
            state, x = nn.OptimizedLSTMCell(self.width, name=f"lstm{i}")(state, x)
            moved.append(state)
        logits = nn.Dense(self.events, name="event")(x)
        chosen = jnp.argmax(jax.lax.stop_gradient(logits) + noise, axis=-1)
        return (moved, jnp.where(given, truth, chosen)), (logits, chosen)


def _begin(x: jax.Array, width: int, name: str) -> Carry:
    """The first state of an LSTM that begins from x `[..., D]`."""
    both = jnp.tanh(nn.Dense(2 * width, name=name)(x))
    return both[..., :width], both[..., width:]


def _check(x: jax.Array, network: str) -> None:
    if x.ndim != 2 or not jnp.issubdtype(x.dtype, jnp.integer):
        raise ValueError(f"{network} takes events int [B, T], not {x.dtype} {x.shape}")


def slerp(one: jax.Array, two: jax.Array, *, count: int) -> jax.Array:
    """Codes on the arc from one to the other, both ends among them: `[B, D]` -> `[B, count, D]`.

    Where two codes point the same way, or opposite ways, or one is zero, it is a straight line.
    """
    t = jnp.linspace(0.0, 1.0, count)[:, None]
    length = jnp.linalg.norm(one, axis=-1) * jnp.linalg.norm(two, axis=-1)
    cosine = jnp.sum(one * two, axis=-1) / jnp.maximum(length, 1e-12)
    angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))[:, None, None]
    sine = jnp.sin(angle)
    flat = sine < 1e-4
    safe = jnp.where(flat, 1.0, sine)
    first = jnp.where(flat, 1 - t, jnp.sin((1 - t) * angle) / safe)
    second = jnp.where(flat, t, jnp.sin(t * angle) / safe)
    return first * one[:, None] + second * two[:, None]
