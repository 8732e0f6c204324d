"""The benchmarks' sides do the same work, and the tables say what was measured. No times here."""

import importlib.util
import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssljax.cli.flags import load_experiment, override
from ssljax.losses.contrastive import nt_xent
from ssljax.method import from_loss
from ssljax.nets import ResNet, vit
from ssljax.training.train import Cadence
from ssljax.views import simclr_imagenet

FOLDER = Path(__file__).resolve().parent.parent / "experiments" / "benchmarks"
sys.path.insert(0, str(FOLDER))  # as when one of them is run as a program


def load(name, file=None):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{file or name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


bench = load("train_step")


@pytest.mark.turns
def test_ssljax_side_learns_and_reports():
    case = bench.tiny(bench.case_of("cpu_digits"))
    found = bench.run_ssljax(case, seconds=0.05, scan=2)
    assert found["loss_last"] < found["loss_first"] < 4
    assert min(found["step"], found["step_scanned"], found["views"]) > 0


def test_torch_side_learns_and_is_the_same_network():
    pytest.importorskip("torch")
    case = bench.tiny(bench.case_of("cpu_digits"))
    found = bench.run_torch(case, seconds=0.05, mode="eager")
    assert found["loss_last"] < found["loss_first"] < 4
    params, _ = jax.eval_shape(
        case.method.init, jax.random.key(0), {"image": jnp.zeros((8, 8, 8, 1), jnp.uint8)}
    )
    assert found["parameters"] == sum(p.size for p in jax.tree.leaves(params))


@pytest.mark.turns
@pytest.mark.parametrize("name", ["resnet18_32", "resnet50_224", "vit_s16_224"])
def test_parameters_of_the_real_sizes_agree(name):
    torch = pytest.importorskip("torch")
    peer, case = load("torch_peer"), bench.case_of(name)
    image = jax.ShapeDtypeStruct((2, case.source, case.source, 3), jnp.uint8)
    params, _ = jax.eval_shape(case.method.init, jax.random.key(0), {"image": image})
    with torch.device("meta"):
        model = peer.SimCLR(case.method, channels=3, dtype=torch.bfloat16)
    count = sum(p.numel() for p in model.parameters())
    assert count == sum(p.size for p in jax.tree.leaves(params))


def test_bfloat16_step_of_the_peer_on_tiny_accelerator_cases():
    torch = pytest.importorskip("torch")
    peer = load("torch_peer")
    for name in bench.GROUPS["accelerator"]:
        case = bench.tiny(bench.case_of(name))
        trainer = peer.Trainer(case.method, case.optimizer, channels=3, device="cpu", mode="eager")
        images = torch.from_numpy(bench.pictures(case))
        assert all(torch.isfinite(trainer.step(images)) for _ in range(2))


def test_a_loss_that_does_not_fall_is_refused():
    for losses in ([1.0] * 20 + [1.1] * 20, [2.0] * 20 + [float("nan")] * 20):
        with pytest.raises(RuntimeError, match="do not time it"):
            bench.checked(losses, "x")


def test_nt_xent_of_the_peer_is_ours():
    torch = pytest.importorskip("torch")
    z1, z2 = np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)
    peer = load("torch_peer").nt_xent(torch.tensor(z1), torch.tensor(z2), temperature=0.2)
    np.testing.assert_allclose(float(nt_xent(z1, z2, temperature=0.2)), float(peer), rtol=1e-5)


def test_flops_are_the_published_ones():
    # 4.09 and 0.56 billion multiply-adds; ViT-S/16 4.6. The projector adds little.
    for name, macs in (("resnet50_224", 4.09e9), ("resnet18_32", 0.556e9), ("vit_s16_224", 4.6e9)):
        assert abs(bench.forward_flops(bench.case_of(name)) / (2 * macs) - 1) < 0.01, name


