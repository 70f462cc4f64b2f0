"""Reports: results as plain data, and the same as text, JSON and one HTML page."""

from picojoule.report.data import Accuracy, Report, Row, this_machine
from picojoule.report.store import load_json, save_json

__all__ = ["Accuracy", "Report", "Row", "load_json", "save_json", "this_machine"]
