"""Our own networks for NengoLoihi: each reaches the edges of some rules."""

from __future__ import annotations

import numpy as np
from design import Projection, SpikingNet, population
from spiking_parts import TOP, random_raster, random_weights


def n_recurrent():
    """Two populations with random registers and biases, recurrent and in a ring."""
    rng = np.random.default_rng(2401)
    a = population(
        "a",
        30,
        rng.integers(0, 4096, 30),
        rng.integers(0, 2000, 30),
        rng.integers(150, 900, 30),
        rng.integers(-900, 2500, 30),
    )
    b = population(
        "b",
        20,
        rng.integers(200, 4096, 20),
        rng.integers(0, 1000, 20),
        rng.integers(300, 2000, 20),
        rng.integers(-300, 300, 20),
        3,
        refractory=2,
    )
    parts = (
        Projection("input", "a", random_weights(rng, (30, 20), -160, 254, density=0.5)),
        Projection("a", "a", random_weights(rng, (30, 30), -120, 120, density=0.3)),
        Projection("a", "b", random_weights(rng, (20, 30), -100, 254, density=0.4)),
        Projection("b", "a", random_weights(rng, (30, 20), -254, 60, density=0.3)),
    )
    return SpikingNet(
        "nl_recurrent",
        ("S2", "S3", "S5", "S6", "S7", "S8", "S10"),
        n_recurrent.__doc__,
        2401,
        random_raster(rng, 90, 20, 0.12),
        (a, b),
        parts,
    )


def n_decay():
    """Registers 0, 1, 2, 7, 2047, 4094 and 4095 in all pairs; odd states of both signs."""
    rng = np.random.default_rng(2402)
    ends = np.array([0, 1, 2, 7, 2047, 4094, 4095])
    du, dv = (x.ravel() for x in np.meshgrid(ends, ends))
    a = population("a", 49, du, dv, TOP, bias=rng.integers(-9, 10, 49))
    parts = (Projection("input", "a", random_weights(rng, (49, 6), -254, 254)),)
    return SpikingNet(
        "nl_decay",
        ("S1", "S2", "S3", "S5"),
        n_decay.__doc__,
        2402,
        random_raster(rng, 70, 6, 0.2, quiet=30),
        (a,),
        parts,
    )


def n_sum_wraps():
    """The summed input at and around +-2**21, from weights of two exponents."""
    rng = np.random.default_rng(2403)
    big = np.array(
        [
            [254, 254, -256, 0],
            [-256, -256, 254, 0],
            [254, 0, 0, 254],
            [-256, 0, 0, 0],
            [-256, 0, 0, -256],
            [254, 254, 254, 254],
        ]
    )
    small = np.array(
        [
            [128, 0, 2, 0],
            [0, -2, 0, 128],
            [126, 128, 130, 0],
            [0, -2, 2, 0],
            [0, 0, 0, 0],
            [200, -200, 2, 8],
        ]
    )
    a = population("a", 6, [4095, 4095, 4095, 4095, 1000, 60], 3000, TOP)
    parts = (Projection("input", "a", big, exponent=7), Projection("input", "a", small, exponent=1))
    return SpikingNet(
        "nl_sum_wraps",
        ("S3", "S4"),
        n_sum_wraps.__doc__,
        2403,
        random_raster(rng, 60, 4, 0.45),
        (a,),
        parts,
    )


