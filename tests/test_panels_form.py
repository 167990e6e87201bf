"""The inputs form, driven as a browser drives it: through the values of its widgets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pytest
import yaml
from customer_files import PARAMETERS

from umkit.customer import SECTIONS
from umkit.customer.documents import node_at, resolved, schema
from umkit.errors import CustomerFileError, UsageError
from umkit.panels.controls import help_of
from umkit.panels.form import InputsForm
from umkit.panels.words import Words

ACME = """\
# Acme: comments stay
customer: {name: acme, title: "<b>A</b> & Söhne"}
exchange:
  endpoint: http://ex01.acme.example/PowerShell/ # the first server
  username: admin@acme.example
  password: env:PW
xphone:
  address: 192.0.2.10 # in the cellar
um_services:
  - name: fax # by the wizard
    domain: fax.acme.example
  - name: sms
    domain: sms.acme.example
imap4: {}
relay: {}
mapi: {account: MAPIAccount@acme.example}
ews: null
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acme.yaml").write_text(ACME, "utf-8")
    (tmp_path / "lab.yaml").write_bytes((PARAMETERS / "lab.yaml").read_bytes())
    (tmp_path / "example.yaml").write_bytes((PARAMETERS / "example.yaml").read_bytes())
    return tmp_path


@pytest.fixture
def form(folder: Path) -> InputsForm:
    rest = ("hosts", "imap4", "sessions", "web_administration", "run")  # as in use, not every section is opened
    return opened(InputsForm(folder, customer="acme"), *(name for name in SECTIONS if name not in rest))


def opened(form: InputsForm, *names: str) -> InputsForm:
    for section in names or SECTIONS:
        form.sections[section].button.value = True
    return form


def at(form: InputsForm, *place: str | int) -> Any:
    """The control for a place."""
    control: Any = form.sections[str(place[0])].control
    for step in place[1:]:
        if hasattr(control, "choice"):
            control = control.group
        control = control.rows[step].control if isinstance(step, int) else control.parts[step]
    return control


def every(widget: Any) -> list[Any]:
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in every(child))]


def text_of(form: InputsForm) -> str:
    """All that the form's widgets hold, as it would be saved in a notebook."""
    return json.dumps([each.get_state() for each in every(form.widget)], default=str, ensure_ascii=False)


def test_the_file_is_shown_and_does_not_change_by_it(form: InputsForm) -> None:
    assert form.chooser.options == ("acme", "lab")
    assert at(form, "customer", "title").input.value == "<b>A</b> & Söhne"
    assert at(form, "um_services", 1, "domain").input.value == "sms.acme.example"
    assert at(form, "um_services", 0, "port").input.placeholder == "default: 25"
    assert not form.changed
    assert form.inputs.xphone.address == "192.0.2.10"
    form.chooser.value = "lab"
    opened(form)
    assert form.inputs.customer.name == "lab"
    assert not form.changed


@pytest.mark.parametrize("name", ["example", "lab"])
def test_every_key_of_the_models_has_a_control_with_its_label_and_help(name: str, tmp_path: Path) -> None:
    text = (
        (PARAMETERS / f"{name}.yaml")
        .read_text("utf-8")
        .replace("name: example", "name: acme")
        .replace("customer: example", "customer: acme")
    )
    (tmp_path / "acme.yaml").write_text(
        text.replace("name: lab", "name: acme").replace("customer: lab", "customer: acme")
    )
    form = opened(InputsForm(tmp_path))
    assert not form.changed
    inputs = [
        each for each in every(form.widget) if hasattr(each, "description") and not isinstance(each, widgets.HTML)
    ]
    assert len(inputs) > 90
    for each in inputs:
        assert each.description.strip(), each
        assert each.tooltip or each is form.everything, each.description
        assert getattr(each, "description_allow_html", False) is False
    shown = text_of(form)
    for section in SECTIONS:
        for key, node in resolved(node_at((section,))).get("properties", {}).items():
            assert json.dumps(node["description"].replace("null:", "empty:"))[1:-1] in re.sub(r"&#39;", "'", shown), (
                f"{section}.{key}"
            )


def test_an_invalid_value_is_told_beside_its_field_as_it_is_typed(form: InputsForm) -> None:
    seen: list[bool] = []
    form.on_change(lambda each: seen.append(bool(each.problems)))
    address = at(form, "xphone", "address")
    for typed in ("192", "192.0.2.", "192.0.2.77"):
        address.input.value = typed
    assert seen == [True, True, False]
    assert form.inputs.xphone.address == "192.0.2.77"
    address.input.value = "nowhere"
    assert address.note.errors == ["is no IP address"]
    assert 'role="alert"' in address.note.widget.value
    assert "✗ Error: is no IP address" in address.note.widget.value
    assert "✗ Error: 1" in form.sections["xphone"].button.description
    assert not at(form, "xphone", "program").note.errors
    with pytest.raises(CustomerFileError, match=r"xphone\.address"):
        _ = form.inputs
    address.input.value = ""
    assert address.note.errors == ["has to be given"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [("abc", "has to be a whole number"), ("0", "is too small"), ("65536", "is too large"), ("2533", None), ("", None)],
)
def test_numbers_have_their_bounds(form: InputsForm, typed: str, said: str | None) -> None:
    port = at(form, "um_services", 0, "port")
    port.input.value = typed
    assert port.note.errors == ([said] if said else [])
    if said is None:
        assert form.inputs.um_services[0].port == int(typed or 25)


