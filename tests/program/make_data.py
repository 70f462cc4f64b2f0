"""Write the files that every later version must read.  Run once a format version:

python -m tests.program.make_data
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.program.programs import spiking, tensor

from picojoule.program.files import save

DATA = Path(__file__).parent / "data"
PROGRAMS = {
    "v1_dense": lambda: spiking(1, sparse=False),
    "v1_sparse": lambda: spiking(2, sparse=True).with_state({"c0.u": np.arange(-2, 2)}),
    "v1_tensor": lambda: tensor(3),
}

if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for name, make in PROGRAMS.items():
        program = make()
        save(program, DATA / f"{name}.pjp")
        print(f'    "{name}": "{program.digest}",')
