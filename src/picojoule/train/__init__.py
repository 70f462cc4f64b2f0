"""Training and fine-tuning on the arithmetic that is deployed."""

from picojoule.train.batches import Stream
from picojoule.train.evaluate import (
    accuracy,
    answers,
    dump_outputs,
    evaluate_outputs,
    firing_rates,
)
from picojoule.train.health import Health
from picojoule.train.loop import fit
from picojoule.train.options import Epoch, Options
from picojoule.train.tune import confirm, finetune, start_quantized, usual

__all__ = [
    "Epoch", "Health", "Options", "Stream", "accuracy", "answers", "confirm", "dump_outputs",
    "evaluate_outputs", "finetune", "firing_rates", "fit", "start_quantized",
    "usual",
]  # fmt: skip
