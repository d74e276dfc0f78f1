"""What can be wrong around a download beside what tests/data/sources/test_download.py plants."""

import io
import stat
import zipfile

import pytest

from tests.data.sources.test_download import GOOD, RECORD, refusal, server  # noqa: F401  the last is a fixture


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_member_that_is_a_device_or_a_pipe(tmp_path, server, kind):  # noqa: F811
    member = zipfile.ZipInfo("Subject_01.mat")
    member.external_attr = (kind | 0o666) << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        zipped.writestr(member, b"")
    server.body = packed.getvalue()
    assert "member 'Subject_01.mat' is no plain file; refused" in refusal(tmp_path, server)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"none  2015_BOE_Chiu2.zip\n"])
def test_record_of_the_checksum_that_is_damaged(tmp_path, server, content):  # noqa: F811
    server.body = GOOD
    (tmp_path / RECORD).write_bytes(content)
    said = f"{tmp_path / RECORD}: begins with no sha256; remove it, or write the one of 2015_BOE_Chiu2.zip into it"
    assert refusal(tmp_path, server) == said
    assert (tmp_path / RECORD).read_bytes() == content
