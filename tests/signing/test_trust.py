"""A device with keys takes, goes back to and starts only what they signed, and says why not."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from deploy.deploy_bundles import content, make, name_of
from signing.signing_keys import make_key, public_of, signed, trusting

from edgevoice import bundle
from edgevoice.deploy import local
from edgevoice.deploy.local import Deployment, go_back_if_on_trial, releases, resolve, rollback
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime import find
from edgevoice.signing import openssh, public
from edgevoice.signing.sign import sign
from edgevoice.signing.trust import known, revoke, trust


def put(source: Path, root: Path, trial: bool = False, allow_older: bool = False) -> Deployment:
    return local.deploy(source, root, trial=trial, allow_older=allow_older, self_test=content)


@pytest.fixture
def root(tmp_path: Path, key: Path) -> Path:
    """A device that trusts the workshop's key and has no release yet."""
    return trusting(tmp_path / "device", key)


@pytest.fixture
def old(tmp_path: Path, key: Path, root: Path) -> Path:
    """A signed bundle that speaks on the device."""
    path = signed(tmp_path, "old", key)
    put(path, root)
    return path


def refused(source: Path, root: Path, message: str) -> None:
    before = {path.name for path in root.rglob("*")}
    with pytest.raises(EdgevoiceError, match=message) as error:
        put(source, root)
    assert "\n" not in str(error.value)
    assert {path.name for path in root.rglob("*")} == before


def printed(key: Path) -> str:
    return re.escape(public_of(key).fingerprint)


def damage(path: Path, at: int = 0, bit: int = 1) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at] ^= bit
    path.write_bytes(data)


def test_a_signed_bundle_is_taken_with_its_signature(root: Path, old: Path) -> None:
    assert resolve(root).name == name_of(old)
    assert (resolve(root) / bundle.SIGNATURE).read_bytes() == (old / bundle.SIGNATURE).read_bytes()
    assert find.read(root).path == resolve(root)
    assert put(old, root).copied_bytes == 0


def test_an_unsigned_bundle_is_refused_first_and_later(root: Path, key: Path, tmp_path: Path) -> None:
    unsigned = make(tmp_path, "unsigned", size=1000)
    refused(unsigned, root, "is not signed, and .* takes only signed bundles")
    put(signed(tmp_path, "good", key), root)
    refused(unsigned, root, "is not signed")
    assert (root / "keys" / "allowed_signers").exists()


