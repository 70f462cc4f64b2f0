"""Made-up but plausible reports for the tests; the numbers are nobody's results."""

from __future__ import annotations

import random

from picojoule.report.data import (
    Accuracy,
    BillLine,
    Counts,
    Excluded,
    Layer,
    Machine,
    Population,
    Raster,
    Report,
    Row,
    Use,
    Wait,
)

LOIHI_SOURCES = {
    "davies2018": "Davies et al., Loihi: a neuromorphic manycore processor, IEEE Micro 38(1), 2018",
    "frady2020": "Frady et al., Neuromorphic nearest neighbor search, NICE 2020",
    "assumption": "no source: an assumption of this file",
}
ARRAY_SOURCES = {
    "horowitz2014": "Horowitz, Computing's energy problem, ISSCC 2014",
    "nn_dataflow": "nn_dataflow, 65 nm cost set of an Eyeriss-like chip",
    "assumption": "no source: an assumption of this file",
}


def full() -> Report:
    """A spiking network at 8 and 4 bits, a ReLU network at 8, 4 and 2."""
    return Report(
        title="Handwritten digits: spiking and conventional",
        rows=(
            spiking(8, Accuracy(float=0.9722, ptq=0.9583, qat=0.9694, deployed=0.9694)),
            spiking(4, Accuracy(float=0.9722, ptq=0.8611, qat=0.9611, deployed=0.9611)),
            tensor(8, Accuracy(float=0.9806, ptq=0.9806, qat=0.9806, deployed=0.9806)),
            tensor(4, Accuracy(float=0.9806, ptq=0.9389, qat=0.975, deployed=0.975)),
            tensor(2, Accuracy(float=0.9806, ptq=0.3917, qat=0.9528, deployed=0.9528)),
        ),
        notes=("360 test samples; hyperparameters chosen on a validation part of the rest",),
        created="2025-11-24T06:40:00Z",
        command="picojoule evaluate digits.npz --target loihi1 --target systolic_int8",
        machine=Machine(
            cpu="A CPU",
            system="Linux x86_64",
            versions={
                "python": "3.11.7",
                "picojoule": "0.1.0",
                "numpy": "2.3.5",
                "numba": "0.68.1",
            },
        ),
    )


def spiking(bits: int, accuracy: Accuracy) -> Row:
    rate = bits / 8
    time_s = 34 * 465e-9 + 2.6e-6 * rate
    bill = (
        line("core", "neuron.active", 5120.5 * rate, 81e-12, "davies2018"),
        line("core", "neuron.idle", 4195.5, 52e-12, "davies2018"),
        line("core", "synapse.event", 41230.25 * rate, 23.6e-12, "davies2018", high=1.5),
        line("core", "packet.out", 834.5 * rate, 1.7e-12, "davies2018", high=106),
        line("mesh", "hop.ew", 834.5 * rate, 3e-12, "davies2018"),
        line("mesh", "hop.ns", 417.25 * rate, 4e-12, "davies2018", high=1.05),
        line("chip", "step", 34, 0.0, "davies2018"),
        line("chip", "reset", 1, 5.9e-6, "frady2020"),
        line("chip", "static power", time_s, 0.104, "frady2020", low=0.28, part="static"),
    )
    return Row(
        network="digits_spiking",
        target="loihi1",
        bits=bits,
        accuracy=accuracy,
        mismatched_outputs=0,
        time_s=time_s,
        time_low_s=time_s * 0.4,
        time_high_s=time_s * 3.1,
        time_basis="a barrier after each step, no overlap of steps",
        counts=Counts(
            cores=3,
            neurons=274,
            weights=18_560,
            weight_bytes=18_560 * (bits + 1) / 8,
            spikes=834.5 * rate,
            events=41230.25 * rate,
        ),
        bill=bill,
        **totals(bill),
        samples=360,
        profile="loihi1",
        engine="numba",
        seed=1,
        excluded=(
            Excluded(
                item="host event.in",
                count=512.5,
                why="no published figure for an event from the host",
            ),
        ),
        layers=(
            Layer(
                node="hidden",
                kind="cuba",
                outputs=200,
                weights=12_800,
                bits=bits,
                spikes=612.25,
                events=33010.5,
                energy_j=1.04e-6,
            ),
            Layer(
                node="hidden2",
                kind="cuba",
                outputs=64,
                weights=5_120,
                bits=bits,
                spikes=192.5,
                events=7100,
                energy_j=2.4e-7,
            ),
            Layer(
                node="out",
                kind="cuba",
                outputs=10,
                weights=640,
                bits=bits,
                spikes=29.75,
                events=1119.75,
                energy_j=3.1e-8,
            ),
            Layer(node="(chip)", kind="machine", energy_j=5.9e-6),
        ),
        uses=uses(),
        raster=raster(),
        sources=LOIHI_SOURCES,
        waits=(
            Wait(component="core0", engine="receive", busy_s=1.9e-6, bound_s=1.4e-6),
            Wait(component="core1", engine="send", busy_s=1.1e-6, bound_s=6e-7),
        ),
        digests={"program": "3f9a21c0" * 8, "machine": "8d21e0aa" * 8, "prices": "0011ffee" * 8},
    )


