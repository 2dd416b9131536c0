"""python benchmarks/peers.py --voice VOICE.onnx --bundle BUNDLE: edgevoice and its peers, one table."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.compare import main

if __name__ == "__main__":
    sys.exit(main())
