"""Record the golden vectors anew by running the peers, each in an environment of its own.

    python3.11 -m venv .venv-peers-brian2loihi
    .venv-peers-brian2loihi/bin/pip install brian2-loihi==0.5.2 brian2==2.9.0 numpy==1.26.4
    .venv-peers-brian2loihi/bin/python tests/golden/make_vectors.py brian2loihi

    python3.11 -m venv .venv-peers-nengo_loihi
    .venv-peers-nengo_loihi/bin/pip install nengo-loihi==1.1.0 nengo==3.2.0 numpy==1.23.5
    .venv-peers-nengo_loihi/bin/python tests/golden/make_vectors.py nengo_loihi

    python3.11 -m venv .venv-peers-tflite
    .venv-peers-tflite/bin/pip install ai-edge-litert==2.3.0 tflite-micro numpy==2.4.6
    .venv-peers-tflite/bin/python tests/golden/make_vectors.py tflite

Picojoule itself is not imported, so a vector cannot agree with it by construction.  The
vectors own_*.json are written by hand.  Afterwards `git diff --stat tests/golden/vectors`
should list nothing: networks and inputs come from explicit seeds.
"""

from __future__ import annotations

import sys
from importlib import import_module

PEERS = ("brian2loihi", "nengo_loihi", "tflite")


def main(arguments: list[str]) -> int:
    """Record the vectors of one peer; exit status 2 for a wrong argument."""
    if len(arguments) != 1 or arguments[0] not in PEERS:
        print(f"usage: make_vectors.py {'|'.join(PEERS)}", file=sys.stderr)
        return 2
    import_module(f"peer_{arguments[0]}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
