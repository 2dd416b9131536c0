"""Lets the tests here import their tiny graphs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
