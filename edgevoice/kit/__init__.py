"""A kit: all that a device without a network needs to run edgevoice, in one folder.

::

    KIT/kit.json     the lock file: for which Python and machine, and each wheel's SHA-256
    KIT/*.whl        edgevoice itself, what it needs, and pip, which a bare device may lack
    KIT/install.py   `edgevoice.kit.install`: one file that Python 3.10 or newer runs with nothing installed

The first 16 digits of the lock file's SHA-256 name the runtime that is installed from it.
"""
