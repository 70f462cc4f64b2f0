"""Training kernels are compiled once: a second process finds all of them, intrinsics included,
and an edited micro-kernel is never stale."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
PROBE = """
import gc
import numpy as np
from picojoule.grad import ops
from picojoule.grad.convolution import average_pool, conv, global_average_pool, max_pool
from picojoule.grad.precision import cast
from picojoule.grad.quantize import fake_quantize
from picojoule.grad.tape import Tensor, backward

def leaf(*shape):
    return Tensor(np.ones(shape, np.float32), wants=True)

x = conv(leaf(2, 12, 12, 3), leaf(16, 3, 3, 3), leaf(16), relu=True)
first = x
x = ops.relu(ops.batch_norm(x, leaf(16), leaf(16), 1e-5))
x = max_pool(average_pool(x, kernel=(2, 2), stride=(1, 1)), kernel=(2, 2), stride=(2, 2))
x = max_pool(x, kernel=(2, 2), stride=(1, 1))
x = cast(fake_quantize(conv(x, leaf(4, 16, 1, 1), leaf(4), pool=True), leaf(), -8, 7), "e4m3")
y = global_average_pool(cast(x, "bfloat16"))
backward(y)
found = [d for d in gc.get_objects() if hasattr(type(d), "get_call_template")]
stats = [d.stats for d in found if hasattr(d, "stats")]
hits, misses = (sum(sum(getattr(s, kind).values()) for s in stats)
                for kind in ("cache_hits", "cache_misses"))
print(float(first.data.sum()), hits, misses)
"""


def probe(src, cache):
    env = {**os.environ, "PYTHONPATH": str(src), "PICOJOULE_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-B", "-c", PROBE], env=env, capture_output=True, text=True, check=True
    )
    value, hits, misses = done.stdout.split()
    return float(value), int(hits), int(misses)


@pytest.mark.slow
def test_no_kernel_compiles_twice_and_none_is_stale(tmp_path):
    src, cache = tmp_path / "src", tmp_path / "cache"
    shutil.copytree(SRC, src, ignore=shutil.ignore_patterns("__pycache__"))
    first, again = probe(src, cache), probe(src, cache)
    assert first[2] > 10 and again[1] > 10 and again[2] == 0
    assert first[0] == again[0]
    path = src / "picojoule" / "kernels" / "micro.py"
    text = path.read_text(encoding="utf-8")
    line = "            at.store(value, c, offset)\n"
    assert line in text
    twice = f"            value = builder.fadd(value, value)\n{line}"
    path.write_text(text.replace(line, twice), encoding="utf-8")
    edited = probe(src, cache)
    assert edited[2] > 0 and edited[0] != first[0]
