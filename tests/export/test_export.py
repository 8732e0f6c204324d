"""Files out and in: native safetensors, formats of torch, StableHLO in a process without ssljax."""

import json
import pickle
import subprocess
import sys

import jax
import numpy as np
import pytest
from safetensors import safe_open

from ssljax import nets
from ssljax.export import FORMATS, export, export_onnx, load
from ssljax.export.safetensors import atomically
from ssljax.method import Linear
from ssljax.nets import HOG, ConvEncoder, ResNet, SmallConv, ViT

SMALL = SmallConv(widths=(4, 8))
EDGES = HOG(body=ConvEncoder(widths=(3,), norm=True), cell=2)
RESNET = ResNet(depth=18, width=4)
VIT = ViT(patch=4, width=24, depth=1, heads=3)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def network(module, channels=3):
    """(params, stats), all of them random."""
    image = jax.ShapeDtypeStruct((1, 8, 8, channels), np.float32)
    shapes = jax.eval_shape(lambda k: nets.init(module, k, image), jax.random.key(0))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda a: rng.uniform(0.1, 0.6, a.shape).astype(np.float32), shapes)


def write(module, format, out, channels=3, mean=MEAN, std=STD, arrays=None, image_size=8, **more):
    params, stats = arrays or network(module, channels)
    return export(
        encoder=module,
        params=params,
        stats=stats,
        format=format,
        out=out,
        image_size=image_size,
        mean=mean,
        std=std,
        channels=channels,
        **more,
    )


def assert_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize(
    ("module", "format"),
    [
        (SMALL, "safetensors"),
        (EDGES, "safetensors"),
        (RESNET, "safetensors"),
        (RESNET, "torchvision"),
        (RESNET, "timm"),
        (VIT, "safetensors"),
        (VIT, "torchvision"),
        (VIT, "timm"),
        (VIT.clone(positions="sincos"), "timm"),
        (VIT.clone(any_size=True), "timm"),
        (VIT.clone(any_size=True), "safetensors"),
    ],
)
@pytest.mark.parametrize("channels", [3, 1])
def test_what_goes_out_comes_in(module, format, channels, tmp_path):
    arrays = network(module, channels)
    path = write(
        module, format, tmp_path / "e.safetensors", channels, MEAN[:channels], STD[:1], arrays
    )
    assert_equal(load(path, module), arrays)
    path.with_name("e.safetensors.json").unlink()  # files of others have none
    assert_equal(load(path, module), arrays)


def test_names_and_config(tmp_path):
    path = write(SMALL, "safetensors", tmp_path / "deep" / "er" / "e.safetensors", std=(0.5,))
    with safe_open(path, "numpy") as file:
        assert {"encoder/conv1/kernel", "stats/encoder/bn2/var"} <= set(file.keys())
        assert file.metadata() == {"format": "pt"}
    config = json.loads(path.with_name("e.safetensors.json").read_text())
    assert config["encoder"] == {"type": "SmallConv", "widths": [4, 8], "dtype": "float32"}
    assert (config["image_size"], config["channels"], config["features"]) == (8, 3, 8)
    assert config["mean"] == list(MEAN)
    assert config["std"] == [0.5, 0.5, 0.5]
    assert config["format"] == "safetensors"
    assert config["version"]
    with safe_open(write(RESNET, "timm", tmp_path / "t.safetensors"), "numpy") as file:
        assert "layer1.0.conv1.weight" in file.keys()  # noqa: SIM118
        assert file.metadata() == {"format": "pt"}


def test_torch_reads_the_file(tmp_path):
    pytest.importorskip("torch")
    from safetensors.torch import load_file
    from torch_peers import TorchResNet

    tensors = load_file(write(RESNET, "torchvision", tmp_path / "e.safetensors"))
    TorchResNet(18, 4).load_state_dict(tensors, strict=True)


