"""What a NIR file leaves open, as data: time step, integrator, units, what a reader ignores.

NIR is continuous time; the very same file gives 0 to 500 spikes in different readers
(docs: facts on the ecosystem, "same graph, different spikes").  So a reader has a name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Literal

import numpy as np

from picojoule.errors import Fault, FrontendError, UsageError

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a continuous-time network is meant in steps.

    dt               seconds a step; None: must be given when a file is read
    integrator       'exact': input is constant during a step, and the leak of a step is
                     exp(-dt / tau); a CubaLIF's input is an impulse of area dt at the start
                     of the step.  'euler': 1 - dt / tau; the new current drives the voltage
    if_input         what an IF adds to its voltage a step: 'per_second' r I dt, 'per_step' r I
    w_in             what a spike adds to the current of a CubaLIF: 'per_second' w_in dt /
                     tau_syn, 'per_step' w_in
    time_unit_s      seconds that one unit of tau and delay in the file stands for
    ignores          parameters this reader takes as absent: of 'r', 'v_reset'
    recurrent_delay  steps given to a cycle that has no Delay of its own
    """

    name: str
    dt: float | None = None
    integrator: Literal["exact", "euler"] = "exact"
    if_input: Literal["per_second", "per_step"] = "per_second"
    w_in: Literal["per_second", "per_step"] = "per_second"
    time_unit_s: float = 1.0
    ignores: tuple[str, ...] = ()
    recurrent_delay: int = 1


# Measured against the peers themselves (ecosystem facts, 2.2 and 2.3: LIF and IF under
# constant drive) and against the traces of the NIR paper, 01_lif: `norse` equals
# lif_norse.csv, `snntorch` equals lif_snntorch.csv with r = tau / dt absorbed.
DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect(name="ode-exact"),
        Dialect(name="euler", integrator="euler"),
        Dialect(name="snntorch", dt=1e-4, integrator="euler", if_input="per_step",
                ignores=("v_reset",)),
        Dialect(name="norse", dt=1e-3, integrator="euler", if_input="per_step",
                ignores=("r", "v_reset")),
    )
}  # fmt: skip


def find_dialect(dialect: Dialect | str, dt: float | None) -> Dialect:
    """The dialect of that name, with `dt` in place of its own where one is given.

    Raises UsageError PJ806 for an unknown name, FrontendError PJ503 for an impossible dt.
    """
    if isinstance(dialect, str):
        if dialect not in DIALECTS:
            known = ", ".join(sorted(DIALECTS))
            raise UsageError(
                Fault("PJ806", f"no such NIR dialect: {dialect!r}", fix=f"one of {known}")
            )
        dialect = DIALECTS[dialect]
    faults = _option_faults(dialect)
    if faults:
        raise UsageError(faults)
    if dt is None:
        dt = dialect.dt
    if dt is not None and not (isinstance(dt, Real) and 0 < dt < math.inf):
        what = f"dt must be a positive number of seconds, got {dt!r}"
        raise FrontendError(Fault("PJ503", what, fix="dt=1e-4, for example"))
    return replace(dialect, dt=None if dt is None else float(dt))


def _option_faults(dialect: Dialect) -> list[Fault]:
    known = {"integrator": ("exact", "euler"), "if_input": ("per_second", "per_step"),
             "w_in": ("per_second", "per_step")}  # fmt: skip
    wrong = {n: getattr(dialect, n) for n, ok in known.items() if getattr(dialect, n) not in ok}
    if not 0 < dialect.time_unit_s < math.inf:
        wrong["time_unit_s"] = dialect.time_unit_s
    if dialect.recurrent_delay < 1:
        wrong["recurrent_delay"] = dialect.recurrent_delay
    if not set(dialect.ignores) <= {"r", "v_reset"}:
        wrong["ignores"] = dialect.ignores
    return [
        Fault("PJ806", f"dialect {dialect.name!r}: {name} cannot be {value!r}",
              fix=", ".join(known.get(name, ())))
        for name, value in wrong.items()
    ]  # fmt: skip


# ------------------------------------------------------------------------- from NIR to steps


