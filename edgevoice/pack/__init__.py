"""A pack: a bundle as one file, for a stick or a web server; with a kit, for a device that has only Python.

A zip file, made byte by byte the same from the same bundle::

    #. coding: this-pack-was-cut-short...  a first line that lets Python name a cut file; zip readers skip it
    pack.json                              the voice, its release and serial; SHA-256 and size of every entry
    bundle/manifest.json, bundle/...       the bundle, with its signature if it has one
    __main__.py, edgevoice/...             what `python3 FILE ROOT` runs: `starter`, `incoming`, `reader`
    kit/...                                optional: the device's runtime, see `edgevoice.kit`

Entries are stored, not compressed (weights do not shrink), so nothing in a pack can grow on the device. One
reader takes packs apart, `reader`, which needs nothing but Python: it goes by no name and no size that it has
not compared, and what is run or installed is written anew from what it has checked.
"""
