"""The soak: a seeded mix of tasks, random kills meanwhile, and then every promise is checked.

    python -m tests.soak --seed 7 --seconds 60 --tasks 5000

plan.py       what is enqueued when, from the seed alone
house.py      a database and a Redis of the run's own
crew.py       the workers and the schedulers, started again when they die
chaos.py      what is pulled, and how often it was
generator.py  carries out the plan, and keeps what was promised
marks.py      which attempts began and ended, by the tasks' own word
watch.py      whether work moves
verdict.py    the promises against rows, reports, notifications and marks
leftovers.py  what should be gone at the end: pointers, keys, rows, connections
reruns.py     how long it takes from a kill until the task runs again
run.py        the order of things
summary.py    what is printed
"""
