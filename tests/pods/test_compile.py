"""The compile report: what is read from XLA's text, the arithmetic, and a real TPU compile."""

import dataclasses
import importlib.util
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from ssljax.data import Images
from ssljax.pods import compile as compiling
from ssljax.pods.chips import CHIPS, across, roofline, topology_devices
from ssljax.pods.compile import Examples, compile_report, example_spec, render
from ssljax.pods.hlo import collectives, hbm_traffic
from ssljax.pods.program import parse
from ssljax.pods.work import matmul_flops, uncounted

HAND = """HloModule jit_step, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %p = (s32[], f32[8]) parameter(0)
  %x = f32[8]{0:T(128)} get-tuple-element(%p), index=1
  %all-to-all.1 = f32[8]{0:T(128)} all-to-all(%x), channel_id=4, replica_groups={{0,1},{2,3}}
  ROOT %t = (s32[], f32[8]) tuple(%p, %all-to-all.1)
}

%condition (p.1: (s32[], f32[8])) -> pred[] {
  %p.1 = (s32[], f32[8]) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%p.1), index=0
  %limit = s32[]{:T(128)} constant(5)
  ROOT %lt = pred[]{:T(512)} compare(%i, %limit), direction=LT
}

%fused (q: bf16[4,6]) -> bf16[4,6] {
  %q = bf16[4,6]{1,0} parameter(0)
  ROOT %scatter = bf16[4,6]{1,0} reduce-scatter(%q), replica_groups=[2,2]<=[4], to_apply=%add
}

ENTRY %main (x.1: f32[8]) -> f32[8] {
  %x.1 = f32[8] parameter(0)
  %all-reduce.7 = (f32[3,5]{1,0:T(8,128)S(1)}, /*index=1*/pred[7]{0}) all-reduce(%x.1, %x.1), \
replica_groups=mesh['a'=4,'b'=1] {'a'}, to_apply=%add, metadata={op_name="jit/all-reduce(x)"}
  %gather-start = (f32[2]{0}, f32[8]{0}, u32[]{:S(2)}) all-gather-start(%x.1), replica_groups={}
  %gather-done = f32[8]{0} all-gather-done(%gather-start)
  %move = (f32[8]{0}, f32[8]{0}, u32[], u32[]) collective-permute-start(%x.1), \
source_target_pairs={{0,1}}
  %moved = f32[8]{0} collective-permute-done(%move)
  %f = bf16[4,6]{1,0} fusion(%x.1), kind=kCustom, calls=%fused
  %loop = (s32[], f32[8]) while(%t.0), condition=%condition, body=%body
  %noted = (s32[], f32[8]) while(%t.0), condition=%other, body=%body, \
backend_config={"known_trip_count":{"n":"3"}}
  %unknown = (s32[], f32[8]) while(%t.0), condition=%other, body=%body
  ROOT %out = f32[8]{0} get-tuple-element(%loop), index=1
}
"""


def test_collectives_of_a_hand_written_program():
    found, loops = collectives(HAND, devices=4)
    rows = {k: (c.count, c.bytes, c.sent) for k, c in found.items()}
    assert rows == {
        "all-reduce": (1, 67, 2 * 67 * 3 / 4),  # 15 floats and 7 bools, around a ring of 4
        "all-gather": (1, 32, 32 * 3 / 4),  # the result, once for start and done
        "collective-permute": (1, 32, 32),
        "reduce-scatter": (1, 96, 48),  # 24 bfloat16 out, twice that in
        "all-to-all": (9, 9 * 32, 9 * 16),  # 5 turns by the condition, 3 as noted, 1 unknown
    }
    assert loops == [5, 3, None]


TILED = """HloModule jit_step, is_scheduled=true

%fused (a: f32[256], b: f32[256]) -> f32[256] {
  %a = f32[256]{0} parameter(0)
  ROOT %inside = f32[256]{0} add(%a, %a)
}

%body (p: (s32[], f32[256])) -> (s32[], f32[256]) {
  %p = (s32[], f32[256]{0}) parameter(0)
  %h = f32[256]{0:T(256)} get-tuple-element(%p), index=1
  %sine = f32[256]{0:T(256)S(1)} sine(%h)
  ROOT %t = (s32[], f32[256]{0:T(256)S(1)}) tuple(%p, %sine)
}

ENTRY %main (x: f32[1024]) -> f32[256] {
  %x = f32[1024]{0:T(256)} parameter(0)
  %start = ((f32[1024]{0}), f32[256]{0:T(256)S(1)}, s32[]{:S(2)}) slice-start(%x), slice={[0:256]}
  %near = f32[256]{0:T(256)S(1)} slice-done(%start)
  %kept = f32[256]{0:T(256)S(1)} fusion(%near, %near), kind=kLoop, calls=%fused
  %loop = (s32[], f32[256]{0}) while(%kept), condition=%c, body=%body, \
backend_config={"known_trip_count":{"n":"2"}}
  ROOT %out = f32[256]{0:T(256)} fusion(%near, %kept), kind=kLoop, calls=%fused
}
"""