@pytest.mark.parametrize("compiling", [False, True])
def test_views_of_the_peer(compiling, monkeypatch):
    torch = pytest.importorskip("torch")
    peer = load("torch_peer")
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (64, 40, 40, 3), dtype=torch.uint8)
    view = simclr_imagenet(size=32)
    x = peer.views(view, images)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (view.mean, view.std))
    pixels = x * std + mean
    assert x.shape == (64, 3, 32, 32) and x.dtype == torch.float32
    assert pixels.min() > -1e-5 and pixels.max() < 1 + 1e-5
    assert len(torch.unique(x[:, 0, 0, 0])) > 32  # each image has a view of its own
    # The distribution is that of ssljax: mean and spread over many views.
    keys = jax.random.split(jax.random.key(0), 64)
    ours = jax.jit(jax.vmap(view))(keys, jnp.asarray(images.numpy()))
    np.testing.assert_allclose(float(x.mean()), float(ours.mean()), atol=0.25)
    np.testing.assert_allclose(float(x.std()), float(ours.std()), rtol=0.15)


def test_resampling_and_blur_of_the_peer_are_ours():
    torch = pytest.importorskip("torch")
    from ssljax.views import apply_blur, crop_and_resize

    peer = load("torch_peer")
    image = np.random.default_rng(0).uniform(size=(24, 24, 3)).astype(np.float32)
    planes = torch.tensor(image).permute(2, 0, 1)[None]
    top, left, h, w = (torch.tensor([float(v)]) for v in (3, 2, 20, 9))
    rows, columns = peer._resampling(top, h, 24, 12), peer._resampling(left, w, 24, 12)
    theirs = peer._separable(planes, rows, columns)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(crop_and_resize(image, (3, 2, 20, 9), size=12), theirs, atol=1e-5)
    band = peer._blurring(torch.tensor([1.3]), 24)
    theirs = peer._separable(planes, band, band)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(apply_blur(image, 1.3), theirs, atol=1e-5)


def test_the_peer_refuses_what_it_does_not_have():
    pytest.importorskip("torch")
    peer = load("torch_peer")
    with pytest.raises(ValueError, match="class token"):
        peer.encoder(vit("tiny", pool="mean"), size=32, channels=3)
    with pytest.raises(ValueError, match="no PyTorch peer"):
        peer.encoder(object(), size=32, channels=3)
    assert peer.encoder(ResNet(depth=50), size=32, channels=3)[1] == 2048


def test_knn_sides_agree_and_give_a_ratio(tmp_path):
    sizes = ["--bank", "400", "--queries", "50", "--dimensions", "64", "--k", "20"]
    found = load("knn").main([*sizes, "--rounds", "2", "--json", str(tmp_path / "out.json")])
    assert found["agreement"] == 1.0
    assert [len(v) for v in found["seconds"].values()] == [2, 2]
    assert json.loads((tmp_path / "out.json").read_text())["ratios"] == found["ratios"]


