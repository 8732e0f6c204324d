"""The same numbers in torch: strict loading and equal features, against torch.nn and timm."""

import copy
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from unittest.mock import MagicMock

import jax
import numpy as np
import pytest

from ssljax import nets
from ssljax.export import (
    resnet_from_torch,
    resnet_to_torch,
    vit_from_timm,
    vit_from_torchvision,
    vit_to_timm,
    vit_to_torchvision,
)
from ssljax.nets import ResNet, ViT, vit

torch = pytest.importorskip("torch")
from torch_peers import TimmViT, TorchResNet, TorchvisionViT  # noqa: E402

VIT = ViT(patch=4, width=24, depth=2, heads=3)


def network(module, size, channels=3):
    """(params, stats) where nothing is zero or one, so that no swap goes unnoticed."""
    image = jax.ShapeDtypeStruct((1, size, size, channels), np.float32)
    shapes = jax.eval_shape(lambda k: nets.init(module, k, image), jax.random.key(0))
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        name, shape = path[-1].key, leaf.shape
        if name in ("scale", "var"):
            value = rng.uniform(0.5, 1.5, shape)
        elif name == "kernel":
            value = rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
        else:
            value = 0.1 * rng.normal(size=shape)
        return np.asarray(value, np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def images(size, channels=3):
    return np.random.default_rng(1).normal(size=(2, size, size, channels)).astype(np.float32)


def ours(module, params, stats, x):
    with jax.default_matmul_precision("highest"):
        run = jax.jit(lambda p, s, x: nets.apply(module, p, s, x, train=False)[0])
        return np.asarray(run(params, stats, x))


def theirs(model, x):
    with torch.no_grad():
        return model.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()


def load(model, tensors):
    model.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()}, strict=True)
    return model


def difference(a, b):
    """Largest difference in units of the largest feature."""
    assert a.shape == b.shape
    assert np.abs(b).max() > 0.1
    return np.abs(a - b).max() / max(1.0, np.abs(b).max())


@pytest.mark.parametrize(
    ("depth", "stem", "channels"), [(18, "imagenet", 3), (18, "cifar", 1), (50, "imagenet", 3)]
)
def test_resnet_features_equal_torch(depth, stem, channels):
    module = ResNet(depth=depth, stem=stem, width=8)
    params, stats = network(module, 32, channels)
    x = images(32, channels)
    model = load(TorchResNet(depth, 8, stem, channels), resnet_to_torch(module, params, stats))
    assert difference(ours(module, params, stats, x), theirs(model, x)) < 1e-5


def test_resnet_test_is_sensitive():
    module = ResNet(depth=18, width=8)
    params, stats = network(module, 64)
    x = images(64)
    y = ours(module, params, stats, x)
    model = load(TorchResNet(18, 8), resnet_to_torch(module, params, stats))
    assert difference(y, theirs(model, x)) < 1e-5

    def perturbed(change):
        other = copy.deepcopy(model)
        change(other)
        return difference(y, theirs(other, x))

    def pad_as_same(convolution):
        """What Flax's "SAME" does to a strided 3x3 convolution of an even image."""
        convolution.padding = (0, 0)
        return torch.nn.Sequential(torch.nn.ZeroPad2d((0, 1, 0, 1)), convolution)

    def same(m):
        m.layer2[0].conv1 = pad_as_same(m.layer2[0].conv1)

    def eps(m):
        m.layer1[0].bn1.eps = 1e-3

    def unbiased(m):
        m.layer4[1].bn2.running_var *= 16 / 15

    def maxpool(m):
        m.maxpool = torch.nn.Sequential(torch.nn.ZeroPad2d((0, 1, 0, 1)), torch.nn.MaxPool2d(3, 2))

    for change in (same, eps, unbiased, maxpool):
        assert perturbed(change) > 5e-5, change.__name__


@pytest.mark.parametrize("positions", ["learned", "sincos"])
@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_vit_features_equal_timm_names(positions, pool):
    module = VIT.clone(positions=positions, pool=pool)
    params, stats = network(module, 16)
    x = images(16)
    model = load(TimmViT(16, 4, 24, 2, 3, pool), vit_to_timm(module, params, grid=(4, 4)))
    assert difference(ours(module, params, stats, x), theirs(model, x)) < 1e-5
    back, _ = vit_from_timm(module, vit_to_timm(module, params, grid=(4, 4)))
    jax.tree.map(np.testing.assert_array_equal, back, params)


def test_vit_features_equal_torchvision_names():
    params, stats = network(VIT, 16)
    x = images(16)
    model = load(TorchvisionViT(16, 4, 24, 2, 3), vit_to_torchvision(VIT, params))
    assert difference(ours(VIT, params, stats, x), theirs(model, x)) < 1e-5
    with pytest.raises(ValueError, match="pool"):
        vit_to_torchvision(VIT.clone(pool="mean"), params)


def test_vit_test_is_sensitive():
    params, stats = network(VIT, 16)
    x = images(16)
    y = ours(VIT, params, stats, x)
    tensors = vit_to_timm(VIT, params)

    def perturbed(change):
        model = load(TimmViT(16, 4, 24, 2, 3), tensors)
        change(model)
        return difference(y, theirs(model, x))

    def nothing(m):
        pass

    def eps(m):
        m.blocks[0].norm1.eps = 1e-4

    def tanh(m):
        m.blocks[1].mlp.act = torch.nn.GELU(approximate="tanh")

    def swap(m):
        weight = m.blocks[0].attn.qkv.weight.data
        weight[:48] = torch.cat([weight[24:48], weight[:24]]).clone()

    assert perturbed(nothing) < 1e-5
    for change in (eps, tanh, swap):
        assert perturbed(change) > 2e-5, change.__name__


