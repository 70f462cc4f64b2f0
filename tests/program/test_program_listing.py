"""Listings: what is printed is what is parsed, and what cannot be parsed is named by line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.program.programs import spiking, tensor

from picojoule.errors import ProgramError
from picojoule.fixed.format import Scale
from picojoule.program import Source
from picojoule.program.files import load, save
from picojoule.program.listing import listing, parse
from picojoule.words import lines, name, word

GOLDEN = """\
program chain   target loihi1   kind spiking   profile loihi1   format 1
machine 5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f
steps 12   latency 3   # a window is one step
in   rate [2]   steps 9   high 16.0
out  count from 1

global
  input   events  uint1  [2]  host
  output  label   uint1  [3]  host

core 0 at (0,0)   # neurons 3/1024, axon 1 B, state 37 B, synapse 7 B/128 KiB, register 16 B
  buffer  c0.axon     uint1   [2]    axon
  state   c0.q        int24   [3]    state
  state   c0.u        int24   [3]    state   # lif0 u, step 0.3333
  state   c0.v        int24   [3]    state   # lif0 v, step 0.3333
  state   c0.wait     int24   [3]    state
  buffer  c0.spike    uint1   [3]    state   # lif0 spike, step 0.3333
  const   c0.w        int9    [2,3]  synapse   crc f22cc60a   # "fc 0" weight, step 0.1
  const   c0.decay_u  uint12  [1]    register  crc 9e789c21
  const   c0.decay_v  uint12  [3]    register  crc d2f808e1
  const   c0.v_th     uint17  [3]    register  crc fba33d8d
  const   c0.bias     int13   [1]    register  crc f19f8375
  0  input  events events[0:2]  -> axon c0.axon[0:2]  delay 1
  1  deliver_dense  axon c0.axon[0:2]  weight c0.w[0:2]  -> q c0.q[0:3]  exponent 0
  2  cuba  decay_u c0.decay_u[0:1]  decay_v c0.decay_v[0:3]  v_th c0.v_th[0:3]  bias c0.bias[0:1] \\
        -> q c0.q[0:3]  u c0.u[0:3]  v c0.v[0:3]  wait c0.wait[0:3]  spike c0.spike[0:3] \\
        bias_exponent 3  refractory 2  after 1
  3  output  spike c0.spike[0:3]  -> label label[0:3]  after 2

