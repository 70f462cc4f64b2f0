"""Formats, casts, encoders, numeric profiles and the scalar definitions of arithmetic."""
