"""Files of OCT devices: Heidelberg .vol, .xml and .e2e, read with eyepy, and Topcon .fda."""

from collections.abc import Callable
from pathlib import Path

from retseg.data.readers.held import Shelf
from retseg.data.readers.vendor_e2e import open_e2e
from retseg.data.readers.vendor_fda import open_fda
from retseg.data.readers.vendor_heidelberg import open_vol, open_xml
from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError


def open_vendor(path: Path, shelf: Shelf | None = None) -> list[ScanVolume]:
    """The volumes of a file: of .e2e each series with B-scans, of any other kind one.

    InputError, one line, where it is damaged, holds no B-scans, is of no known kind, or needs a library that is not
    installed (eyepy: extra `vendor`; .fda needs none). What the library warned of: notices.
    """
    readers: dict[str, Callable[[Path, Shelf], list[ScanVolume]]] = {
        ".vol": open_vol,
        ".xml": open_xml,
        ".e2e": open_e2e,
        ".fda": lambda path, shelf: open_fda(path),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: no known kind of device file; expected {', '.join(readers)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file; name a scan")
    return reader(path, shelf or Shelf())
