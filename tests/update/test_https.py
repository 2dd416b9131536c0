"""Updates over HTTPS: certificates, redirects, sizes, and downloads that go on where they stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from deploy.deploy_bundles import content, name_of
from update.https_server import Site, make_certificate, serving

from edgevoice.deploy import local
from edgevoice.deploy.local import resolve
from edgevoice.errors import EdgevoiceError
from edgevoice.pack.make import pack
from edgevoice.update import https
from edgevoice.update.update import Outcome, update

NAME = "/voice.edgevoice"


def configure(root: Path, site: Site, path: str = NAME, **more: object) -> None:
    rows = {"source": f'"{site.url}{path}"', "ca_file": f'"{site.certificate}"', **more}
    (root / "update.toml").write_text("".join(f"{name} = {value}\n" for name, value in rows.items() if value))


def run(root: Path) -> Outcome:
    return update(root, lambda found: local.deploy(found, root, self_test=content))


def refusal(root: Path) -> str:
    with pytest.raises(EdgevoiceError) as refused:
        run(root)
    assert "\n" not in str(refused.value)
    assert "still speaks" in str(refused.value)
    return str(refused.value)


@pytest.fixture
def raw(site: Site, root: Path, one: Path, two: Path, tmp_path: Path) -> bytes:
    """The pack that the server has, newer than what speaks."""
    site.files[NAME] = data = pack(two, tmp_path / "two.edgevoice").path.read_bytes()
    configure(root, site)
    return data


def test_a_newer_pack_is_downloaded_and_taken(site: Site, root: Path, two: Path, raw: bytes) -> None:
    done = run(root).done
    assert done is not None
    assert done.release.name == name_of(two) == resolve(root).name
    assert not (root / "incoming").exists()


def test_what_is_not_newer_is_not_downloaded(
    site: Site, root: Path, one: Path, tmp_path: Path, raw: bytes
) -> None:
    large = pack(one, tmp_path / "one.edgevoice").path.read_bytes()
    site.files[NAME] = large + bytes(50_000_000)
    assert run(root).reason == f"release {name_of(one)} speaks already"
    assert not (root / "incoming").exists()


@pytest.mark.parametrize("says_length", [True, False])
def test_a_lost_connection_goes_on_where_it_stopped(
    site: Site, root: Path, one: Path, two: Path, raw: bytes, says_length: bool
) -> None:
    site.lose_after, site.says_length = 5000, says_length
    said = refusal(root)
    assert resolve(root).name == name_of(one)
    site.lose_after = None
    if not says_length:  # the end of the connection is then the end of the file, so it looks whole
        assert "is cut short or damaged" in said
        assert run(root).done
        return
    assert "was lost after 0.0 MB of 0.0 MB: run it again, it goes on from there" in said
    sent = site.sent
    assert run(root).done
    assert site.asked[-1] == (NAME, "bytes=5000-")
    assert site.sent - sent == len(raw) - 5000
    assert resolve(root).name == name_of(two)


def test_a_file_that_changed_meanwhile_begins_anew(site: Site, root: Path, two: Path, raw: bytes) -> None:
    site.lose_after = 5000
    refusal(root)
    site.lose_after, site.tags[NAME] = None, '"other"'
    assert run(root).done
    assert resolve(root).name == name_of(two)


def test_a_server_without_ranges_begins_anew(site: Site, root: Path, two: Path, raw: bytes) -> None:
    site.lose_after = 5000
    refusal(root)
    site.lose_after, site.knows_ranges = None, False
    assert run(root).done


def test_a_part_that_is_whole_or_too_long_begins_anew(site: Site, root: Path, raw: bytes) -> None:
    site.lose_after = 5000
    refusal(root)
    site.lose_after = None
    (root / "incoming" / "download.part").write_bytes(raw + b"more")
    assert run(root).done


def test_a_part_that_a_power_cut_has_spoilt_is_thrown_away(site: Site, root: Path, raw: bytes) -> None:
    site.lose_after = 9000
    refusal(root)
    site.lose_after = None
    part = root / "incoming" / "download.part"
    part.write_bytes(part.read_bytes()[:8000] + bytes(1000))
    assert "damaged" in refusal(root)
    assert not (root / "incoming").exists()
    assert run(root).done


def test_another_address_does_not_go_on_from_this_one(site: Site, root: Path, raw: bytes) -> None:
    site.lose_after = 5000
    refusal(root)
    site.lose_after = None
    site.files["/other"] = raw
    configure(root, site, "/other")
    assert run(root).done
    assert site.asked[-1] == ("/other", "")


def test_a_server_that_falls_silent(
    site: Site, root: Path, raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "SILENT_SECONDS", 0.5)
    site.lose_after, site.stalls = 5000, True
    assert "was lost (" in refusal(root)
    site.lose_after, site.stalls = None, False
    monkeypatch.undo()
    assert run(root).done


def test_a_download_without_end_is_given_up(
    site: Site, root: Path, raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "LONGEST_SECONDS", -1.0)
    assert "took more than" in refusal(root)


def test_an_unknown_certificate_is_not_trusted(site: Site, root: Path, raw: bytes, tmp_path: Path) -> None:
    configure(root, site, ca_file="")
    assert "the certificate of localhost" in refusal(root)
    other = make_certificate(tmp_path)
    configure(root, site, ca_file=f'"{other}"')
    assert "is not trusted (self-signed certificate" in refusal(root)
    configure(root, site, ca_file='"/nowhere.pem"')
    assert "ca_file /nowhere.pem cannot be used" in refusal(root)
    assert not site.sent


def test_a_certificate_for_another_host_is_not_trusted(root: Path, raw: bytes, tmp_path: Path) -> None:
    with serving(make_certificate(tmp_path, "elsewhere.example")) as wrong:
        configure(root, wrong)
        assert "Hostname mismatch" in refusal(root)


def test_redirects_stay_on_https(site: Site, root: Path, raw: bytes, certificate: Path) -> None:
    with serving(certificate, tls=False) as plain:
        plain.files[NAME] = raw
        site.redirects["/down"] = f"{plain.url}{NAME}"
        configure(root, site, "/down")
        assert f"leads to {plain.url}{NAME}, which is not HTTPS" in refusal(root)
        assert not plain.asked
    site.redirects["/round"] = "/round"
    configure(root, site, "/round")
    assert "answers 302" in refusal(root)
    site.redirects["/file"] = "file:///etc/passwd"
    configure(root, site, "/file")
    assert "file:///etc/passwd" in refusal(root)
    site.redirects["/good"] = NAME
    configure(root, site, "/good")
    assert run(root).done


def test_what_is_too_large_is_not_downloaded(site: Site, root: Path, raw: bytes) -> None:
    site.files[NAME] = raw[:8000] + bytes(1_500_000)
    configure(root, site, most_megabytes=1)
    assert "is larger than 1.0 MB: raise most_megabytes" in refusal(root)
    site.says_length = False
    assert "is larger than 1.0 MB" in refusal(root)
    assert not (root / "incoming").exists()


class Usage:
    free = 1000


def test_a_full_disk_is_said_before_the_download(
    site: Site, root: Path, raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https.shutil, "disk_usage", lambda _: Usage)
    assert "has 0.0 MB free and the download needs" in refusal(root)


def test_answers_that_are_no_pack(site: Site, root: Path, raw: bytes) -> None:
    site.files["/page"] = b"<html>log in to this network first</html>" * 10
    configure(root, site, "/page")
    assert "is no pack: make one with" in refusal(root)
    configure(root, site, "/nothing")
    assert "answers 404" in refusal(root)
    site.files["/empty"] = b""
    configure(root, site, "/empty")
    assert "is no pack" in refusal(root)
    assert not (root / "incoming").exists()


def test_nobody_there(site: Site, root: Path, raw: bytes, certificate: Path) -> None:
    with serving(certificate) as gone:
        pass
    configure(root, gone)
    assert "cannot reach localhost" in refusal(root)


def test_a_plain_server_behind_an_https_address(root: Path, raw: bytes, certificate: Path) -> None:
    with serving(certificate, tls=False) as plain:
        plain.url = plain.url.replace("http:", "https:")
        configure(root, plain)
        assert "cannot reach localhost" in refusal(root)
