"""IS IT RESOLVED: a patch in a fresh sandbox, its test log, and the verdict by swebench's rules and by hardened ones."""

from swe_srl.grading.cache import VerdictCache
from swe_srl.grading.flaky import combine, flaky_flags
from swe_srl.grading.grade import grade
from swe_srl.grading.harness import log_parser_statuses
from swe_srl.grading.judge import judge
from swe_srl.grading.obstacles import check_sandboxes, obstacle
from swe_srl.grading.runner import GradingSettings, OpenSandboxes, run_tests

__all__ = [
    "GradingSettings",
    "OpenSandboxes",
    "VerdictCache",
    "check_sandboxes",
    "combine",
    "flaky_flags",
    "grade",
    "judge",
    "log_parser_statuses",
    "obstacle",
    "run_tests",
]
