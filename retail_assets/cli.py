"""The `retail-assets` command: fill the source, run the graph, look at the result.

Errors are one sentence on standard error; exit codes: 0 done, 1 a run or check failed, 2 something must be
mended first, 75 try again later.
"""