def test_a_foreign_signature_is_refused_by_its_fingerprint(
    root: Path, old: Path, other_key: Path, tmp_path: Path
) -> None:
    foreign = signed(tmp_path, "foreign", other_key, vocoder=1)
    refused(foreign, root, f"is signed by {printed(other_key)}, which .* does not trust")
    assert resolve(root).name == name_of(old)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder.fp32.onnx", "changed or cut short"),
        ("text.json", "changed or cut short"),
        ("manifest.json", "altered after it was signed"),
        ("manifest.json.sig", "altered after it was signed|no Ed25519 signature"),
    ],
)
def test_a_tampered_byte_in_each_kind_of_file(
    root: Path, old: Path, key: Path, tmp_path: Path, name: str, message: str
) -> None:
    new = signed(tmp_path, "new", key, vocoder=1)
    raw = (new / name).read_bytes()
    damage(new / name, raw.index(b'"new"') + 1 if name == "manifest.json" else len(raw) // 2)
    refused(new, root, message)
    assert resolve(root).name == name_of(old)


@pytest.mark.parametrize("name", ["text.json", "manifest.json", "manifest.json.sig"])
def test_a_byte_tampered_with_where_it_is_installed(root: Path, old: Path, name: str) -> None:
    place = resolve(root)
    raw = (place / name).read_bytes()
    damage(place / name, raw.index(b'"old"') + 1 if name == "manifest.json" else len(raw) // 2)
    with pytest.raises(EdgevoiceError, match=r"altered|not what was installed|changed|no Ed25519"):
        bundle.read(resolve(root))
    put(old, root)
    bundle.read(resolve(root))


def test_whoever_can_hash_still_cannot_sign(root: Path, old: Path, key: Path, tmp_path: Path) -> None:
    """Another file with a manifest that fits it: only the signature tells."""
    new = signed(tmp_path, "new", key, vocoder=1)
    signature = (new / bundle.SIGNATURE).read_bytes()
    found = bundle.read(new)
    (tmp_path / "evil").write_bytes(b"evil")
    sources = {name: found.file(name) for name in found.manifest.files}
    bundle.write(new, found.manifest, {**sources, "vocoder.fp32.onnx": tmp_path / "evil"})
    (new / bundle.SIGNATURE).write_bytes(signature)
    refused(new, root, "altered after it was signed")


@pytest.mark.parametrize("junk", [b"", b"junk", b"-----BEGIN SSH SIGNATURE-----\n", bytes(100_000)])
def test_what_is_no_signature(root: Path, old: Path, tmp_path: Path, junk: bytes) -> None:
    new = make(tmp_path, "new", size=1000)
    (new / bundle.SIGNATURE).write_bytes(junk)
    refused(new, root, "has a manifest.json.sig that is n")


def test_a_signature_that_is_a_link_is_none(root: Path, old: Path, tmp_path: Path, key: Path) -> None:
    new = signed(tmp_path, "new", key, vocoder=1)
    (new / bundle.SIGNATURE).rename(tmp_path / "elsewhere")
    (new / bundle.SIGNATURE).symlink_to(tmp_path / "elsewhere")
    refused(new, root, "is not signed")


def test_a_signature_made_for_something_else_does_not_count(
    root: Path, old: Path, key: Path, tmp_path: Path
) -> None:
    new = make(tmp_path, "new", size=1000)
    command = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", "file", str(new / bundle.MANIFEST)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert (new / bundle.SIGNATURE).exists()
    refused(new, root, "altered after it was signed, or its signature was")


def test_a_rollback_and_a_start_want_signatures_too(root: Path, key: Path, tmp_path: Path) -> None:
    unsigned, good = make(tmp_path, "unsigned", size=1000), signed(tmp_path, "good", key)
    keys = root / "keys"
    keys.rename(tmp_path / "keys")
    put(unsigned, root)
    put(good, root)
    (tmp_path / "keys").rename(keys)
    with pytest.raises(EdgevoiceError, match="is not signed"):
        rollback(root)
    assert find.read(root).path.name == name_of(good)
    assert [bool(row.problem) for row in releases(root)] == [False, True]
    (root / "current").unlink()
    (root / "current").symlink_to(f"releases/{name_of(unsigned)}")
    for voice in (root, root / "current", root / "releases" / name_of(unsigned)):
        with pytest.raises(EdgevoiceError, match="is not signed"):
            find.read(voice)
    assert find.read(root / "releases" / name_of(good)).path.name == name_of(good)


def test_a_trial_goes_back_past_an_unsigned_release(root: Path, key: Path, tmp_path: Path) -> None:
    first, second = signed(tmp_path, "first", key), signed(tmp_path, "second", key, vocoder=1)
    put(first, root)
    put(second, root)
    (root / "releases" / name_of(second) / bundle.SIGNATURE).unlink()
    put(signed(tmp_path, "third", key, vocoder=2), root, trial=True)
    went = go_back_if_on_trial(root)
    assert went is not None
    assert went.name == name_of(first)


def test_an_old_signed_bundle_is_not_taken_again(root: Path, key: Path, tmp_path: Path) -> None:
    five, six = signed(tmp_path, "five", key, 5), signed(tmp_path, "six", key, 6, vocoder=1)
    none = signed(tmp_path, "none", key, vocoder=2)
    put(five, root)
    put(six, root)
    refused(five, root, "has serial 5 and .* has had 6: .*--allow-older")
    refused(none, root, "has no serial and .* has had 6")
    assert (
        rollback(root).name == name_of(five) == put(five, root).release.name
    )  # what speaks may be sent again
    put(none, root, allow_older=True)
    refused(five, root, "has had 6")
    put(six, root)


def test_a_serial_counts_only_where_keys_vouch_for_it(tmp_path: Path, key: Path, root: Path) -> None:
    free = tmp_path / "free"
    put(signed(tmp_path, "nine", key, 9), free)
    put(signed(tmp_path, "one", key, 1, vocoder=1), free)
    huge = make(tmp_path, "huge", size=1000)
    sign(huge, make_key(tmp_path / "stranger"), 2**53 - 1)
    refused(huge, root, "does not trust")
    put(signed(tmp_path, "two", key, 2, vocoder=2), root)


def test_what_spoke_before_the_first_key_counts_as_seen(tmp_path: Path, key: Path, other_key: Path) -> None:
    root = tmp_path / "free"
    put(signed(tmp_path, "nine", key, 9), root)
    trust(root, public_of(key))
    refused(signed(tmp_path, "eight", key, 8, vocoder=1), root, "has serial 8 and .* has had 9")
    strange = tmp_path / "strange"
    put(signed(tmp_path, "seven", other_key, 7), strange)
    trust(strange, public_of(key), force=True)
    put(signed(tmp_path, "one", key, 1, vocoder=1), strange)


def test_a_damaged_record_of_serials_is_named(root: Path, old: Path, tmp_path: Path, key: Path) -> None:
    (root / "keys" / "newest_serial").write_text("many")
    refused(signed(tmp_path, "new", key, 5, vocoder=1), root, "newest_serial holds no number")
    assert resolve(root).name == name_of(old)


def test_keys_rotate(root: Path, old: Path, key: Path, other_key: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgevoiceError, match="is the only key"):
        revoke(root, public_of(key))
    assert trust(root, public_of(other_key)).changed
    assert not trust(root, public_of(other_key)).changed
    with pytest.raises(EdgevoiceError, match="would not start again"):
        revoke(root, public_of(key))
    sign(old, other_key)
    done = put(old, root)  # the same release, signed anew
    assert done.copied_bytes == 0
    assert (resolve(root) / bundle.SIGNATURE).read_bytes() == (old / bundle.SIGNATURE).read_bytes()
    assert revoke(root, public_of(key).fingerprint[:12]).trusted == 1
    assert not revoke(root, public_of(key)).changed
    assert resolve(root).name == name_of(old)
    late = signed(tmp_path, "late", key, vocoder=1)
    refused(late, root, f"signed by {printed(key)}, which was revoked")
    with pytest.raises(EdgevoiceError, match="was revoked on"):
        trust(root, public_of(key))
    assert [(row.comment, row.trusted) for row in known(root)] == [
        ("other@workshop", True),
        ("own@workshop", False),
    ]


def test_the_last_key_can_be_revoked_by_force(root: Path, old: Path, key: Path) -> None:
    assert revoke(root, public_of(key), force=True).trusted == 0
    with pytest.raises(EdgevoiceError, match="was revoked"):
        resolve(root)
    refused(old, root, "was revoked")


def test_the_first_key_does_not_mute_a_device(tmp_path: Path, key: Path) -> None:
    root = tmp_path / "device"
    bundled = make(tmp_path, "one", size=1000)
    put(bundled, root)
    with pytest.raises(EdgevoiceError, match="would not start again"):
        trust(root, public_of(key))
    assert not (root / "keys").exists()
    resolve(root)
    sign(bundled, key)
    put(bundled, root)
    assert trust(root, public_of(key)).changed
    resolve(root)
    assert not (root / "staging").exists()


def test_an_unsigned_device_may_be_given_a_key_by_force(tmp_path: Path, key: Path) -> None:
    root = tmp_path / "device"
    put(make(tmp_path, "one", size=1000), root)
    trust(root, public_of(key), force=True)
    with pytest.raises(EdgevoiceError, match="is not signed"):
        resolve(root)


def test_a_mistyped_folder_is_not_made(tmp_path: Path, key: Path) -> None:
    other = tmp_path / "documents"
    other.mkdir()
    (other / "diary").write_text("private")
    for place, message in ((tmp_path / "nowhere", "is no folder"), (other, "holds other things")):
        for verb in (lambda at: trust(at, public_of(key)), known, lambda at: revoke(at, "SHA256:x")):
            with pytest.raises(EdgevoiceError, match=message):
                verb(place)
    assert {path.name for path in tmp_path.iterdir()} == {"documents"}
    assert {path.name for path in other.iterdir()} == {"diary"}


def test_files_that_are_no_public_key(tmp_path: Path, key: Path) -> None:
    def file(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    line = key.with_suffix(".pub").read_text()
    ecdsa = make_key(tmp_path / "ecdsa", kind="ecdsa")
    for path, message in (
        (key, "is a private key, which never leaves the workstation"),
        (ecdsa.with_suffix(".pub"), r"holds another kind of key \(ecdsa-sha2-nistp256\), not an Ed25519 one"),
        (file("two", line * 2), "no file with one public key"),
        (file("empty", ""), "no file with one public key"),
        (file("word", "hello"), "holds no public key"),
        (file("cut", line[:40]), "not an Ed25519 one"),
        (file("text", "hello to all"), "holds no public key"),
        (file("long", line.strip() + "x" * 20_000), "no file with one public key"),
        (tmp_path / "nothing", "No such file"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(EdgevoiceError, match=message) as error:
            public.read(path)
        assert "\n" not in str(error.value)


def test_a_comment_is_kept_printable(root: Path, key: Path) -> None:
    blob = public_of(key).line.split()[1]
    odd = public.parse(f"ssh-ed25519 {blob} \x1b[2Jan\tna\u00a0x".encode(), "here")
    assert odd.comment == "[2Jan na x"
    assert odd.blob == public_of(key).blob


def test_lost_or_damaged_keys_do_not_read_as_none(root: Path, old: Path, key: Path) -> None:
    allowed = root / "keys" / "allowed_signers"
    text = allowed.read_text()
    allowed.write_text("anything\n")
    with pytest.raises(EdgevoiceError, match="no Ed25519 key, mend it"):
        resolve(root)
    allowed.unlink()
    with pytest.raises(EdgevoiceError, match="allowed_signers is missing"):
        resolve(root)
    assert trust(root, public_of(key)).changed
    assert allowed.read_text() == text
    assert resolve(root).name == name_of(old)


def test_a_device_without_openssh_says_so(
    root: Path, old: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssh.shutil, "which", lambda _: None)
    with pytest.raises(EdgevoiceError, match=r"ssh-keygen is missing.*apt install openssh-client"):
        resolve(root)
    with pytest.raises(EdgevoiceError, match="ssh-keygen is missing"):
        trust(root, public_of(key))


def test_everybody_may_read_the_keys(tmp_path: Path, key: Path) -> None:
    root = tmp_path / "device"
    root.mkdir()
    before = os.umask(0o077)
    try:
        trust(root, public_of(key))
    finally:
        os.umask(before)
    assert (root / "keys").stat().st_mode & 0o777 == 0o755
    assert (root / "keys" / "allowed_signers").stat().st_mode & 0o777 == 0o644