def step_map(kind: str, given: Mapping[str, Array], dialect: Dialect) -> dict[str, Array]:
    """decay_u, decay_v, v_th, bias of the CubaLif that a NIR neuron is, float64.

    The voltage is measured from v_reset and in units of what one unit of input adds to it:
    v = v_reset + scale * v', so weights stay as they are in the file.  NIR gives no initial
    voltage: neurons start at v_reset.

    kind, given: 'LIF', 'CubaLIF' or 'IF' and its arrays, each of one size or of size 1.
    Raises FrontendError PJ405 where the voltage cannot be rescaled, PJ503 where dt does not fit.
    """
    p = {name: np.asarray(array, np.float64) for name, array in given.items()}
    if "r" in dialect.ignores:
        p["r"] = np.ones_like(p["r"])
    if "v_reset" in dialect.ignores:
        p["v_reset"] = np.zeros_like(p["v_reset"])
    _refuse(_time_faults(p, dialect))
    decay_u, decay_v, scale = _SCALES[kind](p, dialect)
    if not np.all(np.isfinite(scale) & (scale > 0)):
        worst = float(np.min(np.where(np.isfinite(scale), scale, -np.inf)))
        _refuse(
            [
                Fault(
                    "PJ405",
                    f"r times w_in must be positive: one unit of input would add "
                    f"{worst:g} to the voltage",
                    fix="turn the sign of the weights",
                )
            ]
        )
    leak = p.get("v_leak", p["v_reset"])
    with np.errstate(over="ignore"):  # what overflows is refused with its name, later
        v_th = (p["v_threshold"] - p["v_reset"]) / scale
        bias = decay_v * (leak - p["v_reset"]) / scale
    raw = {"decay_u": decay_u, "decay_v": decay_v, "v_th": v_th, "bias": bias}
    return {name: _shaped(array) for name, array in raw.items()}


def voltage_scale(kind: str, given: Mapping[str, Array], dialect: Dialect) -> Array:
    """What one unit of a CubaLif's voltage stands for in the file's own units."""
    p = {name: np.asarray(array, np.float64) for name, array in given.items()}
    if "r" in dialect.ignores:
        p["r"] = np.ones_like(p["r"])
    return _SCALES[kind](p, dialect)[2]


def _shaped(array: Array) -> Array:
    """Arrays of one element become scalars: they fit a population of any size."""
    return array.reshape(()) if array.size == 1 else array


def _time_faults(p: Mapping[str, Array], dialect: Dialect) -> list[Fault]:
    faults = []
    for name in ("tau", "tau_syn", "tau_mem"):
        shortest = float(np.min(p.get(name, np.inf))) * dialect.time_unit_s
        if shortest <= 0:
            faults.append(Fault("PJ405", f"{name} must be positive, got {shortest:g} s"))
        elif dialect.integrator == "euler" and _decay(shortest, dialect) > 1 + 1e-6:
            faults.append(Fault(
                "PJ503", f"dt {dialect.dt:g} s is longer than {name} {shortest:g} s: "
                "Euler's rule would overshoot",
                fix=f"dt of at most {shortest:g} s, or dialect='ode-exact'",
            ))  # fmt: skip
    return faults


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise FrontendError(faults)


def _decay(tau: Array | float, dialect: Dialect) -> Array:
    """The share of a state that one step takes away; tau in seconds."""
    ratio = np.asarray(dialect.dt / np.asarray(tau, np.float64))
    return -np.expm1(-ratio) if dialect.integrator == "exact" else ratio


def _lif(p: Mapping[str, Array], dialect: Dialect) -> tuple[Array, Array, Array]:
    decay = np.minimum(_decay(p["tau"] * dialect.time_unit_s, dialect), 1.0)
    return np.ones_like(decay), decay, decay * p["r"]


def _if(p: Mapping[str, Array], dialect: Dialect) -> tuple[Array, Array, Array]:
    scale = p["r"] * (dialect.dt if dialect.if_input == "per_second" else 1.0)
    return np.ones_like(scale), np.zeros_like(scale), scale


