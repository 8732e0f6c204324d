"""MusicVAE: a variational autoencoder of melodies, whose decoder writes one event after the other.

Roberts, Engel, Raffel, Hawthorne, Eck, "A Hierarchical Latent Vector Model for Learning Long-Term
Structure in Music", ICML 2018, arXiv:1803.05428.

    z = mu(x) + s(x) e,  e ~ N(0, 1),  s = softplus(.)
    L = mean over the batch of sum_t CE(logits_t, x_t)
        + beta_k mean over the batch of max(KL(N(mu, s^2) || N(0, 1)) - free_bits ln 2, 0)
    beta_k = beta (1 - exp(-k / anneal)),   k: updates done

Scheduled sampling: after each event the decoder reads the event that it has drawn itself, not the
true one, with probability sigmoid(ln 1000 (k / half - 1)); the schedule of the paper, an inverse
sigmoid of rate 1000, has half = 1000 ln 1000. Features are the means mu.

Differs from the paper: lengths are shares of the run; a part of a melody begins from what the
conductor says of it alone.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ssljax import nets
from ssljax.losses.language import token_nll
from ssljax.losses.reconstruction import gaussian_kl
from ssljax.method import Batch, Metrics, State
from ssljax.nets import MelodyDecoder, MelodyEncoder, slerp
from ssljax.recipes import Encoding
from ssljax.views import piano_rolls, transpose

_STEEP = math.log(1000)


@dataclass(frozen=True, kw_only=True)
class MusicVAE(Encoding):
    """A variational autoencoder of melodies; the defaults are for two bars."""

    encoder: MelodyEncoder = MelodyEncoder()
    decoder: MelodyDecoder = MelodyDecoder()
    """Its steps are the events of a melody."""
    beta: float = 0.2
    """Weight of the KL divergence in the end."""
    free_bits: float = 0.0
    """Bits of a code that cost nothing."""
    anneal: int | float = 0.2
    """Updates in which the distance of the weight from `beta` shrinks to a third (1 / e)."""
    half: int | float = 0.5
    """Updates after which the decoder reads its own event half of the time; 0: always the true one.
    """
    semitones: int = 5
    """Melodies are learned that much higher or lower at most; 0: as they are."""

    lengths: ClassVar[tuple[str, ...]] = ("anneal", "half")

    def inputs(self, batch: Batch) -> jax.Array:
        return batch["melody"]

    def check(self, data: Any) -> None:
        shape = data.spec["melody"][0] if "melody" in data.spec else None
        if shape != (self.decoder.steps,):
            found = "no melodies" if shape is None else f"melodies of {shape[0]} events"
            raise ValueError(
                f"this method learns melodies of {self.decoder.steps} events, and the data has "
                f"{found}: use data midi:PATH, read by Midi(bars=...), 16 events each, and "
                "--method.decoder.steps"
            )

    def init(self, key: jax.Array, batch: Batch) -> tuple[Any, Any]:
        one, two = jax.random.split(key)
        x = self.inputs(batch)
        encoder, _ = nets.init(self.encoder, one, x)
        code = jax.ShapeDtypeStruct((len(x), self.encoder.code), jnp.float32)
        params = {"encoder": encoder, "decoder": nets.init(self.decoder, two, code)[0]}
        extra = {"stats": {"encoder": {}, "decoder": {}}, "update": jnp.zeros((), jnp.int32)}
        return params, extra

    def posterior(self, params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log variance [B, code] of melodies [B, T]."""
        own = (self.encoder, params["encoder"], {}, x)
        return nets.apply(*own, train=False, method="posterior")[0]

    def decode(self, params: Any, code: jax.Array, **how: Any) -> tuple[jax.Array, jax.Array]:
        """(logits [B, T, events], events [B, T]) of codes [B, D]; how: see `MelodyDecoder`."""
        return nets.apply(self.decoder, params["decoder"], {}, code, train=False, **how)[0]

    def loss(
        self, params: Any, extra: Any, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        keys, k = jax.random.split(key, 4), extra["update"]
        x = transpose(keys[0], self.inputs(batch), most=self.semitones)
        mean, log_var = self.posterior(params, x)
        code = mean + jnp.exp(0.5 * log_var) * jax.random.normal(keys[1], mean.shape)
        beta = self.beta * (1 - jnp.exp(-k / max(self.anneal, 1)))
        own = jax.nn.sigmoid(_STEEP * (k / self.half - 1)) if self.half else jnp.zeros(())
        given = jax.random.bernoulli(keys[2], 1 - own, x.shape)
        noise = jax.random.gumbel(keys[3], (*x.shape, self.decoder.events))
        logits, _ = self.decode(params, code, truth=x, given=given, noise=noise)
        distortion = jnp.mean(jnp.sum(token_nll(logits, x), axis=1))
        kl = gaussian_kl(mean, log_var)
        paid = jnp.mean(jnp.maximum(kl - self.free_bits * math.log(2), 0))
        metrics = {
            "distortion": distortion,
            "kl": jnp.mean(kl),
            "beta": beta,
            "sampled": own,
            "accuracy": jnp.mean(jnp.argmax(logits, axis=-1) == x),
        }
        return distortion + beta * paid, (extra, metrics)

    def after(self, params: Any, extra: Any, k: jax.Array, *, updates: int) -> Any:
        del params, updates
        return extra | {"update": k + 1}

    def score(self, state: State, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Of codes at their means: nats an event with the KL divergence; how many events are right
        after the true ones (teacher-forced), and after the decoder's own likeliest ones (sampled),
        whole melodies too; and how many are right that say "nothing happens".
        """
        x = self.inputs(batch)
        mean, log_var = self.posterior(state.params, x)
        logits, forced = self.decode(state.params, mean, truth=x)
        _, drawn = self.decode(state.params, mean)
        one, steps = jnp.ones(len(x)), jnp.full(len(x), float(x.shape[1]))
        kl = gaussian_kl(mean, log_var)
        return {
            "loss": (jnp.sum(token_nll(logits, x), axis=1) + kl, steps),
            "kl": (kl, one),
            "forced_accuracy": (jnp.sum(forced == x, axis=1), steps),
            "sampled_accuracy": (jnp.sum(drawn == x, axis=1), steps),
            "sampled_whole": (jnp.all(drawn == x, axis=1), one),
            "nothing_accuracy": (jnp.sum(x == 0, axis=1), steps),
        }

    def compose(self, state: State, key: jax.Array, code: jax.Array, *, temperature: float) -> Any:
        """Melodies [B, T] of codes [B, D]; temperature: 0 takes the likeliest events."""
        shape = (len(code), self.decoder.steps, self.decoder.events)
        return self.decode(state.params, code, noise=temperature * jax.random.gumbel(key, shape))[1]

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Piano rolls: melodies beside what is made of their codes, those between each and the
        next, and new ones.
        """
        x, (near, far) = self.inputs(batch), jax.random.split(key)
        codes = self.embed(state, batch)
        again = self.compose(state, near, codes, temperature=0.0)
        arcs = slerp(codes, jnp.roll(codes, -1, axis=0), count=8)
        between = self.compose(state, near, arcs.reshape(-1, codes.shape[1]), temperature=0.0)
        drawn = jax.random.normal(far, (8 * len(x), codes.shape[1]))
        new = self.compose(state, far, drawn, temperature=0.5)
        return {
            "views": piano_rolls(jnp.stack([x, again], axis=1)),
            "interpolations": piano_rolls(between.reshape(len(x), 8, -1)),
            "samples": piano_rolls(new.reshape(len(x), 8, -1)),
        }
