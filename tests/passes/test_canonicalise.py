"""The canonical form means the same, and has what it promises."""

import numpy as np
from passes_nets import Net, samples, spiking_net, tensor_net

from picojoule.fixed.contract import Encoder
from picojoule.graph.ops import Add, Delay, Dense, Flatten, Input, Relu
from picojoule.passes import canonicalise, fold_batch_norm
from picojoule.passes.calibrate import observe


def test_flatten_of_vectors_and_double_relu_go():
    net = Net()
    x = net.node("input", Input(shape=(2, 3)))
    flat = net.node("f2", Flatten(), net.node("f1", Flatten(), x))
    net.node("r2", Relu(), net.node("r1", Relu(), net.dense("fc", flat, 6, 4)))
    graph = net.graph("r2", Encoder(kind="affine", shape=(2, 3)))
    made = canonicalise(graph)
    assert made.names() == ("input", "f1", "fc", "r1") and made.output == "r1"
    x = samples(graph)
    assert np.array_equal(observe(made, x)["r1"], observe(graph, x)["r2"])


def test_delays_behind_a_dense_move_before_it_and_join():
    net = Net()
    x = net.node("input", Input(shape=(4,), kind="spike"))
    first = net.node("d1", Delay(steps=2), x)
    late = net.node("d2", Delay(steps=1), net.dense("fc", first, 4, 3, bias=False))
    net.lif("lif", late)
    graph = net.graph("lif", Encoder(kind="rate", shape=(4,), steps=8), steps=8)
    made = canonicalise(graph)
    assert [made[n].op.steps for n in made.names(Delay)] == [3]
    assert isinstance(made[made["lif"].inputs[0]].op, Dense)
    x = samples(graph)
    assert np.array_equal(observe(made, x)["lif"], observe(graph, x)["lif"])


def test_sums_before_neurons_spread_and_shared_groups_split():
    net = Net()
    x = net.node("input", Input(shape=(4,), kind="spike"))
    a = net.dense("a", x, 4, 3, bias=False)
    b = net.dense("b", x, 4, 3, bias=False)
    net.lif("lif1", net.node("sum", Add(), a, b))
    net.lif("lif2", a, net.dense("c", "lif1", 3, 3, bias=False))
    graph = net.graph("lif2", Encoder(kind="rate", shape=(4,), steps=8), steps=8)
    made = canonicalise(graph)
    assert made["lif1"].inputs == ("a", "b") and made["lif2"].inputs == ("a_lif2", "c")
    assert all(len(made.readers(n)) == 1 for n in made.names(Dense))
    x = samples(graph)
    assert np.array_equal(observe(made, x)["lif2"], observe(graph, x)["lif2"])


def test_a_canonical_graph_is_left_alone():
    for graph in (canonicalise(tensor_net()), canonicalise(spiking_net())):
        assert canonicalise(graph) == graph


def test_folding_batch_norm_changes_only_rounding():
    graph = tensor_net()
    made = fold_batch_norm(graph)
    assert "bn1" not in made and "bn2" not in made
    assert set(made.derived) == {f"fc{k}.{f}_folded" for k in (1, 2) for f in ("weight", "bias")}
    x = samples(graph)
    assert np.allclose(observe(made, x)["fc3"], observe(graph, x)["fc3"], rtol=1e-12, atol=1e-12)


def test_folding_keeps_a_norm_whose_dense_others_read():
    net = Net()
    x = net.node("input", Input(shape=(4,)))
    fc = net.dense("fc", x, 4, 4)
    net.node("add", Add(), net.norm("bn", fc, 4), fc)
    graph = net.graph("add", Encoder(kind="affine", shape=(4,)))
    assert fold_batch_norm(graph) == graph


def test_folding_twice_over_makes_two_derivations():
    net = Net()
    x = net.node("input", Input(shape=(4,)))
    net.norm("bn2", net.norm("bn1", net.dense("fc", x, 4, 3, bias=False), 3), 3)
    graph = net.graph("bn2", Encoder(kind="affine", shape=(4,)))
    made = fold_batch_norm(graph)
    assert made.names() == ("input", "fc") and made.output == "fc"
    x = samples(graph)
    assert np.allclose(observe(made, x)["fc"], observe(graph, x)["bn2"], rtol=1e-12, atol=1e-12)
