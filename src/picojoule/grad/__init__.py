"""Reverse-mode differentiation of numpy code, operations, optimizers."""

from picojoule.grad.tape import Tensor, apply, backward, check_grads

__all__ = ["Tensor", "apply", "backward", "check_grads"]