@pytest.mark.parametrize("module", [VIT.clone(positions="sincos", pool="mean"), SMALL, RESNET])
def test_onnxruntime_runs_the_encoder(module, tmp_path):
    """Any batch, images in [0, 1]; what another normalisation gives is told apart."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("jax2onnx", reason="an optional extra")
    params, stats = network(module)
    path = write(module, "onnx", tmp_path / "e.onnx", arrays=(params, stats))
    session = onnxruntime.InferenceSession(path.read_bytes())
    x = np.random.default_rng(2).uniform(size=(5, 8, 8, 3)).astype(np.float32)
    with jax.default_matmul_precision("highest"):
        normal = (x - np.float32(MEAN)) / np.float32(STD)
        expected = np.asarray(nets.apply(module, params, stats, normal, train=False)[0])
    scale = max(1, np.abs(expected).max())
    for count in (5, 2):
        (found,) = session.run(None, {"image": x[:count]})
        assert found.shape == expected[:count].shape
        assert np.abs(found - expected[:count]).max() <= 1e-5 * scale
    (plain,) = session.run(None, {"image": normal})
    assert np.abs(plain - expected).max() > 1e-3 * scale
    with pytest.raises(ValueError, match="run it with onnxruntime"):
        load(path, module)


def test_what_fails_inside_of_onnxruntime_is_one_line(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("jax2onnx", reason="an optional extra")
    from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as Lacking

    def session(*_, **__):
        raise Lacking("MaxPool of five axes\n  at some place")

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.raises(ValueError, match=r"\(.*of five axes\). Use --format stablehlo") as caught:
        export_onnx(lambda x: x.mean((1, 2)), (2, 2, 1), tmp_path / "e.onnx")
    assert "\n" not in str(caught.value) and not (tmp_path / "e.onnx").exists()


@pytest.mark.parametrize("format", ["timm", "torchvision"])
@pytest.mark.parametrize("module", [ResNet(depth=18), VIT])
def test_a_classifier_goes_out_and_the_json_says_how_to_read_it(module, format, tmp_path):
    """The arguments in the JSON make a model of the library that takes the file strictly."""
    params, stats = network(module)
    rng = np.random.default_rng(1)
    features = 512 if module is not VIT else 24
    linear = Linear(rng.normal(size=(features, 4)), rng.normal(size=4))
    out = tmp_path / "e.safetensors"
    write(module, format, out, arrays=(params, stats), classifier=linear, classes=list("abcd"))
    config = json.loads((tmp_path / "e.safetensors.json").read_text())
    assert config["classes"] == list("abcd")
    assert_equal(load(out, module), (params, stats))  # an encoder is read without it
    call, arguments = config["model"]["call"], config["model"]["arguments"]
    assert arguments["num_classes"] == 4
    library, _, name = call.rpartition(".")
    torch = pytest.importorskip("torch")
    library = pytest.importorskip(library, exc_type=ImportError)
    from safetensors.torch import load_file

    peer = getattr(library, name)(**arguments).eval()
    peer.load_state_dict(load_file(out), strict=True)
    x = rng.normal(size=(2, 8, 8, 3)).astype(np.float32)
    with torch.no_grad(), jax.default_matmul_precision("highest"):
        theirs = peer(torch.tensor(x).permute(0, 3, 1, 2)).numpy()
        ours = nets.apply(module, params, stats, x, train=False)[0] @ linear.kernel + linear.bias
    np.testing.assert_allclose(theirs, ours, atol=1e-4, rtol=1e-4)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "e"
    path.write_text("old")

    def fail(fresh):
        fresh.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomically(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["e"]


def test_the_mask_token_stays_at_home(tmp_path):
    module = VIT.clone(mask_token=True)
    params, stats = network(module)
    path = write(module, "timm", tmp_path / "e.safetensors", arrays=(params, stats))
    del params["mask_token"]
    assert_equal(load(path, VIT), (params, stats))


def test_refused_exports(tmp_path):
    out = tmp_path / "e.safetensors"
    for format in ("timm", "torchvision"):
        with pytest.raises(ValueError, match="safetensors, stablehlo and onnx"):
            write(SMALL, format, out)
    with pytest.raises(ValueError, match=", ".join(FORMATS)):
        write(SMALL, "pickle", out)
    with pytest.raises(ValueError, match="pool='mean'"):
        write(VIT.clone(pool="mean"), "torchvision", out)
    with pytest.raises(ValueError, match="one number for each of 3 channels"):
        write(SMALL, "safetensors", out, mean=(0.5, 0.5))
    with pytest.raises(ValueError, match="std must be positive"):
        write(SMALL, "safetensors", out, std=(0.0,))
    with pytest.raises(ValueError, match="not divisible"):
        write(VIT, "timm", out, image_size=9, arrays=network(VIT))
    with pytest.raises(ValueError, match="do not fit ViT"):
        write(VIT, "timm", out, image_size=16, arrays=network(VIT))
    assert not list(tmp_path.iterdir())


def test_refused_loads(tmp_path):
    path = write(VIT, "safetensors", tmp_path / "e.safetensors")
    with pytest.raises(ValueError, match="heads is 3 in the file and 2 here"):
        load(path, VIT.clone(heads=2))
    with pytest.raises(ValueError, match="another encoder"):
        load(path, SMALL)
    load(path, VIT.clone(pool="mean", dtype="bfloat16"))
    edges = write(EDGES, "safetensors", tmp_path / "h.safetensors")  # a network in a network
    with pytest.raises(ValueError, match=r"body is .*'widths'"):
        load(edges, HOG(body=ConvEncoder(widths=(3, 3), norm=True), cell=2))
    load(edges, HOG(body=ConvEncoder(widths=(3,), norm=True, dtype="bfloat16"), cell=2))
    path.with_name("e.safetensors.json").unlink()
    with pytest.raises(ValueError, match="missing encoder/blocks_1/attn/proj/bias"):
        load(path, VIT.clone(depth=2))
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load(tmp_path / "none", VIT)
    names = write(RESNET, "torchvision", tmp_path / "r.safetensors")
    names.with_name("r.safetensors.json").unlink()
    with pytest.raises(ValueError, match="ResNet, ViT, R3D and graph networks can"):
        load(names, SMALL)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="not a safetensors file"):
        load(path, VIT)
    pickled = tmp_path / "model.pth"
    pickled.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match="not a safetensors file"):
        load(pickled, VIT)
    function = write(SMALL, "stablehlo", tmp_path / "e.stablehlo")
    with pytest.raises(ValueError, match="deserialize"):
        load(function, SMALL)


READER = """
import sys
import jax.export
import numpy as np

