"""Who made a bundle: Ed25519 signatures by OpenSSH's own ``ssh-keygen -Y``, checked on the device.

`manifest.json.sig` lies beside `manifest.json`. It signs that file's bytes, and the manifest holds the
SHA-256 of every other file, so it covers the whole bundle. A deployed folder with ``ROOT/keys`` takes, goes
back to and starts nothing that none of its keys has signed; one without takes every whole bundle.

::

    ROOT/keys/allowed_signers   the trusted keys, in OpenSSH's format
    ROOT/keys/revoked           keys that are not to be trusted again, one public key a line
    ROOT/keys/newest_serial     the highest serial that was ever switched to: lower ones are replays
"""
