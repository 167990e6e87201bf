"""A chapter's head, driven as a browser drives it: through its widgets, against a lab over HTTP."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
import pytest
import yaml
from customer_files import PARAMETERS

from umkit import executed, runbook, secrets
from umkit.agreement import MOVED
from umkit.handover.gather import gather
from umkit.journal import read
from umkit.lab import Lab
from umkit.outcome import StepOutcome
from umkit.panels import inputs as inputs_panel
from umkit.panels.head import Head
from umkit.panels.passwords import Password
from umkit.resources.remote_domain import RemoteDomain
from umkit.runbook import Chapter
from umkit.secrets import SecretReference

SECTIONS = ("customer", "exchange", "um_services", "run")
PASSWORD = "prompt:password of the admin"


@pytest.fixture(autouse=True)
def _person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Somebody sits at the notebook, in a process that knows nothing yet."""
    monkeypatch.setattr(runbook, "attended", lambda: True)
    monkeypatch.setattr(runbook, "_open", [])
    monkeypatch.setattr(inputs_panel, "_forms", {})
    monkeypatch.setattr(secrets, "_answers", {})
    monkeypatch.setattr(secrets, "_elsewhere", "")
    monkeypatch.setenv("UMKIT_RECORDS", str(tmp_path / "records"))
    monkeypatch.delenv("UMKIT_CUSTOMER_FILE", raising=False)
    yield
    for close in runbook._open:
        close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        yield lab