def test_hbm_traffic_leaves_out_what_stays_on_the_chip():
    # One slice in, one read in each of two turns, one result out.
    assert hbm_traffic(TILED) == 1024 * (1 + 2 + 1)


SLICED = """HloModule jit_step, is_scheduled=true

%rows (table: f32[50000,64], at: s32[8]) -> f32[8,64] {
  %table = f32[50000,64]{1,0} parameter(0)
  %at = s32[8]{0} parameter(1)
  %same = f32[50000,64]{1,0} bitcast(%table)
  ROOT %found = f32[8,64]{1,0} gather(%same, %at), offset_dims={1}, slice_sizes={1,64}
}

%outer (t: f32[50000,64], i: s32[8]) -> f32[8,64] {
  %t = f32[50000,64]{1,0} parameter(0)
  %i = s32[8]{0} parameter(1)
  ROOT %within = f32[8,64]{1,0} fusion(%t, %i), kind=kLoop, calls=%rows
}

%keep (stack: f32[9,8,64], row: f32[8,64], j: s32[]) -> (f32[9,8,64], f32[8,64]) {
  %stack = f32[9,8,64]{2,1,0} parameter(0)
  %row = f32[8,64]{1,0} parameter(1)
  %j = s32[] parameter(2)
  %one = f32[1,8,64]{2,1,0} bitcast(%row)
  %new = f32[9,8,64]{2,1,0} dynamic-update-slice(%stack, %one, %j, %j, %j)
  %sine = f32[8,64]{1,0} sine(%row)
  ROOT %both = (f32[9,8,64]{2,1,0}, f32[8,64]{1,0}) tuple(%new, %sine)
}

%add (x: f32[50000,64], y: s32[8], z: f32[8,64]) -> f32[50000,64] {
  %x = f32[50000,64]{1,0} parameter(0)
  %y = s32[8]{0} parameter(1)
  %z = f32[8,64]{1,0} parameter(2)
  ROOT %sum = f32[50000,64]{1,0} scatter(%x, %y, %z), to_apply=%plus
}

ENTRY %main (w: f32[50000,64], n: s32[8], s: f32[9,8,64], k: s32[]) -> f32[50000,64] {
  %w = f32[50000,64]{1,0} parameter(0)
  %n = s32[8]{0} parameter(1)
  %s = f32[9,8,64]{2,1,0} parameter(2)
  %k = s32[]{:S(2)} parameter(3)
  %row = f32[8,64]{1,0} fusion(%w, %n), kind=kLoop, calls=%outer
  %kept = (f32[9,8,64]{2,1,0}, f32[8,64]{1,0}) fusion(%s, %row, %k), kind=kLoop, calls=%keep
  %more = f32[8,64]{1,0} get-tuple-element(%kept), index=1
  %slice = f32[8,64]{1,0} dynamic-slice(%w, %k, %k), dynamic_slice_sizes={8,64}
  ROOT %out = f32[50000,64]{1,0} fusion(%w, %n, %more), kind=kCustom, calls=%add
}
"""


def test_hbm_traffic_of_tables_is_that_of_the_rows():
    rows, numbers = 8 * 64 * 4, 8 * 4
    gathered = rows + numbers + rows  # read, numbers, written
    kept = rows + rows + rows  # the row read, put in its place, and its sine written
    sliced, added = 2 * rows, rows + numbers + rows + rows
    assert hbm_traffic(SLICED) == gathered + kept + sliced + added


WORK = """HloModule jit_step, is_scheduled=true

%body (p: (s32[], bf16[4,128,256])) -> (s32[], bf16[4,128,256]) {
  %p = (s32[], bf16[4,128,256]{2,1,0}) parameter(0)
  %h = bf16[4,128,256]{2,1,0} get-tuple-element(%p), index=1
  %w = bf16[256,256,1]{2,1,0} constant({...})
  %c = bf16[4,128,256]{2,1,0} convolution(%h, %w), window={size=1}, dim_labels=0bf_io0->0bf
  ROOT %t = (s32[], bf16[4,128,256]{2,1,0}) tuple(%p, %c)
}

ENTRY %main (x: f32[4,128,256], y: f32[256,64]) -> f32[4,128,64] {
  %x = f32[4,128,256]{2,1,0} parameter(0)
  %y = f32[256,64]{1,0} parameter(1)
  %l = (s32[], bf16[4,128,256]{2,1,0}) while(%s), condition=%c, body=%body, \
backend_config={"known_trip_count":{"n":"5"}}
  %splash_mha_fwd_residuals.1 = (f32[4,512,64]{2,1,0}, bf16[4,2,1024,64]{3,2,1,0}) \
custom-call(%q), custom_call_target="tpu_custom_call", operand_layout_constraints={s8[1,2,2]{2,1,0}\
, bf16[4,2,1024,64]{3,2,1,0}, bf16[4,2,2048,64]{3,2,1,0}}, metadata={}
  %d = f32[4,128,64]{2,1,0} dot(%x, %y), lhs_contracting_dims={2}, rhs_contracting_dims={0}, \
operand_precision={highest,highest}
}
"""


