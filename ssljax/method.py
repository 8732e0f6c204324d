"""The contract that every method keeps: a method is a few pure functions over one pytree.

`Method` is a NamedTuple of functions, as optax does it for optimizers, and `State` is everything
that changes while training. The runner (`ssljax.training.train`) knows nothing else about a method.
"""

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp
import optax

from ssljax.parts import accumulation
from ssljax.schedules import length

log = logging.getLogger("ssljax")
PyTree = Any
Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """Everything that changes during training, as one pytree.

    step:   int32 scalar, the number of steps done.
    params: what the gradient moves. The reusable backbone is always `params["encoder"]`.
    opt:    optimizer state.
    extra:  everything else that changes: `extra["stats"]` holds batch statistics under the same
            names as `params`; EMA targets, queues, centres, cluster assignments lie beside it.
    """

    step: jax.Array
    params: PyTree
    opt: PyTree
    extra: PyTree


def backbone(state: State) -> tuple[PyTree, PyTree]:
    """(params, batch statistics) of the online encoder: what most methods embed with."""
    return state.params["encoder"], state.extra["stats"]["encoder"]


def target_backbone(state: State) -> tuple[PyTree, PyTree]:
    """The same of a target network, where the paper evaluates that."""
    target = state.extra["target"]
    return target["params"]["encoder"], target["stats"]["encoder"]


def averaged(params: PyTree, extra: PyTree, *, decay: float) -> PyTree:
    """`extra` after its target has moved: target <- decay target + (1 - decay) params.

    Batch statistics are copied, not averaged: for a target that is only evaluated.
    """
    target = optax.incremental_update(params, extra["target"]["params"], 1 - decay)
    return extra | {"target": {"params": target, "stats": extra["stats"]}}


def check_few(data: Any, *, classes: int | None, pool: bool = True) -> None:
    """Raises ValueError where a classifier cannot learn from a data set: it needs labels of just
    its classes, and with `pool` the batches of `ssljax.data.Few`.
    """
    if data.classes is None or "label" not in data.spec:
        raise ValueError("this method learns from labels, and the data has none")
    if len(data.classes) != classes:
        raise ValueError(
            f"the data has {len(data.classes)} classes and the method {classes}: use "
            f"--method.classes {len(data.classes)}"
        )
    if not pool and data.labelled_count < len(data):
        log.info(
            "learns from the %d of %d examples that have a label", data.labelled_count, len(data)
        )
    if pool and "pool" not in data.spec:
        raise ValueError(
            "this method learns from few labels and a pool without: set few=FewLabels(...) in the "
            "experiment, or wrap the data in data.Few"
        )


def online(state: State) -> State:
    """The state with the online network in place of its target; itself where there is no target."""
    if "target" not in state.extra:
        return state
    names = state.extra["target"]["params"]
    target = {
        "params": {name: state.params[name] for name in names},
        "stats": {name: state.extra["stats"][name] for name in names},
    }
    return State(state.step, state.params, state.opt, {**state.extra, "target": target})


class Method(NamedTuple):
    """A method as pure functions.

    init(key, batch) -> State
    step(state, batch, key) -> (State, metrics), metrics a flat dict of scalars that holds "loss"
    embed(state, batch) -> [B, D], the frozen features that probes and exports use
    refresh(state, data) -> State, optional host-level work every so many steps
    backbone(state) -> (params, stats), the arrays of the encoder that `embed` runs and an export
      writes: the online one, or a teacher where the paper evaluates that
    score(state, batch) -> {name: (sums [B], weights [B])}, optional: how well the method does its
      own task on each example. Over a data set each becomes sum(sums) / sum(weights); "loss" is in
      nats.
    predict(state, batch) -> logits [B, K] over the classes of the data, of methods that learn them,
      by the network that the paper evaluates
    pair(state, batch) -> {leaf: [B, D]}, optional, of methods that bring two kinds of input into
      one space: for each side whose input is in the batch, its place there, under the name of the
      leaf that it reads first
    links(state, batch) -> codes [B, D], optional, of methods of graphs that say which nodes are
      joined: the larger the product of two codes, the likelier
    """

    init: Callable[[jax.Array, Batch], State]
    step: Callable[[State, Batch, jax.Array], tuple[State, Metrics]]
    embed: Callable[[State, Batch], jax.Array]
    refresh: Callable[[State, Any], State] | None = None
    backbone: Callable[[State], tuple[PyTree, PyTree]] = backbone
    score: Callable[[State, Batch], dict[str, tuple[jax.Array, jax.Array]]] | None = None
    predict: Callable[[State, Batch], jax.Array] | None = None
    pair: Callable[[State, Batch], dict[str, jax.Array]] | None = None
    links: Callable[[State, Batch], jax.Array] | None = None


