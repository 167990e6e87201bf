"""The customer file: typed models, loading, every problem at once with what was probably meant."""

from umkit.customer.checks import LAB
from umkit.customer.connection import Exchange, Host, Hosts
from umkit.customer.documents import write_documents
from umkit.customer.file import DECIDED, REQUIRED, SECTIONS, CustomerFile
from umkit.customer.loading import find, load, parse
from umkit.customer.mapi import Ews, Mapi, Sessions, WebAdministration
from umkit.customer.models import Consent, Customer, Imap4, Permission, Relay, Run, UmService, XPhone

__all__ = [
    "DECIDED",
    "LAB",
    "REQUIRED",
    "SECTIONS",
    "Consent",
    "Customer",
    "CustomerFile",
    "Ews",
    "Exchange",
    "Host",
    "Hosts",
    "Imap4",
    "Mapi",
    "Permission",
    "Relay",
    "Run",
    "Sessions",
    "UmService",
    "WebAdministration",
    "XPhone",
    "find",
    "load",
    "parse",
    "write_documents",
]