def test_work_that_xla_does_not_count():
    found = uncounted(WORK)
    assert found.turns == 4 * 2 * 4 * 128 * 256 * 256  # of five
    assert found.passes == 5 * 2 * 4 * 128 * 256 * 64  # of six
    assert found.kernels == 2 * 2 * (4 * 2 * 1024 * 64) * 2048
    # The loop is that of the steps in a call: what it does once is a step.
    assert uncounted(WORK, calls=5).turns == 0


@pytest.mark.parametrize(
    ("image", "kernel", "options"),
    [
        ((2, 9, 8, 4), (3, 3, 4, 5), {"window_strides": (2, 1), "padding": "SAME"}),
        ((2, 6, 6, 8), (1, 1, 2, 8), {"padding": "VALID", "feature_group_count": 4}),
        ((2, 5, 5, 3), (3, 3, 3, 4), {"padding": [(2, 1), (1, 1)], "lhs_dilation": (2, 1)}),
        ((2, 9, 9, 3), (3, 3, 3, 4), {"padding": "VALID", "rhs_dilation": (2, 2)}),
    ],
)
def test_convolutions_count_as_xla_counts_them(image, kernel, options):
    def run(x, w):
        options_ = {"window_strides": (1, 1)} | options
        return jax.lax.conv_general_dilated(
            x, w, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options_
        )

    x, w = jnp.zeros(image), jnp.zeros(kernel)
    lowered = jax.jit(run).lower(x, w)
    text = lowered.compiler_ir("hlo").as_hlo_text()
    ops = [op for op in map(parse, text.splitlines()) if op]
    (op,) = [op for op in ops if op.kind == "convolution"]
    shapes = [f"f32[{','.join(map(str, shape))}]" for shape in (image, kernel)]
    assert matmul_flops(op, *shapes) == lowered.cost_analysis()["flops"]


@pytest.fixture
def mesh():
    return jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))


def test_data_parallel_gradients_are_one_all_reduce_of_their_size(mesh):
    weights = {"w": jnp.zeros((64, 32)), "b": jnp.zeros(32)}
    batch = jax.ShapeDtypeStruct((16, 64), jnp.float32, sharding=NamedSharding(mesh, P("data")))
    weights = jax.device_put(weights, NamedSharding(mesh, P()))

    def gradient(p, x):
        return jax.grad(lambda p: jnp.sum(jnp.tanh(x @ p["w"] + p["b"])))(p)

    found, loops = collectives(
        jax.jit(gradient).lower(weights, batch).compile().as_text(), devices=8
    )
    size = 4 * (64 * 32 + 32)
    assert set(found) == {"all-reduce"} and not loops
    assert found["all-reduce"].bytes == size
    assert found["all-reduce"].sent == 2 * size * 7 / 8


def test_collectives_in_a_real_loop_count_every_turn(mesh):
    x = jax.ShapeDtypeStruct((8, 128), jnp.float32, sharding=NamedSharding(mesh, P("data")))

    def run(x):
        return jax.lax.scan(lambda c, _: (jnp.sin(c + jnp.sum(jnp.cos(c), 0)), None), x, length=6)

    found, loops = collectives(jax.jit(run).lower(x).compile().as_text(), devices=8)
    assert loops == [6]
    assert (found["all-reduce"].count, found["all-reduce"].bytes) == (6, 6 * 128 * 4)


def test_roofline():
    seconds = roofline(CHIPS["v5e"], 197e12, 819e9 / 2, 50e9)
    assert seconds == {"compute": 1.0, "memory": 0.5, "network": 0.25}
    assert roofline(CHIPS["v5e"], 1, 1, 50e9, hops=1000)["network"] == 0.25 + 1e-3
    assert (across("v5e:16x16"), across("v4:4x4x4"), across("v5e:1x2")) == (16, 6, 1)


@pytest.mark.parametrize(
    ("message", "size"),
    [
        (
            "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO "
            "temporaries (64.00G) exceeds available HBM (15.75G).",
            64 * 2**30,
        ),
        (
            "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory "
            "space hbm. Used 512.5M of 15.75G hbm.",
            int(512.5 * 2**20),
        ),
        ("RESOURCE_EXHAUSTED: hbm is full", 0),
        ("RESOURCE_EXHAUSTED: Ran out of memory in memory space vmem.", None),
        ("INTERNAL: hbm", None),
    ],
)
def test_out_of_memory_messages(message, size):
    assert compiling.out_of_memory(message) == size