def from_loss(
    tx: optax.GradientTransformation,
    *,
    init: Callable[[jax.Array, Batch], tuple[PyTree, PyTree]],
    loss: Callable[[PyTree, PyTree, Batch, jax.Array], tuple[jax.Array, tuple[PyTree, Metrics]]],
    embed: Callable[[State, Batch], jax.Array],
    after: Callable[[PyTree, PyTree, jax.Array], PyTree] | None = None,
    refresh: Callable[[State, Any], State] | None = None,
    backbone: Callable[[State], tuple[PyTree, PyTree]] = backbone,
    score: Callable[[State, Batch], dict[str, tuple[jax.Array, jax.Array]]] | None = None,
    predict: Callable[[State, Batch], jax.Array] | None = None,
    pair: Callable[[State, Batch], dict[str, jax.Array]] | None = None,
    links: Callable[[State, Batch], jax.Array] | None = None,
    project: Callable[[PyTree], PyTree] | None = None,
) -> Method:
    """Turns a loss with one optimizer into a `Method`.

    Args:
      tx: the optimizer.
      init: (key, batch) -> (params, extra).
      loss: (params, extra, batch, key) -> (scalar, (new extra, metrics)).
      embed: (state, batch) -> [B, D].
      after: (new params, extra, k) -> extra, run after optimizer update number k (from 0): the
        place for EMA targets. Under gradient accumulation (`optax.MultiSteps`) it runs once an
        update, not once a step, so a target network moves as fast as without. A loss that depends
        on time (a temperature, a phase) reads what `after` has put into `extra` for the next step.
      refresh, backbone, score, predict, pair, links: see `Method`.
      project: params -> params, run after each update: brings parameters back to where they may be.
    """

    def init_state(key: jax.Array, batch: Batch) -> State:
        params, extra = init(key, batch)
        return State(jnp.zeros((), jnp.int32), params, tx.init(params), extra)

    def step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        (value, (extra, metrics)), grads = jax.value_and_grad(loss, has_aux=True)(
            state.params, state.extra, batch, key
        )
        updates, opt = tx.update(grads, state.opt, state.params)
        params = optax.apply_updates(state.params, updates)
        if project is not None:
            params = project(params)
        if after is not None:
            before, now = accumulation(state.opt), accumulation(opt)
            if before is not None and now is not None:
                moved = after(params, extra, jnp.asarray(before.gradient_step))
                due = now.mini_step == 0
                extra = jax.tree.map(lambda new, old: jnp.where(due, new, old), moved, extra)
            else:
                extra = after(params, extra, state.step)
        metrics = {"loss": value, "grad_norm": optax.tree.norm(grads), **metrics}
        return State(state.step + 1, params, opt, extra), metrics

    return Method(init_state, step, embed, refresh, backbone, score, predict, pair, links)


