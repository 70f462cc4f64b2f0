"""Machine delays are written so that everything stays as it was, only later."""

from dataclasses import replace

import numpy as np
import pytest
from integer_nets import Ints, machine_of
from passes_nets import Net, samples, spiking_net

from picojoule.errors import CheckError
from picojoule.fixed.contract import Encoder
from picojoule.graph import Node
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import Delay, Input, IntSynapse
from picojoule.passes import quantize, schedule_delays, stretched_loops


def scheduled(graph, target):
    made = quantize(graph, target, samples(graph))
    return made, schedule_delays(made, target)


def delays(graph):
    """Synapse node -> (steps of its Delay, its own delay)."""
    return {
        n: (graph[graph[n].inputs[0]].op.steps, graph[n].op.delay) for n in graph.names(IntSynapse)
    }


def skipping_net(longer=0, back=0):
    """input -> a -> b -> c, and input -> c past them (and c -> a when back)."""
    net = Net(2)
    x = net.node("input", Input(shape=(6,), kind="spike"))
    into_a = [net.dense("xa", x, 6, 6, bias=False)]
    if back:
        late = net.node("back", Delay(steps=back), "c")
        into_a.append(net.dense("ca", late, 6, 6, bias=False))
    net.lif("a", *into_a)
    net.lif("b", net.dense("ab", "a", 6, 6, bias=False))
    skip = net.node("skip", Delay(steps=longer), x) if longer else x
    net.lif("c", net.dense("bc", "b", 6, 6, bias=False), net.dense("xc", skip, 6, 6, bias=False))
    return net.graph("c", Encoder(kind="rate", shape=(6,), steps=9), steps=9)


def test_feed_forward_and_recurrent(loihi):
    _, made = scheduled(spiking_net(), loihi)
    assert delays(made) == {"fc1": (1, 0), "rec1": (1, 0), "fc2": (1, 0)}
    assert made.latency == 2 and made.readout.start == 2


def test_paths_that_meet_are_balanced(loihi):
    _, made = scheduled(skipping_net(), loihi)
    assert delays(made) == {"xa": (1, 0), "ab": (1, 0), "bc": (1, 0), "xc": (3, 2)}
    assert made.latency == 3


def test_delays_of_the_network_pay_first(loihi):
    _, made = scheduled(skipping_net(longer=5), loihi)
    # c runs 3 steps late: the skip of 5 takes 8, of which the machine's own input delay is 1
    assert delays(made)["xc"] == (8, 7) and made.latency == 3
    net = Net(2)
    x = net.node("input", Input(shape=(3,), kind="spike"))
    net.lif("a", net.dense("xa", net.node("late", Delay(steps=4), x), 3, 3, bias=False))
    graph = net.graph("a", Encoder(kind="rate", shape=(3,), steps=9), steps=9)
    _, made = scheduled(graph, loihi)
    assert delays(made) == {"xa": (4, 3)} and made.latency == 0


def test_a_loop_keeps_its_length_where_the_machine_can(loihi):
    graph, made = scheduled(skipping_net(back=3), loihi)
    assert delays(made)["ca"] == (1, 0)  # the loop has 3 steps: a -> b -> c -> a
    assert stretched_loops(graph, loihi) == []
    graph, made = scheduled(skipping_net(back=5), loihi)
    assert delays(made)["ca"] == (3, 2) and stretched_loops(graph, loihi) == []


def test_a_loop_that_is_too_quick_is_stretched_and_named(loihi):
    graph, made = scheduled(skipping_net(back=1), loihi)
    assert delays(made)["ca"] == (1, 0)
    (fault,) = stretched_loops(graph, loihi)
    assert fault.code == "PJ213" and "through 'ca'" in fault.what and "steps: 2" in fault.what


def test_scheduling_twice_changes_nothing(loihi):
    for graph in (spiking_net(), skipping_net(longer=2, back=4), skipping_net(back=1)):
        _, made = scheduled(graph, loihi)
        assert schedule_delays(made, loihi) == made


def test_float_rasters_agree_once_shifted(loihi):
    """The float network, run with the machine's delays, gives its raster `latency` later."""
    graph = skipping_net(longer=2, back=4)
    _, made = scheduled(graph, loihi)
    late = replace(
        graph, latency=made.latency,
        nodes=tuple(
            Node(n.name, graph[n.name].op if n.name in graph else n.op, n.inputs)
            for n in made.nodes
        ),
    )  # fmt: skip
    x = samples(graph)
    before, after = interpret(graph, x)["c"], interpret(late, x)["c"]
    assert before.sum() > 20
    assert np.array_equal(after[:, made.latency :], before)


def test_a_delay_that_does_not_fit_is_refused(loihi):
    graph = skipping_net(longer=70)
    with pytest.raises(CheckError, match=r"PJ207.*'xc' need a delay of 72 steps.*most 62.*loihi1"):
        scheduled(graph, loihi)


def test_delays_of_synapses_count_towards_the_field():
    """A skipping path of three layers waits two steps; its own synapses ask for up to 61 more."""
    net = Ints(1, "loihi1")
    source = net.input(4)
    a = net.cuba("a", net.synapse("sa", source, 4, 4))
    b = net.cuba("b", net.synapse("sb", a, 4, 4))
    late = np.full((4, 4), 60)
    skip = net.synapse("skip", source, 4, 4, delays=late)
    graph = net.graph(net.cuba("c", net.synapse("sc", b, 4, 4), skip))
    made = schedule_delays(graph, machine_of("loihi1"))
    assert made["skip"].op.delay == 2 and made["skip_delay"].op.steps == 3
    assert np.array_equal(made.value("skip.d"), late)
    late[1, 2] = 61
    with pytest.raises(CheckError, match=r"PJ207.*'skip' need a delay of 63 steps"):
        schedule_delays(graph, machine_of("loihi1"))
