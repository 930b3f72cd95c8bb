"""Orchestration and statistics: episodes, predictions, verdicts, report."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swe_srl.evaluation.checking import CheckReport, check
    from swe_srl.evaluation.collect_settings import CollectSettings
    from swe_srl.evaluation.collection import Collection, collect
    from swe_srl.evaluation.comparison import Comparison, compare
    from swe_srl.evaluation.logs import judge_again
    from swe_srl.evaluation.merging import merge
    from swe_srl.evaluation.predictions import grade_predictions, read_predictions
    from swe_srl.evaluation.report import Report
    from swe_srl.evaluation.rewrite_settings import RewriteSettings
    from swe_srl.evaluation.rewriting import Rewriting, rewrite
    from swe_srl.evaluation.running import evaluate
    from swe_srl.evaluation.settings import EvalSettings

_HOMES = {
    "CheckReport": "checking",
    "CollectSettings": "collect_settings",
    "Collection": "collection",
    "Comparison": "comparison",
    "check": "checking",
    "EvalSettings": "settings",
    "Report": "report",
    "RewriteSettings": "rewrite_settings",
    "Rewriting": "rewriting",
    "collect": "collection",
    "compare": "comparison",
    "evaluate": "running",
    "grade_predictions": "predictions",
    "judge_again": "logs",
    "merge": "merging",
    "read_predictions": "predictions",
    "rewrite": "rewriting",
}
__all__ = [
    "CheckReport",
    "CollectSettings",
    "Collection",
    "Comparison",
    "EvalSettings",
    "Report",
    "RewriteSettings",
    "Rewriting",
    "check",
    "collect",
    "compare",
    "evaluate",
    "grade_predictions",
    "judge_again",
    "merge",
    "read_predictions",
    "rewrite",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use: `swe_srl.evaluation.settings` alone is needed for the command line's help."""
    if name in _HOMES:
        return getattr(import_module(f"swe_srl.evaluation.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
