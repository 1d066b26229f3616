"""The site and the app that use TaskCenter: upload a data set, watch its analysis run, read the report."""