@pytest.mark.turns
def test_language_sides_are_the_same_network_and_learn():
    torch = pytest.importorskip("torch")
    language = load("language_step")
    case = language.tiny(language.cases()["cpu_shakespeare"])
    x = language.tokens(case)[:, :-1]
    inputs = {"tokens": x, "segments": np.ones_like(x)}
    params = case.net.init(jax.random.key(0), inputs)["params"]
    peer = language.torch_network(case.net)
    numbers = {
        ".".join(str(k.key) for k in path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    kinds = {"kernel": "weight", "scale": "weight", "embedding": "weight"}
    state = {}
    for path, value in numbers.items():
        *names, last = path.split(".")
        name = ".".join([*(n.replace("h_", "h.") for n in names), kinds.get(last, last)])
        state[name] = torch.tensor(value)
    peer.load_state_dict(state)
    ours = case.net.apply({"params": params}, inputs, method="logits")
    theirs = peer(torch.tensor(x).long()).detach().numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for found in (
        language.run_ssljax(case, seconds=0.05, scan=2),
        language.run_torch(case, seconds=0.05, mode="eager"),
    ):
        assert found["parameters"] == sum(v.size for v in numbers.values())
        assert found["loss_last"] < found["loss_first"] < 4


def test_flops_of_gpt2_are_the_published_ones():
    # PaLM's formula for 124M parameters and 1,024 tokens: 0.74 GFLOP for matrices, 0.11 attention
    language = load("language_step")
    found = language.flops_of_a_token(language.cases()["gpt2_124m"], 124_475_904)
    assert abs(found / 855e6 - 1) < 0.01


def test_a_ratio_pairs_the_rounds():
    row = load("machine").ratio("x", "y", [10.0, 30.0, 20.0], [10.0, 10.0, 20.0], against="z")
    assert (row["ratio"], row["lowest"], row["highest"]) == (1.0, 1.0, 3.0)
    assert (row["ssljax"], row["peer"]) == (20.0, 10.0)


class Slope:
    """A method small enough to compile at once: it learns the mean of the images."""

    def build(self, tx, *, updates):
        del updates
        return from_loss(
            tx,
            init=lambda key, batch: ({"encoder": jnp.zeros(batch["image"].shape[1:])}, {}),
            loss=lambda p, extra, batch, key: (
                jnp.mean((p["encoder"] - batch["image"]) ** 2),
                (extra, {}),
            ),
            embed=lambda state, batch: batch["image"].reshape(len(batch["image"]), -1) * 1.0,
        )


def test_overhead_interleaves_fit_and_the_bare_loop(tmp_path, monkeypatch):
    overhead = load("overhead")
    clock = itertools.count()
    monkeypatch.setattr(overhead, "CLOCK", lambda: next(clock))
    optimizer = SimpleNamespace(
        build=lambda **_: optax.sgd(1e-6), rate=lambda **_: optax.constant_schedule(0.1)
    )
    case = bench.Case(method=Slope(), optimizer=optimizer, batch=8, source=4, channels=1)
    cadence = Cadence(log=2, monitor=4, save=4)
    found = overhead.pairs(case, cadence, block=4, rounds=2, folder=tmp_path)
    # One tick for each side of each block; the two blocks that compile are left out.
    assert found == [(0.25, 0.25)] * 2
    assert (tmp_path / "metrics.jsonl").exists() and (tmp_path / "checkpoints").is_dir()


def test_rare_parts_cost_a_step_less():
    # A block of 10 steps: 1 s for the loop, then 1 s each for metrics, monitor and checkpoint.
    names = ("loop", "metrics", "monitors", "checkpoints")
    found = {name: [(5.0, 5.0 + 0.1 * (i + 1))] * 3 for i, name in enumerate(names)}
    usual = load("overhead").at_the_defaults(found, block=10, log=1)
    assert usual == pytest.approx(0.1 + 1 / 50 + 1 / 500 + 1 / 1000)


def test_all_programs_end_in_one_table(tmp_path, monkeypatch, capsys):
    everything = load("all_benchmarks", "__main__")
    row = everything.machine.ratio("a thing", "things/s", [2.0], [1.0], against="a peer")
    started = []

    def run(command, check):
        started.append(command)
        Path(command[-1]).write_text(json.dumps({"ratios": [row]}))

    monkeypatch.setattr(everything.machine, "child", lambda *_: ["cpu", "cpu", 1])
    monkeypatch.setattr(everything.subprocess, "run", run)
    report = everything.main(["--quick", "--json", str(tmp_path / "out.json")])
    assert len(started) == len(report["ratios"]) == len(everything.PROGRAMS)
    assert all(Path(command[1]).is_file() for command in started)
    printed = capsys.readouterr().out.splitlines()
    assert sum("a thing" in line and "2.00" in line for line in printed) == len(started)
    assert json.loads((tmp_path / "out.json").read_text())["environment"]["date"]


@pytest.mark.parametrize("name", ["bert_base", "mae_vit_b16"])
def test_peers_of_methods_have_as_many_parameters(name):
    """The tiny ones are built; the real ones are counted from their shapes."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    steps = load("method_step")
    for case in (steps.tiny(steps.cases()[name]), steps.cases()[name]):
        rows = {k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in steps.batch_of(case).items()}
        params, _ = jax.eval_shape(case.method.init, jax.random.key(0), rows)
        with torch.device("meta"):
            network = steps.network_of(case)
        count = sum(p.numel() for p in network.parameters() if p.requires_grad)
        assert count == sum(p.size for p in jax.tree.leaves(params))


def test_flops_of_bert_are_the_published_ones():
    # 6 FLOPs a parameter of the layers and token, and 12 depth width length for attention
    steps = load("method_step")
    case = steps.cases()["bert_base"]
    layers, attention = 85_054_464, 12 * 12 * 768 * 128
    found = steps.flops_of_step(case) / (case.batch * case.length)
    head = 6 * (30592 * 768 + 768 * 768) * 19 / 128  # of 15% of 126 tokens
    assert abs(found / (6 * layers + attention + head) - 1) < 0.02


def test_a_gpu_run_keeps_what_it_has_and_goes_on(tmp_path, monkeypatch, capsys):
    gpu = load("gpu")
    row = gpu.machine.ratio("a case", "images/s", [3.0], [2.0], against="torch default")
    monkeypatch.setattr(gpu.machine, "child", lambda *_: ["gpu", "H200", 1])
    calls = []

    def run(command, file, limit):
        calls.append(command)
        assert limit > 0
        if "bert_base" in command and "--tiny" not in command:
            return {"failed": "exit code 1: no | memory"}
        cases = {"a case": {"rounds": {"ssljax": [{"step": 100.0}]}}}
        return {"found": {"ratios": [row], "cases": cases}, "shown": "| a table |"}

    monkeypatch.setattr(gpu, "_run", run)
    found = gpu.main(["--minutes", "9", "--out", str(tmp_path), "--cifar10", "npz:x"])
    assert len(calls) == 2 * len(gpu.PARTS)  # CIFAR-10 at 5 images a second fits no epoch
    table = (tmp_path / "table.md").read_text()
    assert "| BERT-base | | failed | exit code 1: no / memory | |" in table
    assert "| GPT-2 124M: a case | images/s | 3 | 2, torch default | 1.50 |" in table
    assert "too few for an epoch" in found["parts"]["CIFAR-10"]["failed"]
    assert (
        json.loads((tmp_path / "results.json").read_text())["parts"].keys() == found["parts"].keys()
    )
    assert "GPT-2 124M: done" in capsys.readouterr().out
    fast = {"found": {"cases": {"x": {"rounds": {"ssljax": [{"step": 0.0256}]}}}}}
    assert gpu.images_a_second(fast) == pytest.approx(20_000)
    assert gpu.images_a_second({"failed": "no"}) == 0
    gpu.cifar10("npz:x", tmp_path, seconds=100, rate=20_000)
    assert calls[-1][2:4] == ["npz:x", str(30 * gpu.EPOCH)]  # 75 seconds at 20,000 of 50,000
    with_time = gpu.main(["--minutes", "0.1", "--out", str(tmp_path)])
    assert with_time["parts"]["GPT-2 124M"]["failed"] == "no time was left"


def test_a_part_that_fails_or_takes_too_long_is_said(tmp_path):
    gpu = load("gpu")
    file = tmp_path / "x.json"
    bad = [sys.executable, "-c", "raise SystemExit('it broke')"]
    assert gpu._run(bad, file, 60) == {"failed": "exit code 1: it broke"}
    slow = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert gpu._run(slow, file, 0.2) == {"failed": "not done after 0 s"}
    good = [sys.executable, "-c", f"open({str(file)!r}, 'w').write('[1]'); print('a')"]
    assert gpu._run(good, file, 60) == {"found": [1], "shown": "a\n"}


def test_timed_parts_need_no_package_of_the_readers():
    """Their imports pass where grain, tyro, pyarrow and others are not there."""
    code = """
import sys
ABSENT = ("grain", "tyro", "tensorflow_datasets", "pyarrow", "sklearn", "PIL", "matplotlib")
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"{name} is absent")
sys.meta_path.insert(0, Absent())
import train_step, language_step, method_step
[train_step.case_of(name) for name in train_step.GROUPS["accelerator"]]
[f() for f in (language_step.cases, method_step.cases)]
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_graph_in_pieces_on_a_tiny_one(tmp_path):
    sizes = [
        "--nodes",
        "200",
        "--edges",
        "800",
        "--features",
        "4",
        "--seeds",
        "8",
        "--fanout",
        "3",
        "2",
    ]
    found = load("graph_loader").main(
        [*sizes, "--steps", "2", "--rounds", "1", "--json", str(tmp_path / "out.json")]
    )
    assert found["rows_of_a_batch"] == 8 * (1 + 3 + 6)
    assert found["batches_a_second"]["ssljax"][0] > 0
    assert found["training_peak_gib"] >= found["sampling_peak_gib"] > 0
    assert json.loads((tmp_path / "out.json").read_text())["rows_of_a_batch"] == 80


def test_pods_go_on_with_what_is_missing(tmp_path, capsys, monkeypatch):
    pods, asked = load("pods_bench", "pods"), []
    fine = {
        "batch": 512, "hbm": 2**34, "peak": 2**33, "fits": True, "verdict": "fits",
        "step_seconds": 0.5, "seconds": {"compute": 0.5, "memory": 0.25, "network": 0.01},
        "bound": "compute", "mfu": 0.61,
    }  # fmt: skip

    def compiled(arguments, topology, *, minutes):
        asked.append((arguments[0], topology, minutes))
        if len(asked) == 1:
            return {"error": "ssljax: error: no libtpu"}
        return fine if len(asked) == 2 else fine | {"fits": False, "verdict": "17 of 16 GiB"}

    monkeypatch.setattr(pods, "compiled", compiled)
    only = ["--only", "GPT-2 124M", "--only", "MAE ViT-B/16", "--minutes", "3"]
    pods.main(["--out", str(tmp_path), *only])
    assert "no libtpu" in capsys.readouterr().out
    pods.main(["--out", str(tmp_path), *only])  # what failed is tried again, and nothing else
    assert [a[0] for a in asked] == [pods._GPT, "experiments/imagenet_mae.py", pods._GPT]
    assert asked[0][1:] == ("v5e:8x8", 3)
    lines = capsys.readouterr().out.splitlines()
    (mae,) = (line for line in lines if line.startswith("| MAE"))
    cells = [cell.strip() for cell in mae.split("|")[3:]]
    assert cells[:5] == ["512", "8.0 of 16", "500.0 ms", "250.0 ms", "10.0 ms"]
    assert cells[5:8] == ["compute", "1,024", "61%"]
    (gpt,) = (line for line in lines if line.startswith("| GPT-2 124M"))
    assert "17 of 16 GiB" in gpt
    with pytest.raises(SystemExit):
        pods.main(["--out", str(tmp_path), "--only", "GPT-3"])
    assert "no case GPT-3" in capsys.readouterr().err


def test_pods_cases_are_experiments_of_ours():
    pods = load("pods_bench", "pods")
    for file, *flags in pods.CASES.values():
        name = str(FOLDER.parent.parent / file)
        experiment = override(load_experiment(name), flags, prog="pods", own=())
        assert experiment.batch >= 512


def test_pods_say_why_a_case_failed(monkeypatch):
    pods = load("pods_bench", "pods")
    monkeypatch.setattr(pods, "_COMPILE", "import sys; sys.exit('ssljax: error: no such thing')")
    assert pods.compiled((), "v5e:2x2", minutes=1) == {"error": "ssljax: error: no such thing"}
    monkeypatch.setattr(pods, "_COMPILE", "import time; time.sleep(30)")
    assert "more than 0.01 minutes" in pods.compiled((), "v5e:2x2", minutes=0.01)["error"]
