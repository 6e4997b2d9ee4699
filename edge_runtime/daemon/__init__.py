"""The daemon: frames come from sources, systems answer them, answers go to sinks, and people can watch.

One event loop does all that waits; models run in one thread beside it, so that a frame computes while others are on the
wire. `config` says what there may be; everything else is made from it.
"""
