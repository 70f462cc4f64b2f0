"""Reverse-mode differentiation of numpy code, operations, optimizers."""
