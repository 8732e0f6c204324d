"""One dataclass that says which optimizer a run uses, and turns into an optax transformation.

Weight decay, and the layer-wise adaptation of LARS and LAMB, skip biases, norms and every other
parameter with fewer than two axes, as the papers' code does (LARS: You et al. 2017,
arXiv:1708.03888; LAMB: You et al. 2019, arXiv:1904.00962; large-batch linear scaling: Goyal et al.
2017, arXiv:1706.02677). The weight decay that rises along a cosine and the clipping of each tensor
by itself are those of DINO (Caron et al. 2021, arXiv:2104.14294).

LARS multiplies by the rate before its momentum, as its paper and SimCLR's code do; the code of
BYOL, Barlow Twins, VICReg and SwAV multiplies after it. The two differ while the rate moves, by the
steps that the momentum looks back.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from ssljax.schedules import length


def matrices(params: Any) -> Any:
    """A mask, True where decay and adaptation apply: kernels and tables, not biases, norms or
    scalars.

    A bias may have two axes (one per attention head), so its name counts as well as its shape; so
    does that of prototypes of which only the direction matters (MSN).
    """

    def is_matrix(path: tuple, leaf: jax.Array) -> bool:
        name = getattr(path[-1], "key", "") if path else ""
        return leaf.ndim > 1 and name not in ("bias", "scale", "prototypes")

    return jax.tree_util.tree_map_with_path(is_matrix, params)


def _vectors(params: Any) -> Any:
    return jax.tree.map(lambda is_matrix: not is_matrix, matrices(params))


def clip_each(limit: float) -> optax.GradientTransformation:
    """Scales every tensor whose norm exceeds `limit` down to it: g min(1, limit / (|g| + 1e-6))."""

    def scaled(g: jax.Array) -> jax.Array:
        norm = jnp.sqrt(jnp.sum(jnp.square(g.astype(jnp.float32))))
        return (g * jnp.minimum(1.0, limit / (norm + 1e-6))).astype(g.dtype)

    return optax.stateless(lambda updates, params: jax.tree.map(scaled, updates))


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """An optimizer with its learning-rate schedule.

    The rate after warm-up is `learning_rate * batch * accumulate / per_batch`, or `learning_rate`
    itself where `per_batch` is None.
    """

    name: Literal["sgd", "adam", "adamw", "adagrad", "lars", "lamb", "muon"] = "adamw"
    """Which optimizer. Adagrad is that of embeddings of knowledge graphs."""
    learning_rate: float = 1e-3
    """Peak rate for a batch of `per_batch` examples."""
    per_batch: int | None = 256
    """Batch that the rate is meant for; the rate scales linearly with the real one. None: no
    scaling.
    """
    schedule: Literal["cosine", "cosine_7_16", "constant", "wsd"] = "cosine"
    """After warm-up: half a cosine down to zero, cos(7 pi k / 16 K) down to a fifth (FixMatch),
    constant, or wsd: constant, and a straight line down to zero at the end (Hu et al. 2024,
    arXiv:2404.06395). A run at a constant rate goes on to more steps exactly, one with wsd where it
    was stopped before its decay."""
    cooldown: int | float = 0.1
    """Steps of that line, the last of the run; below 1: a share of the run."""
    warmup: int | float = 0
    """Steps of linear warm-up from zero; below 1: a share of the run."""
    weight_decay: float = 0.0
    """Of SGD, Adam and Adagrad a part of the gradient (L2, as in `torch.optim`), else apart from
    it."""
    weight_decay_end: float | None = None
    """Weight decay at the end of the run, reached along half a cosine; None: it stays as it is."""
    momentum: float = 0.9
    """SGD, LARS and Muon."""
    nesterov: bool = False
    """Nesterov's momentum in SGD."""
    b1: float = 0.9
    """First moment of Adam, AdamW and LAMB."""
    b2: float = 0.999
    """Second moment of Adam, AdamW and LAMB."""
    clip: float | None = None
    """Largest global gradient norm."""
    clip_each: float | None = None
    """Largest gradient norm of any one tensor."""
    constant: tuple[str, ...] = ()
    """Networks whose rate stays at its peak after the warm-up, such as SimSiam's predictor."""
    vectors: float = 1.0
    """Rate of biases and norms, in units of the rate of kernels: 0.024 in Barlow Twins."""
    accumulate: int = 1
    """Steps whose gradients are averaged into one update. Warm-up and schedule still count steps.
    """

    def rate(self, *, steps: int, batch: int) -> Callable[[Any], Any]:
        """The schedule as a function of the number of *updates* done. steps: length of the run."""
        scale = 1.0 if self.per_batch is None else batch * self.accumulate / self.per_batch
        peak, k = self.learning_rate * scale, self.accumulate
        total, warmup = max(1, steps // k), length(self.warmup, steps) // k
        if warmup >= total:
            raise ValueError(
                f"optimizer.warmup {self.warmup} must be below the run's {steps} steps"
            )
        after: optax.Schedule
        if self.schedule == "constant":
            after = optax.constant_schedule(peak)
        elif self.schedule == "wsd":
            down = max(1, length(self.cooldown, steps) // k)
            if warmup + down > total:
                raise ValueError(
                    f"optimizer.warmup {self.warmup} and optimizer.cooldown {self.cooldown} are "
                    f"longer than the run's {steps} steps"
                )
            held = total - warmup - down
            after = optax.linear_schedule(peak, 0.0, down, transition_begin=held)
        elif self.schedule == "cosine_7_16":
            left = total - warmup

            def falling(count: Any) -> Any:
                return peak * jnp.cos(7 * jnp.pi / 16 * jnp.minimum(count, left) / left)

            after = falling
        else:
            after = optax.cosine_decay_schedule(peak, total - warmup)
        if not warmup:
            return after
        ramp = optax.linear_schedule(0.0, peak, warmup)
        return optax.join_schedules([ramp, after], [warmup])

    def decay(self, *, steps: int) -> float | Callable[[Any], Any]:
        """The weight decay, as a function of the number of updates done where it moves."""
        start, stop = self.weight_decay, self.weight_decay_end
        if stop is None:
            return start
        total = max(1, steps // self.accumulate)

        def schedule(k: Any) -> Any:
            done = jnp.minimum(k, total) / total
            return stop + (start - stop) * (1 + jnp.cos(jnp.pi * done)) / 2

        return schedule

    def build(self, *, steps: int, batch: int) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps with `batch` examples each."""
        decay = self.decay(steps=steps)
        tx = self._core(self.rate(steps=steps, batch=batch), decay)
        if self.constant:
            peak = replace(self, schedule="constant").rate(steps=steps, batch=batch)
            parts: dict[Hashable, optax.GradientTransformation]
            parts = {"scheduled": tx, "constant": self._core(peak, decay)}
            tx = optax.partition(parts, self._parts)
        if self.vectors != 1.0:
            tx = optax.chain(tx, optax.masked(optax.scale(self.vectors), _vectors))
        if self.clip_each is not None:
            tx = optax.chain(clip_each(self.clip_each), tx)
        if self.clip is not None:
            tx = optax.chain(optax.clip_by_global_norm(self.clip), tx)
        if self.accumulate > 1:
            # Last, so that one whole update is one micro-batch average: `from_loss` looks for it.
            tx = optax.MultiSteps(tx, self.accumulate).gradient_transformation()
        return tx

    def _parts(self, params: Any) -> Any:
        """Which part of the optimizer each network belongs to."""
        unknown = set(self.constant) - set(params)
        if unknown:
            raise ValueError(
                f"optimizer.constant names {', '.join(sorted(unknown))}, but the networks are "
                f"{', '.join(params)}"
            )
        return {name: "constant" if name in self.constant else "scheduled" for name in params}

    def _core(self, rate: Any, decay: Any) -> optax.GradientTransformation:
        match self.name:
            case "sgd":
                tx = optax.chain(
                    optax.add_decayed_weights(decay, mask=matrices),
                    optax.sgd(rate, momentum=self.momentum, nesterov=self.nesterov),
                )
            case "adam":
                tx = optax.adam(rate, b1=self.b1, b2=self.b2)
                # Without decay the state is as it was before there could be one: old runs go on.
                if self.weight_decay or self.weight_decay_end:
                    tx = optax.chain(optax.add_decayed_weights(decay, mask=matrices), tx)
            case "adagrad":
                # optax adds eps under the root, torch beside it.
                tx = optax.chain(
                    optax.add_decayed_weights(decay, mask=matrices),
                    optax.adagrad(rate, initial_accumulator_value=0.0, eps=1e-20),
                )
            case "adamw":
                tx = optax.adamw(rate, b1=self.b1, b2=self.b2, weight_decay=decay, mask=matrices)
            case "lars":
                tx = optax.lars(
                    rate,
                    weight_decay=decay,
                    weight_decay_mask=matrices,
                    trust_coefficient=1e-3,
                    trust_ratio_mask=matrices,
                    momentum=self.momentum,
                )
            case "lamb":
                tx = optax.chain(
                    optax.scale_by_adam(b1=self.b1, b2=self.b2, eps=1e-6),
                    optax.add_decayed_weights(decay, mask=matrices),
                    optax.masked(optax.scale_by_trust_ratio(), matrices),
                    optax.scale_by_learning_rate(rate),
                )
            case "muon":
                tx = optax.contrib.muon(
                    rate, beta=self.momentum, weight_decay=decay, weight_decay_mask=matrices
                )
            case _:
                raise ValueError(f"optimizer.name {self.name!r} is unknown")
        return tx
