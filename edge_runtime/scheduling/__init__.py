"""BPS: what to do with the queue at hand: batching, pipelining, and where to cut the network.

`tables` are measured, `forecast` says what every plan would do, `planner` takes the best. `dispatch` is the core that
the `executor` drives in real time and the `simulator` in virtual time.
"""
