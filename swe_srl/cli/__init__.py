"""The command line: the only part that prints, parses arguments and configures logging.

Nothing heavy is imported here: `swe-srl --help` answers in a fraction of a second.
"""

from swe_srl.cli.app import main

__all__ = ["main"]
