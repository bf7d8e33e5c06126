"""Chains along a path of distributions: annealed runs and replica exchange, and the paths that they take."""
