"""Exact methods: what they return is right up to rounding."""
