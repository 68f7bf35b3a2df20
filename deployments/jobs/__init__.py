"""Asynchronous indexing. The table of jobs is the truth: what is to be done, by whom just now, and how it ended.

A worker leases items for a while and says how they ended; a lease that ran out is anyone's again. What wakes workers is
only a doorbell, which may be silent or ring twice: a sweep of the table finds what it did not tell of, and an item that
is stored twice is stored once, because its id is its content's hash.
"""