with open(sys.argv[1], "rb") as file:
    encoder = jax.export.deserialize(bytearray(file.read()))
assert encoder.platforms == ("cpu", "cuda", "tpu"), encoder.platforms
x = np.load(sys.argv[2])
with jax.default_matmul_precision("highest"):
    np.savez(sys.argv[3], few=encoder.call(x[:2]), many=encoder.call(x))
assert not any(name.startswith(("ssljax", "flax")) for name in sys.modules)
"""


@pytest.mark.parametrize("module", [RESNET, VIT, SMALL])
def test_stablehlo_runs_without_ssljax(module, tmp_path):
    arrays = network(module)
    path = write(module, "stablehlo", tmp_path / "e.stablehlo", arrays=arrays)
    x = np.random.default_rng(2).uniform(size=(5, 8, 8, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    files = [str(path), str(tmp_path / "x.npy"), str(tmp_path / "y.npz")]
    subprocess.run([sys.executable, "-c", READER, *files], check=True, timeout=300, cwd=tmp_path)
    with jax.default_matmul_precision("highest"):
        normal = (x - np.float32(MEAN)) / np.float32(STD)
        run = jax.jit(lambda p, s, x: nets.apply(module, p, s, x, train=False)[0])
        expected = np.asarray(run(*arrays, normal))
    found = np.load(tmp_path / "y.npz")
    scale = np.abs(expected).max()
    assert np.abs(found["many"] - expected).max() <= 1e-5 * max(1, scale)
    assert np.abs(found["few"] - expected[:2]).max() <= 1e-5 * max(1, scale)
    plain = np.asarray(run(*arrays, x))  # without normalisation the features are others
    assert np.abs(found["many"] - plain).max() > 1e-3 * scale
