"""FCOS against torch's operators by torchvision's names, and its 372 names and their shapes."""

import jax
import numpy as np
import pytest

from ssljax import nets
from ssljax.export import load, safetensors
from ssljax.export.detection_names import export_detector, fcos_from_torch, fcos_to_torch, shapes
from ssljax.losses.detection import locations
from ssljax.nets import ResNet
from ssljax.nets.fcos import FCOS, STRIDES

RNG = np.random.default_rng(0)


def test_names_and_shapes_are_those_of_torchvision():
    params, stats = shapes(ResNet(depth=50), FCOS(classes=91))
    frozen = sum(x.size for x in jax.tree.leaves(stats))  # scales and shifts, no parameters there
    assert sum(x.size for x in jax.tree.leaves(params)) - frozen == 32_269_600
    zeros = jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), (params, stats))
    found = {name: x.shape for name, x in fcos_to_torch(*zeros).items()}
    assert len(found) == 372
    assert found["backbone.body.layer4.2.conv3.weight"] == (2048, 512, 1, 1)
    assert found["backbone.body.layer1.0.downsample.1.running_var"] == (256,)
    assert found["backbone.fpn.inner_blocks.2.0.weight"] == (256, 2048, 1, 1)
    assert found["backbone.fpn.layer_blocks.0.0.bias"] == (256,)
    assert found["backbone.fpn.extra_blocks.p6.weight"] == (256, 256, 3, 3)
    places = {f"head.{kind}_head.conv.{i}" for kind in ("classification", "regression")
              for i in (0, 1, 3, 4, 6, 7, 9, 10)}  # fmt: skip
    assert {n.rpartition(".")[0] for n in found if ".conv." in n} == places
    assert found["head.classification_head.cls_logits.weight"] == (91, 256, 3, 3)
    assert found["head.regression_head.bbox_reg.bias"] == (4,)
    assert found["head.regression_head.bbox_ctrness.weight"] == (1, 256, 3, 3)


@pytest.mark.parametrize("width", [30])
def test_groups_divide_the_width(width):
    with pytest.raises(ValueError, match="32 groups, which do not divide"):
        shapes(ResNet(width=8), FCOS(classes=2, width=width))


def test_outputs_are_those_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    encoder, head = ResNet(width=8), FCOS(classes=3, width=8, convolutions=2, groups=2)
    tree = jax.tree.map(
        lambda x: RNG.normal(scale=0.3, size=x.shape).astype(np.float32), shapes(encoder, head)
    )
    tensors = fcos_to_torch(*tree)
    again = fcos_from_torch(encoder, head, tensors)
    jax.tree.map(np.testing.assert_array_equal, tree, again)
    with pytest.raises(ValueError, match=r"missing head\.regression_head\.bbox_reg\.bias"):
        fcos_from_torch(encoder, head, {k: v for k, v in tensors.items() if "reg.bias" not in k})

    export_detector(
        tmp_path / "x.safetensors",
        encoder=encoder, head=head, params=tree[0], stats=tree[1], classes=("a", "b", "c"),
        size=64, rule={"nms_thresh": 0.6}, mean=(0.5,), std=(0.2,),
    )  # fmt: skip
    found = safetensors.read(tmp_path / "x.safetensors")
    jax.tree.map(np.testing.assert_array_equal, found, tensors)
    config = safetensors.read_config(tmp_path / "x.safetensors")
    assert config["classes"] == ["a", "b", "c"] and "build this one" in config["model"]["note"]
    back = load(tmp_path / "x.safetensors", encoder)  # what training begins from
    jax.tree.map(np.testing.assert_array_equal, back, tuple(x["encoder"] for x in tree))

    size = 72  # no level but the first divides it: 9, 5, 3, 2, 1
    sides = [-(-size // s) for s in STRIDES]
    maps = [
        RNG.normal(size=(2, n, n, 16 * 2**i)).astype(np.float32) for i, n in enumerate(sides[:3])
    ]
    got, _ = nets.apply(head, tree[0]["head"], {}, maps, train=False)

    w = {k: torch.tensor(v).double() for k, v in tensors.items()}

    def conv(x, name, stride=1):
        k = w[f"{name}.weight"]
        return f.conv2d(x, k, w[f"{name}.bias"], stride=stride, padding=k.shape[-1] // 2)

    c = [torch.tensor(x).double().permute(0, 3, 1, 2) for x in maps]
    inner, levels = None, []
    for i in (2, 1, 0):
        x = conv(c[i], f"backbone.fpn.inner_blocks.{i}.0")
        inner = x if inner is None else x + f.interpolate(inner, x.shape[-2:], mode="nearest")
        levels.insert(0, conv(inner, f"backbone.fpn.layer_blocks.{i}.0"))
    levels.append(conv(levels[-1], "backbone.fpn.extra_blocks.p6", 2))
    levels.append(conv(f.relu(levels[-1]), "backbone.fpn.extra_blocks.p7", 2))

    def read(kind, end):
        found = []
        for x in levels:
            for i in (0, 3):
                norm = f"head.{kind}_head.conv.{i + 1}"
                x = conv(x, f"head.{kind}_head.conv.{i}")
                x = f.relu(f.group_norm(x, 2, w[f"{norm}.weight"], w[f"{norm}.bias"]))
            found.append(conv(x, f"head.{kind}_head.{end}").flatten(2).transpose(1, 2))
        return torch.cat(found, 1).numpy()

    want = {
        "logits": read("classification", "cls_logits"),
        "reach": np.maximum(read("regression", "bbox_reg"), 0),
        "centre": read("regression", "bbox_ctrness")[..., 0],
    }
    assert want["centre"].shape[1] == len(locations(size, STRIDES).at)
    for name, x in want.items():
        np.testing.assert_allclose(
            got[name], x, rtol=1e-5, atol=1e-5 * np.abs(x).max(), err_msg=name
        )