def _reaching(target, steps):
    """Inputs in units of 64 after which a current with register 511 is exactly `target`.

    keep is 3584 / 4096 = 7/8, so a current that is a multiple of 512 decays without a rest.
    """
    u, sent = 0, []
    for k in range(steps):
        last = k == steps - 1
        aim = target if last else round(target * 0.99 * (k + 1) / (steps - 1) / 512) * 512
        q = aim - u * 7 // 8
        assert q % 64 == 0 and abs(q) < 2**21, (target, k, q)
        sent.append(q // 64)
        u = aim
    return sent


def n_current_wraps():
    """Currents and current plus bias driven exactly to +-2**23 and the values beside it."""
    steps = 13
    aims = (2**23 - 64, 2**23, 2**23 + 64, -(2**23) + 64, -(2**23), -(2**23) - 64)
    plain = [_reaching(aim, steps) for aim in aims]
    lift = (4095, 4000, 4095, -4095, -4000, -4095)
    sums = (2**23, 2**23 - 128, 2**23 + 128, -(2**23), -(2**23) - 128, -(2**23) + 128)
    lifted = [_reaching(s - (m << 7), steps) for s, m in zip(sums, lift)]
    raster = np.zeros((26, steps), bool)
    raster[np.arange(steps) + 1, np.arange(steps)] = True
    a = population("a", 6, 511, 3000, TOP)
    b = population("b", 6, 511, 4095, TOP, lift, 7)
    parts = []
    for name, sent in (("a", plain), ("b", lifted)):
        w = np.array(sent)  # (neurons, steps), up to 2**15 in magnitude
        high = np.clip(np.round(w / 256).astype(int) * 2, -254, 254)
        rest = w - high * 128
        odd = rest % 2
        parts += [
            Projection("input", name, high, exponent=7),
            Projection("input", name, odd, sign="excitatory"),
        ]
        rest = rest - odd
        while np.any(rest):
            parts.append(Projection("input", name, np.clip(rest, -254, 254)))
            rest = rest - parts[-1].weight
    return SpikingNet(
        "nl_current_wraps",
        ("S3", "S4", "S5"),
        n_current_wraps.__doc__,
        0,
        raster,
        (a, b),
        tuple(parts),
    )


def n_voltage_clips():
    """Integrators that run into both ends of the voltage, under the highest threshold."""
    rng = np.random.default_rng(2405)
    a = population(
        "a",
        8,
        [0, 0, 4095, 4095, 9, 9, 700, 700],
        [0, 0, 0, 0, 1, 1, 0, 0],
        TOP,
        [0, 0, -4095, 4095, 20, -20, -4000, 4000],
        7,
    )
    w = random_weights(rng, (8, 4), -120, 120)
    w[0], w[1] = np.abs(w[0]), -np.abs(w[1])
    parts = (Projection("input", "a", w, exponent=5),)
    return SpikingNet(
        "nl_voltage_clips",
        ("S4", "S5", "S6"),
        n_voltage_clips.__doc__,
        2405,
        random_raster(rng, 70, 4, 0.3),
        (a,),
        parts,
    )


def n_refractory():
    """Refractory 1..5 and 63, driven by bias; the current moves on meanwhile."""
    rng = np.random.default_rng(2406)
    groups = tuple(
        population(
            f"a{r}",
            5,
            600,
            400,
            [20, 40, 80, 81, 160],
            [700, 1300, 1280, 1281, 4000],
            2,
            refractory=r,
        )
        for r in (1, 2, 3, 4, 5, 63)
    )
    parts = tuple(Projection("input", g.name, random_weights(rng, (5, 6), -60, 60)) for g in groups)
    return SpikingNet(
        "nl_refractory",
        ("S5", "S6", "S7", "S8"),
        n_refractory.__doc__,
        2406,
        random_raster(rng, 110, 6, 0.3),
        groups,
        parts,
    )


def n_bias():
    """Bias mantissas to +-4095 with exponents 0, 1, 3 and 7; voltages exactly at threshold."""
    rng = np.random.default_rng(2407)
    mantissas = [4095, -4095, 1, -1, 64, 640, -7]
    groups = tuple(
        population(
            f"a{e}", 7, 2000, [0, 0, 0, 5, 0, 0, 90], [TOP, 9, 1, 3, 10, 40, 2], mantissas, e
        )
        for e in (0, 1, 3, 7)
    )
    parts = tuple(Projection("input", g.name, random_weights(rng, (7, 3), -20, 20)) for g in groups)
    return SpikingNet(
        "nl_bias",
        ("S5", "S6"),
        n_bias.__doc__,
        2407,
        random_raster(rng, 60, 3, 0.1, quiet=35),
        groups,
        parts,
    )


NENGO_LOIHI = (
    n_recurrent,
    n_decay,
    n_sum_wraps,
    n_current_wraps,
    n_voltage_clips,
    n_refractory,
    n_bias,
)
