"""SecEdit.exe: who has which right, exported to a file (reference/windows.md §f).

A program, not a cmdlet: every token is an argument of its own, and its exit
code is no error record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.directory_objects import DirectoryObjects
from umkit.lab.objects import Scalar
from umkit.lab.providers import administrates, locate
from umkit.lab.records import Refusal, not_simulated

if TYPE_CHECKING:
    from umkit.lab.call import Call

_DONE = ("", "The task has completed successfully.", "See log %windir%\\security\\logs\\scesrv.log for detail info.")
_USAGE = ("The syntax of this command is:", "", "secedit [/configure | /analyze | /import | /export | /validate]")
_UTF16 = b"\xff\xfe"


def _sec_edit(call: Call) -> None:
    """Export the user rights of the host."""
    tokens = list(call.get("Arguments"))
    words = [each.lower() for each in tokens]
    if words and words[0] in ("/configure", "/analyze", "/import", "/validate", "/generaterollback"):
        raise not_simulated(f"SecEdit.exe {tokens[0]}")
    options = dict(zip(words, tokens[1:], strict=False))
    # An argument with a space in it is one token, and so no option.
    known = {"/export", "/cfg", "/areas", "/quiet", "/mergedpolicy", options.get("/cfg", "").lower()}
    areas = words[words.index("/areas") + 1 :] if "/areas" in words else []
    areas = areas[: next((at for at, each in enumerate(areas) if each.startswith("/")), len(areas))]
    if words[:1] != ["/export"] or "/cfg" not in options or set(words) - known - set(areas):
        _end(call, 1, _USAGE)
        return
    if areas != ["user_rights"]:
        raise not_simulated("SecEdit.exe /export but with /areas USER_RIGHTS")
    call.service.host.exit_codes[call.account.name] = 1
    try:
        place = locate(call, options["/cfg"])
    except Refusal:
        _end(call, 1, ("", "The task could not be completed."))
        return
    files = call.service.host.files
    # Which code it ends with in which case is (?); 0 is success.
    if not administrates(call) or place.parts or files.folder(place.path.rpartition("\\")[0]) is None:
        _end(call, 1, ("", "Access is denied." if not administrates(call) else "The system cannot find the path."))
        return
    old = files.file(place.path)
    wide = old is None or old.content.startswith(_UTF16)
    text = _rights(call)
    files.write(place.path, _UTF16 + text.encode("utf-16-le") if wide else text.encode("cp1252", "replace"))
    _end(call, 0, () if "/quiet" in words else _DONE)


NATIVE = {"secedit.exe": _sec_edit, "secedit": _sec_edit}


def _end(call: Call, code: int, lines: tuple[str, ...]) -> None:
    call.service.host.exit_codes[call.account.name] = code
    for line in lines:
        call.output(Scalar("S", line))


def _rights(call: Call) -> str:
    """The file's text; a right that nobody has is not in it."""
    host, directory = call.service.host, DirectoryObjects(call.organisation)

    def told(sid: str) -> str:
        name = directory.name_of(sid)
        by_name = host.section.rights_as_names and name is not None and sid.startswith("S-1-5-21-")
        return str(name).rpartition("\\")[2] if by_name else f"*{sid}"

    lines = [f"{right} = {','.join(told(sid) for sid in sids)}" for right, sids in host.rights.items()]
    end = ["[Version]", 'signature="$CHICAGO$"', "Revision=1"]
    return "\r\n".join(["[Unicode]", "Unicode=yes", "[Privilege Rights]", *lines, *end, ""])
