"""How a user meets PJ7xx and PJ8xx: each function meets the code of its name."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from small import (
    SPIKING,
    TENSOR,
    cli,
    dense,
    events,
    labelled,
    samples,
    spikes,
    spiking_program,
    tensor_program,
)

import picojoule as pj
from picojoule import api, passes, train
from picojoule.cli import status
from picojoule.graph import files
from picojoule.program import files as programs
from picojoule.sim import run as sim_run
from picojoule.sim.files import save_run
from picojoule.train import tune
from picojoule.train.data import image_set


def pj701():
    x, y = labelled()
    big = {name: array * 1e30 for name, array in dense().params.items()}
    train.fit(dense().with_params(big), x, y, epochs=1)


def pj702():
    x, y = labelled()
    pj.finetune(dense(), pj.target(TENSOR), (x, y + 1))


def pj703():
    def off_by_one(program, x, **more):
        run = sim_run(program, x, **more)
        return replace(run, outputs={"output": run.outputs["output"] + 1})

    with mock.patch.object(tune, "run", off_by_one):
        pj.finetune(dense(), pj.target(TENSOR), labelled(), epochs=1)


def pj704():
    target = pj.target(TENSOR)
    frozen = passes.freeze(passes.quantize(dense(), target, samples()))
    pj.finetune(frozen, target, labelled())


def kept(**more):
    """Train for one epoch with a checkpoint."""
    options = train.Options(checkpoint="training.pjc", resume=True)
    train.fit(dense(), *labelled(), epochs=1, options=options, **more)


def pj705():
    Path("training.pjc").write_bytes(b"garbage, and more garbage")
    kept()


def pj706():
    kept()
    path = Path("training.pjc")
    path.write_bytes(path.read_bytes().replace(b'\\"version\\":2', b'\\"version\\":3'))
    kept()


def pj707_network():
    options = train.Options(checkpoint="training.pjc")
    train.fit(dense((6, 5, 3)), *labelled(), epochs=1, options=options)
    kept()


def pj707_batch():
    kept()
    kept(batch=32)


def pj707_rate():
    kept(lr=1e-3)
    kept(lr=2e-3)


def pj801_images():
    image_set(".", "train")


def pj801_missing():
    files.save(dense(), "net.pjg")
    return cli("check", "nett.pjg", "--target", TENSOR)


def pj801_folder():
    Path("net.pjg").mkdir()
    return cli("check", "net.pjg", "--target", TENSOR)


def pj801_output():
    files.save(dense(), "net.pjg")
    return cli("compile", "net.pjg", "--target", TENSOR, "--out", "programs/net.pjp")


def pj801_pickled():
    programs.save(tensor_program(), "net.pjp")
    np.savez("data.npz", x=np.array([{}, {}], object))
    return cli("run", "net.pjp", "data.npz")


def pj801_run():
    Path("net.pjr").write_bytes(b"garbage, and more garbage")
    return cli("cost", "net.pjr")


def pj802_shape():
    pj.run(spiking_program(), samples(size=5))


def pj802_kind():
    pj.run(spiking_program(), np.array([["a"] * 6]))


def pj802_labels():
    pj.finetune(dense(), pj.target(TENSOR), (samples(8), np.zeros(7, int)))


def pj802_pair():
    pj.finetune(dense(), pj.target(TENSOR), samples())


def pj802_calibration():
    pj.compile(dense(), pj.target(TENSOR), calibrate=samples(size=5))


def pj802_raster():
    pj.run(pj.compile(events(), pj.target(SPIKING)), np.full((1, 4, 2), 0.5))


def pj802_events():
    program = pj.compile(events(), pj.target(SPIKING))
    starts, channels = np.array([0, 2, 3, 3, 3]), np.array([1, 0, 5], np.int32)
    pj.run(program, pj.Events(starts, channels, samples=1, steps=4, channels=2))


def pj802_recording():
    np.save("rec.npy", np.array([[-1, 0], [2, 0], [1, 1], [3, 2], [3, 2]]))
    pj.run(pj.compile(events(), pj.target(SPIKING)), "rec.npy")


def pj802_resume():
    programs.save(pj.compile(events(), pj.target(SPIKING)), "net.pjp")
    np.save("rec.npy", np.array([[0, 0]]))
    save_run(pj.run(spiking_program(), samples()), "other.pjr")
    return cli("run", "net.pjp", "rec.npy", "--resume", "other.pjr")


def pj803_run():
    pj.run(spiking_program(), samples(0))


def pj803_calibrate():
    pj.compile(dense(), pj.target(TENSOR))


def pj803_train():
    pj.finetune(dense(), pj.target(TENSOR), labelled(0))


def said(*words):
    """What a command says on standard error, run within this process; it must fail with 1."""
    stream = io.StringIO()
    with contextlib.redirect_stderr(stream):
        assert status(list(words)) == 1
    return stream.getvalue()


def pj804():
    programs.save(spiking_program(), "net.pjp")
    np.save("data.npy", samples())
    full = MemoryError("Unable to allocate 44.7 GiB")
    with mock.patch.object(api, "run", side_effect=full):
        return said("run", "net.pjp", "data.npy", "--steps", "1000000000")


def pj805():
    files.save(dense(), "net.pjg")
    np.savez("data.npz", x=samples(), y=np.zeros(8, int))
    with mock.patch.object(api, "finetune", side_effect=KeyboardInterrupt):
        return said("finetune", "net.pjg", "--target", TENSOR, "--data", "data.npz")


def pj806_engine():
    pj.run(spiking_program(), samples(), engine="cuda")


def pj806_steps():
    pj.run(spiking_program(), samples(), steps=0)


def pj806_probe():
    pj.run(spiking_program(), samples(), probes=["lif9.v"])


def pj806_threads():
    pj.run(spiking_program(), samples(), threads=0)


def pj806_dialect():
    from picojoule.frontend import nir

    nir.write(events(), "net.nir", dt=1e-3)
    pj.load("net.nir", dt=1e-3, dialect="eulr")


def pj806_overwrite():
    files.save(spikes(), "net.pjg")
    return cli("compile", "net.pjg", "--target", SPIKING, "--out", "net.pjg")


def pj806_report():
    programs.save(spiking_program(), "net.pjp")
    return cli("report", "net.pjp")


def pj807_run():
    x = samples()
    x[3, 2] = np.nan
    pj.run(spiking_program(), x)


def pj807_calibrate():
    x = samples()
    x[3, 2] = np.inf
    pj.compile(dense(), pj.target(TENSOR), calibrate=x)