source "fc 0" weight  in c0.w[0:6]  step  0.1
source lif0 u  in c0.u[0:3]  first 7  zero 1  step  0.3333333333333333
source lif0 v  in c0.v[0:3]  first 7  zero 1  step  0.3333333333333333
source lif0 spike  in c0.spike[0:3]  first 7  zero 1  step  0.3333333333333333
"""


def all_equal(a, b):
    assert a == b
    assert a.regions == b.regions and a.instructions == b.instructions
    assert (a.source, a.encoder, a.readout) == (b.source, b.encoder, b.readout)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([spiking, tensor]))
def test_what_is_printed_is_parsed(seed, make):
    program = make(seed)
    all_equal(parse(str(program), program.arrays), program)


NAMES = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1)


@settings(deadline=None, max_examples=60)
@given(st.tuples(NAMES, NAMES, NAMES, NAMES), st.floats(1e-300, 1e300), st.integers(-9, 9))
def test_any_printable_name_and_scale_survives(names, step, zero):
    program = spiking(3, sizes=(2, 2))
    region = f"{names[0]}[1:2]"
    regions = {(region if n == "c0.u" else n): r for n, r in program.regions.items()}
    cuba = program.instructions[2]
    writes = tuple(replace(s, region=region) if s.region == "c0.u" else s for s in cuba.writes)
    program = replace(
        program, name=names[1], target=names[2], regions=regions,
        instructions=(*program.instructions[:2], replace(cuba, writes=writes),
                      *program.instructions[3:]),
        source=(Source(region, 0, 2, names[3], "u", 1, Scale((step,) * 5, zero, 0)),),
    )  # fmt: skip
    all_equal(parse(listing(program), program.arrays), program)


def test_initial_state_is_listed():
    program = spiking(1).with_state({"c0.u": np.array([3, -1, 0, 2])})
    text = listing(program)
    assert "initial" in text
    all_equal(parse(text, program.arrays, program.initial), program)
    with pytest.raises(ProgramError, match=r"no array given for 'c0.u'"):
        parse(text, program.arrays)


def test_a_loaded_program_lists_the_same(tmp_path):
    program = tensor(2)
    save(program, tmp_path / "p.pjp")
    assert str(load(tmp_path / "p.pjp")) == str(program)


def test_use_is_shown_against_limits():
    limits = {"neurons": 1024, "synapse_words": 16384, "synapse_word_bits": 64}
    program = spiking(1, sizes=(2, 3), sparse=False)
    program = replace(program, source=(
        replace(program.source[0], scale=Scale((0.1,))), *program.source[1:]
    ))  # fmt: skip
    assert listing(program, limits) == GOLDEN


def test_lines_fit_a_page():
    for program in (spiking(1), tensor(1)):
        assert max(map(len, str(program).splitlines())) <= 110


def test_a_listing_grows_with_its_instructions():
    """Twice the cores make twice the text, not four times."""
    short, long = (listing(spiking(1, sizes=(3,) * n, sparse=False)) for n in (40, 80))
    assert len(long) < 2.1 * len(short)


def broken(old, new, program=None, arrays=None):
    program = spiking(1, sparse=False) if program is None else program
    text = str(program)
    assert old in text
    with pytest.raises(ProgramError) as caught:
        parse(text.replace(old, new, 1), program.arrays if arrays is None else arrays)
    return caught.value.faults


@pytest.mark.parametrize(
    "old, new, what",
    [
        ("program chain", "progam chain", "unknown keyword 'progam'"),
        ("target loihi1", "target", "expected 'kind', found 'spiking'"),
        ("format 1", "format 2", "this Picojoule reads format 1"),
        ("steps 12", "steps twelve", "twelve is not an integer"),
        ("latency 3", "latency", "a number of steps is missing"),
        ("high 16.0", "high inf", "inf is not a finite number"),
        ("[5]   steps", "5   steps", "5 is not a shape such as [3,5]"),
        ("from 1", "from 1 2", "unexpected '2'"),
        ("events  uint1", "events  uint", "not a format: 'uint'"),
        ("core 1 at (1,0)", "core 1 at (1;0)", "is not a position such as (0,3)"),
        ("core 1 at (1,0)", "core 2 at (1,0)", "the position of core 1 must come first"),
        ("0  input", "0  inptu", "no opcode 'inptu'"),
        ("events[0:5]", "events[0:x]", "is not a span"),
        ("events[0:5]", "events", "is not a span"),
        ("-> axon", "axon", "expected '->', found 'axon'"),
        ("refractory 2", "refractory x", "x is not an integer"),
        ("after 1", "after one", "one is not an integer"),
        ("scale 1  axis 0  step", "scale 0  axis 0  step", "a second scale 0"),
        ("scale 1\n", "scale 9\n", "no scale 9 above"),
    ],
)
def test_bad_text_is_named_by_its_line(old, new, what):
    text = str(spiking(1, sparse=False))
    before = text[: text.index(old)].split("\n")
    while len(before) > 1 and before[-2].endswith("\\"):
        before.pop()
    found = broken(old, new)
    assert found[0].code == "PJ604" and what in found[0].what
    assert found[0].where == f"line {len(before)}"


def test_all_bad_lines_are_reported():
    program = spiking(1)
    text = str(program).replace("steps 12", "steps x").replace("out  count", "aut count")
    with pytest.raises(ProgramError) as caught:
        parse(text, program.arrays)
    assert [fault.where for fault in caught.value.faults] == ["line 3", "line 5"]


def test_missing_lines_are_named():
    with pytest.raises(ProgramError) as caught:
        parse("# nothing\n", {})
    assert [fault.what for fault in caught.value.faults] == [
        f"there is no line '{key}'" for key in ("program", "machine", "steps", "in", "out")
    ]
    found = broken("  6  output", "  7  output")
    assert "instruction 6 of 7 is missing" in found[0].what


def test_other_arrays_are_refused():
    program = spiking(1, sparse=False)
    arrays = {**program.arrays, "c0.w": program.arrays["c0.w"] + 2}
    found = broken("chain", "chain", arrays=arrays)
    assert "array 'c0.w' has checksum" in found[0].what and found[0].code == "PJ604"
    less = {k: v for k, v in arrays.items() if k != "c0.w"}
    assert "no array given for 'c0.w'" in broken("chain", "chain", arrays=less)[0].what


def test_an_edited_listing_is_verified():
    found = broken("delay 1", "delay 99")
    assert found[0].code == "PJ603" and "delay must lie in" in found[0].what
    found = broken("in   rate", "in   rote")
    assert found[0].code == "PJ604" and "expected one of affine, rate, events" in found[0].what


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200) | st.text('corep"\\#[]:()0 1->\n', max_size=60))
def test_noise_is_refused(text):
    with pytest.raises(ProgramError):
        parse(text, {})


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_listings_never_crash(data):
    program = spiking(1, sizes=(2, 2))
    text = str(program)
    at = data.draw(st.integers(0, len(text) - 1))
    insert = data.draw(st.text(max_size=3) | st.sampled_from(["\\", '"', "-", "9" * 5000]))
    text = text[:at] + insert + text[at + data.draw(st.integers(0, 9)) :]
    try:
        parse(text, program.arrays)
    except ProgramError as error:
        assert error.faults[0].code in ("PJ603", "PJ604")


@given(NAMES)
def test_words_are_names(text):
    assert name(word(text)) == text
    found = list(lines(f"  {word(text)} x  # a comment \\\n"))
    assert [line.words for line in found] == [[word(text), "x"]]


def test_continued_lines():
    found = list(lines('a b \\  # comment\n   c "d\\\\" \\\n\nlast'))
    assert [(line.number, line.words) for line in found] == [
        (1, ["a", "b", "c", '"d\\\\"']),
        (4, ["last"]),
    ]
