"""A hardware model is a YAML file: copy one, change a number, and price the same run again."""

import tempfile
from pathlib import Path

import picojoule as pj
from picojoule.demo.digits import digits
from picojoule.target import shipped

training, test = digits()
chip = pj.target("loihi1")
text = shipped("loihi1").replace("energy: 23.6 pJ", "energy: 5 pJ")
text = text.replace("energy_band: [23.6 pJ, 35.5 pJ]", "energy_band: [5 pJ, 35.5 pJ]")
cheaper = Path(tempfile.mkdtemp()) / "cheaper.yaml"
cheaper.write_text(text, encoding="utf-8")

program = pj.compile(pj.load("examples/digits_spiking.pjg"), chip, calibrate=training.x)
run = pj.run(program, test.x[:50])
for machine in (chip, pj.target(cheaper)):
    bill = pj.cost(run, machine)
    print(f"{bill.marginal_j * 1e6:.2f} µJ marginal, {bill.total_j * 1e6:.2f} µJ in all")