class Linear(NamedTuple):
    """A linear classifier: logits [.., K] = what the encoder gives [.., D] @ kernel + bias."""

    kernel: Any
    """[D, K]."""
    bias: Any
    """[K]."""
    reads: str = "__call__"
    """The method of the encoder that gives it: "__call__" features, "tokens" one a token, "outputs"
    one a frame of sound."""

    @classmethod
    def of(cls, head: PyTree, reads: str = "__call__") -> "Linear | None":
        """That of the parameters of an `MLP`; None where it has more layers."""
        if set(head) != {"linear_0"} or set(head["linear_0"]) != {"kernel", "bias"}:
            return None
        return cls(head["linear_0"]["kernel"], head["linear_0"]["bias"], reads)


class Recipe(Protocol):
    """What the dataclass of a method offers: its hyperparameters, and what others ask of it.

    A method inherits from this (or from a family in `ssljax.recipes`, which knows its inputs) and
    writes `init` and `loss`; whatever else it leaves alone means what the default here says. Only
    `build` makes something that runs: the rest of the runner knows `Method`, not this.
    """

    encoder: Any
    """The network that is kept. Exports, fine-tuning and LiDAR run it outside the method."""

    def init(self, key: jax.Array, batch: Batch) -> tuple[PyTree, PyTree]:
        """(params, extra), as in `from_loss`. Called by `build`."""
        ...

    def loss(
        self, params: PyTree, extra: PyTree, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
        """As in `from_loss`. Called by `build`; a method with a `build` of its own needs none."""
        ...

    def embed(self, state: State, batch: Batch) -> jax.Array:
        """Frozen features [B, D]. Called by `build`."""
        ...

    lengths: ClassVar[tuple[str, ...]] = ()
    """Fields that count updates, and may be given as a share of the run: a float below 1."""
    after: Callable[..., PyTree] | None = None
    """(new params, extra, k, updates=length of the run) -> extra, once an update: see `from_loss`.
    None: nothing moves but what the loss gives back."""
    refresh: Callable[..., State] | None = None
    score: Callable[..., Any] | None = None
    predict: Callable[..., Any] | None = None
    pair: Callable[..., Any] | None = None
    links: Callable[..., Any] | None = None
    """As in `Method`; None: the method has none, and the evaluation leaves its numbers out. What a
    method answers to a task of its own, such as the turn of an image, is no `predict`."""
    project: Callable[..., PyTree] | None = None
    """As in `from_loss`; None: parameters may be anywhere."""
    offer: Callable[..., tuple[jax.Array, jax.Array]] | None = None
    """(state, batch of one user with all items [N]) -> (scores [N], vectors of the items [N, D]).
    Called by `ssljax recommend`; None: the method knows nothing of users and items."""
    compose: Callable[..., jax.Array] | None = None
    """(state, key, codes [B, D], *, temperature) -> melodies int [B, T]; `embed` gives codes of
    `encoder.code` numbers. Called by `ssljax sample --out`; None: the method writes no music."""
    speak: Callable[..., tuple[jax.Array, jax.Array]] | None = None
    """(state, key, {"text": int [B, N], "label": int [B], the voice}, *, seconds, pace) -> (samples
    [B, T] in [-1, 1] at `mel.rate`, how many are heard [B]); texts are made of `letters`. Called by
    `ssljax sample --prompt --out`; None: the method does not speak."""

    @staticmethod
    def backbone(state: State) -> tuple[PyTree, PyTree]:
        """As in `Method`: the online encoder, where a method does not say that it evaluates
        another.
        """
        return backbone(state)

    def build(self, tx: optax.GradientTransformation, *, updates: int) -> Method:
        """The pure functions, with this optimizer. Called once by the runner.

        updates: length of the run, for `after` and `lengths`.
        """
        whole = {name: length(getattr(self, name), updates) for name in self.lengths}
        recipe: Any = self  # a dataclass
        if whole:
            recipe = dataclasses.replace(recipe, **whole)
        return from_loss(
            tx,
            init=recipe.init,
            loss=recipe.loss,
            embed=recipe.embed,
            after=None if recipe.after is None else partial(recipe.after, updates=updates),
            refresh=recipe.refresh,
            backbone=recipe.backbone,
            score=recipe.score,
            predict=recipe.predict,
            pair=recipe.pair,
            links=recipe.links,
            project=recipe.project,
        )

    def classifier(self, state: State) -> Linear | None:
        """The linear layer behind the encoder of `backbone` that tells classes or tags. Called by
        exports, which write it too; None: there is none.
        """
        del state
        return None

    def inputs(self, batch: Batch) -> PyTree:
        """What the encoder reads of a batch outside training. Called by fine-tuning.

        A method that does not say it cannot be fine-tuned.
        """
        raise ValueError(
            f"{type(self).__name__} does not say what its encoder reads: give it `inputs`"
        )

    @property
    def plain_view(self) -> Any:
        """How an image is prepared outside training: `plain(image)`, `denormalize`, size, mean and
        std, and called with (key, image) a random view; `weak` is the same view without changes of
        colour and small crops. Called by exports, fine-tuning, LiDAR and the report. None: the
        encoder reads no images.
        """
        return None

    @property
    def networks(self) -> dict[str, Any]:
        """The networks that other libraries know too, by the name of their parameters. Called by
        `begin` and by exports and imports. By default the encoder alone.
        """
        return {"encoder": self.encoder}

    def arrays(self, state: State) -> PyTree:
        """The parameters of `networks`, and numbers beside them that belong to the model, such as
        the scale of logits. Called by exports for transformers.
        """
        networks = self.networks
        found = {k: v for k, v in state.params.items() if k in networks or not isinstance(v, dict)}
        return found | {"encoder": self.backbone(state)[0]}

    @property
    def decides(self) -> Any:
        """What has the numbers as fields that a published family asks for, such as the token that
        ends a text: by default the method. Called by exports for transformers.
        """
        return self

    @property
    def partner(self) -> Any:
        """The encoder of a second kind of input; None: there is but one. Called by the check of
        vocabularies.
        """
        return None

    def show(self, batch: Batch, key: jax.Array, state: State) -> dict[str, jax.Array]:
        """Pictures for the report, [n, views, H, W, C] in [0, 1] by name. {}: there are none."""
        del batch, key, state
        return {}

    def check(self, data: Any) -> None:
        """Raises ValueError where this cannot learn from `data`. Called before training; by default
        any data will do.
        """

    def filled(self, data: Any) -> Self:
        """This with every open field (None) that follows from the data, such as its classes. Called
        by the runner before `check`, and by all that load a run; by default nothing is open.
        """
        del data
        return self


def from_pretrained(method: Method, params: PyTree, stats: PyTree) -> Method:
    """`method` that begins training with pretrained networks in place of random ones.

    They come in by `refresh` at step 0, so that `init` still gives the random network to compare
    with; cadence.refresh must not be 0. A target network begins as the same.

    Args:
      params, stats: by network, such as {"encoder": ...}; the other networks start as ever.
    Raises: ValueError, from refresh, where a network is not the method's or has other shapes.
    """

    def refresh(state: State, data: Any) -> State:
        if int(state.step) == 0:
            old = (state.params, state.extra["stats"])
            for mine, given in zip(old, (params, stats), strict=True):
                for name, tree in given.items():
                    if jax.tree.map(jnp.shape, tree) != jax.tree.map(jnp.shape, mine.get(name)):
                        raise ValueError(f"the pretrained {name!r} does not fit that of the method")
            extra = {**state.extra, "stats": {**old[1], **stats}}
            if "target" in extra:
                extra["target"] = _replaced(extra["target"], {"params": params, "stats": stats})
            state = State(state.step, {**old[0], **params}, state.opt, extra)
        return state if method.refresh is None else method.refresh(state, data)

    return method._replace(refresh=refresh)


def _replaced(target: PyTree, given: dict[str, PyTree]) -> PyTree:
    """A target whose networks are copies of the given ones: two arrays may not share memory that
    training donates."""
    return target | {
        part: target[part]
        | {n: jax.tree.map(jnp.array, tree) for n, tree in trees.items() if n in target[part]}
        for part, trees in given.items()
        if part in target
    }
