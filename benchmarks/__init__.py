"""How fast TaskCenter is, beside what people would use instead: `make bench`, or `python -m benchmarks --help`.

Measured are whole programs as their users start them. Every runner has an environment of its own (environments.py),
a small Django project in it (projects/), and on this side a description (runners/): how its workers are started and
where its finished tasks are counted. The harness itself never imports a peer.

__main__.py       the arguments, and the run from its first to its last line
pins.py           every version, in one place
environments.py   one virtual environment per set of pins, under .bench/
servers.py        private PostgreSQL and Valkey on 127.0.0.1
databases.py      a fresh database per runner and round
processes.py      starting, freezing, ending processes; their CPU and memory
audience.py       an ASGI server on a stand, and many who watch
stand.py          one runner ready to be measured: workers, client, database
rounds.py         all runners in turn, the order reversed every other round
measures/         one file per thing measured
results.py        numbers per runner and round; medians and ratios
table.py          the same as Markdown
facts.py          what machine this was
"""
