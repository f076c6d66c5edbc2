"""Every figure of a window, as pure functions of what the engine remembers: readings in, readings out, no clock.

::

    traffic.py   rows, latency, errors, data quality, schema, drift
    labels.py    performance and calibration of labelled rows, by task, whole and by slice
    late.py      the same at a fixed age, adjusted for labels still to come, and how long labels take
    estimate.py  performance without labels, and how far off it was
    fairness.py  gaps between groups and their rates
    days.py      one headline figure a day
    trend.py     when a day is taken, and how fast its figure moves
    window.py    all of them together
"""
