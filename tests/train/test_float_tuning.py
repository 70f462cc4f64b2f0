"""Floating-point and block formats: gradients, and programs that compute what was trained."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

import picojoule as pj
from picojoule import nn
from picojoule.errors import CheckError, ProgramError, TrainError, UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import FLOATS, Format, float_format
from picojoule.grad.tape import Tensor, backward
from picojoule.graph import Derivation
from picojoule.graph.derive_methods import exact_levels, float_levels
from picojoule.graph.ops import Dense, IntAveragePool
from picojoule.kernels import tensor as kernels
from picojoule.passes import check, compile_graph, freeze, lower, quantize
from picojoule.passes.search_steps import float_options, float_steps
from picojoule.program.parsing import parse
from picojoule.program.verify import verify
from picojoule.sim.run import run
from picojoule.train import (
    Options,
    accuracy,
    derivations,
    evaluate_outputs,
    finetune,
    fit,
    methods,
    start_quantized,
    tensor,
    tensor_image,
)

RNG = np.random.Generator(np.random.Philox(key=[14, 0]))


@pytest.fixture(scope="module")
def machine():
    return pj.target("fp8_mx")


@pytest.fixture(scope="module")
def digits():
    """8 x 8 digits: (x, y) to train with, and to test with."""
    found = load_digits()
    x, y = (found.images / 16).astype(np.float32)[..., None], found.target
    return (x[:1300], y[:1300]), (x[1300:], y[1300:])


@pytest.fixture(scope="module")
def trained(digits):
    """A dense and a convolutional network, in reals."""
    encoder = Encoder(kind="affine", shape=(8, 8, 1), step=1 / 127)
    parts = {
        "dense": [nn.Flatten(), nn.Dense(24), nn.Relu(), nn.Dense(10, init="xavier")],
        "conv": [nn.Conv(6, bias=False), nn.BatchNorm(), nn.Relu(), nn.MaxPool(2),
                 nn.Conv(8, bias=False), nn.BatchNorm(), nn.Relu(), nn.MaxPool(2),
                 nn.Dense(10, init="xavier")],
    }  # fmt: skip
    return {
        name: fit(nn.sequential(layers, encoder=encoder, readout=Readout(), seed=1), *digits[0],
                  epochs=10, lr=5e-3)
        for name, layers in parts.items()
    }  # fmt: skip


@pytest.mark.parametrize("kind", FLOATS)
def test_levels_have_the_gradient_of_a_clip_with_rounding_and_exponents_held(kind):
    """Stand-in: x inside; step times the largest number, where it saturates."""
    options = dict(float_options(kind))
    x = RNG.normal(size=(3, 40)) * 2.0 ** RNG.integers(-3, 4, (3, 40))
    step = np.abs(x).max(1) / (1.004 * FLOATS[kind].high)
    step /= 2.0 ** min(FLOATS[kind].lift, 2)
    g, way, way_s = RNG.normal(size=x.shape), RNG.normal(size=x.shape), RNG.normal(size=3)
    exact, scale = exact_levels(x, step, high=options["high"], block=options["block"],
                                lift=options["lift"])  # fmt: skip
    level = float_levels(x, step, **options)
    inside = np.abs(exact) <= options["high"]
    held = level - exact * scale
    assert not inside.all()

    def stand_in(x, s):
        edge = np.sign(x) * (options["high"] * scale * s[:, None])
        return np.sum(g * np.where(inside, x + s[:, None] * held, edge))

    leaves = [Tensor(x, wants=True), Tensor(step, wants=True)]
    made = Derivation("float_levels", ("x", "step"), float_options(kind))
    backward(derivations.derive(made, *leaves), g)
    eps = 1e-6
    slope = (stand_in(x + eps * way, step) - stand_in(x - eps * way, step)) / (2 * eps)
    assert np.sum(leaves[0].grad * way) == pytest.approx(slope, rel=1e-5)
    eps = 1e-3 * step.min()
    slope = (stand_in(x, step + eps * way_s) - stand_in(x, step - eps * way_s)) / (2 * eps)
    assert np.sum(leaves[1].grad * way_s) == pytest.approx(slope / np.sqrt(40), rel=1e-5)


@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("kind", FLOATS)
def test_steps_are_those_of_least_error(kind, one):
    x = RNG.normal(size=(4, 50)) * np.array([[1.0], [1e-3], [40.0], [0.0]])
    step = float_steps(x, kind, one=one)
    wide = np.broadcast_to(step, 4)

    def error(step):
        return np.square(float_levels(x, step, **dict(float_options(kind))) * step[:, None] - x)

    best = error(wide).sum(1)
    for factor in (0.84, 0.92, 1.09, 1.19):
        other = error(wide * factor).sum(1)
        assert (best.sum() <= other.sum()) if one else (best <= other).all()
    assert np.shape(step) == (() if one else (4,)) and (step > 0).all()


PAIRS = [*((kind, "lsq") for kind in FLOATS), ("lsq", "e4m3"), ("e4m3", "e4m3"), ("mxfp4", "e4m3")]


@pytest.mark.parametrize("name", ["dense", "conv"])
@pytest.mark.parametrize(("kind", "edges"), PAIRS)
def test_a_tuned_network_is_its_program_in_every_integer(
    trained, machine, digits, kind, edges, name, tmp_path
):
    """`finetune` compares live, frozen and compiled; here the saved file, on both engines."""
    (x, y), (x_test, y_test) = digits
    frozen, program = finetune(trained[name], machine, x, y, bits=None, epochs=2, weights=kind,
                               activations=edges)  # fmt: skip
    want = evaluate_outputs(frozen, x_test)["output"]
    program.save(tmp_path / "net.pjp")
    again = pj.Program.open(tmp_path / "net.pjp", verify=True)
    for engine in ("numba", "reference"):
        assert np.array_equal(run(again, x_test, engine=engine).outputs["output"], want), engine
    assert parse(str(program), program.arrays, program.initial) == program
    assert accuracy(frozen, x_test, y_test) > 0.85
    form = float_format(kind) if kind in FLOATS else Format(8)
    assert {r.format for n, r in program.regions.items() if n.endswith(".weight")} == {form}
    held = {str(r.format) for n, r in program.regions.items() if n.endswith(".y")}
    assert held == {"e4m3" if edges == "e4m3" else "uint8"}
    steps = {n: v for n, v in frozen.params.items() if n.endswith((".step_w", ".step_out"))}
    start = start_quantized(
        trained[name], machine, x, bits=None, weights=kind if kind in FLOATS else None,
        activations="e4m3" if edges == "e4m3" else None,
    )  # fmt: skip
    assert all(not np.array_equal(v, start.params[n]) for n, v in steps.items())


def test_training_at_four_bits_in_blocks_is_better_than_not(trained, machine, digits):
    """Mean over both networks of test accuracy, mxfp4: after training and by rounding alone."""
    (x, y), test = digits
    rounded, learned = [], []
    for graph in trained.values():
        start = start_quantized(graph, machine, x, bits=None, weights="mxfp4")
        rounded.append(accuracy(start, *test))
        frozen, _ = finetune(graph, machine, x, y, bits=None, epochs=8, lr=2e-3, weights="mxfp4")
        learned.append(accuracy(frozen, *test))
    assert np.mean(learned) > np.mean(rounded) + 0.01


def truncated(x, step, **options):
    """Rounds a significand down where rule T13 takes the nearest."""
    return float_levels(np.asarray(x) * (1 - 2.0**-5), step, **options)


def unshifted(x, weight, bias, zero_in, shift, threads):
    """Rounds down what leaves the accumulator."""
    half = (1 << shift) >> 1
    total = (x.astype(np.int64) - zero_in) @ weight.T - half
    return kernels.leave(total, shift, bias)


def test_broken_rules_are_caught(trained, machine, digits, monkeypatch):
    (x, y), _ = digits
    part = {"bits": None, "epochs": 0, "weights": "e4m3"}
    with monkeypatch.context() as patch:
        wrong = {**derivations.FUNCTIONS, "float_levels": truncated}
        patch.setattr(derivations, "FUNCTIONS", wrong)
        with pytest.raises(TrainError, match=r"PJ703"):
            finetune(trained["dense"], machine, x, y, **part)
    with monkeypatch.context() as patch:
        patch.setattr(tensor, "int_matmul", unshifted)
        with pytest.raises(TrainError, match=r"PJ703"):
            finetune(trained["dense"], machine, x, y, **part)
    with monkeypatch.context() as patch:
        right = tensor_image.conv_int
        patch.setattr(tensor_image, "conv_int", lambda *a, shift: right(*a, shift=shift and 1))
        with pytest.raises(TrainError, match=r"PJ703"):
            finetune(trained["conv"], machine, x, y, **part)
    finetune(trained["dense"], machine, x, y, **part)


def test_a_trainer_that_keeps_more_bits_of_results_is_caught(trained, machine, digits, monkeypatch):
    (x, y), _ = digits
    for name, module, function in (
        ("dense", tensor, "requantize_array"), ("conv", tensor_image, "requantize_places")
    ):  # fmt: skip
        right = getattr(module, function)

        def finer(*args, fraction, right=right):
            return right(*args, fraction=fraction and fraction + 1)

        monkeypatch.setattr(module, function, finer)
        with pytest.raises(TrainError, match="PJ703"):
            finetune(trained[name], machine, x, y, bits=None, epochs=0, activations="e4m3")


def test_activations_stay_integers_where_more_than_sums_reads_them(machine):
    """In front of an Add, and of a table; a maximum is looked through."""
    net = nn.dense_network([6, 8, 8, 3], seed=1, residual=True)
    x = RNG.random((40, 6))
    live = quantize(net, machine, x, activations="e4m3")
    kinds = {n.name: getattr(n.op, "result_kind", None) for n in live.nodes}
    joined = [n for n in live.nodes if type(n.op).__name__ == "IntAdd"]
    assert joined and all(kinds[i] is None for n in joined for i in n.inputs)
    encoder = Encoder(kind="affine", shape=(6, 6, 1), step=1 / 127)
    layers = [nn.Conv(3), nn.Relu(), nn.MaxPool(2), nn.Conv(3), nn.Tanh(), nn.Conv(2),
              nn.AveragePool(3), nn.Dense(2)]  # fmt: skip
    net = nn.sequential(layers, encoder=encoder, readout=Readout(), seed=1)
    live = quantize(net, machine, RNG.random((40, 6, 6, 1)), activations="e4m3")
    found = [n.op.result_kind for n in live.nodes if hasattr(n.op, "result_kind")]
    assert found == ["e4m3", None, "e4m3", "e4m3", None]
    shifted = methods.use(live, activations="lsq+").params.keys() - live.params.keys()
    assert shifted == {"conv2.edge_offset", "tanh1.edge_offset"}  # and not conv3, of either sign
    assert live["conv3"].op.low < 0


def test_results_too_fine_for_their_sums_are_refused(trained, machine, digits):
    """A step so small that sums would leave 32 bits when they are scaled up."""
    live = quantize(trained["dense"], machine, digits[0][0], activations="e4m3")
    name = next(n for n in live.params if n.endswith(".step_out"))
    without = {n: np.zeros_like(v) for n, v in live.params.items() if n.endswith(".bias")}
    tiny = live.with_params({name: live.params[name] * 2.0**-16, **without})
    lower(freeze(live), machine)
    with pytest.raises(CheckError, match="PJ210"):
        lower(freeze(tiny), machine)


def test_batch_norm_may_move_and_other_methods_go_beside(trained, machine, digits):
    (x, y), _ = digits
    options = Options(live_statistics=0.5)
    finetune(trained["conv"], machine, x[:256], y[:256], bits=None, epochs=2, weights="mxfp8_e4m3",
             options=options)  # fmt: skip
    finetune(trained["conv"], machine, x[:256], y[:256], bits=None, epochs=2, weights="mxfp4",
             activations="e4m3", options=options)  # fmt: skip
    finetune(trained["dense"], machine, x[:256], y[:256], bits=None, epochs=1, weights="mxfp6_e2m3",
             activations="tqt")  # fmt: skip


def test_a_machine_without_the_format_refuses(trained, machine, array, digits):
    (x, y), _ = digits
    for refused in (
        lambda: finetune(trained["dense"], array, x, y, bits=None, epochs=1, weights="mxfp4"),
        lambda: quantize(trained["dense"], array, x, weights="mxfp4"),
        lambda: compile_graph(trained["dense"], array, calibrate=x, weights="mxfp4"),
    ):
        with pytest.raises(CheckError, match=r"PJ215.*'systolic_int8' offers integers alone"):
            refused()
    with pytest.raises(CheckError, match=r"PJ806.*8 weight bits.*which has 4"):
        quantize(trained["dense"], machine, x, bits=8, weights="mxfp4")
    with pytest.raises(CheckError, match=r"PJ209  weights='binary' are stored in 2 bits.*offers 8"):
        finetune(trained["dense"], machine, x, y, bits=None, epochs=1, weights="binary")
    with pytest.raises(CheckError, match=r"PJ215  activations in 'e4m3'.*integers alone"):
        finetune(trained["dense"], array, x, y, bits=None, epochs=1, activations="e4m3")
    (fault,) = check(trained["dense"], machine, activations="mxfp4")
    assert fault.code == "PJ215" and fault.fix == "one of e4m3"
    (fault,) = check(trained["dense"], machine, weights="fp8")
    assert fault.code == "PJ215" and "mxint8" in fault.fix
    with pytest.raises(UsageError, match=r"PJ806.*'fp8'.*\n.*e4m3"):
        methods.use(start_quantized(trained["dense"], machine, x, bits=8), weights="fp8")


@pytest.mark.parametrize(("kind", "edges"), [("mxfp4", None), (None, "e4m3")])
def test_a_machine_without_the_format_refuses_what_was_quantized(
    trained, machine, array, digits, kind, edges
):
    """Frozen, and as weights pinned in a network of reals."""
    frozen = freeze(quantize(trained["conv"], machine, digits[0][0], weights=kind,
                             activations=edges))  # fmt: skip
    what = "weights in 'mxfp4'" if kind else "activations in 'e4m3'"
    for refused in (
        lambda: compile_graph(frozen, array),
        lambda: pj.evaluate(frozen, array, digits[1]),
    ):
        with pytest.raises(CheckError, match=f"PJ215  node 'conv1' has {what}; 'systolic_int8'"):
            refused()
    assert not check(frozen, machine)
    found = pj.check(frozen, machine, weights="e4m3")  # as `compile` says
    assert [f.code for f in found] == ["PJ806"]
    if kind:
        weight = frozen.pinned[frozen["conv1"].op.weight]
        real = trained["dense"]
        name = real[real.names(Dense)[0]].op.weight
        blank = replace(weight, values=np.zeros(real.value(name).shape, np.int64), scale=None)
        held = replace(real, params={n: v for n, v in real.params.items() if n != name},
                       pinned={**real.pinned, name: blank})  # fmt: skip
        assert "PJ215" in [f.code for f in check(held, array)] and not check(held, machine)


def test_a_machine_without_the_bits_refuses_what_was_quantized(trained, machine, array, digits):
    frozen = freeze(quantize(trained["conv"], array, digits[0][0], bits=4))
    assert not check(frozen, array)
    faults = check(frozen, machine)
    assert {f.code for f in faults} == {"PJ209"} and len(faults) == 3
    assert "node 'conv1' has 4 weight bits; 'fp8_mx' offers 8" in str(faults[0])


def test_bounds_of_sums_do_not_wrap(machine):
    """E5M2 in blocks, all as large as they can be, times E4M3: 2**63 is passed at 1,500 inputs."""
    encoder = Encoder(kind="affine", shape=(2000,), step=1 / 127)
    layers = [nn.Dense(2000), nn.Relu(), nn.Dense(2)]
    net = nn.sequential(layers, encoder=encoder, readout=Readout(), seed=1)
    frozen = freeze(quantize(net, machine, RNG.random((4, 2000)), weights="e5m2",
                             activations="e4m3"))  # fmt: skip
    lower(frozen, machine)
    op, form = frozen["fc2"].op, float_format("mxfp8_e5m2")
    full = replace(frozen.pinned[op.weight], values=np.full((2, 2000), form.high), format=form)
    wide = frozen.swap("fc2", replace(op, weight_kind="mxfp8_e5m2"))
    with pytest.raises(CheckError, match=r"PJ210.*could reach 13792273858822144000;"):
        lower(replace(wide, pinned={**wide.pinned, op.weight: full}), machine)


def test_fields_that_contradict_a_format_are_refused(trained, machine, digits):
    frozen = freeze(quantize(trained["conv"], machine, digits[0][0], weights="mxfp4",
                             activations="e4m3"))  # fmt: skip
    op = frozen["conv1"].op
    for wrong, told in (
        ({"weight_bits": 8}, "weights in mxfp4 have no 8 bits"),
        ({"high": 2**20}, "results in e4m3 lie in -229376..229376, not 0..1048576"),
        ({"result_kind": "mxfp4"}, "results cannot be 'mxfp4'"),
    ):
        assert told in "".join(replace(op, **wrong).complaints())
    pool = IntAveragePool(multiplier="m", exponent="e", step_in="a", step_out="b", kernel=(2, 2),
                          result_kind="fp8")  # fmt: skip
    assert "results cannot be 'fp8'" in "".join(pool.complaints())
    with pytest.raises(UsageError, match=r"PJ806  weights=\['mxfp4'\]"):
        finetune(trained["dense"], machine, *digits[0], bits=None, epochs=0, weights=["mxfp4"])


def test_memory_counts_the_bits_of_the_format(trained, machine, digits):
    """The first Dense: 24 rows of 64 numbers; in blocks two exponents of 8 bits a row."""
    x = digits[0][0]
    needed = {"mxfp4": 24 * (64 * 4 + 16), "mxfp6_e3m2": 24 * (64 * 6 + 16), "e4m3": 24 * 64 * 8,
              "mxint8": 24 * (64 * 8 + 16)}  # fmt: skip
    reads = {}
    for kind, bits in needed.items():
        program = compile_graph(trained["dense"], machine, calibrate=x, weights=kind)
        (region,) = (r for r in program.regions.values() if r.shape == (24, 64)
                     and r.role == "const")  # fmt: skip
        assert region.packed_bytes == bits // 8
        (load,) = (i for i in program.instructions if i.op == "load"
                   and program.regions[i.writes[0].region].shape == (24, 64))  # fmt: skip
        assert load.args == (bits // 8,)
        counts = run(program, x[:1]).activity
        reads[kind] = counts.counts[0, 0, counts.components.index("dram"),
                                    counts.actions.index("read")]  # fmt: skip
    assert reads["e4m3"] - reads["mxfp4"] == (needed["e4m3"] - needed["mxfp4"]) // 8


def test_a_constant_off_its_grid_is_refused(trained, machine, digits):
    program = compile_graph(trained["dense"], machine, calibrate=digits[0][0], weights="mxfp4")
    name = next(n for n, r in program.regions.items() if r.shape == (24, 64) and r.role == "const")
    array = program.arrays[name].copy()
    array[3, :32] = 0
    array[3, :2] = 12 << 7, 1
    changed = pj.Program(
        **{
            **{f: getattr(program, f) for f in program.__dataclass_fields__ if f != "held"},
            "arrays": {**program.arrays, name: array},
        }
    )
    with pytest.raises(ProgramError, match=r"1 values of constant .* are no numbers of mxfp4"):
        verify(changed)


def test_sums_too_large_for_the_accumulator_are_refused(machine):
    """E5M2 in blocks over 400,000 inputs: more than 62 bits; the same in blocks of FP4: few."""
    encoder = Encoder(kind="affine", shape=(1, 1, 400_000), step=1 / 127)
    for layer in (nn.Dense(2), nn.Conv(2, kernel=1)):
        layers = [nn.Flatten(), layer] if isinstance(layer, nn.Dense) else [layer]
        wide = nn.sequential(layers, encoder=encoder, readout=Readout(), seed=1)
        found = {kind: [f.code for f in check(wide, machine, weights=kind)]
                 for kind in ("mxfp8_e5m2", "mxfp4")}  # fmt: skip
        assert "PJ210" in found["mxfp8_e5m2"] and "PJ210" not in found["mxfp4"]


def test_a_frozen_graph_prints_parses_and_is_priced(trained, machine, digits, tmp_path):
    from picojoule.graph import files

    (x, _), (x_test, y_test) = digits
    frozen = freeze(quantize(trained["conv"], machine, x, weights="mxfp6_e3m2",
                             activations="e4m3"))  # fmt: skip
    files.save(frozen, tmp_path / "net.pjg")
    again = pj.load(tmp_path / "net.pjg")
    assert lower(again, machine) == lower(frozen, machine)
    report = pj.evaluate(frozen, machine, (x_test[:50], y_test[:50]), reference=trained["conv"],
                         calibrate=x)  # fmt: skip
    row = report.rows[0]
    assert row.bits == 6 and row.mismatched_outputs == 0
    assert row.bits_note == "weights mxfp6_e3m2, activations e4m3, input 8 bits"
    assert row.accuracy.ptq == row.accuracy.qat == row.accuracy.deployed
    with pytest.raises(CheckError, match=r"PJ806.*quantized already"):
        pj.compile(frozen, machine, weights="mxfp4")
