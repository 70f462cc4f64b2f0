"""Replay recordings of other simulators, integer for integer (`picojoule conform DIR`)."""
