"""What `experiments/pseudo_triples.py` takes: the surest by both ends, none that is known."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ssljax.data.triple_data import TripleData
from ssljax.methods import ComplEx


def script():
    path = Path(__file__).parents[1] / "experiments" / "pseudo_triples.py"
    spec = importlib.util.spec_from_file_location("pseudo_triples", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_surest_by_both_ends_and_nothing_known():
    given = np.array([[0, 0, 1], [1, 0, 2], [2, 1, 0], [0, 1, 3]])
    known = TripleData(given, entities=tuple("abcd"), relations=("r", "s"))
    method = ComplEx(width=6).filled(known)
    built = method.build(optax.sgd(0.1), updates=1)
    batch = {"triple": jnp.asarray(given, jnp.int32)}
    state = jax.jit(built.init)(jax.random.key(0), batch)
    rows = np.asarray(state.params["encoder"]["rows"], np.float64) * 20  # far from all alike
    ways = np.asarray(state.params["relations"]["rows"], np.float64)
    params = {"encoder": {"rows": jnp.float32(rows)}, "relations": state.params["relations"]}
    state = type(state)(state.step, params, state.opt, state.extra)

    def product(end, way, other):  # Re <end, way, conj(other)>
        e, w, o = (x[:3] + 1j * x[3:] for x in (end, way, other))
        return float(np.real(np.sum(e * w * np.conj(o))))

    def sure(h, r, t):
        tails = np.array([product(rows[h], ways[r], o) for o in rows])
        heads = np.array([product(rows[t], ways[r + 2], o) for o in rows])
        return tails[t] - np.log(np.exp(tails).sum()) + heads[h] - np.log(np.exp(heads).sum())

    offered = [
        (h, r, t)
        for r, ends in {0: ((0, 1), (1, 2)), 1: ((0, 2), (0, 3))}.items()
        for h in ends[0]
        for t in ends[1]
        if [h, r, t] not in given.tolist()
    ]
    expected = sorted(offered, key=lambda x: -sure(*x))
    found = script().surest(method, state, known, 3)
    assert [tuple(map(int, row)) for row in found] == expected[:3]
    assert len(script().surest(method, state, known, 100)) == len(offered)
