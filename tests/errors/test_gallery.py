"""Every error a user can meet, met: one golden text, and docs/errors.md, made of the same."""

import re
import warnings
from pathlib import Path

import pytest
import triggers_machines
import triggers_networks
import triggers_use
from page import page

from picojoule.errors import CODES, PicojouleError
from picojoule.passes import PicojouleWarning

TRIGGERS = {
    name: trigger
    for module in (triggers_machines, triggers_networks, triggers_use)
    for name, trigger in vars(module).items()
    if re.fullmatch(r"pj\d{3}\w*", name)
}
PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
# what is wrong says already what would be right, or only its author can know
PLAIN = {
    "pj102_wrong", "pj103", "pj104_alias", "pj104_deep", "pj402_vector", "pj402_weight",
    "pj404_nan", "pj405_decay", "pj405_refractory", "pj408", "pj604", "pj702", "pj802_calibration",
    "pj802_kind", "pj802_labels", "pj802_raster", "pj802_shape", "pj803_run", "pj803_train",
    "pj806_engine", "pj806_steps", "pj806_threads", "pj807_run",
}  # fmt: skip


def met(trigger):
    """The message that a trigger leads to: raised, warned, or printed by the command line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            printed = trigger()
        except PicojouleError as error:
            return str(error)
    if isinstance(printed, str):
        return printed.rstrip("\n")
    return "\n".join(str(w.message) for w in caught if w.category is PicojouleWarning)


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """Name of the trigger -> message; each trigger runs in a folder of its own."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, trigger in sorted(TRIGGERS.items()):
            patch.chdir(tmp_path_factory.mktemp(name))
            found[name] = met(trigger)
    return found


def code_of(name):
    return name[:5].upper()


def test_every_code_has_a_trigger():
    assert {code_of(name) for name in TRIGGERS} == set(CODES)


@pytest.mark.parametrize("name", sorted(TRIGGERS))
def test_each_trigger_meets_its_code_first(messages, name):
    assert messages[name].startswith(f"{code_of(name)}  "), messages[name]


@pytest.mark.parametrize("name", sorted(TRIGGERS))
def test_messages_say_what_and_how_to_go_on(messages, name):
    text = messages[name]
    assert "Traceback" not in text and "None" not in text, text
    assert not re.search(r"/tmp|/home|0x[0-9a-f]{6}|np\.\w+\(", text), "not for people: " + text
    for fault in re.split(r"\n(?=PJ\d{3}  )", text):
        assert re.match(r"PJ\d{3}  \S.{9,}", fault), fault
        assert name in PLAIN or "\n       try: " in fault, "no way out: " + fault
        assert max(map(len, fault.split("\n"))) < 260, "too long: " + fault


def test_the_gallery(messages, golden):
    golden("errors.txt", "\n".join(f"{name}\n{text}\n" for name, text in messages.items()))


def test_the_page_is_up_to_date(messages, request):
    examples = {}
    for name, text in messages.items():
        examples.setdefault(code_of(name), []).append(text)
    made = page(examples)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "make golden writes it anew"
