"""Properties that every simulator of spiking Programs must have, to run an engine against.

    from picojoule.testing import check_simulator

    def test_my_engine():
        check_simulator(my_run)

No property compares with another engine, so a simulator of other hardware can be held to them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from picojoule.activity import Activity
from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING
from picojoule.program import Instruction, Program, Region, Span

Array = np.ndarray[Any, Any]
ABILITIES = ("counts", "resume", "graded")
BIT, WIDE, STEPS = Format(1, signed=False), Format(64), 20


class Result(Protocol):
    """What a run gives: outputs['spikes'] (samples, steps, labels); with the ability 'counts'
    activity, with 'resume' state."""

    @property
    def outputs(self) -> Mapping[str, Array]: ...
    @property
    def activity(self) -> Activity: ...
    @property
    def state(self) -> Mapping[str, Array]: ...


# run(program, x) -> Result; with the ability 'resume' also run(program, x, steps=, state=)
Simulator = Callable[..., Result]


def check_simulator(
    run: Simulator, *, able: Collection[str] = ABILITIES, profile: str = "loihi1",
    seeds: Iterable[int] = range(5),
) -> list[str]:  # fmt: skip
    """Run random small programs, and hold the results to every property that the engine claims.

    run    run(program, x): x bool (samples, steps, channels), integers where spikes are graded
    able   'counts': results have an activity; 'resume': runs can be continued, from `state=` for
           `steps=`; 'graded': spikes may carry payloads (under profile 'loihi2')

    Returns the names of what was checked.  Raises AssertionError that says what failed and on
    which program; UsageError PJ806 for an ability that does not exist.
    """
    unknown = sorted(set(able) - set(ABILITIES))
    if unknown or profile not in SPIKING:
        known = ", ".join((*ABILITIES, *SPIKING))
        raise UsageError(Fault("PJ806", f"no such ability or profile: {unknown or profile}; "
                                        f"known: {known}"))  # fmt: skip
    chosen = [check for check in PROPERTIES if check.needs <= set(able)]
    profiles = [profile, *(["loihi2"] if "graded" in able and profile != "loihi2" else [])]
    for seed in seeds:
        for name in profiles:
            case = make_case(seed, name, graded="graded" in able and SPIKING[name].payload_bits > 0)
            for check in chosen:
                check(run, case)
    return [check.name for check in chosen]


# ------------------------------------------------------------------------------- properties


@dataclass(frozen=True)
class Case:
    """A program and samples for it."""

    program: Program
    x: Array
    name: str

    def same(self, what: str, a: Array, b: Array) -> None:
        """Raise AssertionError where two arrays differ."""
        if np.shape(a) != np.shape(b) or not np.array_equal(a, b):
            wrong = np.argwhere(a != b)[:1].tolist() if np.shape(a) == np.shape(b) else "shapes"
            raise AssertionError(f"{what} ({self.name}): differ at {wrong}")


@dataclass(frozen=True)
class Property:
    """A named check, and the abilities that it needs."""

    name: str
    needs: frozenset[str]
    check: Callable[[Simulator, Case], None]

    def __call__(self, run: Simulator, case: Case) -> None:
        self.check(run, case)


def _spikes(result: Result) -> Array:
    return np.asarray(result.outputs["spikes"])


def _determinism(run: Simulator, case: Case) -> None:
    a, b = (_spikes(run(case.program, case.x)) for _ in range(2))
    case.same("two runs of one program", a, b)


def _batches(run: Simulator, case: Case) -> None:
    whole = _spikes(run(case.program, case.x))
    parts = [_spikes(run(case.program, case.x[k : k + 1])) for k in range(len(case.x))]
    case.same("samples together and one by one", whole, np.concatenate(parts))


def _core_order(run: Simulator, case: Case) -> None:
    """The same machine with its cores listed, and so stepped, in the opposite order."""
    program = case.program
    listed = sorted(program.instructions, key=lambda i: -i.core)
    other = replace(program, instructions=tuple(listed))
    a, b = (_spikes(run(p, case.x)) for p in (program, other))
    case.same("cores in opposite order", a, b)


def _silence(run: Simulator, case: Case) -> None:
    """Without input and bias nothing ever fires."""
    quiet = _without_bias(case.program)
    spikes = _spikes(run(quiet, np.zeros_like(case.x)))
    if spikes.any():
        raise AssertionError(f"silence ({case.name}): {np.count_nonzero(spikes)} spikes")


def _causality(run: Simulator, case: Case) -> None:
    """Input of the second half cannot change the first."""
    half = case.x.shape[1] // 2
    later = case.x.copy()
    later[:, half:] = 0
    a, b = (_spikes(run(case.program, x))[:, :half] for x in (case.x, later))
    case.same("steps before a change of the input", a, b)


def _ten_and_ten(run: Simulator, case: Case) -> None:
    """Ten steps and ten more are twenty."""
    half = STEPS // 2
    whole = run(case.program, case.x)
    first = run(case.program, case.x[:, :half], steps=half)
    second = run(case.program, case.x[:, half:], steps=half, state=first.state)
    joined = np.concatenate([_spikes(first), _spikes(second)], axis=1)
    case.same("10 + 10 steps and 20", joined, _spikes(whole))
    for name, value in whole.state.items():
        case.same(f"final state {name!r} after 10 + 10 steps and 20", second.state[name], value)


def _counts(run: Simulator, case: Case) -> None:
    """What was counted is what happened."""
    result = run(case.program, case.x)
    total, samples = result.activity.total, len(case.x)
    neurons = sum(i.writes[0].size for i in case.program.instructions if i.op in KINDS)
    wanted = {
        "neuron updates": (total("neuron.active") + total("neuron.idle"),
                           neurons * STEPS * samples),
        "events in": (total("event.in"), np.count_nonzero(case.x)),
        "events out": (total("event.out"), np.count_nonzero(_spikes(result))),
        "steps": (total("step"), STEPS * samples), "resets": (total("reset"), samples),
    }  # fmt: skip
    for what, (got, want) in wanted.items():
        if got != want:
            raise AssertionError(f"{what} ({case.name}): counted {got}, there were {want}")


def _quiet_counts(run: Simulator, case: Case) -> None:
    """Silence costs nothing but idle updates."""
    activity = run(_without_bias(case.program), np.zeros_like(case.x)).activity
    for action in ("neuron.active", "synapse.event", "packet.out", "event.in", "event.out"):
        if activity.total(action):
            raise AssertionError(f"silence ({case.name}): {activity.total(action)} of {action}")


def _added_counts(run: Simulator, case: Case) -> None:
    """Counts of a batch are the counts of its samples."""
    names = ("neuron.active", "synapse.event", "packet.out", "hop.ew", "hop.ns", "event.out")
    whole = run(case.program, case.x).activity
    parts = [run(case.program, case.x[k : k + 1]).activity for k in range(len(case.x))]
    for name in names:
        got, want = sum(part.total(name) for part in parts), whole.total(name)
        if got != want:
            raise AssertionError(f"{name} ({case.name}): {got} one by one, {want} together")


PROPERTIES = (
    Property("determinism", frozenset(), _determinism),
    Property("batches", frozenset(), _batches),
    Property("core order", frozenset(), _core_order),
    Property("silence", frozenset(), _silence),
    Property("causality", frozenset(), _causality),
    Property("ten and ten are twenty", frozenset({"resume"}), _ten_and_ten),
    Property("counts", frozenset({"counts"}), _counts),
    Property("counts of silence", frozenset({"counts"}), _quiet_counts),
    Property("counts add up", frozenset({"counts"}), _added_counts),
)


# --------------------------------------------------------------------------------- programs


def make_case(seed: int, profile: str = "loihi1", graded: bool = False) -> Case:
    """Two populations on two cores with recurrence and delays, and samples for them.

    With `graded`, the second population is of kind 'graded' and its synapses read payloads.
    """
    rng = np.random.default_rng(seed)
    channels, n0, n1 = (int(n) for n in rng.integers(2, 8, 3))
    draft = _Draft(SPIKING[profile])
    events = draft.region("events", -1, BIT, channels, "input")
    a = draft.population(rng, "a", 0, n0, "cuba")
    b = draft.population(rng, "b", 1, n1, "graded" if graded else "cuba")
    draft.connect(rng, events, "a", 0, int(graded))
    draft.connect(rng, a, "b", 1, 0)
    draft.connect(rng, b, "a", 0, int(graded))
    draft.connect(rng, a, "a", 0, 0)
    labels = draft.region("labels", -1, WIDE if graded else BIT, n0 + n1, "output")
    draft.leave(a, Span("labels", 0, n0), 0)
    draft.leave(b, Span("labels", n0, labels.stop), 1)
    x = rng.random((3, STEPS, channels)) < 0.4
    if graded:
        x = x * rng.integers(-20, 20, x.shape)
    return Case(draft.program(channels), x, f"profile {profile}, seed {seed}")


class _Draft:
    """Regions, constants and instructions, as they grow."""

    def __init__(self, profile: Any) -> None:
        self.profile = profile
        self.regions: dict[str, Region] = {}
        self.arrays: dict[str, Array] = {}
        self.instructions: list[Instruction] = []

    def region(self, name: str, core: int, form: Format, size: int, role: Any) -> Span:
        memory = {"const": "register", "input": "host", "output": "host"}.get(role, "state")
        self.regions[name] = Region(memory, core, form, (size,), role)
        return Span(name, 0, size)

    def constant(self, name: str, core: int, values: Array) -> Span:
        array = np.asarray(values, np.int32)
        self.arrays[name] = array
        self.regions[name] = Region("register", core, Format(32), array.shape, "const")
        return Span(name, 0, len(array))

    def emit(self, op: str, core: int, reads: tuple[Span, ...], writes: tuple[Span, ...],
             args: tuple[int, ...] = ()) -> None:  # fmt: skip
        self.instructions.append(
            Instruction(op=op, core=core, reads=reads, writes=writes, args=args)
        )

    def population(self, rng: Any, name: str, core: int, n: int, kind: str) -> Span:
        """n neurons with random registers; returns the span of their spikes."""
        told = KINDS[kind]
        high = {"decay_u": 4096, "decay_v": 4096, "v_th": 200, "bias": 30}
        bias = self.profile.has_bias
        registers = tuple(
            self.constant(f"{name}.{r}", core, rng.integers(0, high[r], n) * (r != "bias" or bias))
            for r in told.registers
        )
        words = tuple(
            self.region(f"{name}.{w}", core, WIDE, n, role)
            for w, role in (("q", "buffer"), *((w, "state") for w in told.state))
        )
        spike = self.region(f"{name}.spike", core, WIDE if told.graded else BIT, n, "buffer")
        options = {"bias_exponent": 0, "refractory": 1}
        self.emit(kind, core, registers, (*words, spike), tuple(options[o] for o in told.options))
        return spike

    def connect(self, rng: Any, source: Span, target: str, core: int, graded: int) -> None:
        """Random weights from events or spikes to a population on a core."""
        k, n = len(self.instructions), self.regions[f"{target}.q"].size
        axon = self.region(f"axon{k}", core, WIDE, source.size, "buffer")
        delay = int(rng.integers(0, 3)) if self.profile.delay_max else 0
        if source.region == "events":
            args = (self.profile.input_delay + delay,)
            self.emit("input", core, (source,), (axon,), args)
        else:
            here = self.regions[source.region].core
            hops = (2, 1) if here != core else (0, 0)
            self.emit("route", here, (source,), (axon,), (self.profile.spike_delay + delay, *hops))
        weight = self.constant(f"weight{k}", core, 2 * rng.integers(-60, 90, (source.size, n)))
        args = (0, 1) if graded else (0,)
        self.emit("deliver_dense", core, (axon, weight), (Span(f"{target}.q", 0, n),), args)

    def leave(self, spike: Span, label: Span, core: int) -> None:
        self.emit("output", core, (spike,), (label,))

    def program(self, channels: int) -> Program:
        return Program(
            name="case", target="none", machine="00", kind="spiking", profile=self.profile.name,
            regions=self.regions, arrays=self.arrays, instructions=tuple(self.instructions),
            encoder=Encoder(kind="events", shape=(channels,), steps=STEPS),
            readout=Readout(kind="none"), steps=STEPS,
        )  # fmt: skip


def _without_bias(program: Program) -> Program:
    arrays = {name: 0 * array if name.endswith(".bias") else array
              for name, array in program.arrays.items()}  # fmt: skip
    return replace(program, arrays=arrays)
