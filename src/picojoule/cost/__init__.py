"""Activity and Target in, bill out.  Simulators only count; here counts meet prices."""

from picojoule.cost.bill import Bill, EngineTime, Excluded, Row, StaticRow
from picojoule.cost.pricing import price
from picojoule.cost.text import describe

__all__ = ["Bill", "EngineTime", "Excluded", "Row", "StaticRow", "describe", "price"]
