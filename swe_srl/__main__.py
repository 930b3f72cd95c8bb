"""`python -m swe_srl` is `swe-srl`: what launchers of several processes start."""

from __future__ import annotations

import sys

from swe_srl.cli import main

if __name__ == "__main__":
    sys.exit(main())
