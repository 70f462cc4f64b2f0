"""Hardware models that are wrong: every fault is reported, with its code and its line."""

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.errors import TargetError
from picojoule.target import parse

GOOD = """\
name: toy
kind: spiking
title: "Toy"
description: "A machine for tests."
sources:
  paper: "A paper"
system:
  chips: {value: 1, source: paper, confidence: published}
  chip:
    grid: {columns: 2, rows: 1, cores_per_tile: 2, source: paper, confidence: published}
    static:
      chip: {power: 1 mW, source: paper, confidence: assumed}
    core:
      type: toy core
      profile: loihi1
      count: {value: 4, source: paper, confidence: published}
      choices:
        weight_bits: {values: [8], source: paper, confidence: published}
        activation_bits: {values: [1], source: paper, confidence: published}
      limits:
        neurons: {value: 16, source: paper, confidence: published}
      actions:
        synapse.event:
          energy: 23.6 pJ
          time: 3.5 ns
          engine: receive
          source: paper
          confidence: published
"""


def faults_of(text, name="toy.yaml"):
    """(code, line, what) of every fault; line 0 where a fault names none."""
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(TargetError) as caught:
        parse(data, name)
    return [
        (fault.code, int(fault.where.rpartition(":")[2]) if ":" in fault.where else 0, fault.what)
        for fault in caught.value.faults
    ]


def edited(*edits):
    """The good model with pieces of text replaced; each piece must occur once."""
    text = GOOD
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_the_good_model_is_good():
    toy = parse(GOOD.encode(), "toy.yaml")
    assert toy.price("core3", "synapse.event").energy_j == 23.6e-12
    assert toy.where("limits.neurons") == "toy.yaml:21"


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "words"),
    [
        ("23.6 pJ", "23,6 pJ", "PJ103", 24, "comma"),
        ("23.6 pJ", "23.6", "PJ103", 24, "no unit"),
        ("23.6 pJ", "23.6 ns", "PJ103", 24, "no unit of energy"),
        ("23.6 pJ", "nan pJ", "PJ103", 24, "not a number"),
        ("23.6 pJ", ".nan", "PJ103", 24, "not a number"),
        ("23.6 pJ", ".inf", "PJ103", 24, "not a number"),
        ("23.6 pJ", "1e999 pJ", "PJ103", 24, "out of range"),
        ("23.6 pJ", "-1 pJ", "PJ103", 24, "negative"),
        ("23.6 pJ", "", "PJ103", 24, "no unit"),
        ("23.6 pJ", "[1 pJ]", "PJ103", 24, "no unit"),
        ("3.5 ns", "1 cycle", "PJ103", 25, "no unit of time"),
        ("1 mW", "1 MW", "PJ103", 12, "no unit of power"),
        ("energy: 23.6 pJ", "enrgy: 23.6 pJ", "PJ102", 23, "field system.chip.core.actions"),
        ("value: 16", "value: 16.0", "PJ102", 21, "integer"),
        ("value: 16", "value: '16'", "PJ102", 21, "integer"),
        ("value: 16", "value: true", "PJ102", 21, "integer"),
        ("value: 16", "value: 1e999", "PJ102", 21, "integer"),
        ("value: 16", "value: 010", "PJ102", 21, "integer"),
        ("kind: spiking", "kind: analog", "PJ102", 2, "'spiking' or 'tensor'"),
        ("kind: spiking", "kind: tensor", "PJ102", 1, "needs chip.clock and core.array"),
        ("name: toy", "name: Toy!", "PJ102", 1, "pattern"),
        ("neurons:", "newrons:", "PJ102", 1, "core.limits.neurons"),
        ("activation_bits:", "other_bits:", "PJ102", 13, "choices lack activation_bits"),
        ("columns: 2", "columns: 3", "PJ102", 9, "make 6 cores, but core.count is 4"),
        ("values: [8]", "values: []", "PJ102", 18, "at least 1 item"),
        ("values: [8]", "values: 8", "PJ102", 18, "must be a list"),
        ("values: [8]", "values: [8, -1]", "PJ102", 18, "greater than or equal to 0"),
        ("synapse.event", "Synapse event", "PJ102", 23, "pattern"),
        ('  paper: "A paper"', '  other: "A paper"', "PJ106", 8, "'paper' is not in"),
        ("type: toy core", "type: ''", "PJ102", 14, "at least 1 character"),
        ("type: toy core", "profile2: x", "PJ102", 13, "type is missing"),
    ],
)
def test_one_fault_has_its_code_and_line(old, new, code, line, words):
    found = faults_of(edited((old, new)))
    assert any(f[:2] == (code, line) and words in f[2] for f in found), found


@pytest.mark.parametrize("field", ["source", "confidence"])
def test_a_number_without_provenance_is_a_fault(field):
    text = GOOD.replace(f"          {field}: p", f"          # {field}: p")
    [(code, line, what)] = faults_of(text)
    assert (code, line) == ("PJ106", 23)
    assert f"{field} is missing" in what


def test_all_faults_of_a_file_come_at_once_and_in_order():
    text = edited(
        ("kind: spiking", "kind: analog"),
        ("power: 1 mW", "power: 1 pJ"),
        ("value: 16, source: paper", "value: sixteen, source: nobody"),
        ("23.6 pJ", "23,6 pJ"),
        ("engine: receive", "engin: receive"),
    )
    found = [(code, line) for code, line, _ in faults_of(text)]
    assert found == [
        ("PJ102", 2),
        ("PJ103", 12),
        ("PJ106", 21),
        ("PJ102", 21),
        ("PJ102", 23),
        ("PJ103", 24),
        ("PJ102", 26),
    ]


