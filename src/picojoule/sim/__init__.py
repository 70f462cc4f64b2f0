"""Run Programs bit for bit and count what they do."""

from picojoule.sim.recording import Recording
from picojoule.sim.run import DETAILS, ENGINES, Detail, Engine, Run, run

__all__ = ["DETAILS", "ENGINES", "Detail", "Engine", "Recording", "Run", "run"]
