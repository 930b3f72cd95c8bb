"""WHAT to solve: task sources and splits, validation, synthesis of new tasks from a repository.

>>> from swe_srl.tasks import load_tasks
>>> load_tasks("quickstart-test")[0].repo.split("/")[0]
'quickstart'
"""

from swe_srl.tasks.rows import task_from_row
from swe_srl.tasks.sources import load_tasks, split_names
from swe_srl.tasks.validation import ValidationResult, validate

__all__ = ["ValidationResult", "load_tasks", "split_names", "task_from_row", "validate"]
