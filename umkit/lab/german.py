"""Error and warning texts as a German session shows them.

They follow the session's culture (reference/exchange.md §3 g), so a client
must go by exception types. The wordings are the lab's own (?); what is not
listed stays English.
"""

from __future__ import annotations

import re

_TEXTS = (
    (
        r"The operation couldn't be performed because object '(.*)' couldn't be found on '(.*)'\.",
        r"Der Vorgang konnte nicht ausgeführt werden, da das Objekt '\1' auf '\2' nicht gefunden wurde.",
    ),
    (
        r"Active Directory operation failed on (.*)\. The object '(.*)' already exists\.",
        r"Fehler bei Active Directory-Vorgang auf \1. Das Objekt '\2' ist bereits vorhanden.",
    ),
    (
        r"The command completed successfully but no settings of '(.*)' have been modified\.",
        r"Der Befehl wurde erfolgreich ausgeführt, jedoch wurden keine Einstellungen von '\1' geändert.",
    ),
    (
        r"Changes to IMAP4 settings will only take effect after all Microsoft Exchange IMAP4 services are restarted on "
        r"server (.*)\.",
        r"Änderungen an den IMAP4-Einstellungen werden erst wirksam, nachdem alle Microsoft Exchange IMAP4-Dienste auf "
        r"Server \1 neu gestartet wurden.",
    ),
    (
        r'The appropriate access control entry is already present on the object "(.*)" for account "(.*)"\.',
        r'Der entsprechende Zugriffssteuerungseintrag ist für das Objekt "\1" für Konto "\2" bereits vorhanden.',
    ),
    (
        r"A parameter cannot be found that matches parameter name '(.*)'\.",
        r'Es wurde kein Parameter gefunden, der dem Parameternamen "\1" entspricht.',
    ),
    (
        r"The term '(.*)' is not recognized as the name of a cmdlet, function, script file, or operable program\. .*",
        r'Die Benennung "\1" wurde nicht als Name eines Cmdlet, einer Funktion, einer Skriptdatei oder eines '
        r"ausführbaren Programms erkannt.",
    ),
)


def said(message: str) -> str:
    """A text in German where the lab has one, else as it is."""
    for english, german in _TEXTS:
        if re.fullmatch(english, message, re.DOTALL):
            return re.sub(english, german, message, flags=re.DOTALL)
    return message
