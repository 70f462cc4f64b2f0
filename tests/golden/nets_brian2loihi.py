"""Our own networks for Brian2Loihi: each reaches the edges of some rules."""

from __future__ import annotations

import numpy as np
from design import Projection, SpikingNet, population
from spiking_parts import TOP, random_raster, random_weights


def b_recurrent():
    """Two recurrent projections, excitatory at once and inhibitory three steps later."""
    rng = np.random.default_rng(2301)
    group = population("a", 40, 512, 128, 180, refractory=2)
    return SpikingNet(
        "b2l_recurrent", ("S2", "S3", "S5", "S6", "S7", "S8", "S10"), b_recurrent.__doc__,
        2301, random_raster(rng, 90, 24, 0.12), (group,),
        (
            Projection("input", "a", random_weights(rng, (40, 24), 0, 255, 1, 0.4),
                       sign="excitatory"),
            Projection("a", "a", random_weights(rng, (40, 40), 0, 120, 1, 0.2), sign="excitatory"),
            Projection("a", "a", random_weights(rng, (40, 40), -200, 0, 1, 0.2), delay=3,
                       sign="inhibitory"),
        ),
    )  # fmt: skip


def b_decay():
    """Corner registers, 4096 among them; odd states of both signs fade in silence."""
    rng = np.random.default_rng(2302)
    corners = [
        (0, 0),
        (1, 1),
        (0, 4095),
        (4095, 0),
        (4096, 1),
        (1, 4096),
        (4095, 4095),
        (4096, 4096),
        (2048, 2047),
        (7, 3),
        (163, 410),
        (3000, 163),
    ]
    groups = [population(f"a{k}", 4, u, v, TOP) for k, (u, v) in enumerate(corners)]
    parts = [
        Projection("input", g.name, random_weights(rng, (4, 6), -256, 254), exponent=-(k % 4))
        for k, g in enumerate(groups)
    ]
    return SpikingNet(
        "b2l_decay",
        ("S1", "S2", "S3", "S5", "S9"),
        b_decay.__doc__,
        2302,
        random_raster(rng, 70, 6, 0.2, quiet=30),
        tuple(groups),
        tuple(parts),
    )


def b_weights():
    """Negative exponents with odd mantissas of each sign mode, several groups into one sum."""
    rng = np.random.default_rng(2303)
    group = population("a", 12, 2048, 300, 5)
    other = population("b", 8, 4096, 4096, TOP)
    parts = [
        Projection(
            "input", "a", random_weights(rng, (12, 10), -256, 0, 1), exponent=-1, sign="inhibitory"
        ),
        Projection(
            "input", "a", random_weights(rng, (12, 10), 0, 255, 1), exponent=-2, sign="excitatory"
        ),
        Projection("input", "a", random_weights(rng, (12, 10), -256, 254), exponent=-3),
        Projection("input", "a", random_weights(rng, (12, 10), -256, 254), exponent=-6),
        Projection(
            "input", "b", random_weights(rng, (8, 10), -9, 0, 1), exponent=-4, sign="inhibitory"
        ),
        Projection("input", "b", random_weights(rng, (8, 10), -256, 254), exponent=2),
    ]
    return SpikingNet(
        "b2l_weights",
        ("S3", "S9"),
        b_weights.__doc__,
        2303,
        random_raster(rng, 60, 10, 0.2),
        (group, other),
        tuple(parts),
    )


def b_deep_exponents():
    """Exponents -7 and -8, where only the largest mantissas leave anything."""
    rng = np.random.default_rng(2304)
    group = population("a", 10, 1024, 200, 2)
    parts = [
        Projection("input", "a", random_weights(rng, (10, 8), -256, 254), exponent=-7),
        Projection("input", "a", random_weights(rng, (10, 8), -256, 254), exponent=-8),
    ]
    return SpikingNet(
        "b2l_deep_exponents",
        ("S9",),
        b_deep_exponents.__doc__,
        2304,
        random_raster(rng, 40, 8, 0.3),
        (group,),
        tuple(parts),
    )


