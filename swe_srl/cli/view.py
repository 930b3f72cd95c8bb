"""`swe-srl view`: runs as a folder of web pages."""

from __future__ import annotations

from swe_srl.cli.console import Console
from swe_srl.viewer import ViewSettings, write_view

__all__ = ["ViewSettings", "run"]


def run(settings: ViewSettings, console: Console) -> None:
    """Write the pages, and say which one to open."""
    page = write_view(settings, console.progress())
    console.say(f"open {page.resolve().as_uri()} in a browser")
