"""A service that holds a voice loaded and speaks what arrives on a Unix socket.

The protocol, version 1, for a client in any language. A connection carries one request and its reply.

The request is one line: a JSON object in UTF-8, at most 256 KiB, ended by a newline, complete within ten
seconds. Keys that are not named here are refused.

=========  ==============================================================================================
``do``     ``"speak"`` (the default), ``"status"``, or ``"reload"``: take up the release that is current
           now, which only root, the service's own user and the owner of its folder may ask for
``text``   what to say
``speed``  2 is twice as fast; default 1
``pause``  seconds between sentences; default 0.3
``speaker``  a name, a number, or ``{"NAME": WEIGHT}`` for a mixture
``seed``   the same seed gives the same sound; default 0
=========  ==============================================================================================

The reply is frames: one byte that says what it is, four bytes little-endian that give the length, and so many
bytes.

=====  ================================================================================================
``H``  JSON: ``rate`` (samples a second), ``release``, ``voice``, ``stand_in`` (a remark on its phonemes)
``N``  text: what is skipped, and why
``S``  sound: signed 16-bit little-endian samples, one channel, as they are made
``E``  JSON: ``samples``. The end, and all went well
``X``  JSON: ``error``, one line for the user, and ``reason``: ``nothing`` (the text has no word),
       ``refused`` (mend the request), ``busy``, ``stopping``, ``broken``. The end
``I``  JSON: the service's state (`protocol.Status`). The end, of ``status`` and ``reload``
=====  ================================================================================================

A client that closes the connection cancels its work at the next chunk; one that only ends its own side, as
``nc -N`` does, still gets its reply. A connection that ends before ``E``, ``X`` or ``I`` was cut short.
"""
