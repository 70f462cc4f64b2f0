"""Golden listings: what a few small networks compile to, as text.

Accept a change with --update-golden, and review the difference.
"""

import numpy as np
import pytest

from picojoule import nn
from picojoule.passes import compile_graph
from picojoule.program.listing import listing, parse
from picojoule.target import load as load_target

NETWORKS = {
    "dense": lambda: nn.dense_network([6, 5, 5, 3], seed=1, high=1.0, residual=True),
    "spiking": lambda: nn.spiking_network([6, 7, 3], steps=8, seed=1),
    "recurrent": lambda: nn.spiking_network([6, 7, 3], steps=8, seed=1, recurrent=True),
}
CASES = [("dense", "systolic_int8", b) for b in (8, 2)] + [
    ("spiking", "loihi1", 8),
    ("recurrent", "loihi1", 4),
]


def program_of(network, target, bits):
    samples = np.random.Generator(np.random.Philox(3)).random((32, 6))
    return compile_graph(NETWORKS[network](), load_target(target), calibrate=samples, bits=bits)


@pytest.mark.filterwarnings("ignore::picojoule.passes.PicojouleWarning")
@pytest.mark.parametrize(("network", "target", "bits"), CASES)
def test_listing(network, target, bits, golden):
    program = program_of(network, target, bits)
    text = listing(program, load_target(target).core.limits)
    golden(f"{network}.{target}.w{bits}.txt", text)
    assert parse(text, program.arrays) == program