@pytest.fixture
def file(tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lab's customer file, as ``umkit open`` names it to the kernel."""
    path = tmp_path / "parameters" / "lab.yaml"
    path.parent.mkdir()
    path.write_bytes((PARAMETERS / "lab.yaml").read_bytes())
    monkeypatch.setenv("UMKIT_CUSTOMER_FILE", str(path))
    monkeypatch.setenv("UMKIT_LAB", json.dumps(lab.describe()))
    return path


def chapter(
    file: Path, name: str = "02-message-formats", *, sections: tuple[str, ...] = SECTIONS, given: Any = None
) -> Chapter:
    """The chapter's cell, run: with the parameters that the notebook has; the file's unless given."""
    values = given or yaml.safe_load(file.read_text("utf-8"))
    made = Chapter(name, mode="interactive", **{section: values.get(section) for section in sections})
    made._repr_mimebundle_()
    return made


def head(made: Chapter) -> Head:
    assert made._head is not None
    return made._head


def settled(made: Chapter) -> None:
    """Wait until the sitting's thread has done all that was asked of it."""
    assert made.sitting is not None
    made.sitting.run(lambda: None).result()


def domain_field(made: Chapter) -> Any:
    shown = head(made).inputs
    shown.button.value = True
    assert shown.form is not None
    section = shown.form.sections["um_services"]
    section.button.value = True
    assert section.control is not None
    control: Any = section.control
    return control.rows[0].control.parts["domain"].input


def sent(tmp_path: Path) -> list[str]:
    trace = tmp_path / "trace.jsonl"
    lines = trace.read_text("utf-8").splitlines() if trace.exists() else []
    return [one["name"] for line in lines for one in json.loads(line)["commands"]]


class TestInputs:
    def test_a_valid_file_is_folded_away_and_contacts_nothing(self, file: Path, tmp_path: Path) -> None:
        made = chapter(file)
        shown = head(made).inputs
        assert "Inputs valid" in shown.told.value
        assert shown.body.children == ()
        assert "Not connected yet" in head(made).connection.status.value
        assert sent(tmp_path) == []

    def test_what_the_file_says_since_is_used_and_told(self, file: Path) -> None:
        values = yaml.safe_load(file.read_text("utf-8"))
        file.write_text(file.read_text("utf-8").replace("fax.alleo.intern", "fax2.alleo.intern"), "utf-8")
        made = Chapter("02-message-formats", mode="interactive", **{name: values.get(name) for name in SECTIONS})
        made._repr_mimebundle_()
        assert made.inputs.um_services[0].domain == "fax2.alleo.intern"
        assert "um_services[0].domain" in head(made).inputs.told.value
        assert "fax.alleo.intern" in made._repr_html_()  # the record says what the parameters were

    def test_a_change_is_used_and_former_cards_send_nothing(self, file: Path, lab: Lab, tmp_path: Path) -> None:
        made = chapter(file)
        panel: Any = made.configure("FMT-0", RemoteDomain)
        domain_field(made).value = "fax3.alleo.intern"
        settled(made)
        assert made.site.inputs.um_services[0].domain == "fax3.alleo.intern"
        assert "FMT-0" in head(made).notice.value

        panel.apply_button.click()
        settled(made)
        assert MOVED in panel.outcome.notes  # the new plan is shown, and asked about
        assert "fax3.alleo.intern" in str(panel.outcome)
        assert [name for name in sent(tmp_path) if not name.startswith("Get-")] == []

        again: Any = made.configure("FMT-0", RemoteDomain)
        assert head(made).notice.value == ""
        again.apply_button.click()
        settled(made)
        domains = [each["DomainName"] for each in lab.state()["objects"]["RemoteDomain"]]
        assert "fax3.alleo.intern" in domains
        assert "fax.alleo.intern" not in domains

    def test_a_record_under_way_is_told_of_other_inputs(self, file: Path) -> None:
        made = chapter(file)
        panel: Any = made.configure("FMT-0", RemoteDomain)
        panel.verify_button.click()
        settled(made)
        field = domain_field(made)
        field.value = "fax3.alleo.intern"
        field.value = "fax4.alleo.intern"
        panel.verify_button.click()
        settled(made)
        assert made.site.journal is not None
        told = [event for event in read(made.site.journal.path) if event["event"] == "inputs"]
        assert [event["used"]["um_services"][0]["domain"] for event in told] == ["fax4.alleo.intern"]
        facts = gather(made.site.journal.path.parent)  # the handover names those that were used last
        assert facts.inputs["um_services"][0]["domain"] == "fax4.alleo.intern"

    def test_what_is_not_valid_is_not_used(self, file: Path) -> None:
        made = chapter(file)
        domain_field(made).value = "not a domain"
        settled(made)
        assert made.inputs.um_services[0].domain == "fax.alleo.intern"
        assert "last valid ones stay in use" in head(made).inputs.told.value

    def test_the_chapters_cell_run_again_keeps_what_was_not_saved(self, file: Path) -> None:
        made = chapter(file)
        domain_field(made).value = "fax3.alleo.intern"
        settled(made)
        again = chapter(file)
        assert again.inputs.um_services[0].domain == "fax3.alleo.intern"
        assert "not saved" in head(again).inputs.told.value
        form = head(again).inputs.form
        assert form is not None
        assert form.save()
        assert "fax3.alleo.intern" in file.read_text("utf-8")
        assert "as in lab.yaml" in head(again).inputs.told.value

    def test_the_form_belongs_to_one_customer(self, file: Path) -> None:
        made = chapter(file)
        domain_field(made)
        form = head(made).inputs.form
        assert form is not None
        assert form.chooser.layout.display == "none"

    def test_without_a_file_the_inputs_are_a_table(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("UMKIT_CUSTOMER_FILE")
        made = chapter(file)
        shown = head(made).inputs
        shown.button.value = True
        assert shown.form is None
        assert "fax.alleo.intern" in shown.body.children[0].value

    def test_a_file_that_became_invalid_is_told_and_the_parameters_stay(self, file: Path) -> None:
        values = yaml.safe_load(file.read_text("utf-8"))
        file.write_text(file.read_text("utf-8").replace("fax.alleo.intern", "no domain"), "utf-8")
        made = Chapter("02-message-formats", mode="interactive", **{name: values.get(name) for name in SECTIONS})
        made._repr_mimebundle_()
        assert "not valid" in head(made).inputs.told.value
        assert head(made).inputs.form is not None
        assert made.inputs.um_services[0].domain == "fax.alleo.intern"


def language_field(made: Chapter) -> Any:
    shown = head(made).inputs
    shown.button.value = True
    assert shown.form is not None
    section = shown.form.sections["run"]
    section.button.value = True
    control: Any = section.control
    return control.parts["language"].input


def walk(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def spoken(made: Chapter) -> str:
    """All that a head says, but for the line that tells of another language."""
    shown = head(made)
    parts = [each for each in walk(shown.widget) if each is not shown.notice]
    said = [getattr(each, name, "") for each in parts for name in ("value", "description")]
    return " ".join(text for text in said if isinstance(text, str))


class TestLanguage:
    """Words of each part of the head: its title, progress, inputs, form, connection."""

    english = ("A remote domain for each", "steps done", "Inputs valid", "Save", "Not connected yet")
    german = ("Nachrichtenformate", "Schritten erledigt", "Eingaben gültig", "Speichern", "Noch nicht verbunden")

    def test_one_that_is_chosen_is_told_and_the_head_stays_of_a_piece(self, file: Path) -> None:
        made = chapter(file)
        language_field(made).value = "de"
        settled(made)
        assert made.site.inputs.run.language == "de"
        said = spoken(made)
        assert not [word for word in self.english if word not in said]
        assert not [word for word in self.german if word in said]
        told = re.sub("<[^>]+>", "", head(made).notice.value)
        assert "Language changed: run this cell again" in told
        assert "Sprache geändert: diese Zelle noch einmal ausführen" in told

    @pytest.mark.parametrize("saved", [False, True])
    def test_when_the_cell_is_run_again_all_of_the_head_follows(self, file: Path, saved: bool) -> None:
        made = chapter(file)
        language_field(made).value = "de"
        settled(made)
        if saved:
            form = head(made).inputs.form
            assert form is not None
            assert form.save()
        again = chapter(file, given=made.given.dump())  # the notebook's parameters are those of before
        language_field(again)
        said = spoken(again)
        assert not [word for word in self.german if word not in said]
        assert not [word for word in self.english if word in said]
        assert head(again).notice.value == ""

    def test_a_notebook_of_before_begins_in_the_files_language(self, file: Path) -> None:
        given = yaml.safe_load(file.read_text("utf-8"))
        file.write_text(file.read_text("utf-8").replace("language: en", "language: de"), "utf-8")
        said = spoken(chapter(file, given=given))
        assert "Nachrichtenformate" in said
        assert "Noch nicht verbunden" in said


def test_a_record_under_way_goes_on_with_what_was_changed(file: Path) -> None:
    """The chapter's cell is run again, as it is asked for when the language was changed."""
    made = chapter(file)
    panel: Any = made.configure("FMT-0", RemoteDomain)
    panel.verify_button.click()
    settled(made)
    journal = made.site.journal
    domain_field(made).value = "fax3.alleo.intern"
    settled(made)
    again = chapter(file)
    assert again.site.journal is journal
    assert again.site.inputs.um_services[0].domain == "fax3.alleo.intern"
    assert "FMT-0" in head(again).notice.value, "its card still shows the former inputs"
    again.configure("FMT-0", RemoteDomain)
    assert head(chapter(file)).notice.value == "", "what was read with these inputs is not former"


def test_the_record_shows_the_inputs_that_the_copy_folds_away(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("mode = 1", metadata={"jupyter": {"source_hidden": True}})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "copy.ipynb")
    executed.write(tmp_path / "copy.ipynb", tmp_path / "kept.ipynb", {})
    [kept] = nbformat.read(tmp_path / "kept.ipynb", as_version=4).cells
    assert "source_hidden" not in kept.metadata.jupyter


def test_the_record_has_no_empty_cell_at_its_end(tmp_path: Path) -> None:
    def kept(*sources: str, printed: str = "") -> list[str]:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        if printed:
            cells[-1].outputs = [nbformat.v4.new_output("stream", text=printed)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "copy.ipynb")
        executed.write(tmp_path / "copy.ipynb", tmp_path / "kept.ipynb", {})
        return [cell.source for cell in nbformat.read(tmp_path / "kept.ipynb", as_version=4).cells]

    assert kept("1", " ", "2", "\n", "") == ["1", " ", "2"]
    assert kept("1", "", printed="the cell was emptied after that") == ["1", ""]


class TestProgress:
    def test_it_counts_in_words(self, file: Path) -> None:
        made = chapter(file)
        assert "0 of 10 steps done; 0 looked at" in head(made).progress.value
        panel: Any = made.configure("FMT-0", RemoteDomain)
        assert "0 of 10 steps done; 1 looked at: 1 differing" in head(made).progress.value
        panel.apply_button.click()
        settled(made)
        assert "1 of 10 steps done; 1 looked at: 1 changed" in head(made).progress.value

    def test_the_bar_is_full_when_all_is_done_and_not_when_all_was_looked_at(self, file: Path) -> None:
        made = chapter(file)
        for step in made.info.steps:
            made.outcomes[step.id] = StepOutcome(step.id, step.title, step.kind, "interactive", result="differs")
        head(made).refresh()
        assert 'aria-valuenow="0"' in head(made).progress.value
        assert "width:0.0%" in head(made).progress.value
        for out in made.outcomes.values():
            out.result = "ok"
        head(made).refresh()
        assert 'aria-valuenow="10"' in head(made).progress.value
        assert "width:100.0%" in head(made).progress.value


class TestConnection:
    def test_a_steps_session_is_shown(self, file: Path) -> None:
        made = chapter(file)
        made.configure("FMT-0", RemoteDomain)
        shown = head(made).connection
        assert "Connected" in shown.status.value
        for word in ("basic", "umadmin", "dc01.alleo.intern", "EX01: Exchange 2019"):
            assert word in shown.table.value
        assert shown.connect_button.description == "Reconnect"

    def test_connect_asks_for_rights_and_hosts(self, file: Path) -> None:
        made = chapter(file, sections=(*SECTIONS, "hosts"))
        shown = head(made).connection
        shown.connect_button.click()
        settled(made)
        assert "cmdlets that the chapters need are visible" in shown.table.value
        assert "EX02 answers: " in shown.table.value

    def test_reconnect_works_when_the_sessions_are_dead(self, file: Path, lab: Lab) -> None:
        made = chapter(file)
        made.configure("FMT-0", RemoteDomain)
        dead = made.site.exchange
        lab.set_faults([{"at_request": lab.requests() + 1, "do": "lose-shell"}])
        head(made).connection.connect_button.click()
        settled(made)
        assert "Connected" in head(made).connection.status.value
        assert made.site.exchange is not dead
        assert dead.protocol == ""

    def test_a_missing_right_is_named_with_its_role(
        self, file: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limited = lab.describe() | {"username": lab.username.replace("umadmin", "umlimited")}
        monkeypatch.setenv("UMKIT_LAB", json.dumps(limited))
        made = chapter(file)
        head(made).connection.connect_button.click()
        settled(made)
        shown = head(made).connection
        assert "Remove-RemoteDomain" in shown.table.value
        assert "Remote and Accepted Domains" in shown.table.value
        assert "something is missing" in shown.status.value


@pytest.fixture
def real(tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A customer whose servers want a password that only a person knows."""
    described = lab.describe()
    values = yaml.safe_load((PARAMETERS / "lab.yaml").read_text("utf-8"))
    values["customer"]["name"] = values["consent"]["customer"] = "acme"
    values["exchange"] = {
        "endpoint": described["exchange"],
        "auth": "basic",
        "username": described["username"],
        "password": PASSWORD,
    }
    values["hosts"] = {}
    path = tmp_path / "parameters" / "acme.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(values), "utf-8")
    monkeypatch.setenv("UMKIT_CUSTOMER_FILE", str(path))
    return path


class TestPasswords:
    reference = SecretReference.parse(PASSWORD)

    def test_a_missing_one_is_asked_for_and_leads_there(self, real: Path, lab: Lab, tmp_path: Path) -> None:
        made = chapter(real)
        panel: Any = made.configure("FMT-0", RemoteDomain)
        assert "in the connection panel at the head of this chapter" in str(panel.outcome.error)

        fields = head(made).connection.passwords
        assert "Inputs valid" in head(made).inputs.told.value
        field = fields.fields[self.reference]
        assert field.description == "Password of the admin"
        assert "exchange.password" in fields.widget.children[0].children[0].value
        field.value = lab.describe()["password"]
        fields.buttons[self.reference].click()
        assert field.value == ""
        settled(made)
        assert fields.widget.children == ()
        again: Any = made.configure("FMT-0", RemoteDomain)
        assert again.outcome.result == "differs"
        assert secrets.redact(lab.describe()["password"]) == secrets.MASK
        again.verify_button.click()
        settled(made)
        for path in (tmp_path / "records").rglob("*"):
            assert not path.is_file() or lab.describe()["password"] not in path.read_text("utf-8", "replace")

    def test_a_wrong_one_is_forgotten_and_asked_for_again(self, real: Path, lab: Lab) -> None:
        made = chapter(real)
        fields = head(made).connection.passwords
        fields.fields[self.reference].value = "wrong-password"
        fields.buttons[self.reference].click()
        panel: Any = made.configure("FMT-0", RemoteDomain)
        assert panel.outcome.result == "failed"
        assert "wrong-password" not in str(panel.outcome)
        assert "the server refused the last one" in fields.widget.children[0].children[0].value
        with pytest.raises(secrets.SecretError):
            self.reference.resolve(interactive=False)

        fields.fields[self.reference].value = lab.describe()["password"]
        fields.buttons[self.reference].click()
        head(made).connection.connect_button.click()
        settled(made)
        assert "Connected" in head(made).connection.status.value
        assert fields.widget.children == ()

    def test_a_wrong_one_at_connect_too(self, real: Path) -> None:
        made = chapter(real)
        fields = head(made).connection.passwords
        fields.fields[self.reference].value = "wrong-password"
        fields.buttons[self.reference].click()
        head(made).connection.connect_button.click()
        settled(made)
        assert "Not connected" in head(made).connection.status.value
        assert self.reference in fields.fields

    def test_the_kernel_does_not_send_a_password_back(self) -> None:
        field = Password()
        told: list[Any] = []
        field._send = lambda message, buffers=None: told.append(message)  # type: ignore[method-assign]
        field.set_state({"value": "only-for-me"})
        assert field.value == "only-for-me"
        assert "only-for-me" not in json.dumps(told)
        field.value = ""
        assert [message["state"]["value"] for message in told if message["method"] == "update"] == [""]

    @pytest.mark.parametrize("text", ["env:UMKIT_TEST_NOWHERE", "keyring:umkit/nobody"])
    def test_an_answer_stands_in_place_of_every_kind(self, text: str) -> None:
        reference = SecretReference.parse(text)
        secrets.answer(reference, "given by hand")
        assert reference.resolve(interactive=False).reveal() == "given by hand"
        assert secrets.redact("it is given by hand.") == f"it is {secrets.MASK}."
        with pytest.raises(secrets.SecretError):
            secrets.answer(reference, "")

    def test_of_a_keepass_database_its_master_password_is_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(secrets.KEEPASS_VARIABLE, raising=False)
        reference = SecretReference.parse("keepass:x.kdbx#Group/Entry")
        assert str(reference.question) == "prompt:master password of x.kdbx"
        secrets.answer(reference.question, "the master")
        assert reference.question == reference


class TestOverview:
    @staticmethod
    def start(file: Path) -> Chapter:
        return chapter(file, "00-start", sections=("customer", "exchange", "hosts", "xphone", "um_services", "run"))

    def test_only_the_start_has_one(self, file: Path) -> None:
        assert head(chapter(file)).overview is None
        shown = head(self.start(file)).overview
        assert shown is not None
        html = shown.table.outputs[0]["data"]["text/html"]
        assert '<a href="02-message-formats.ipynb">' in html
        assert html.count("not run yet") == 11

    def test_a_plan_of_all_shows_its_result_and_its_record(self, file: Path, tmp_path: Path) -> None:
        shown = head(self.start(file)).overview
        assert shown is not None
        shown.plan_button.click()
        assert shown.planning is not None
        assert shown.stop_button in shown.buttons.children
        shown.planning.wait()
        assert "Planned; nothing was changed" in shown.status.value
        assert "10 differing" in shown.result.value
        assert [name for name in sent(tmp_path) if name.startswith(("Set-", "New-", "Remove-"))] == []

        assert "differs" in shown.table.outputs[0]["data"]["text/html"]
        shown.open_button.click()
        run = str(shown.chooser.value)
        assert run.endswith("-plan")
        assert str(tmp_path / "records" / "lab" / run) in shown.page.value
        assert '<iframe sandbox=""' in shown.page.value
        assert "&lt;html" in shown.page.value
        assert "<html" not in shown.page.value

    def test_stop_ends_it_with_a_sealed_record(self, file: Path, tmp_path: Path) -> None:
        shown = head(self.start(file)).overview
        assert shown is not None
        begun = threading.Event()
        told: Callable[[int, int, str], None] = shown._told

        def tell(done: int, most: int, line: str) -> None:
            told(done, most, line)
            begun.set()

        shown._told = tell  # type: ignore[method-assign]
        shown.plan_button.click()
        assert begun.wait(120)
        shown.stop_button.click()
        assert shown.planning is not None
        shown.planning.wait()
        assert shown.planning.process.returncode != 0
        [run] = (tmp_path / "records" / "lab").glob("*-plan")
        assert (run / "manifest.json").is_file()
        assert shown.plan_button in shown.buttons.children

    def test_what_is_said_while_it_stops_is_no_progress(self, file: Path) -> None:
        shown = head(self.start(file)).overview
        assert shown is not None
        shown.planning = mock.Mock()
        shown._told(1, 11, "00-start: ok (1.0 s)")
        assert "1 of 11 chapters" in shown.status.value
        assert "progressbar" in shown.status.value
        shown.stop_button.click()
        shown._told(2, 11, "01-forwarding-emails: failed: stopped")
        assert "Stopping" in shown.status.value
        assert "progressbar" not in shown.status.value

    def test_another_run_is_named(self, file: Path) -> None:
        made = self.start(file)
        shown = head(made).overview
        assert shown is not None
        assert made.sitting is not None
        made.sitting.run(made.sitting._begin).result()
        shown.plan_button.click()
        assert "Another run works on this customer" in shown.status.value
        assert "seal this chapter first" in shown.status.value
        assert shown.planning is None
