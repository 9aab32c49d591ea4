"""The load service: schedules cycles of load tasks, run by a driver.

Python 3.9, standard library only.
"""
