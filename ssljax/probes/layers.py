"""Which layer of a network a parameter belongs to, and a rate that decays from layer to layer.

As in Bao et al. 2021 (BEiT), arXiv:2106.08254, and He et al. 2021 (MAE), arXiv:2111.06377:

    rate of layer i = learning_rate * layer_decay^(n - i),      layer n = the classifier
"""

import re
from typing import Any

import jax
import optax


def layers(params: Any) -> tuple[Any, int]:
    """(layer of each parameter of an encoder, 0 at the input; layer of the classifier on top).

    A ViT has its embeddings at 0, then a layer for each block; a ResNet its stem at 0, then one for
    each stage; a SmallConv one for each convolution. The last norm belongs to the classifier.
    Raises: ValueError for names without a known order.
    """
    named = {name: _layer(name) for name in params}
    found = {name: layer for name, layer in named.items() if layer is not None}
    unknown = [name for name in named if name not in found]
    if unknown:
        raise ValueError(
            f"layer_decay does not know the order of {', '.join(unknown[:3])}: it knows ViT, "
            "ResNet and SmallConv; use 1 for this network"
        )
    top = max(found.values()) + 1
    found = {name: top if layer == _TOP else layer for name, layer in found.items()}
    return {n: jax.tree.map(lambda _, n=n: found[n], part) for n, part in params.items()}, top


_TOP = -1


def _layer(name: str) -> int | None:
    if name in ("patch_embed", "cls_token", "pos_embed", "mask_token", "register_tokens"):
        return 0
    if name == "norm":
        return _TOP
    if match := re.fullmatch(r"blocks_(\d+)", name):
        return int(match[1]) + 1
    if match := re.fullmatch(r"layer(\d+)_\d+", name):
        return int(match[1])
    if match := re.fullmatch(r"(?:conv|bn)(\d+)", name):
        return int(match[1]) - 1
    return None


def scaled(decay: float) -> optax.GradientTransformation:
    """Multiplies the updates of each layer, last: what moves is the rate, weight decay included."""

    def update(updates: Any, params: Any) -> Any:
        del params
        if decay == 1 or "encoder" not in updates:
            return updates
        order, top = layers(updates["encoder"])
        slower = jax.tree.map(lambda u, i: u * decay ** (top - i), updates["encoder"], order)
        return updates | {"encoder": slower}

    return optax.stateless(update)
