"""Programs: what a machine holds."""

from picojoule.program.opcodes import OPCODES, Opcode
from picojoule.program.program import Instruction, Program, Region, Source, Span

__all__ = ["OPCODES", "Instruction", "Opcode", "Program", "Region", "Source", "Span"]
