"""The drill: `manage.py drill` pulls the plugs of a private installation and says which promises held.

    __main__.py   options, the order of things, the exit code
    stage.py      a folder with a PostgreSQL and a Valkey of its own, which go with it
    servers.py    those servers, started from wheels; our own tests use them too
    settings.py   the settings of everything that runs in a drill: TaskCenter alone, none of the site's
    tasks.py      what is run: a few kinds of work
    ledger.py     what the tasks themselves say, in a file that no plug touches
    load.py       enqueues all the while, and keeps what was promised
    crew.py       workers and scheduler, started again when they die
    plugs.py      what is pulled
    interrupts.py Ctrl-C
    verdict.py    the promises against the evidence; reads no database
    evidence.py   gathers it
    page.py       what a person is shown: text, JSON, HTML

It is started as a process of its own, with settings of its own: the site's code, database and Redis have no part
in it. Nothing else imports this room, and it may be missing what it wants (`django-taskcenter[drill]`).
"""
