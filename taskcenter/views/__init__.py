"""Pages and POST resources for people, JSON for scripts and load balancers.

Who may see a task is decided by `TASKCENTER["VISIBLE"]` alone; what is not visible answers 404, so that
nobody learns that it exists.
"""
