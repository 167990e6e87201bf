"""Mistakes in a customer file: each is found, with what stands there, what may, and what was meant."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from customer_files import LEAST, accepted, problem_of, refused, wrong

from umkit import customer
from umkit.customer import DECIDED, REQUIRED, SECTIONS
from umkit.errors import CustomerFileError

MISTAKES = {
    "unknown key": (
        "run: {langauge: de}",
        "run.langauge: is no known key; allowed: one of language, site, records, cell_deadline, replication_wait,"
        " migrating_from; did you mean language?",
    ),
    "unknown section": (
        "hots: {}",
        f"hots: is no known key; allowed: one of {', '.join(SECTIONS)}; did you mean hosts?",
    ),
    "unknown value": (
        "run: {language: fr}",
        "run.language: is none of the known values; found fr; allowed: one of en, de",
    ),
    "nearly a value": (
        "relay: {permission: externaly_secured}",
        "relay.permission: is none of the known values; found externaly_secured; allowed: one of anonymous,"
        " externally-secured, as-page; did you mean externally-secured?",
    ),
    "number too large": (
        "run: {cell_deadline: 100000}",
        "run.cell_deadline: is too large; found 100000; allowed: an integer from 1 to 86400",
    ),
    "number in quotes": (
        "run: {replication_wait: '45'}",
        'run.replication_wait: stands in quotes, and so is text; leave the quotes out; found "45"; allowed: an integer'
        " from 0 to 3600; did you mean 45?",
    ),
    "the Norway problem": (
        "um_services: [{name: no, domain: fax.acme.example}]",
        "um_services[0].name: has to be text, but YAML takes this for true or false; put it in quotes; found no;"
        " allowed: a name of 1 to 64 characters, without control characters",
    ),
    "a number for text": (
        "xphone: {address: 192.0.2.10, version: 9.0}",
        "xphone.version: has to be text, but YAML takes this for a number; put it in quotes; found 9.0; allowed: one"
        " line of text, at most 200 characters; may be empty",
    ),
    "text for true or false": (
        "sessions: {registry_limit: 'on'}",
        'sessions.registry_limit: stands in quotes, and so is text; leave the quotes out; found "on"; allowed: true or'
        " false; did you mean true?",
    ),
    "a value for a list": (
        "imap4: {servers: EX01}",
        "imap4.servers: has to be a list: put each entry on a line of its own after a dash, or all in [ ]; found EX01;"
        " allowed: a list of server names, each once",
    ),
    "a value for a section": (
        "hosts: EX01",
        "hosts: has to have keys of its own: each on a line, indented; found EX01; allowed: keys of its own: exchange,"
        " xphone, directory; or null",
    ),
    "nothing for a value": (
        "run: {language: }",
        "run.language: is empty; leave the key out where the default is wanted; found nothing; allowed: one of en, de",
    ),
    "a password": (
        "exchange: {endpoint: 'http://ex01.acme.example/PowerShell/', username: a@acme.example, password: hunter2}",
        "exchange.password: this is no reference to a secret; a password itself is never written down; found (hidden);"
        " allowed: a reference, never the secret: prompt:WHAT, env:NAME, keyring:SERVICE/USER or keepass:FILE#ENTRY; or"
        " null",
    ),
    "an endpoint without its path": (
        "exchange: {endpoint: 'https://ex01.acme.example'}",
        "exchange.endpoint: does not end with the path /PowerShell/ where the endpoint answers; found"
        ' "https://ex01.acme.example"; allowed: lab, or a URL such as http://ex01.corp.example/PowerShell/; did you'
        " mean https://ex01.acme.example/PowerShell/?",
    ),
    "an open relay": (
        "relay: {remote_addresses: [0.0.0.0-255.255.255.255]}",
        "relay.remote_addresses[0]: is more than one address; name each host's address by itself; found"
        " 0.0.0.0-255.255.255.255; allowed: the IP address of one host, such as 192.0.2.10",
    ),
    "voicemail in Office 365": (
        "mapi: {account: a, office365: true, uses: [directory, voicemail], private_contacts: false}",
        "mapi.uses[1]: with Office 365 there is no remote access to voicemail over MAPI; found voicemail; allowed:"
        " uses: [directory] with office365: true",
    ),
    "a missing key": (
        "um_services: [{name: fax}]",
        "um_services[0].domain: has to be given; allowed: a mail domain such as fax.corp.example, or"
        " *.fax.corp.example for all below; ä and the like become xn--",
    ),
    "a time without its zone": (
        "consent: {customer: acme, restarts: {allowed_by: Me, until: 2026-12-31T18:00:00}}",
        "consent.restarts.until: names a time without its zone; found 2026-12-31T18:00:00; allowed: a date such as"
        " 2026-12-31, or with time and zone 2026-12-31T18:00:00+01:00; did you mean 2026-12-31T18:00:00+01:00?",
    ),
}


@pytest.mark.parametrize(("line", "says"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_says_what_and_what_else(line: str, says: str, tmp_path: Path) -> None:
    section = line.partition(":")[0]
    kept = [known for known in LEAST.splitlines() if not known.startswith(f"{section}:")]
    [problem] = wrong("\n".join([*kept, line]), tmp_path)
    assert str(problem) == says
    assert problem.line == len(kept) + 1


def test_the_whole_message(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(LEAST + "run:\n  langauge: de\n  cell_deadline: 0\nhots: {}\n", "utf-8")
    with pytest.raises(CustomerFileError) as caught:
        customer.load(path)
    assert caught.value.exit_code == 2
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path} is not a valid customer file: 3 problems"
    assert [line.partition(": ")[0] for line in lines[1:4]] == [f"  {path}:{number}" for number in (10, 11, 12)]
    assert lines[4].startswith("  next:     mend the file")
    assert [p["key"] for p in caught.value.as_dict()["problems"]] == ["run.langauge", "run.cell_deadline", "hots"]


def test_every_problem_at_once(tmp_path: Path) -> None:
    text = "customer: {name: acme, titel: x}\nexchange: {auth: kerberoz}\nrelay:\nrun: {site: ''}\nrun: {}\n"
    assert [(p.line, p.key) for p in wrong(text, tmp_path)] == [
        (1, "customer.titel"),
        (2, "exchange.endpoint"),
        (2, "exchange.auth"),
        (3, "relay"),
        (4, "run.site"),
        (5, "run"),
        (0, "xphone"),
        (0, "um_services"),
        (0, "imap4"),
        (0, "mapi"),
        (0, "ews"),
    ]


def test_a_file_gives_or_declines_every_section_that_changes_something(tmp_path: Path) -> None:
    needed = {*REQUIRED, *DECIDED}
    assert {p.key for p in wrong("{}", tmp_path)} == needed
    assert {p.key for p in wrong("\n".join(f"{name}:" for name in SECTIONS), tmp_path)} == needed
    [problem] = wrong(LEAST.replace("relay: {}", "relay:"), tmp_path)
    assert problem.allowed == "relay: with its keys, relay: {} where all defaults are wanted, or relay: null"


def test_the_file_is_called_as_the_customer(tmp_path: Path) -> None:
    [problem] = wrong(LEAST, tmp_path, "beta.yaml")
    assert str(problem) == (
        "customer.name: is not the name of the file, beta.yaml: the records would land at another customer's; found"
        " acme; allowed: the file's name without its ending; did you mean beta?"
    )
    assert customer.load(tmp_path / "beta.yaml", name_is_file=False).customer.name == "acme"


# YAML's own pitfalls


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 0, "is empty"),
        ("# only a comment\n", 0, "is empty"),
        ("---\n", 0, "is empty"),
        ("- customer\n- exchange\n", 1, "holds a list, not sections"),
        ("just words", 1, "holds a single value, not sections"),
        ("customer:\n\tname: acme\n", 2, "line 2, column 1 is no YAML: .* a tab cannot indent"),
        ("customer:\n  name: 'acme\n", 3, "a quote is not closed"),
        ("customer: {name: acme\n", 2, "line 2, column 1 is no YAML"),
        ("customer:\n  title: Acme: West\n", 2, "column 14 is no YAML: mapping values .* a value that holds a colon"),
        ("customer:\n  title: @acme\n", 2, "a value that begins with this character has to stand in quotes"),
        ('xphone:\n  install_path: "C:\\Data"\n', 2, "put Windows paths in single quotes"),
        ('xphone:\n  install_path: "C:\\Users"\n', 2, "put Windows paths in single quotes"),
        ('xphone:\n  install_path: "C:\\Program Files"\n', 2, "put Windows paths in single ones"),
        ("a: 1\n---\nb: 2\n", 2, "--- begins a second file"),
        (LEAST.encode("utf-16"), 1, "is not written in UTF-8"),
        ("customer:\n  title: Käse\n".encode("latin-1"), 2, "is not written in UTF-8"),
        ("customer:\n  title: a\x07b\n", 2, r"holds the character U\+0007"),
        ("customer:\n  title: a\x00b\n", 2, r"holds the character U\+0000"),
        (b"#" * 300_000, 0, "too large"),
        ("a: &a [x]\nb: *a\n", 1, "anchors and aliases"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n", 1, "anchors and aliases"),
        ("a: *nowhere\n", 1, "anchors and aliases"),
        ("run: " + "[" * 100_000, 1, "nested too deeply"),
        ("run: " + "{a: " * 3_000, 1, "nested too deeply"),
        ("run: !!python/object/apply:os.system [ls]\n", 1, "carries a YAML tag"),
        ("!!set {customer}\n", 1, "carries a YAML tag"),
        ("run: !mine x\n", 1, "carries a YAML tag"),
        ("? [a, b]\n: c\n", 1, "has a key that is no single word"),
        (f"run: {{cell_deadline: {'9' * 5000}}}", 1, "cannot be read as what YAML takes it for"),
        (f"run: {{cell_deadline: 0x{'f' * 5000}}}", 1, "cannot be read as what YAML takes it for"),
        ("run: {cell_deadline: !!int x}", 1, "cannot be read as what YAML takes it for"),
        ("run: {language: !!bool x}", 1, "cannot be read as what YAML takes it for"),
    ],
    ids=lambda value: ascii(value[:30]) if isinstance(value, str | bytes) else str(value),
)
def test_unreadable_files(text: str | bytes, line: int, says: str, tmp_path: Path) -> None:
    problems = wrong(text, tmp_path)
    found = [p for p in problems if re.search(says, str(p))]
    assert found, [str(p) for p in problems]
    assert found[0].line == line


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path, Path("a\0b.yaml")):
        with pytest.raises(CustomerFileError, match="cannot be read"):
            customer.load(path)


def test_duplicate_keys_name_both_lines(tmp_path: Path) -> None:
    [problem] = wrong(LEAST + "run:\n  language: en\n  records: x\n  language: de\n", tmp_path)
    assert (problem.line, str(problem)) == (12, "run.language: is given twice, first in line 10")


def test_keys_that_yaml_would_not_take_for_words(tmp_path: Path) -> None:
    problems = wrong(LEAST + "run: {no: x, 1: y, ~: z, <<: {language: de}}\n", tmp_path)
    assert [p.key for p in problems] == ["run.no", "run.1", "run.~", "run.<<"]


# Combinations that cannot be


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("mapi: {office365: true}", ["mapi.uses[1]", "mapi.uses[2]", "mapi.private_contacts"]),
        ("mapi: {office365: true, uses: [calendar], private_contacts: false}", ["mapi.uses[0]"]),
        ("mapi: {office365: true, uses: [directory]}", ["mapi.private_contacts"]),
        ("mapi: {databases: [DB1], servers: [EX01]}", ["mapi.servers"]),
        ("mapi: {uses: []}", ["mapi.uses"]),
        ("mapi: {uses: [directory, directory]}", ["mapi.uses"]),
        ("mapi: {uses: [directory, dirctory]}", ["mapi.uses[1]"]),
        ("mapi: null", ["ews.account"]),
        ("ews: {create_user: true}", ["ews.user_principal_name", "ews.initial_password"]),
        ("relay: {port: 25}", ["relay.port"]),
        ("relay: {remote_addresses: [10.0.0.0/24]}", ["relay.remote_addresses[0]"]),
        ("relay: {remote_addresses: [any]}", ["relay.remote_addresses[0]"]),
        ("relay: {remote_addresses: ['*']}", ["relay.remote_addresses[0]"]),
        ("relay: {remote_addresses: [10.0.0.1, 0.0.0.0]}", ["relay.remote_addresses[1]"]),
        ("relay: {remote_addresses: ['::/0']}", ["relay.remote_addresses[0]"]),
        ("relay: {remote_addresses: [10.0.0.1-10.0.0.2]}", ["relay.remote_addresses[0]"]),
        ("relay: {remote_addresses: [10.0.0.1, 10.0.0.1/32]}", ["relay.remote_addresses"]),
        ("imap4: {test_account: x@acme.example}", ["imap4.test_password"]),
        ("imap4: {test_password: 'env:X'}", ["imap4.test_account"]),
        ("consent: {restarts: {allowed_by: A, until: 2026-12-31}}", ["consent.customer"]),
        ("consent: {customer: lab, restarts: {allowed_by: A, until: 2026-12-31}}", ["consent.customer"]),
        (
            "consent: {customer: acme, removal: {allowed_by: A, starts: 2027-01-01, until: 2026-12-31}}",
            ["consent.removal.until"],
        ),
        ("customer: {name: lab}", ["customer.name"]),
        ("hosts: {exchange: [{name: EX01, endpoint: lab}]}", ["hosts.exchange[0].endpoint"]),
        (
            "exchange: {endpoint: lab}\nhosts: {directory: {name: DC01, endpoint: 'http://dc01:5985/wsman'}}",
            ["hosts.directory.endpoint"],
        ),
        (
            "hosts: {exchange: [{name: a, endpoint: 'http://a:5985/wsman'}, {name: A, endpoint: 'http://a:5985/wsman'}]}",
            ["hosts.exchange[1].name"],
        ),
        (
            "hosts:\n"
            "  xphone: {name: a, endpoint: 'http://a:5985/wsman'}\n"
            "  directory: {name: A, endpoint: 'http://b:5985/wsman'}",
            ["hosts.directory.name"],
        ),
        (
            "imap4: {servers: [EX01, EX2]}\nhosts: {exchange: [{name: EX01, endpoint: 'http://ex01:5985/wsman'}]}",
            ["imap4.servers[1]"],
        ),
        ("exchange: {auth: basic}", ["exchange.auth"]),
        ("exchange: {auth: basic, endpoint: 'https://ex01/PowerShell/', password: null}", ["exchange.auth"]),
        ("exchange: {auth: basic, endpoint: 'https://ex01/PowerShell/', certificate: false}", ["exchange.certificate"]),
        ("exchange: {username: null}", ["exchange.password"]),
        ("exchange: {username: 'ACME\\admin'}", ["exchange.username"]),
        ("exchange: {endpoint: 'http://192.0.2.1/PowerShell/'}", ["exchange.endpoint"]),
        (
            "exchange: {auth: basic, endpoint: 'https://ex01/PowerShell/'}\n"
            "hosts: {xphone: {name: XP, endpoint: 'http://xp:5985/wsman'}}",
            ["hosts.xphone.auth"],
        ),
    ],
)
def test_impossible_combinations(text: str, keys: list[str]) -> None:
    problems = refused(text)
    assert [p.key for p in problems] == keys
    assert all(p.message and p.allowed for p in problems)


@pytest.mark.parametrize(
    "text",
    [
        "mapi: {office365: true, uses: [directory], private_contacts: false}",
        "exchange: {auth: basic, endpoint: 'http://127.0.0.1:8080/PowerShell/'}",
        "exchange: {auth: basic, endpoint: 'http://localhost/powershell'}",
        "exchange: {auth: basic, endpoint: 'https://ex01/PowerShell/', certificate: ca.pem}",
        "exchange: {auth: negotiate, username: 'ACME\\admin'}",
        "exchange: {auth: negotiate, endpoint: 'https://[2001:db8::1]:8443/PowerShell/'}",
        "exchange: {username: null, password: null}",
        "exchange: {endpoint: 'http://192.0.2.1/PowerShell', spn_host: ex01.acme.example}",
        "exchange: {endpoint: lab, auth: basic, username: null, password: null}",
        "customer: {name: lab}\nexchange: {endpoint: lab}",
        "relay: {remote_addresses: [10.0.0.1, 10.0.0.2/32, 10.0.0.3-10.0.0.3, '2001:db8::1']}",
        "ews: {account: x@acme.example}\nmapi: null",
        "ews: {create_user: true, user_principal_name: x@acme.example, initial_password: 'env:X'}",
        "um_services: []",
        "um_services: [{name: a, domain: '*.acme.example'}, {name: b, domain: acme.example}]",
        "hosts: null\nrun: null\nconsent: null",
    ],
)
def test_possible_combinations(text: str) -> None:
    accepted(text)


def test_um_services_are_told_apart() -> None:
    services = [
        {"name": "fax", "domain": "fax.acme.example"},
        {"name": "FAX", "domain": "Fax.acme.example", "connector": "other"},
        {"name": "sms", "domain": "sms.acme.example", "connector": "xphone connect fax"},
        {"name": "x" * 60, "domain": "x.acme.example"},
    ]
    assert [p.key for p in refused(f"um_services: {json.dumps(services)}")] == [
        "um_services[1].name",
        "um_services[1].domain",
        "um_services[2].connector",
        "um_services[3].connector",
    ]


# Single values


@pytest.mark.parametrize(
    "domain",
    [
        "fax.alleo.intern",
        "*.fax.alleo.intern",
        "FAX.example",
        "a-b.example",
        "single",
        "x" * 63 + ".example",
        "xn--fx-via.example",
    ],
)
def test_domains(domain: str) -> None:
    assert problem_of("um_services.domain", domain) is None


@pytest.mark.parametrize(
    ("typed", "ascii_form"),
    [
        ("fäx.example", "xn--fx-via.example"),
        ("*.FÄX.example", "*.xn--fx-via.example"),
        ("straße.example", "xn--strae-oqa.example"),
    ],
)
def test_international_domains_become_ascii(typed: str, ascii_form: str) -> None:
    [service] = accepted(f"um_services: [{{name: fax, domain: '{typed}'}}]").um_services
    assert service.domain == ascii_form


NO_DOMAINS = {
    "a.*.b": "",
    "*": "",
    "*fax.example": "",
    "*.*.example": "",
    "": "",
    "a..b": "",
    "-a.example": "",
    "a_b.example": "",
    "a b.example": "",
    "10.0.0.1": "",
    "x" * 64 + ".example": "",
    ".".join(["a" * 60] * 5): "",
    "💥.example": "",
    "SMTP:fax.example;1": "",
    "fax.example\n": "",
    "fax.example.": "fax.example",
    "*..fax.example": "*.fax.example",
    "me@fax.example": "fax.example",
    " fax.example": "fax.example",
}


@pytest.mark.parametrize(("domain", "nearest"), NO_DOMAINS.items())
def test_no_domains(domain: str, nearest: str) -> None:
    problem = problem_of("um_services.domain", domain)
    assert problem is not None
    assert problem.nearest == nearest


@pytest.mark.parametrize("name", ["acme", "a", "acme-west_2", "4c", "x" * 64, "console", "com", "nul1"])
def test_customer_names(name: str) -> None:
    assert problem_of("customer.name", name) is None


NO_CUSTOMER_NAMES = {
    "Acme": "acme",
    "ac me": "ac-me",
    "Müller & Söhne": "muller-sohne",
    "../x": "x",
    "a/b": "a-b",
    "a.b": "a-b",
    "-a": "a",
    "a-": "a",
    "x" * 65: "x" * 64,
    "con": "",
    "nul": "",
    "lpt9": "",
    "com1": "",
    "": "",
    "a\n": "",
    "日本": "",
    "a\0": "",
}


@pytest.mark.parametrize(("name", "nearest"), NO_CUSTOMER_NAMES.items())
def test_no_customer_names(name: str, nearest: str) -> None:
    problem = problem_of("customer.name", name)
    assert problem is not None
    assert problem.nearest == nearest


NO_ENDPOINTS = {
    "ex01.acme.example": "http://ex01.acme.example/PowerShell/",
    "LAB": "lab",
    "https://ex01.acme.example/wsman": "https://ex01.acme.example/PowerShell/",
    "http://ex01.acme.example:8080": "http://ex01.acme.example:8080/PowerShell/",
    "ftp://x/PowerShell/": "",
    "http:///PowerShell/": "",
    "http://a b/PowerShell/": "",
    "http://ex01:99999/PowerShell/": "",
    "http://ex01:0/PowerShell/": "",
    "http://[::1/PowerShell/": "",
    "http://ex01/PowerShell/?a=b": "",
    "http://ex01/PowerShell/#a": "",
    "http://ex01/Power\nShell/": "",
    "http://ex_01!/PowerShell/": "",
    "": "",
}


@pytest.mark.parametrize(("endpoint", "nearest"), NO_ENDPOINTS.items())
def test_no_endpoints(endpoint: str, nearest: str) -> None:
    problem = problem_of("exchange.endpoint", endpoint)
    assert problem is not None
    assert problem.nearest == nearest


NO_VALUES: dict[str, list[Any]] = {
    "xphone.address": ["192.0.2.0/24", "xphone01", "224.0.0.1", "255.255.255.255", "fe80::1%eth0", 3232235521],
    "xphone.install_path": ["C:relative", "/opt/x", "C:\\a\\..\\b", "\\\\server\\share", "C:\\a*", "C:/x", "C:\\a\nb"],
    "um_services.port": [0, 65536, True, 25.0, "25", [25]],
    "um_services.cost": [0, 101],
    "um_services.smart_host": ["10.0.0.0/8", "a b", "[x"],
    "um_services.source_servers": [["EX01", "ex01"], ["10.0.0.1"], {"EX01": 1}, "EX01", [1]],
    "mapi.account": ["*", "a?", "", None, 1],
    "mapi.databases": ["DB1", ["DB1", "db1"], [""]],
    "mapi.office365": [1, "true", None],
    "exchange.certificate": [1, "", "a\nb", [], 1.0],
    "exchange.domain_controller": ["10.0.0.1", "dc 1", "dc!"],
    "exchange.deadline": [0, 3601, 1.5],
    "run.migrating_from": [2016, "2013", True],
    "run.site": ["", "a\0"],
    "run.records": [10**80, 10**5000, float("nan"), b"x"],
    "ews.user_principal_name": ["nobody", "a@b@c", "ACME\\a@b"],
    "ews.url": ["acme.example", "https://a:b@c/"],
    "web_administration.days_in_advance": [0, 366],
    "customer.notes": ["a\0", "x" * 4001],
    "customer.title": ["x" * 201, "a\nb"],
    "sessions.registry_sessions": [32, 65536],
}


@pytest.mark.parametrize("key", NO_VALUES)
def test_values_that_cannot_be(key: str) -> None:
    for value in NO_VALUES[key]:
        problem = problem_of(key, value)
        assert problem is not None, value
        assert problem.key.replace("[0]", "").startswith(key)
        assert problem.allowed
        assert str(problem).isprintable()
