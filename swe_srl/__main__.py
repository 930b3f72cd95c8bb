"""`python -m swe_srl` is `swe-srl`: what launchers of several processes start."""

from __future__ import annotations

import sys

from swe_srl.cli import main
from swe_srl.launched import end, launched

if __name__ == "__main__":
    code = main()
    if launched().count > 1:
        end(code)
    sys.exit(code)