def _cuba(p: Mapping[str, Array], dialect: Dialect) -> tuple[Array, Array, Array]:
    synapse = p["tau_syn"] * dialect.time_unit_s
    membrane = p["tau_mem"] * dialect.time_unit_s
    decay_u = np.minimum(_decay(synapse, dialect), 1.0)
    decay_v = np.minimum(_decay(membrane, dialect), 1.0)
    jump = p["w_in"] * (dialect.dt / synapse if dialect.w_in == "per_second" else 1.0)
    return decay_u, decay_v, jump * p["r"] * drive(synapse, membrane, dialect)


def drive(synapse: Array, membrane: Array, dialect: Dialect) -> Array:
    """Voltage after a step from a current of 1 at its start (euler: during it), r = 1."""
    ratio = dialect.dt / membrane
    if dialect.integrator == "euler":
        return ratio
    z = np.asarray(ratio - dialect.dt / synapse, np.float64)
    safe = np.where(z == 0, 1.0, z)
    return ratio * np.exp(-ratio) * np.where(z == 0, 1.0, np.expm1(safe) / safe)


_SCALES = {"LIF": _lif, "IF": _if, "CubaLIF": _cuba}


# ------------------------------------------------------------------------- from steps to NIR


def nir_neuron(op: Mapping[str, Array], dialect: Dialect) -> tuple[str, dict[str, Array]]:
    """NIR kind and arrays of a CubaLif with these decay_u, decay_v, v_th and bias.

    Resistances are chosen such that the voltage needs no rescaling.  All arrays have one
    shape.  Raises FrontendError PJ502 where NIR has no such neuron.
    """
    _refuse([Fault("PJ502", what) for what in _unsayable(op, dialect)])
    unit = dialect.time_unit_s
    zero = np.zeros_like(op["v_th"])
    common = {"v_threshold": op["v_th"], "v_reset": zero}
    if not np.any(op["decay_v"]):
        per = dialect.dt if dialect.if_input == "per_second" else 1.0
        return "IF", _heard({"r": zero + 1 / per, **common}, dialect)
    membrane = _tau(op["decay_v"], dialect)
    common["v_leak"] = op["bias"] / op["decay_v"]
    if np.all(op["decay_u"] == 1):
        plain = {"tau": membrane / unit, "r": 1 / op["decay_v"], **common}
        return "LIF", _heard(plain, dialect)
    synapse = _tau(op["decay_u"], dialect)
    w_in = synapse / dialect.dt if dialect.w_in == "per_second" else zero + 1
    made = {"tau_syn": synapse / unit, "tau_mem": membrane / unit, "w_in": w_in,
            "r": 1 / drive(synapse, membrane, dialect), **common}  # fmt: skip
    return "CubaLIF", _heard(made, dialect)


def _heard(arrays: dict[str, Array], dialect: Dialect) -> dict[str, Array]:
    """The same neuron in voltages of another unit, with r = 1, for a reader that ignores r."""
    if "r" not in dialect.ignores:
        return arrays
    scaled = {n: arrays[n] / arrays["r"] for n in ("v_threshold", "v_leak") if n in arrays}
    return {**arrays, **scaled, "r": np.ones_like(arrays["r"])}


def _tau(decay: Array, dialect: Dialect) -> Array:
    """The time constant in seconds that loses `decay` of a state in one step."""
    exact = dialect.integrator == "exact"
    return dialect.dt / (-np.log1p(-decay) if exact else decay)


def _unsayable(op: Mapping[str, Array], dialect: Dialect) -> list[str]:
    found = []
    plain = np.all(op["decay_u"] == 1)
    leaky = np.any(op["decay_v"])
    if leaky and np.any(op["decay_v"] == 0):
        found.append("NIR has no population in which only some voltages leak")
    if not leaky and np.any(op["bias"]):
        found.append("NIR has no bias in a neuron without leak (decay_v = 0)")
    if not plain and (not leaky or np.any(op["decay_u"] == 0)):
        found.append("NIR has no neuron with a current but without leak of current and voltage")
    at_once = np.any(op["decay_v"] == 1) or (not plain and np.any(op["decay_u"] == 1))
    if dialect.integrator == "exact" and at_once:
        found.append("a decay of 1 needs tau = 0 under integrator='exact'")
    return found
