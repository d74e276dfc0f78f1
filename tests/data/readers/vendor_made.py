"""Files of Heidelberg's devices, made by hand: .vol by its documented layout, .xml as HEYEX exports it, .e2e by eyepy's
description of its structures."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

MISSING = np.finfo(np.float32).max
Ends = tuple[float, float, float, float]


def raster(num_bscans: int, step_mm: float = 0.12) -> list[Ends]:
    """Horizontal B-scans from below upwards, as the device scans: y falls."""
    return [(1.0, 6.0 - i * step_mm, 1.7, 6.0 - i * step_mm) for i in range(num_bscans)]


def reflectances(num_bscans: int, height: int = 40, width: int = 60) -> np.ndarray:
    values = np.random.default_rng(3).uniform(0, 0.9, (num_bscans, height, width)).astype(np.float32)
    values[:, :3] = MISSING
    return values


def vol_bytes(
    data: np.ndarray, ends: Sequence[Ends], pattern: int = 3, eye: bytes = b"OD", patient: bytes = b"P7"
) -> bytes:
    num_bscans, height, width = data.shape
    header = struct.pack(
        "<12sIIIdddIIddId4sQiI16s16sI24sdI24sdIIII34s1790x",
        *(b"HSF-OCT-103", width, num_bscans, height, 0.012, 0.12, 0.0039),
        *(8, 8, 0.1, 0.1, 30, 0.0, eye, 0, pattern, 512, b"1", b"", 0, patient, 0.0, 0, b"", 0.0, 0, 0, 0, 0, b""),
    )
    assert len(header) == 2048
    scans = [
        struct.pack("<12sIddddIIfI6f168x", b"HSF-BS-103", 512, *end, 0, 256, 30.0, 0, *[0.0] * 6).ljust(512, b"\0")
        + image.astype("<f4").tobytes()
        for end, image in zip(ends, data, strict=True)
    ]
    return header + bytes(64) + b"".join(scans)


def write_xml(folder: Path, images: np.ndarray, ends: Sequence[Ends], eye: str = "L") -> Path:
    """An .xml with a tif for each B-scan (B, H, W), and one of the fundus."""
    blocks = []
    for number, (image, (x0, y0, x1, y1)) in enumerate(zip(images, ends, strict=True)):
        Image.fromarray(image).save(folder / f"B{number}.tif")
        blocks.append(
            f"<Image><ImageType><Type>OCT</Type></ImageType><OphthalmicAcquisitionContext><Width>{image.shape[1]}</Width>"
            f"<Height>{image.shape[0]}</Height><ScaleX>0.012</ScaleX><ScaleY>0.0039</ScaleY><ImageQuality>30</ImageQuality>"
            f"<Start><Coord><X>{x0}</X><Y>{y0}</Y></Coord></Start><End><Coord><X>{x1}</X><Y>{y1}</Y></Coord></End>"
            "</OphthalmicAcquisitionContext>"
            f"<ImageData><ExamURL>file:///\\\\server\\share\\B{number}.tif</ExamURL></ImageData></Image>"
        )
    Image.fromarray(images[0]).save(folder / "fundus.tif")
    localizer = (
        "<Image><ImageType><Type>LOCALIZER</Type></ImageType><OphthalmicAcquisitionContext><Width>60</Width><Height>40"
        "</Height><ScaleX>0.1</ScaleX><ScaleY>0.1</ScaleY><Angle>30</Angle><Focus>0</Focus></OphthalmicAcquisitionContext>"
        "<ImageData><ExamURL>file:///\\\\server\\share\\fundus.tif</ExamURL></ImageData></Image>"
    )
    path = folder / "scan.xml"
    path.write_text(
        "<HEDX><BODY><Patient><ID>1</ID><PatientID>P7</PatientID><LastName>Doe</LastName><FirstNames>Jane</FirstNames>"
        f"<Study><Series><ID>1</ID><Laterality>{eye}</Laterality><ReferenceSeries><ID>1</ID></ReferenceSeries>"
        f"{localizer}{''.join(blocks)}</Series></Study></Patient></BODY></HEDX>"
    )
    return path


def e2e_bytes(
    series: dict[int, list[tuple[int, np.ndarray, Ends]]], pattern: int = 3, scale_mm: float = 0.0039
) -> bytes:
    """Series of B-scans (aktImage, stored 16-bit floats (H, W), ends), one directory with an entry for each thing."""
    entries: list[tuple[tuple[int, int, int, int], int, bytes]] = []
    patient = b"Jane".ljust(31, b"\0") + b"Doe".ljust(66, b"\0") + bytes(4) + b"F" + b"P7".ljust(25, b"\0")
    entries.append(((1, -1, -1, -1), 9, patient))
    for series_id, scans in series.items():
        entries.append(((1, 1, series_id, -1), 11, bytes(14) + b"L" + bytes(12)))
        for place, (order, stored, (x0, y0, x1, y1)) in enumerate(scans):
            height, width = stored.shape
            meta = struct.pack(
                "<III4fIfffIffI", 0, height, width, x0, y0, x1, y1, 0, 0.0, scale_mm, 0.0, 0, 0.0, 0.0, 0
            )
            meta += struct.pack("<IIIIff", width, len(scans), order, pattern, (x0 + x1) / 2, (y0 + y1) / 2)
            image = struct.pack("<IIIII", stored.size * 2, 35652097, stored.size, height, width)
            entries.append(((1, 1, series_id, 2 * place), 10004, meta.ljust(428, b"\0")))
            entries.append(((1, 1, series_id, 2 * place), 1073741824, image + stored.astype("<u2").tobytes()))
    start = 36 + 52 + 52 + 44 * len(entries)
    directory, containers = b"", b""
    for number, (ids, kind, content) in enumerate(entries):
        place = start + len(containers)
        directory += struct.pack("<IIIIiiiiHHII", 88 + 52 + 44 * number, place, len(content), 0, *ids, 1, 0, kind, 0)
        containers += struct.pack("<12sIIIIIiiiiHHII", b"MDbData", 0, 0, place, len(content), 0, *ids, 1, 0, kind, 0)
        containers += content
    version = struct.pack("<12sI20x", b"CMDb", 100)
    header = struct.pack("<12sI20xIIII", b"MDbMDir", 100, len(entries), 0, 88, 0)
    chunk = struct.pack("<12sI20xIIII", b"MDbDir", 100, len(entries), 88, 0, 0)
    return version + header + chunk + directory + containers
