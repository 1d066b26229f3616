"""The demo: the whole product on one machine, with nothing running beforehand.

house    the folder it lives in, its key and password, one demo at a time
valkey   a private Redis on a socket, when REDIS_URL names none
group    the processes as one group: started, watched, stopped together
story    what the visitor sees: a user, a data set, its progress, its report
"""
