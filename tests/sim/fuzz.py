"""Compare the engines on many random networks: `python tests/sim/fuzz.py [NETWORKS] [FIRST SEED]`.

Networks of every neuron and synapse kind under every profile, with graded spikes, delays and
noise: outputs, final state, every probe of every step, spikes under way and counts must be
equal.  The suite runs a few of them; this runs as many as asked for.
"""

import sys

from sim_build import same
from sim_kinds import random_kinds, random_payloads

from picojoule.sim.run import run


def compare(seed):
    """Run one network on both engines; whether any output spiked."""
    program = random_kinds(seed)
    x = random_payloads(seed, program)
    probes = sorted({f"{s.node}.{s.what}" for s in program.source})
    found = [
        run(program, x, engine=e, probes=probes, seed=seed % 7) for e in ("numba", "reference")
    ]
    same(*found)
    return bool(found[0].outputs["spikes"].any())


if __name__ == "__main__":
    count, first = (int(a) for a in [*sys.argv[1:], "1000", "0"][:2])
    fired = sum(compare(seed) for seed in range(first, first + count))
    print(f"{count} networks equal, {fired} of them with output spikes")
