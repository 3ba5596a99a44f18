"""Where a job runs. A target plans a job as a value, with no effect, and submits the plan; nothing heavy is imported
before that.
"""
