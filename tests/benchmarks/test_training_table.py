"""The table of the training benchmark says what was measured, and marks what falls short."""

from benchmarks.common.training_table import table


def row(case, peer, threads, ratio):
    return {"case": case, "peer": peer, "threads": threads, "ratio": ratio, "ours_s": 0.00213}


def test_ratios_below_their_goal_are_bold():
    found = [("mlp", "torch", 1, 0.94), ("mlp", "torch", 2, 1.0)]
    found += [("cnn", "torch NCHW", 1, 0.5), ("cnn", "torch NCHW", 2, None)]
    lines = table([row(*one) for one in found])
    assert lines[2:] == [
        "| mlp | torch | 0.95 / 1.0 | **0.94** (2.13 ms) | 1.00 (2.13 ms) |",
        "| cnn | torch NCHW |  | 0.50 (2.13 ms) | absent |",
    ]