@pytest.mark.parametrize("depth", [18, 50])
def test_resnet_round_trip(depth):
    module = ResNet(depth=depth, width=4)
    model = TorchResNet(depth, 4)
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 32, 32))  # moves the running statistics
    before = {k: v.numpy() for k, v in model.state_dict().items()}
    after = resnet_to_torch(module, *resnet_from_torch(module, before))
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        if "num_batches" in name:
            assert after[name] == 0
            assert after[name].dtype == np.int64
        else:
            assert after[name].dtype == np.float32
            np.testing.assert_array_equal(after[name], tensor)


def test_vit_round_trip():
    for model, read, write in (
        (TimmViT(16, 4, 24, 2, 3), vit_from_timm, vit_to_timm),
        (TorchvisionViT(16, 4, 24, 2, 3), vit_from_torchvision, vit_to_torchvision),
    ):
        before = {k: torch.randn_like(v).numpy() for k, v in model.state_dict().items()}
        params, stats = read(VIT, before | {"head.weight": np.zeros((10, 24))})
        after = write(VIT, params)
        assert stats == {}
        assert after.keys() == before.keys()
        for name in before:
            np.testing.assert_array_equal(after[name], before[name])


def zeros(module, size):
    """Parameters of the right shapes that take no memory to speak of."""
    image = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    trees = jax.eval_shape(lambda k: nets.init(module, k, image), jax.random.key(0))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), trees)


def shapes(tensors):
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@pytest.mark.parametrize(("depth", "count"), [(18, 122), (50, 320)])
def test_resnet_names_and_shapes(depth, count):
    """The real sizes. Both libraries have `fc.weight` and `fc.bias` besides."""
    module = ResNet(depth=depth)
    tensors = resnet_to_torch(module, *zeros(module, 64))
    with torch.device("meta"):
        model = TorchResNet(depth)
    assert len(tensors) == count - 2
    assert shapes(tensors) == shapes(model.state_dict())
    assert tensors["layer2.0.downsample.1.running_var"].shape == ((128,) if depth == 18 else (512,))


def test_vit_names_and_shapes():
    """vit_b_16 of torchvision, vit_tiny_patch16_224 of timm: 152 tensors, two of them the head."""
    base = vit_to_torchvision(vit("base"), zeros(vit("base"), 224)[0])
    tiny = vit_to_timm(vit("tiny"), zeros(vit("tiny"), 224)[0])
    assert len(base) == len(tiny) == 150
    with torch.device("meta"):
        assert shapes(base) == shapes(TorchvisionViT(224, 16, 768, 12, 12).state_dict())
        assert shapes(tiny) == shapes(TimmViT(224, 16, 192, 12, 3).state_dict())
    assert base["encoder.layers.encoder_layer_11.self_attention.in_proj_weight"].shape == (
        2304,
        768,
    )
    assert tiny["blocks.11.attn.qkv.weight"].shape == (576, 192)


def test_wrong_tensors_are_listed():
    module = ResNet(depth=18, width=4)
    tensors = resnet_to_torch(module, *network(module, 32))
    assert resnet_from_torch(module, tensors | {"fc.weight": np.zeros((10, 32))})
    del tensors["layer1.0.conv1.weight"]
    tensors["layer9.weight"] = np.zeros(3)
    tensors["bn1.bias"] = np.zeros(5)
    with pytest.raises(ValueError, match=r"missing layer1\.0\.conv1\.weight") as error:
        resnet_from_torch(module, tensors)
    assert "unexpected layer9.weight" in str(error.value)
    assert "bn1.bias has shape (5,), not (4,)" in str(error.value)
    with pytest.raises(ValueError, match=r"missing conv1\.weight"):
        resnet_from_torch(module, {})
    with pytest.raises(ValueError, match="missing cls_token"):
        vit_from_timm(VIT, {})
    learned = vit_to_timm(VIT, network(VIT, 16)[0])
    with pytest.raises(ValueError, match="positions='learned'"):
        vit_from_timm(VIT.clone(positions="sincos"), learned)
    with pytest.raises(ValueError, match="grid"):
        vit_to_timm(VIT.clone(positions="sincos"), {})


class Blank(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Empty torchvision and huggingface_hub, which timm imports and its networks do not use."""

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("torchvision", "huggingface_hub"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)

        def attribute(name):
            if name.startswith("__"):
                raise AttributeError(name)
            return MagicMock() if name == "InterpolationMode" else type(name, (), {})

        module.__getattr__ = attribute
        return module

    def exec_module(self, module):
        pass


@pytest.fixture(scope="module")
def timm():
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    blank = Blank()
    sys.meta_path.append(blank)  # last, so that real packages come first
    try:
        import timm

        return timm
    finally:
        sys.meta_path.remove(blank)
        for name, module in list(sys.modules.items()):
            if getattr(getattr(module, "__spec__", None), "loader", None) is blank:
                del sys.modules[name]


@pytest.mark.parametrize("depth", [18, 50])
def test_resnet_features_equal_timm(timm, depth):
    module = ResNet(depth=depth)
    params, stats = network(module, 64)
    model = load(
        timm.create_model(f"resnet{depth}", num_classes=0), resnet_to_torch(module, params, stats)
    )
    x = images(64)
    assert difference(ours(module, params, stats, x), theirs(model, x)) < 1e-5


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_vit_features_equal_timm(timm, pool):
    module = vit("tiny", pool=pool)
    params, stats = network(module, 64)
    options = {} if pool == "cls" else {"global_pool": "avg", "fc_norm": False}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=64, **options)
    x = images(64)
    model = load(model, vit_to_timm(module, params))
    assert difference(ours(module, params, stats, x), theirs(model, x)) < 1e-5