def test_an_unknown_field_suggests_the_nearest():
    with pytest.raises(TargetError, match="try: 'engine'"):
        parse(edited(("engine: receive", "engin: receive")).encode(), "toy.yaml")


def test_a_price_outside_its_band_is_a_fault():
    text = edited(("energy: 23.6 pJ", "energy: 23.6 pJ\n          energy_band: [30 pJ, 40 pJ]"))
    [(code, line, what)] = faults_of(text)
    assert (code, line) == ("PJ102", 23)
    assert "outside its band" in what


def test_an_excluded_price_needs_a_note_and_nothing_else():
    text = edited(("energy: 23.6 pJ", "excluded: true"))
    price = "system.chip.core.actions.synapse.event"
    assert faults_of(text) == [
        ("PJ102", 23, f"the field {price}.note is missing"),
        ("PJ102", 25, f"unknown field {price}.time"),
        ("PJ102", 26, f"unknown field {price}.engine"),
        ("PJ102", 27, f"unknown field {price}.source"),
        ("PJ102", 28, f"unknown field {price}.confidence"),
    ]


@pytest.mark.parametrize(
    ("text", "code", "line", "words"),
    [
        ("a: &x 1\nb: 2\n", "PJ104", 1, "anchor '&x'"),
        ("a: &x 1\nb: *x\n", "PJ104", 2, "alias '*x'"),
        ("a: 1\nb: !!python/object:os.system x\n", "PJ104", 2, "tag"),
        ("a: !!int 3\n", "PJ104", 1, "tag"),
        ("%TAG ! tag:evil,2000:\n---\na: 1\n", "PJ104", 2, "%TAG"),
        ("a: 1\nb: 2\na: 3\n", "PJ101", 3, "already on line 1"),
        ("a:\n  b: 1\n  b: 1\n", "PJ101", 3, "already on line 2"),
        ("a: 1\n---\nb: 2\n", "PJ101", 2, "one YAML document"),
        ("? [1, 2]\n: 3\n", "PJ101", 1, "key must be plain text"),
        ("a: [1, 2\nb: 3\n", "PJ101", 2, "not valid YAML"),
        ("a: 'open\n", "PJ101", 2, "not valid YAML"),
        ("a: b: c\n", "PJ101", 1, "not valid YAML"),
        ("\ta: 1\n", "PJ101", 1, "not valid YAML"),
        ("a: 1\n" + "x: " + "[" * 25 + "]" * 25, "PJ104", 2, "20 levels"),
        ("[" * 200_000, "PJ104", 1, "20 levels"),
        ("{a: " * 200_000, "PJ104", 1, "20 levels"),
        ("a: 1\n" * 400_000, "PJ104", 0, "1000000 bytes"),
        (b"a: \xff\xfe\n", "PJ101", 0, "not UTF-8"),
        ("a: \x00\n", "PJ101", 0, "not valid YAML"),
        ("", "PJ102", 1, "the file: must be a mapping"),
        ("- 1\n- 2\n", "PJ102", 1, "the file: must be a mapping"),
        ("just text\n", "PJ102", 1, "the file: must be a mapping"),
    ],
)
def test_hostile_yaml_is_refused(text, code, line, words):
    found = faults_of(text)
    assert any(f[:2] == (code, line) and words in f[2] for f in found), found


def test_an_alias_bomb_is_refused_without_being_expanded():
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    found = faults_of("\n".join(lines))
    assert {code for code, _, _ in found} == {"PJ104"}
    assert {line for _, line, _ in found} == set(range(1, 41))


def test_a_merge_key_is_an_unknown_field():
    found = faults_of(GOOD + textwrap.indent("<<: {a: 1}\n", ""))
    assert [(code, line) for code, line, _ in found] == [("PJ102", 29)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.text("{}[]&*!|>'\"#%@`:-, \n\t0aé\x07", max_size=4))
def test_any_damage_gives_a_target_or_a_target_error(position, junk):
    text = GOOD[:position] + junk + GOOD[position + 1 :]
    try:
        parse(text.encode(), "toy.yaml")
    except TargetError as error:
        assert all(
            fault.code in ("PJ101", "PJ102", "PJ103", "PJ104", "PJ106") for fault in error.faults
        )


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("weight_formats", "mxfp5", "no such format: mxfp5; known: e4m3"),
        ("activation_formats", "fp8", "no such format: fp8"),
        ("activation_formats", "mxfp4", "activations in mxfp4 are not known"),
    ],
)
def test_formats_must_be_known(field, value, words):
    line = f"      {field}: {{values: [{value}], source: paper, confidence: assumed}}\n"
    ((code, _, what),) = faults_of(edited(("      limits:\n", f"{line}      limits:\n")))
    assert code == "PJ102" and words in what


def test_formats_are_part_of_the_machine():
    line = "      weight_formats: {values: [e4m3], source: paper, confidence: assumed}\n"
    more = parse(edited(("      limits:\n", f"{line}      limits:\n")).encode(), "toy.yaml")
    plain = parse(GOOD.encode(), "toy.yaml")
    assert more.weight_formats == ("e4m3",) and plain.weight_formats == ()
    assert more.machine_digest != plain.machine_digest


@pytest.mark.parametrize("bits", [0, -1, 64, 2**40])
def test_accumulators_are_as_wide_as_the_simulator_s_at_most(bits):
    line = f"        accumulator_bits: {{value: {bits}, source: paper, confidence: assumed}}\n"
    ((code, _, what),) = faults_of(edited(("      limits:\n", f"      limits:\n{line}")))
    assert code == "PJ102" and what.endswith(f"accumulator_bits must lie in 1..63, got {bits}")
