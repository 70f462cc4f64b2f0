"""What a synapse learns, as data: a sum of products, and its parser."""

from picojoule.rule.parse import parse
from picojoule.rule.rule import Factor, Rule, Term

__all__ = ["Factor", "Rule", "Term", "parse"]
