#!/bin/bash
# Makes the images of the SWE-bench instances that have a recipe in docker/swebench/, without a registry: the source archive
# of the release before the fix, from PyPI, becomes the base commit. Writes the instances' rows with the local image's name
# and the local base commit in place of the published ones. Images that are there already are not made again.
#
# usage: docker/make-swebench-images.sh --rows ROWS --out OUT.jsonl [INSTANCE_ID ...]
#   ROWS  a file or folder with the published SWE-bench rows (.parquet, .json, .jsonl); may be given several times
# The base image must be there (docker/make-base-image.sh). $PYTHON names a Python that has swe-srl (default: python3).
set -euo pipefail
exec "${PYTHON:-python3}" - "$@" <<'PYTHON'
import argparse
import signal
import sys
from pathlib import Path

from swe_srl.errors import SweSrlError
from swe_srl.evaluation.images import make_instances, recipe_names


class Lines:
    def track(self, name, total=None, done=0):
        pass

    def advance(self, name, amount=1, info=""):
        print(info, flush=True)

    def note(self, text):
        print(text, flush=True)


def interrupt(number, frame):
    raise KeyboardInterrupt


signal.signal(signal.SIGTERM, interrupt)  # as Ctrl-C: the container of the image in the making is removed
parser = argparse.ArgumentParser(prog="make-swebench-images.sh")
parser.add_argument("--rows", action="append", required=True, help="published SWE-bench rows (.parquet, .json, .jsonl)")
parser.add_argument("--out", type=Path, required=True, help="where the adapted rows go (.jsonl)")
parser.add_argument("instances", nargs="*", help=f"default: all that have a recipe: {', '.join(recipe_names())}")
arguments = parser.parse_args()
try:
    tasks = make_instances(arguments.rows, arguments.instances, arguments.out, Lines())
except SweSrlError as error:
    sys.exit(f"make-swebench-images: {error}")
except KeyboardInterrupt:
    print("make-swebench-images: interrupted; images that are made are kept", file=sys.stderr)
    sys.exit(130)
print(f"{len(tasks)} rows written to {arguments.out}")
PYTHON