def tensor(bits: int, accuracy: Accuracy) -> Row:
    time_s = 1.486e-6
    moved = 19_456 * bits / 8
    bill = (
        line("array", "mac", 18_560, 0.3e-12, "horowitz2014", low=0.13, confidence="derived"),
        line("vector", "requantize", 264, 3.8e-12, "horowitz2014", confidence="derived"),
        line("sram", "read", 40_000, 3.5e-12, "horowitz2014", low=0.1, confidence="derived"),
        line("sram", "write", 21_000, 3.5e-12, "horowitz2014", low=0.23, confidence="derived"),
        line(
            "dram",
            "read",
            moved,
            243.75e-12,
            "horowitz2014",
            low=0.67,
            high=1.33,
            confidence="derived",
        ),
        line(
            "chip", "static power", time_s, 0.03, "nn_dataflow", part="static", confidence="assumed"
        ),
    )
    return Row(
        network="digits_relu",
        target="systolic_int8",
        bits=bits,
        accuracy=accuracy,
        mismatched_outputs=0,
        time_s=time_s,
        bits_note="" if bits == 8 else "input 8",
        time_basis="no stalls, layers one after the other",
        counts=Counts(
            cores=1, weights=18_560, weight_bytes=18_560 * bits / 8, macs=18_560, cycles=743
        ),
        bill=bill,
        **totals(bill),
        samples=360,
        profile="double_round",
        engine="numba",
        seed=1,
        layers=(
            Layer(
                node="fc1",
                kind="dense",
                outputs=200,
                weights=12_800,
                bits=bits,
                macs=12_800,
                energy_j=2.9e-6,
            ),
            Layer(
                node="fc2",
                kind="dense",
                outputs=64,
                weights=5_120,
                bits=bits,
                macs=5_120,
                energy_j=1.1e-6,
            ),
            Layer(
                node="fc3",
                kind="dense",
                outputs=10,
                weights=640,
                bits=bits,
                macs=640,
                energy_j=2.2e-7,
            ),
        ),
        uses=(
            Use(component="sram", resource="input", used=200, limit=65536, unit="B"),
            Use(component="sram", resource="filter", used=1600 * bits, limit=65536, unit="B"),
        ),
        digests={"program": "77aa21c0" * 8},
        sources=ARRAY_SOURCES,
    )


def bare() -> Report:
    """A report with only what its contract demands."""
    row = Row(
        network="n",
        target="t",
        bits=8,
        accuracy=Accuracy(),
        mismatched_outputs=None,
        energy_j=1e-6,
        time_s=0.0,
    )
    return Report(title="bare", rows=(row,))


def line(
    component,
    action,
    count,
    each,
    source,
    *,
    low=1.0,
    high=1.0,
    part="marginal",
    confidence="published",
) -> BillLine:
    total = count * each
    return BillLine(
        component=component,
        action=action,
        count=count,
        each_j=each,
        total_j=total,
        low_j=low * total,
        high_j=high * total,
        source=source,
        confidence=confidence,
        part=part,
    )


def totals(bill) -> dict[str, float]:
    static = sum(line.total_j for line in bill if line.part == "static")
    marginal = sum(line.total_j for line in bill if line.part == "marginal")
    assumed = sum(line.total_j for line in bill if line.confidence == "assumed")
    return {
        "energy_j": marginal + static,
        "marginal_j": marginal,
        "static_j": static,
        "low_j": sum(line.low_j for line in bill),
        "high_j": sum(line.high_j for line in bill),
        "assumed_share": assumed / (marginal + static),
    }


def uses() -> tuple[Use, ...]:
    found = []
    held = [(200, 2800, 64), (64, 1320, 200), (10, 90, 64)]
    for core, (neurons, words, axons) in enumerate(held):
        name = f"core{core}"
        found += [
            Use(component=name, resource="neurons", used=neurons, limit=1024),
            Use(component=name, resource="synapse memory", used=words * 8, limit=131072, unit="B"),
            Use(component=name, resource="input axons", used=axons, limit=4096),
            Use(component=name, resource="output axons", used=neurons % 200, limit=4096),
        ]
    return tuple(found)


def raster() -> Raster:
    rng = random.Random(1)
    populations = (
        Population(name="hidden", start=0, stop=200),
        Population(name="hidden2", start=200, stop=264),
        Population(name="out", start=264, stop=274),
    )
    busy = [neuron for neuron in range(274) if rng.random() < 0.4]
    spikes = sorted({(rng.randrange(2 + neuron // 100, 34), neuron) for neuron in busy * 6})
    return Raster(
        steps=34,
        populations=populations,
        spikes=tuple(spikes),
        total=len(spikes),
        sample="test sample 0, a '7'",
    )
