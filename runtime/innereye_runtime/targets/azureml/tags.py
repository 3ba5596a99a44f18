"""The tags by which a job of this program is found again."""

SUBMISSION_TAG = "innereye-runtime.submission"
RUN_TAG = "innereye-runtime.run"
"""The run folder's name."""
