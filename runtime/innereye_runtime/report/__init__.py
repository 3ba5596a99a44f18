"""report.html: what a run was and what came of it, as one file that opens anywhere, made from its run folder."""

from innereye_runtime.report.page import write_report

__all__ = ["write_report"]
