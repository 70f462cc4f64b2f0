"""check names every misfit at once; compile raises just those; nothing ends in a traceback."""

from dataclasses import replace

import numpy as np
import pytest
from passes_nets import Net, machine, samples, spiking_net, tensor_net

from picojoule.errors import CheckError, PicojouleError, UsageError
from picojoule.fixed.contract import Encoder
from picojoule.fixed.format import Format
from picojoule.graph import Node
from picojoule.graph.ops import Add, BatchNorm, Delay, Dense, Input, Relu
from picojoule.passes import check, compile_graph, freeze, quantize, schedule_delays


def codes(faults):
    return [fault.code for fault in faults]


def test_what_fits_has_no_faults(loihi, systolic):
    assert check(spiking_net(), loihi) == [] and check(tensor_net(), systolic) == []
    frozen = freeze(schedule_delays(quantize(spiking_net(), loihi), loihi))
    assert check(frozen, loihi) == []
    graph = tensor_net()
    assert check(freeze(quantize(graph, systolic, samples(graph))), systolic) == []


def test_the_wrong_kind_of_machine(loihi, systolic):
    faults = check(tensor_net(), loihi)
    assert set(codes(faults)) == {"PJ206"}
    text = "\n".join(map(str, faults))
    assert "'relu1' is a Relu; 'loihi1' can compute" in text
    assert "encoder 'affine'" in text and "loihi1.yaml:" in text
    faults = check(spiking_net(), systolic)
    named = [name for name in ("lif1", "lif2", "late", "rate") if f"'{name}'" in str(faults)]
    assert named == ["lif1", "lif2", "late", "rate"]


def test_wiring_that_a_neuron_core_lacks(loihi):
    net = Net()
    x = net.node("input", Input(shape=(4,), kind="spike"))
    a = net.dense("a", x, 4, 4, bias=False)
    net.lif("direct", x)
    net.lif("lif", net.dense("b", a, 4, 4, bias=False))
    net.node("late", Delay(steps=1), net.dense("c", "lif", 4, 4))
    graph = net.graph("late", Encoder(kind="rate", shape=(4,), steps=4), steps=4)
    faults = check(graph, loihi)
    text = "\n".join(map(str, faults))
    assert set(codes(faults)) <= {"PJ206", "PJ405"}
    graph = replace(graph, readout=replace(graph.readout, kind="none"))
    text = "\n".join(map(str, check(graph, loihi)))
    for part in ("'direct' read node 'input'", "'b' read node 'a'", "'late', a Delay, reads",
                 "answer is node 'late'"):  # fmt: skip
        assert part in text, part


def test_batch_norm_must_follow_a_dense(systolic):
    net = Net()
    x = net.node("input", Input(shape=(4,)))
    net.dense("fc", net.norm("bn", x, 4), 4, 2)
    (fault,) = check(net.graph("fc", Encoder(kind="affine", shape=(4,))), systolic)
    assert fault.code == "PJ206" and "'bn' is a BatchNorm" in fault.what
    assert fault.fix == "put it right after a Dense or Conv that nothing else reads"


def test_all_faults_come_at_once(loihi):
    graph = spiking_net(refractory=99)
    graph = graph.with_params({"lif1.v_th": np.array(-1.0)})
    tiny = machine("loihi1", in_axons=10)
    faults = check(graph, tiny, bits=9)
    assert codes(faults) == ["PJ209", "PJ207", "PJ207", "PJ204", "PJ204"]
    text = "\n".join(map(str, faults))
    for part in (
        "9 weight bits", "refractory of node 'lif1' is 99; 'loihi1' holds 1..63",
        "v_th of node 'lif1' is -1; 'loihi1' holds 0..131071",
        "needs more input axons (50)", "has (10)",
    ):  # fmt: skip
        assert part in text, part
    with pytest.raises(CheckError) as caught:
        compile_graph(graph, tiny, calibrate=samples(graph), bits=9)
    assert list(map(str, caught.value.faults)) == list(map(str, faults))
    assert all(fault.fix for fault in faults)


def test_a_network_that_is_far_too_large(loihi):
    weight = np.ones((1, 1), np.float32)
    net = Net()
    x = net.node("input", Input(shape=(1,), kind="spike"))
    net.params["w"] = np.broadcast_to(weight, (200_000, 1))
    net.nodes.append(Node("fc", Dense(weight="w", features=200_000), (x,)))
    net.lif("lif", "fc")
    graph = net.graph("lif", Encoder(kind="rate", shape=(1,), steps=3), steps=3)
    (fault,) = check(graph, loihi)
    assert fault.code == "PJ201" and "needs 196 cores" in fault.what and "'lif'" in fault.what


def test_memories_that_are_too_small(systolic):
    graph = tensor_net()
    small = machine("systolic_int8", filter="32 B", input="20 B", output="40 B")
    faults = check(graph, small)
    assert set(codes(faults)) == {"PJ208"}
    text = "\n".join(map(str, faults))
    for part in ("of node 'fc1' need 42 bytes", "filter memory of 'systolic_int8' has 32",
                 "accumulators of node 'fc1' need 64 bytes", "during node 'fc1' need 28 bytes",
                 "systolic_int8.yaml:"):  # fmt: skip
        assert part in text, part
    assert "fc3' need 20 bytes" not in text  # the answer is not kept with activations
    assert "need 42" not in "\n".join(map(str, check(graph, small, bits=4)))


