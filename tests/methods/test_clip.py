"""CLIP and SigLIP as methods: published losses, the clipped scale, a locked tower, bounded memory.

The peers are those of the transformers library, with their weights copied here.
"""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases_pairs import CASES, END, HEAD, SIG_IMAGE, SIG_TEXT, TEXT, VOCAB, captioned

from ssljax.data import Captions, Text
from ssljax.method import from_pretrained
from ssljax.methods import CLIP, SigLIP
from ssljax.nets import MLP, ImageTower
from ssljax.probes import Evaluation, table
from ssljax.runs.experiment import Experiment
from ssljax.runs.run import run
from ssljax.training.optimizers import Optimizer
from ssljax.training.sharding import Parallel, batch_sharding, to_global
from ssljax.training.steps import compiled_step
from ssljax.training.train import Cadence
from ssljax.views import plain_only

KEY = jax.random.key(0)
SIZES = {
    "hidden_size": 12,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
TEXTS = SIZES | {"vocab_size": VOCAB, "max_position_embeddings": 7}
IMAGES = SIZES | {"image_size": 8, "patch_size": 4}
SEEN = plain_only(size=8)


@pytest.fixture(autouse=True)
def full_precision():
    with jax.default_matmul_precision("highest"):
        yield


def linear(state, name):
    found = {"kernel": state[f"{name}.weight"].T}
    return found | ({"bias": state[f"{name}.bias"]} if f"{name}.bias" in state else {})


def norm(state, name):
    return {"scale": state[f"{name}.weight"], "bias": state[f"{name}.bias"]}


def block(state, name):
    parts = [linear(state, f"{name}.self_attn.{p}_proj") for p in "qkv"]
    qkv = {k: np.concatenate([p[k] for p in parts], axis=-1) for k in ("kernel", "bias")}
    return {
        "attn": {"qkv": qkv, "proj": linear(state, f"{name}.self_attn.out_proj")},
        "norm1": norm(state, f"{name}.layer_norm1"),
        "norm2": norm(state, f"{name}.layer_norm2"),
        "mlp": {fc: linear(state, f"{name}.mlp.{fc}") for fc in ("fc1", "fc2")},
    }


def towers(state):
    """(image, text) parameters from a peer's weights; without what only one of the two has."""
    vision, text = "vision_model.", "text_model."
    patch = f"{vision}embeddings.patch_embedding"
    image = {
        "patch_embed": {"kernel": state[f"{patch}.weight"].transpose(2, 3, 1, 0)},
        "pos_embed": state[f"{vision}embeddings.position_embedding.weight"],
        "norm": norm(state, f"{vision}post_layernorm"),
        "blocks_0": block(state, f"{vision}encoder.layers.0"),
    }
    words = {
        "token_embed": {"embedding": state[f"{text}embeddings.token_embedding.weight"]},
        "pos_embed": state[f"{text}embeddings.position_embedding.weight"],
        "norm": norm(state, f"{text}final_layer_norm"),
        "blocks_0": block(state, f"{text}encoder.layers.0"),
    }
    return image, words


def weights_of(model, torch):
    torch.manual_seed(0)
    with torch.no_grad():  # zero biases and unit norms would hide what is swapped
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return {k: v.detach().numpy() for k, v in model.state_dict().items()}


def compare(method, params, model, torch):
    batch = captioned(6)
    images = np.asarray(SEEN.plain(jnp.asarray(batch["image"])))
    with torch.no_grad():
        theirs = model(
            input_ids=torch.tensor(batch["tokens"]).long(),
            pixel_values=torch.tensor(images.transpose(0, 3, 1, 2)),
            return_loss=True,
        )
    like, extra = method.init(KEY, batch)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, like)
    ours, _ = method.loss(params, extra, batch, KEY)
    assert float(ours) == pytest.approx(float(theirs.loss), rel=1e-5)


def test_clip_reference():
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = peer.CLIPConfig(
        text_config=TEXTS | {"eos_token_id": END, "projection_dim": 6},
        vision_config=IMAGES | {"projection_dim": 6},
        projection_dim=6,
    )
    model = peer.CLIPModel(config).eval()
    state = weights_of(model, torch)
    image, text = towers(state)
    image |= {
        "cls_token": state["vision_model.embeddings.class_embedding"],
        "norm_pre": norm(state, "vision_model.pre_layrnorm"),
    }
    params = {
        "encoder": image,
        "partner": text,
        "projector": {"linear_0": linear(state, "visual_projection")},
        "partner_projector": {"linear_0": linear(state, "text_projection")},
        "log_scale": state["logit_scale"],
    }
    encoder = ImageTower(patch=4, width=12, depth=1, heads=2, hidden=16)
    heads = {"projector": HEAD, "partner_projector": HEAD}
    compare(CLIP(encoder=encoder, partner=TEXT, view=SEEN, **heads), params, model, torch)


def test_siglip_reference():
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = peer.SiglipModel(peer.SiglipConfig(text_config=TEXTS, vision_config=IMAGES)).eval()
    state = weights_of(model, torch)
    image, text = towers(state)
    image["patch_embed"]["bias"] = state["vision_model.embeddings.patch_embedding.bias"]
    head = "vision_model.head."
    image["pool"] = {
        "probe": state[f"{head}probe"],
        "qkv": {
            "kernel": state[f"{head}attention.in_proj_weight"].T,
            "bias": state[f"{head}attention.in_proj_bias"],
        },
        "proj": linear(state, f"{head}attention.out_proj"),
        "norm": norm(state, f"{head}layernorm"),
        "mlp": {fc: linear(state, f"{head}mlp.{fc}") for fc in ("fc1", "fc2")},
    }
    params = {
        "encoder": image,
        "partner": text,
        "partner_projector": {"linear_0": linear(state, "text_model.head")},
        "log_scale": state["logit_scale"][0],
        "bias": state["logit_bias"][0],
    }
    head = MLP(widths=(12,), norm=False)
    method = SigLIP(encoder=SIG_IMAGE, partner=SIG_TEXT, partner_projector=head, view=SEEN)
    compare(method, params, model, torch)