def test_what_cannot_be_wanted_together_is_told_where_it_belongs(form: InputsForm) -> None:
    at(form, "exchange", "auth").input.value = "basic"
    assert at(form, "exchange", "auth").note.errors == [
        "basic over http would send the password in clear across the network"
    ]
    at(form, "exchange", "auth").input.value = "kerberos"
    at(form, "um_services", 1, "name").input.value = "FAX"
    assert at(form, "um_services", 1, "name").note.errors
    at(form, "um_services", 1, "name").input.value = "sms"
    restarts = at(form, "consent", "restarts")
    restarts.choice.value = "yes"
    at(form, "consent", "restarts", "allowed_by").input.value = "A. Example"
    at(form, "consent", "restarts", "until").input.value = "31.12.2026"
    assert at(form, "consent", "restarts", "until").note.errors == ["is no date, and no date with a time"]
    at(form, "consent", "restarts", "until").input.value = "2026-12-31"
    assert at(form, "consent", "customer").note.errors
    at(form, "consent", "customer").input.value = "acme"
    assert form.inputs.consent.restarts is not None


def test_a_closed_section_says_that_something_is_wrong_in_it(folder: Path) -> None:
    (folder / "acme.yaml").write_text(ACME.replace("192.0.2.10", "nowhere").replace("ews: null\n", ""), "utf-8")
    form = InputsForm(folder, customer="acme", sections=["relay"])
    assert form.sections["xphone"].button.description == "▸ Xphone – ✗ Error: 1"
    assert "xphone.address: is no IP address" in form.status.value
    assert "ews: has to be decided on" in form.status.value
    form.sections["xphone"].button.value = True
    assert at(form, "xphone", "address").note.errors == ["is no IP address"]


def test_save_touches_what_was_changed_and_keeps_the_comments(form: InputsForm, folder: Path) -> None:
    at(form, "xphone", "address").input.value = "192.0.2.77"
    at(form, "um_services", 0, "port").input.value = "2533"
    at(form, "mapi", "uses").boxes["calendar"].value = False
    at(form, "relay", "remote_addresses").add.click()
    at(form, "relay", "remote_addresses", 0).input.value = "192.0.2.9"
    assert form.changed
    assert "✎ Changed" in form.status.value
    form.save_button.click()
    assert "✓ Saved" in form.status.value
    assert (folder / "acme.yaml").read_text("utf-8") == ACME.replace("192.0.2.10 #", "192.0.2.77 #").replace(
        "domain: fax.acme.example\n", "domain: fax.acme.example\n    port: 2533\n"
    ).replace("acme.example}", "acme.example, uses: [directory, voicemail]}").replace(
        "relay: {}", "relay:\n  remote_addresses: [192.0.2.9]"
    )
    assert not form.changed
    at(form, "um_services", 0, "port").input.value = ""
    assert form.save()
    assert "port: 25\n" in (folder / "acme.yaml").read_text("utf-8")


def test_nothing_invalid_is_saved_and_revert_reads_anew(form: InputsForm, folder: Path) -> None:
    at(form, "xphone", "address").input.value = "x"
    form.save_button.click()
    assert "✗ Not saved" in form.status.value
    assert "xphone.address: is no IP address" in form.status.value
    assert (folder / "acme.yaml").read_text("utf-8") == ACME
    form.revert_button.click()
    assert not form.changed
    assert at(form, "xphone", "address").input.value == "192.0.2.10"
    at(form, "xphone", "address").input.value = "192.0.2.77"
    (folder / "acme.yaml").write_text(ACME + "# a colleague\n", "utf-8")
    assert not form.save()
    assert "changed by somebody else" in form.status.value
    assert (folder / "acme.yaml").read_text("utf-8").endswith("# a colleague\n")


def test_another_customer_is_not_chosen_over_unsaved_changes(form: InputsForm) -> None:
    at(form, "xphone", "address").input.value = "192.0.2.77"
    form.chooser.value = "lab"
    assert form.customer == "acme"
    assert "save or revert" in form.status.value
    assert at(form, "xphone", "address").input.value == "192.0.2.77"
    form.revert()
    form.chooser.value = "lab"
    assert form.inputs.customer.name == "lab"


