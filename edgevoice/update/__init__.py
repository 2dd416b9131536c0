"""Take a newer release from where the device was told to look; off until ``ROOT/update.toml`` says where.

::

    source = "https://voices.example/kiosk.edgevoice"  # or the path of a pack, a bundle, a folder of packs
    require_signature = true                           # the default: the device must trust a key first
    ca_file = "/etc/ssl/own.pem"                       # only for a server with a certificate of your own
    most_megabytes = 2000                              # a larger pack is not downloaded

Newer is what has a serial that is not lower than any before, and has not spoken here before: a release that
was left, by `rollback` or because it failed, is not taken again. What is taken is checked, heard and switched
to by `edgevoice.deploy`. Nothing here runs by itself: a timer does, if its owner sets one up.
"""
