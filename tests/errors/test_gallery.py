"""Every error a user can meet, met: one golden text, from which docs/errors.md is made."""

import re
import warnings
from pathlib import Path

import pytest
import triggers_machines
import triggers_networks
import triggers_use

from picojoule.errors import CODES, PicojouleError
from picojoule.passes import PicojouleWarning

TRIGGERS = {
    name: trigger
    for module in (triggers_machines, triggers_networks, triggers_use)
    for name, trigger in vars(module).items()
    if re.fullmatch(r"pj\d{3}\w*", name)
}
PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
HOPELESS = {"PJ703"}  # our bug, so the way out is to report it


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
    assert "Traceback" not in text and "None" not in text and "<" not in text, text
    assert not re.search(r"/tmp|/home|0x[0-9a-f]{6}|np\.\w+\(", text), "not for people: " + text
    for fault in re.split(r"\n(?=PJ\d{3}  )", text):
        assert re.match(r"PJ\d{3}  \S.{9,}", fault), fault
        assert "\n       try: " in fault, "no way out: " + fault
        assert max(map(len, fault.split("\n"))) < 260, "too long: " + fault


def test_the_gallery(messages, golden):
    golden("errors.txt", "\n".join(f"{name}\n{text}\n" for name, text in messages.items()))