def small(**fields):
    return dataclasses.replace(CASES["clip"].method, **fields)


def test_the_scale_is_clipped_after_every_update():
    batch = captioned()

    def far(updates, params):
        t = jnp.where(params["log_scale"] > 1, -9.0, 9.0)
        return jax.tree.map(jnp.zeros_like, updates) | {"log_scale": t}

    method = small().build(optax.stateless(far), updates=2)
    state, step = jax.jit(method.init)(KEY, batch), jax.jit(method.step)
    ends = []
    for _ in range(2):
        state, _ = step(state, batch, KEY)
        ends.append(float(state.params["log_scale"]))
    assert ends == pytest.approx([0.0, np.log(100)])


def test_a_locked_tower_stays_as_it_came():
    """LiT: with decay and momentum on, and its batch statistics too; all else learns."""
    batch, tower = captioned(), "encoder"
    tx = optax.adamw(0.1, weight_decay=0.1)
    method = small(locked=tower).build(tx, updates=3)
    given = jax.jit(method.init)(jax.random.key(7), batch)
    begun = from_pretrained(
        method, {tower: given.params[tower]}, {tower: given.extra["stats"][tower]}
    )
    state = first = begun.refresh(jax.jit(method.init)(KEY, batch), None)
    step = jax.jit(method.step)
    for _ in range(3):
        state, _ = step(state, batch, KEY)
    same = functools.partial(jax.tree.map, lambda a, b: bool((a == b).all()))
    moved = same(first.params, state.params)
    assert all(jax.tree.leaves(moved.pop(tower)))
    assert all(jax.tree.leaves(same(first.extra["stats"][tower], state.extra["stats"][tower])))
    for name, still in moved.items():
        assert not all(jax.tree.leaves(still)), name


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_chunks_on_a_mesh_give_the_same_step(name):
    """Rows travel between eight devices; loss and update equal those that hold everything."""
    batch, tx = captioned(), optax.sgd(0.1)
    whole = CASES[name].method.build(tx, updates=1)
    parts = dataclasses.replace(CASES[name].method, chunk=1).build(tx, updates=1)
    mesh = Parallel(model=2).mesh()
    state = jax.jit(whole.init)(KEY, batch)
    shardings = Parallel(model=2).place(state, mesh)
    root = jax.random.key(1)
    step = compiled_step(parts, root, shardings)
    begun = jax.device_put(state, shardings)
    rows = to_global(batch, batch_sharding(mesh))
    assert "collective-permute" in step.lower(begun, jnp.int32(0), rows).compile().as_text()
    key = jax.random.fold_in(root, 0)
    after, metrics = jax.jit(whole.step)(state, batch, key)
    found, _, values = step(begun, jnp.int32(0), rows)
    assert float(values["loss"]) == pytest.approx(float(metrics["loss"]), rel=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        jax.device_get(found.params),
        jax.device_get(after.params),
    )


def test_data_without_pairs_is_refused():
    batch = captioned()
    with pytest.raises(ValueError, match="reads tokens, and the data has only image"):
        small().init(KEY, {"image": batch["image"]})
    with pytest.raises(ValueError, match="two different leaves"):
        small(partner_reads=("image",)).init(KEY, batch)


def test_a_run_reports_zero_shot_and_retrieval(tmp_path):
    """Three colours named by captions, learned in 40 steps, through the runner to the page."""
    pytest.importorskip("tokenizers")
    rng, arrays = np.random.default_rng(0), {}
    for split, size in (("train", 96), ("test", 48)):
        label = np.arange(size) % 3
        colour = 150 * np.eye(3, dtype=int)[label][:, None, None]
        image = rng.integers(0, 60, (size, 8, 8, 3)) + colour
        arrays |= {f"x_{split}": image.astype(np.uint8), f"y_{split}": label}
    np.savez(tmp_path / "colours.npz", **arrays)
    head = MLP(widths=(8,), norm=False, output_bias=False)
    experiment = Experiment(
        method=small(
            partner=TEXT.clone(vocabulary=64, length=10),
            projector=head,
            partner_projector=head,
        ),
        data=f"npz:{tmp_path}/colours.npz",
        reader=Captions(
            text=Text(length=10, vocab=64),
            names=("red", "green", "blue"),
            templates=("a {} thing", "{}"),
        ),
        optimizer=Optimizer(learning_rate=0.01, per_batch=None),
        steps=40,
        batch=24,
        cadence=Cadence(log=20, save=40, monitor=0),
        evaluation=Evaluation(
            knn=None, linear=None, few_shot=None, lidar=None, clustering=None, retrieval=None
        ),
    )
    with pytest.raises(ValueError, match="more than the network knows"):
        dataclasses.replace(experiment, method=small()).build(None)
    run(experiment, tmp_path / "run")
    found = json.loads((tmp_path / "run" / "results.json").read_text())["evaluation"]
    trained, random = (found["encoders"][name] for name in ("trained", "random"))
    assert trained["zero_shot"] > 0.9 > random["zero_shot"]
    assert trained["image_to_text_class_r@1"] > 0.9 and trained["items_text"] == 6
    assert trained["text_to_image_class_r@5"] > 0.9 and trained["items_image"] == 48
    assert "zero_shot" in table(found) and "6 text" in " ".join(found["notes"])
    page = (tmp_path / "run" / "report.html").read_text()
    assert "zero_shot" in page and "text_to_image_class_r@10" in page
