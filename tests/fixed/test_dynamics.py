"""Neuron kinds: the scalar definitions against recordings of Lava's fixed-point models.

The recordings lie in the shared data; without it these tests skip.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.fixed import arithmetic, draws, dynamics
from picojoule.fixed.arithmetic import cuba_neuron
from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING

LAVA = SPIKING["lava"]
U = (LAVA.decay_bits, LAVA.q_mode, LAVA.q_bits, LAVA.u_mode, LAVA.u_bits)
V = (LAVA.v_mode, LAVA.v_bits)


def plain(rule):
    """The definition as Python."""
    return getattr(rule, "py_func", rule)


class Recording:
    """Parameters and arrays of one file, by name."""

    def __init__(self, shared, name):
        self.head = json.loads(shared(f"golden/lava/{name}.json").read_text())
        with np.load(shared(f"golden/lava/{name}.npz")) as file:
            self.arrays = {key: file[key] for key in file.files}

    def input(self, key="in"):
        told, array = self.head["inputs"][key], self.arrays[key]
        if told["kind"] == "bits":
            return np.unpackbits(array, axis=1, count=told["n"]).astype(np.int64)
        return array.astype(np.int64)

    def weight(self, key):
        """Mixed weights drop their last bit, by floor."""
        w = self.arrays[key].astype(np.int64)
        return w >> 1 << 1 if (w < 0).any() and (w > 0).any() else w


def keep(register, offset=0):
    return 4096 - offset - register


def late(x):
    """What a source of step t sends acts in step t + 1."""
    return np.concatenate([np.zeros_like(x[:1]), x[:-1]])


def differ(recording, got):
    """Elements that differ from the recording, of all arrays."""
    return {key: int((recording.arrays[f"o_{key}"] != np.array(values)).sum())
            for key, values in got.items()
            if (recording.arrays[f"o_{key}"] != np.array(values)).any()}  # fmt: skip


def simulate(names, q, step, start=None):
    """Run `step(i, state, q) -> (*state, spike)` over (steps, n); recorded arrays by name."""
    steps, n = q[0].shape
    state = [start or [0] * (len(names) - 1) for _ in range(n)]
    out = {name: np.zeros((steps, n), np.int64) for name in names}
    for t in range(steps):
        for i in range(n):
            found = step(t, state[i], *(int(part[t, i]) for part in q))
            state[i] = [int(x) for x in found[:-1]]
            for name, value in zip(names, found):
                out[name][t, i] = value
    return out


@pytest.mark.golden
def test_ternary_with_recurrence(shared):
    """The recurrent synapse is binary: it sees -1 as a plain spike."""
    r = Recording(shared, "l08_ternary")
    p, x = r.head["lif"], r.input()
    w_in, w_rec = r.weight("c0_w"), r.weight("c1_w")
    steps, n = len(x), len(w_in)
    u, v = [0] * n, [0] * n
    q = np.zeros(n, np.int64)
    out = {key: np.zeros((steps, n), np.int64) for key in "uvs"}
    for t in range(steps):
        for i in range(n):
            u[i], v[i], out["s"][t, i] = dynamics.ternary_neuron(
                u[i], v[i], int(q[i]) << 6, 0, keep(p["du"], 1), keep(p["dv"]), p["vth_hi"] << 6,
                p["vth_lo"] << 6, *U, *V, LAVA.drive_mode)  # fmt: skip
        out["u"][t], out["v"][t] = u, v
        q = w_in @ x[t] + w_rec @ (out["s"][t] != 0)
    assert differ(r, out) == {}


@pytest.mark.golden
def test_periodic_reset(shared):
    r = Recording(shared, "l09_lifreset")
    p = r.head["lif"]

    def step(t, state, q):
        u, v = state
        if dynamics.resets(t, p["reset_interval"], p["reset_offset"]):
            u = v = 0
        u, _, v, _, fired = cuba_neuron(
            u, v, 0, q << 6, 0, keep(p["du"], 1), keep(p["dv"]), p["vth"] << 6, 1, *U, *V,
            LAVA.drive_mode)  # fmt: skip
        return u, v, fired

    q = late(r.input() @ r.weight("c0_w").T)
    assert differ(r, simulate("uvs", [q], step)) == {}


@pytest.mark.golden
@pytest.mark.parametrize("name", ["l01_exc", "l07_decay_1_4095", "l07_decay_2047_2048"])
def test_current_and_bias_of_lava(shared, name):
    r = Recording(shared, name)
    p, n = r.head["lif"], r.head["n"]
    bias = r.arrays.get("p_bias_mant", np.zeros(n, int)) << r.arrays.get("p_bias_exp", 0)
    exponent = r.head["conns"][0]["exp"]
    sums = late(r.input() @ r.weight("c0_w").T)
    q = np.vectorize(lambda x: dynamics.shifted_sum(int(x), exponent))(sums)

    def step(t, state, q, bias):
        u, _, v, _, fired = cuba_neuron(
            *state, 0, q << 6, bias, keep(p["du"], 1), keep(p["dv"]), p["vth"] << 6, 1, *U, *V,
            LAVA.drive_mode)  # fmt: skip
        return u, v, fired

    assert differ(r, simulate("uvs", [q, np.broadcast_to(bias, q.shape)], step)) == {}


@pytest.mark.golden
@pytest.mark.parametrize("name", ["l10_sigmadelta_a0", "l10_sigmadelta_a1"])
def test_sigma_delta(shared, name):
    r = Recording(shared, name)
    h = r.head
    both = h["spike_exp"] + h["state_exp"]
    sums = late(r.input() @ r.weight("w").T)
    q = np.vectorize(lambda x: dynamics.shifted_sum(int(x), h["exp"]))(sums)
    bias = np.broadcast_to(r.arrays["bias"].astype(np.int64) << both, q.shape)

    def step(t, state, q, bias):
        return dynamics.sigma_delta_neuron(
            *state, q, h["vth"] << both, bias, h["state_exp"], h["cum"], int(h["corrected"])
        )

    got = simulate(("sigma", "act", "residue", "error", "s"), [q, bias], step)
    assert differ(r, got) == {}


@pytest.mark.golden
def test_delta(shared):
    r = Recording(shared, "l11_delta")
    h = r.head
    both = h["spike_exp"] + h["state_exp"]

    def step(t, state, q):
        return dynamics.delta_neuron(*state, q, h["vth"] << both, both, h["state_exp"])

    assert differ(r, simulate(("act", "residue", "s"), [r.input()], step)) == {}


@pytest.mark.golden
@pytest.mark.parametrize("name, kind", [("l12_rf", "resonator"), ("l13_rf_iz", "resonator_iz")])
def test_resonators(shared, name, kind):
    r = Recording(shared, name)
    h, rule = r.head, getattr(dynamics, f"{kind}_neuron")

    def step(t, state, q0, q1):
        return rule(*state, q0, q1, h["sin"], h["cos"], h["vth"] << h["state_exp"],
                    h["decay_bits"], h["state_exp"], *V)  # fmt: skip

    got = simulate(("re", "im", "s"), [r.input("in_re"), r.input("in_im")], step)
    assert differ(r, got) == {}


@pytest.mark.golden
def test_adaptive_threshold(shared):
    r = Recording(shared, "l17_atrlif")
    h = r.head
    kept = [keep(int(h[f"delta_{x}"] * 4096), x == "i") for x in ("i", "v", "theta", "r")]
    theta_0, bias = h["theta_0"] << 6, h["bias_mant"] << h["bias_exp"]

    def step(t, state, q):
        return dynamics.atrlif_neuron(*state, q << 6, bias, *kept, theta_0, h["theta_step"] << 6,
                                      *U, *V, LAVA.drive_mode)  # fmt: skip

    q = late(r.input() @ r.weight("w").T)
    got = simulate(("i", "v", "theta", "r", "s"), [q], step, [0, 0, theta_0, 0])
    assert differ(r, got) == {}


@pytest.mark.golden
def test_products_and_graded_vectors(shared):
    r = Recording(shared, "l14_prod")
    a, b = r.input("in1"), r.input("in2")
    one = np.vectorize(plain(dynamics.product_neuron))
    assert differ(r, {"s": one(a, b, r.head["vth"], r.head["exp"])}) == {}
    for name, rule in (("l15_gradedvec", "graded_neuron"),
                       ("l16_gradedrelu", "graded_relu_neuron")):  # fmt: skip
        r = Recording(shared, name)
        sums = late(r.input() @ r.weight("w").T)
        q = np.vectorize(plain(dynamics.shifted_sum))(sums, r.head["exp"])
        got = np.vectorize(plain(getattr(dynamics, rule)))(q, r.head["vth"])
        assert differ(r, {"s": got}) == {}


@pytest.mark.golden
def test_payload_is_the_24_bit_sum_of_a_convolution(shared):
    """Lava's Conv wraps its sum; a `graded` unit behind it sends exactly that."""
    r = Recording(shared, "l18_conv")
    x, w = r.arrays["x"].astype(np.int64), r.arrays["w"].astype(np.int64)[:, ::-1, ::-1]
    (sx, sy), (px, py) = r.head["stride"], r.head["padding"]
    x = np.pad(x, ((0, 0), (px, px), (py, py), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(x, w.shape[1:3], (1, 2))[:, ::sx, ::sy]
    q = late(np.einsum("tijcxy,oxyc->tijo", patches, w))
    got = np.vectorize(lambda s: dynamics.payload(dynamics.graded_neuron(int(s), 0), 24))(q)
    assert differ(r, {"a": got}) == {}


@pytest.mark.golden
@pytest.mark.parametrize("name", ["n07_noise_u", "n08_noise_v", "n05_vmin_vmax"])
def test_noise_and_voltage_limits(shared, name):
    """NengoLoihi: recorded summed input (noise taken off) into the neuron of N4."""
    head = json.loads(shared(f"golden/nengo_loihi/{name}.json").read_text())["blocks"][0]
    with np.load(shared(f"golden/nengo_loihi/{name}.npz")) as file:
        a = {key: file[key].astype(np.int64) for key in file.files if key[0] != "F"}
    p, n, steps = SPIKING["nengo_loihi"], head["n"], len(a["o_current"])
    drawn = a.get("noise", np.zeros(steps * n, int)).reshape(steps, n)
    u, v, wait = [0] * n, [0] * n, [0] * n
    wrong = 0
    for t in range(steps):
        for i in range(n):
            on = int(a["b0_enable_noise"][i])
            added = on * dynamics.noise(int(drawn[t, i]), head["noise_offset"], head["noise_exp"])
            into_v = added if head["noise_at_membrane"] else 0
            into_u = added - into_v
            u[i], v[i], wait[i], fired = dynamics.cuba_noise_neuron(
                u[i], v[i], wait[i], int(a["o_q0"][t, i]) - into_u, int(a["b0_bias"][i]),
                keep(int(a["b0_decay_u"][i]), 1), keep(int(a["b0_decay_v"][i])),
                int(a["b0_vth"][i]), head["vmin"], head["vmax"], into_u, into_v,
                int(a["b0_refract_delay"][i]), p.decay_bits, p.q_mode, p.q_bits, p.u_mode,
                p.u_bits, p.drive_mode)  # fmt: skip
            wrong += fired != np.unpackbits(a["o_spiked"][t].astype(np.uint8))[i]
        wrong += (u != a["o_current"][t]).sum() + (v != a["o_voltage"][t]).sum()
        wrong += (wait != a["o_ref"][t]).sum()
    assert wrong == 0


@pytest.mark.golden
def test_philox_gives_its_published_words():
    """Known answers of Random123 1.09, philox4x32-10."""
    full = 2**32 - 1
    cases = {
        (0,) * 6: (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
        (full,) * 6: (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        (0xA4093822, 0x299F31D0, 0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344): (
            0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    }  # fmt: skip
    for arguments, words in cases.items():
        assert draws.philox(*arguments) == plain(draws.philox)(*arguments) == words


def test_draws_are_uniform_and_differ_by_each_index():
    drawn = np.array([draws.noise_draw(5, 0, 0, 0, k) for k in range(20000)])
    assert drawn.min() == -127 and drawn.max() == 127 and abs(drawn.mean()) < 2
    at = (5, 1, 2, 3, 4)
    others = [draws.noise_draw(*(x + (k == j) for j, x in enumerate(at))) for k in range(5)]
    assert len({draws.noise_draw(*at), *others}) > 4


words = st.integers(-(2**23), 2**23)
small = st.integers(-500, 500)


@given(words, words, st.lists(small, min_size=8, max_size=8), st.integers(0, 3))
def test_compiled_and_plain_agree(a, b, more, exponent):
    """Every definition twice: compiled, and as Python on exact integers."""
    keeps = [abs(x) for x in more[:4]]
    wide = (12, 1, 21, 3, 23)
    cases = {
        "payload": (a * b, 24), "shifted_sum": (a, exponent - 2), "noise": (more[0], 3, exponent),
        "cuba_noise_neuron": (a, b, exponent, more[0], more[1], *keeps[:2], keeps[2], -900, 900,
                              *more[4:6], 2, *wide, 1),
        "resets": (keeps[0], exponent + 1, keeps[1]),
        "ternary_neuron": (a, b, more[0], more[1], *keeps[:2], keeps[2], -keeps[3], *wide, 2, 23,
                           0),
        "sigma_delta_neuron": (a, b, *more[:3], keeps[0], more[4], exponent, a & 1, b & 1),
        "delta_neuron": (a, more[0], more[1], keeps[0], exponent, 1),
        "resonator_neuron": (a, b, *more[:4], keeps[0], 12, exponent, 2, 23),
        "resonator_iz_neuron": (a, b, *more[:4], keeps[0], 12, exponent, 2, 23),
        "atrlif_neuron": (a, b, more[4], more[5], more[0], more[1], *keeps, 640, 64, *wide, 2, 23,
                          0),
        "product_neuron": (a, more[0], keeps[0], exponent),
        "graded_neuron": (a, keeps[0]), "graded_relu_neuron": (a, keeps[0]),
        "integrator_neuron": (a, b, more[0], more[1], *keeps[:2], *wide, 2, 23, 0),
    }  # fmt: skip
    for name, arguments in cases.items():
        rule = getattr(dynamics, name)
        assert rule(*arguments) == plain(rule)(*arguments), name


OWN = Path(__file__).parents[1] / "golden" / "vectors" / "own_neurons.json"


@pytest.mark.golden
@pytest.mark.parametrize("case", json.loads(OWN.read_text())["cases"], ids=lambda c: c["why"])
def test_corners_worked_by_hand(case):
    home = dynamics if hasattr(dynamics, case["call"]) else arithmetic
    got = getattr(home, case["call"])(*case["args"])
    assert (list(got) if isinstance(got, tuple) else got) == case["want"]


@pytest.mark.golden
def test_draws_are_words_of_one_counter_each():
    """Elements 0..3 are the four words of counter (region, sample, step, 0), scaled."""
    words = draws.philox(7, 1, 2, 3, 4, 0)
    want = [word * 255 // 2**32 - 127 for word in words]
    assert [draws.noise_draw(7, 2, 3, 4, element) for element in range(4)] == want
    assert draws.noise_draw(7, 2, 3, 4, 4) == draws.philox(7, 1, 2, 3, 4, 1)[0] * 255 // 2**32 - 127


def test_every_kind_has_a_definition():
    rules = {name.removesuffix("_neuron") for name in dir(dynamics)}
    others = {"cuba", "cuba_reset", "threshold"}  # S8, S8 after N5, S6
    assert KINDS.keys() - rules == others