def test_residual_paths_stay_alive(systolic):
    graph = tensor_net()
    assert check(graph, machine("systolic_int8", input="48 B")) == []
    # fc1, fc2 and the sum of both are alive at once: 3 * 16 bytes
    (fault,) = check(graph, machine("systolic_int8", input="47 B"))
    assert "during node 'add1' need 48 bytes" in fault.what
    assert check(graph, machine("systolic_int8", input="24 B"), activation_bits=4) == []


def test_sums_that_could_overflow(systolic):
    net = Net()
    size = 70_000
    x = net.node("input", Input(shape=(size,)))
    net.params["w"] = np.broadcast_to(np.float32(0.5), (1, size))
    net.nodes.append(Node("fc", Dense(weight="w", features=1), (x,)))
    graph = net.graph("fc", Encoder(kind="affine", shape=(size,)))
    big = machine("systolic_int8", input="1 MiB", filter="1 MiB")
    (fault,) = check(graph, big)
    assert fault.code == "PJ210" and str(size * 255 * 127) in fault.what


def test_malformed_networks_are_named_before_anything_else(loihi):
    graph = spiking_net()
    broken = graph.swap("fc2", graph["fc2"].op, ("nowhere",))
    faults = check(broken, loihi)
    assert "PJ401" in codes(faults) and "'nowhere'" in str(faults[0])
    loop = graph.swap("late", Relu(), ("lif1",))
    assert "PJ403" in codes(check(loop, loihi))
    with pytest.raises(PicojouleError, match="PJ401"):
        compile_graph(broken, loihi, calibrate=samples(graph))


def test_a_norm_that_others_share_is_refused_not_crashed(systolic):
    net = Net()
    x = net.node("input", Input(shape=(4,)))
    fc = net.dense("fc", x, 4, 4)
    net.node("add", Add(), net.norm("bn", fc, 4), fc)
    faults = check(net.graph("add", Encoder(kind="affine", shape=(4,))), systolic)
    assert codes(faults) == ["PJ206"] and BatchNorm.__name__ in faults[0].what


def test_frozen_integers_that_do_not_fit_their_field(loihi):
    made = quantize(spiking_net(bias=0.1), loihi, samples(spiking_net()))
    wild = made.with_params({"lif1.v_th": np.array(1e6), "lif1.bias": np.array(-1e6)})
    with pytest.raises(CheckError) as caught:
        freeze(wild)
    text = str(caught.value)
    assert codes(caught.value.faults) == ["PJ207", "PJ207"]
    assert "v_th of node 'lif1' would be" in text and "0..131071" in text
    assert "bias of node 'lif1' would be" in text and "-4095..4095" in text


def test_dump_writes_every_stage(tmp_path, systolic, loihi):
    graph = tensor_net()
    compile_graph(graph, systolic, calibrate=samples(graph), dump=tmp_path / "t")
    names = sorted(path.name for path in (tmp_path / "t").iterdir())
    assert names == [
        "00-load.txt", "01-canonicalise.txt", "02-fold_batch_norm.txt", "03-quantize.txt",
        "04-schedule_delays.txt", "05-freeze.txt", "06-lower.txt",
    ]  # fmt: skip
    assert "IntDense" in (tmp_path / "t" / "05-freeze.txt").read_text(encoding="utf-8")
    assert "matmul" in (tmp_path / "t" / "06-lower.txt").read_text(encoding="utf-8")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="PJ801"):
        compile_graph(graph, systolic, calibrate=samples(graph), dump=tmp_path / "file" / "in")


def test_pinned_integers_are_held_to_their_fields(loihi):
    frozen = freeze(schedule_delays(quantize(spiking_net(bias=0.1), loihi), loihi))
    wild = {
        "lif1.v_th_q": 200_000, "lif1.decay_u_q": 5000, "lif1.bias_q": -5000, "fc1.weight_q": 300,
    }  # fmt: skip
    pins = {
        name: replace(pin, values=np.full_like(pin.values, wild.get(name, 1)), format=Format(32))
        for name, pin in frozen.pinned.items()
    }
    graph = replace(frozen, pinned=pins)
    graph = graph.swap("fc2", replace(graph["fc2"].op, exponent=9, delay=70))
    faults = check(graph, loihi)
    assert set(codes(faults)) == {"PJ207"}
    text = "\n".join(map(str, faults))
    for part in (
        "v_th of node 'lif1' is 200000; 'loihi1' holds 0..131071",
        "decay_u of node 'lif1' is 5000", "bias of node 'lif1' is -5000",
        "weight[0, 0] of node 'fc1' is 300; 'loihi1' holds -256..254 (600 such values)",
        "exponent of node 'fc2' is 9",
        "delay of node 'fc2' is 70", "loihi1.yaml:",
    ):  # fmt: skip
        assert part in text, part


def test_integers_of_another_arithmetic_are_refused(loihi):
    frozen = freeze(schedule_delays(quantize(spiking_net(), loihi), loihi))
    other = replace(loihi, core=replace(loihi.core, profile="brian2loihi"))
    faults = check(frozen, other)
    assert codes(faults) == ["PJ206", "PJ206"]
    assert "of profile 'loihi1'; 'loihi1' computes 'brian2loihi'" in faults[0].what