def b_limit():
    """Exponent 7: effective weights at the clip of 2**21 - 64; sums and currents beyond it."""
    rng = np.random.default_rng(2305)
    w = rng.choice([-256, -254, -256, 254, 252, 128, 2, -256], (10, 6))
    w[0], w[1], w[2] = -256, 254, [-256, 254, -256, 254, -256, 0]
    group = population("a", 10, 64, 3, TOP)
    other = population("b", 10, 4096, 1024, TOP)
    parts = [Projection("input", g, w, exponent=7) for g in ("a", "b")]
    parts.append(Projection("input", "b", -np.abs(w) // 2 * 2, exponent=6))
    return SpikingNet(
        "b2l_limit",
        ("S4", "S9"),
        b_limit.__doc__,
        2305,
        random_raster(rng, 50, 6, 0.3),
        (group, other),
        tuple(parts),
    )


def b_threshold():
    """A perfect integrator that stands exactly at its threshold, and one of threshold 0."""
    rng = np.random.default_rng(2306)
    groups = [population(f"a{k}", 6, 4096, 0, m) for k, m in enumerate((0, 8, 24, 25, TOP))]
    w = np.array(
        [[8, 0, 0, 0], [4, 4, 8, 0], [8, 16, 0, 0], [1, 8, 0, 0], [24, 0, 1, 0], [25, 0, 0, 255]]
    )
    parts = [Projection("input", g.name, w, sign="excitatory") for g in groups]
    parts.append(Projection("input", "a0", np.array([[0, 0, 0, -1]] * 6), sign="inhibitory"))
    return SpikingNet(
        "b2l_threshold",
        ("S5", "S6", "S7"),
        b_threshold.__doc__,
        2306,
        random_raster(rng, 50, 4, 0.4),
        tuple(groups),
        tuple(parts),
    )


def b_refractory():
    """Refractory 1..5, 63 and 64 under strong drive; the current moves on meanwhile."""
    rng = np.random.default_rng(2307)
    groups = [population(f"a{r}", 5, 700, 500, 90, refractory=r) for r in (1, 2, 3, 4, 5, 63, 64)]
    parts = [Projection("input", g.name, random_weights(rng, (5, 8), -40, 90)) for g in groups]
    return SpikingNet(
        "b2l_refractory",
        ("S7", "S8"),
        b_refractory.__doc__,
        2307,
        random_raster(rng, 150, 8, 0.5),
        tuple(groups),
        tuple(parts),
    )


def b_delays():
    """Delays 0, 1, 2, 31, 61 and 62 from outside, between populations and in a loop."""
    rng = np.random.default_rng(2308)
    first = population("a", 8, 4096, 4096, 60)
    second = population("b", 8, 1500, 900, TOP)
    third = population("c", 6, 900, 400, 70, refractory=3)

    def sparse(n, m):
        return random_weights(rng, (n, m), 0, 255, 1, 0.35)

    parts = [Projection("input", "a", sparse(8, 6), delay=d, sign="excitatory") for d in (0, 1, 62)]
    parts += [
        Projection("a", "b", sparse(8, 8), delay=d, sign="excitatory") for d in (0, 2, 31, 61, 62)
    ]
    parts += [
        Projection("input", "c", sparse(6, 6), delay=2, sign="excitatory"),
        Projection("c", "c", -sparse(6, 6), delay=1, sign="inhibitory"),
        Projection("c", "c", sparse(6, 6), delay=62, sign="excitatory"),
    ]
    return SpikingNet(
        "b2l_delays",
        ("S7", "S10"),
        b_delays.__doc__,
        2308,
        random_raster(rng, 150, 6, 0.08, quiet=70),
        (first, second, third),
        tuple(parts),
    )


def b_bits():
    """Weights of 1 to 8 bits in the three sign modes, with the bits below them zero."""
    rng = np.random.default_rng(2309)
    group = population("a", 6, 1000, 200, 250)
    parts = []
    for bits in (8, 6, 4, 2, 1):
        parts.append(
            Projection(
                "input", "a", random_weights(rng, (6, 5), -256, 254, 1 << 9 - bits), bits=bits
            )
        )
        parts.append(
            Projection(
                "input",
                "a",
                random_weights(rng, (6, 5), 0, 255, 1 << 8 - bits),
                bits=bits,
                sign="excitatory",
            )
        )
        parts.append(
            Projection(
                "input",
                "a",
                random_weights(rng, (6, 5), -256, 0, 1 << 8 - bits),
                bits=bits,
                sign="inhibitory",
            )
        )
    return SpikingNet(
        "b2l_bits",
        ("S9",),
        b_bits.__doc__,
        2309,
        random_raster(rng, 60, 5, 0.25),
        (group,),
        tuple(parts),
    )


BRIAN2LOIHI = (
    b_recurrent,
    b_decay,
    b_weights,
    b_deep_exponents,
    b_limit,
    b_threshold,
    b_refractory,
    b_delays,
    b_bits,
)