@pytest.mark.parametrize("pasted", ["hunter2-pasted", "env", "keyring:hunter2-pasted", "pass:hunter2-pasted"])
def test_a_pasted_password_is_refused_and_not_kept(form: InputsForm, pasted: str) -> None:
    password = at(form, "exchange", "password")
    password.input.value = pasted
    assert password.input.value == "env:PW"
    assert "thrown away" in password.note.errors[0]
    assert "hunter2" not in text_of(form) + form.static() + repr(form.values)
    password.input.value = "keyring:umkit/admin@acme.example"
    assert not password.note.errors
    assert str(form.inputs.exchange.password) == "keyring:umkit/admin@acme.example"


def test_a_password_that_stands_in_the_file_is_not_shown(folder: Path) -> None:
    (folder / "acme.yaml").write_text(ACME.replace("env:PW", "hunter2-in-file"), "utf-8")
    form = InputsForm(folder, customer="acme")
    assert "hunter2" not in form.static() + text_of(form)
    opened(form)
    assert "hunter2" not in form.static() + text_of(form)
    with pytest.raises(CustomerFileError):
        _ = form.inputs


def test_lists_are_added_to_moved_and_taken_from(form: InputsForm, folder: Path) -> None:
    services = at(form, "um_services")
    services.rows[1].up.click()
    assert [entry["name"] for entry in form.values["um_services"]] == ["sms", "fax"]
    assert services.rows[0].up.disabled
    assert services.rows[1].down.disabled
    services.add.click()
    assert at(form, "um_services", 2, "name").note.errors == ["has to be given"]
    at(form, "um_services", 2, "name").input.value = "tel"
    at(form, "um_services", 2, "domain").input.value = "tel.acme.example"
    services.rows[0].remove.click()
    assert form.save()
    said = yaml.safe_load((folder / "acme.yaml").read_text("utf-8"))["um_services"]
    assert [entry["name"] for entry in said] == ["fax", "tel"]
    assert "name: fax # by the wizard" in (folder / "acme.yaml").read_text("utf-8")
    services.rows[0].remove.click()
    services.rows[0].remove.click()
    assert form.inputs.um_services == ()


def test_sections_that_a_customer_may_decline(form: InputsForm) -> None:
    ews = form.sections["ews"].control
    assert isinstance(ews.choice, widgets.Dropdown)
    assert ews.choice.value == "no"
    assert form.inputs.declines("ews")
    ews.choice.value = "yes"
    assert form.inputs.ews.advise == "EwsStream"
    ews.choice.value = "open"
    assert "decided on" in ews.note.errors[0]


def test_a_chapter_shows_its_sections_and_all_on_request(folder: Path) -> None:
    form = InputsForm(folder, customer="acme", sections=["relay", "xphone"])
    assert len(form._body.children) == 2
    form.everything.value = True
    assert len(form._body.children) == len(SECTIONS)


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "{{ 7*7 }}", "&lt;"]
)
def test_values_are_text_wherever_they_are_shown(form: InputsForm, hostile: str) -> None:
    at(form, "customer", "title").input.value = hostile
    at(form, "xphone", "address").input.value = hostile
    at(form, "relay", "permission").show(hostile)
    form._check()
    html = form.static() + "".join(each.value for each in every(form.widget) if isinstance(each, widgets.HTML))
    assert "<script" not in html
    assert "<img" not in html
    assert form.values["customer"]["title"] == hostile


def test_without_a_person_it_is_a_table(form: InputsForm, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "application/vnd.jupyter.widget-view+json" in form._repr_mimebundle_()
    monkeypatch.setenv("UMKIT_HEADLESS", "1")
    bundle = form._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == "inputs of acme: valid"
    for part in ("<table", "um_services[1].domain", "sms.acme.example", "env:PW", "&lt;b&gt;A&lt;/b&gt; &amp; Söhne"):
        assert part in bundle["text/html"]


def test_a_file_that_cannot_be_edited_is_named(folder: Path) -> None:
    (folder / "acme.yaml").write_text("a: [", "utf-8")
    form = InputsForm(folder, customer="acme")
    assert "mended in an editor" in form.status.value
    assert not form.save()
    with pytest.raises(CustomerFileError):
        _ = form.inputs
    with pytest.raises(UsageError, match="no customer file nobody"):
        InputsForm(folder, customer="nobody")


def test_german(folder: Path) -> None:
    (folder / "acme.yaml").write_text(ACME + "run: {language: de}\n", "utf-8")
    form = opened(InputsForm(folder, customer="acme"))
    at(form, "xphone", "address").input.value = "x"
    assert at(form, "xphone", "address").input.description == "Adresse"
    assert "✗ Fehler: ist keine IP-Adresse" in at(form, "xphone", "address").note.widget.value
    words = Words("de")
    untranslated = [
        node["description"]
        for each in (schema(), *schema()["$defs"].values())
        for node in each["properties"].values()
        if "description" in node and words.text(node["description"]) == node["description"]
    ]
    assert untranslated == []
    assert help_of(node_at(("run", "cell_deadline")), words).endswith("Erlaubt: eine ganze Zahl von 1 bis 86400.")