def test_unknown_topologies_are_explained():
    with pytest.raises(ValueError, match=r"no topology 'v9:4x4'.*v5e:16x16"):
        topology_devices("v9:4x4")


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is not None, reason="libtpu is installed")
def test_absent_libtpu_is_explained():
    with pytest.raises(FileNotFoundError, match=r"pip install 'jax\[tpu\]'"):
        topology_devices("v5e:4x4")


def test_example_spec(tmp_path):
    from ssljax.runs.experiment import Experiment

    absent = f"npz:{tmp_path / 'absent.npz'}"
    found = example_spec(Experiment(method=None))
    assert found.spec["image"] == ((8, 8, 1), np.uint8) and len(found.classes) == 10
    found = example_spec(Experiment(method=None, data=absent, reader=Images(size=32, channels=3)))
    assert isinstance(found, Examples) and found.spec["image"] == ((32, 32, 3), np.uint8)
    assert set(found.spec) == {"image", "label", "index"}
    with pytest.raises(ValueError, match=r"no such file.*\n.*--reader.size 224"):
        example_spec(Experiment(method=None, data=absent))
    with pytest.raises(ValueError, match="did you mean npz"):
        example_spec(Experiment(method=None, data="npy:x", reader=Images(size=32, channels=3)))
    path = tmp_path / "here.npz"
    np.savez(path, image=np.zeros((6, 5, 5), np.uint8), label=np.arange(6) % 3)
    found = example_spec(Experiment(method=None, data=f"npz:{path}"))
    assert found.spec["image"][0] == (5, 5, 1) and len(found.classes) == 3


def tiny(**changes):
    from laws import all_cases

    from ssljax.runs.experiment import Experiment
    from ssljax.training.train import Cadence

    return Experiment(
        method=all_cases()["simclr"].method,
        data="npz:absent.npz",
        reader=Images(size=8, channels=3),
        cadence=Cadence(log=2, save=0, monitor=0, steps_per_call=2),
        **({"batch": 32} | changes),
    )


def test_the_step_that_is_lowered_is_the_one_that_trains():
    """Lowered for 8 devices that are here, so that it can be compiled without libtpu."""
    experiment = tiny()
    mesh = experiment.parallel.mesh()
    lowered, memory = compiling.lower_step(experiment, example_spec(experiment), mesh)
    found, loops = collectives(lowered.compile().as_text(), devices=8)
    assert 2 in loops  # steps_per_call
    assert found["all-reduce"].bytes >= 2 * memory["parameters"]
    assert memory["batch"] == 2 * 32 // 8 * (8 * 8 * 3 + 4 + 4)


def test_verdict_names_only_what_is_left_to_try():
    plain = SimpleNamespace(
        parallel=SimpleNamespace(fsdp=True),
        batch=64,
        method=SimpleNamespace(encoder=SimpleNamespace(dtype="bfloat16")),
    )
    said = compiling._verdict(plain, 2**35, 2**34, fits=False)
    assert said.startswith("does not fit: 32.0 of 16.0 GiB; try a smaller batch (--batch 32)")
    assert "fsdp" not in said and "dtype" not in said


@pytest.mark.slow
def test_a_tiny_experiment_compiles_for_a_tpu_slice():
    pytest.importorskip("libtpu", reason="pip install -r requirements-tpu.txt")
    report = compile_report(tiny(), topology="v5e:4x4")
    assert report.fits and (report.chips, report.devices) == (16, 16)
    assert 0 < report.peak < 2**30 and report.flops > 0 and 0 < report.mfu < 1
    assert 0 < report.hbm_traffic < report.bytes_accessed
    # Gradients of every parameter are summed once a step.
    assert report.collectives["all-reduce"].bytes >= report.memory["parameters"]
    assert report.step_seconds == max(report.seconds.values())
    assert json.loads(json.dumps(dataclasses.asdict(report)))["topology"] == "v5e:4x4"
    assert "fits:" in render(report)
    # Similarities [2^19, 2^19 / 16] take a terabyte over all chips.
    report = compile_report(tiny(batch=2**18), topology="v5e:4x4")
    assert not report.fits and report.peak > report.hbm and report.step_seconds is None
    assert "does not fit" in render(report) and "--batch 131072" in report.verdict
    with pytest.raises(ValueError, match=r"v5e:3x5.*try v5e:4x4"):
        compile_report(tiny(), topology="v5e:3x5")
    with pytest.raises(ValueError, match="multiple of 16"):
        compile_report(tiny(batch=8), topology="v5e:4x4")
